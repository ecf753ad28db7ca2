"""Why a workload stays as it is."""

from __future__ import annotations

import re
from collections.abc import Iterator

from archgov.decide.failback import DEFAULT_SOAK
from archgov.decide.need import Need
from archgov.decide.plan import Plan
from archgov.decide.round import Round
from archgov.decide.select import FIXED_BECAUSE, Governed
from archgov.decide.stage import declared_needs
from archgov.model.condition import Reason
from archgov.model.decision import Finding
from archgov.model.fleet import Fixed, Reach
from archgov.model.intent import Failback, FailoverIntent, Intent
from archgov.model.quantity import duration
from archgov.model.ref import WorkloadRef


def plan_of(concluded: Round, one: Governed[Intent]) -> Plan | None:
    """The plan that an intent stands in: the acting one, or its own advice; None while a loss is answered."""
    if one.enforced:
        return concluded.acting
    return next((item.plan for item in concluded.advice if item.governed.name == one.name), None)


def need_of(concluded: Round, one: Governed[Intent], row: int) -> Need:
    """The need that counts for an intent: as its plan was asked, or as declared where there is none; else spec.replicas."""
    stage = concluded.stage
    plan = plan_of(concluded, one)
    if plan is not None and row in plan.asked.needs:
        return plan.asked.needs[row]
    declared = declared_needs(stage, tuple(other for other in stage.governed if other.enforced))
    spec = stage.snapshot.fleet.spec_replicas(row)
    return declared.get(row) or stage.needs.get(row) or Need(sum(spec.values()), source="spec.replicas")


def being_answered(concluded: Round) -> str:
    """What stands still while a loss is answered, in words; empty when none is."""
    if concluded.acting is not None:
        return ""
    lost = ", ".join(str(loss) for loss in concluded.stage.lost)
    return f"the loss of {lost} is being answered; the plan stands still until then"


def why_still(concluded: Round, one: Governed[Intent], row: int) -> tuple[str, ...]:
    """What keeps a workload as it is, beside that nothing better is asked for; empty where nothing does."""
    fleet = concluded.stage.snapshot.fleet
    fixed = Fixed(int(fleet.workloads.fixed[row]))
    if fixed is not Fixed.FREE:
        return (f"{fleet.ref(row)} counts as load and is never moved: {FIXED_BECAUSE[fixed]}",)
    if one.intent.common.suspend:
        return ("the intent is suspended by spec.suspend",)
    if told := being_answered(concluded):
        return (told,)
    return tuple(
        dict.fromkeys(
            [
                *(finding.message for finding in _about(concluded, one, row)),
                *_failed_over(concluded, row),
                *_beyond_need(concluded, one, row),
                *_held(concluded, row),
            ]
        )
    )


def _about(concluded: Round, one: Governed[Intent], row: int) -> Iterator[Finding]:
    """Findings that concern a workload as an intent sees it."""
    ref, plan = concluded.stage.snapshot.fleet.ref(row), plan_of(concluded, one)
    gave_way = plan is not None and row not in plan.asked.full.get(one.name, frozenset())
    for finding in (*concluded.findings, *(plan.findings if plan else ())):
        mine = finding.stalls and one.intent.common.ref in finding.about
        if finding.workload is not None:
            concerned = finding.workload == ref
        else:
            # Of many workloads that collide only some are named.
            concerned = _names(finding.message, ref) or (mine and (gave_way or finding.reason is not Reason.INFEASIBLE))
        if concerned:
            yield finding


def _names(message: str, ref: WorkloadRef) -> bool:
    """Whether a message names a workload, not only one whose name begins or ends like it."""
    return re.search(rf"(?<![\w/.-]){re.escape(str(ref))}(?![\w-])", message) is not None


def _failed_over(concluded: Round, row: int) -> Iterator[str]:
    """Where a workload stands on its way back from a failure."""
    stage, fleet = concluded.stage, concluded.stage.snapshot.fleet
    if row in stage.home.returning:
        home = " · ".join(f"{fleet.clusters[k].name} {count}" for k, count in stage.home.returning[row].items())
        yield f"failing back to where it was: {home}"
    if row not in stage.home.soaking:
        return
    intent = next((one.intent for one in stage.of(FailoverIntent) if row in one.rows), None)
    if intent is not None and intent.failback is Failback.MANUAL and not stage.lost:
        return  # a finding says so
    soak = intent.soak if intent else DEFAULT_SOAK
    if stage.lost:
        lost = ", ".join(str(loss) for loss in stage.lost)
        yield f"failed over; it returns once {lost} is back and all has been well for {duration(soak)}"
    else:
        well_since = max((loss.ended for loss in stage.home.remembered), default=0)
        left = max(0, well_since + soak - stage.snapshot.seconds)
        yield f"failed over; it returns in {duration(left)} if all stays well (spec.failback.soak {duration(soak)})"


def _beyond_need(concluded: Round, one: Governed[Intent], row: int) -> Iterator[str]:
    """What replicas beyond the need are for."""
    stage, plan = concluded.stage, plan_of(concluded, one)
    guard = stage.first_of(row, FailoverIntent)
    if plan is None or guard is None or guard.name == one.name or row not in stage.base.rows:
        return
    total, need = int(plan.target[stage.base.rows.index(row)].sum()), need_of(concluded, one, row)
    if total > need.total:
        yield f"{total} stand and {need.total} are needed: the rest survives losses, as {guard.intent.common.ref} asks"


def _held(concluded: Round, row: int) -> Iterator[str]:
    """What keeps replicas where they are although their plan might know better."""
    stage, fleet = concluded.stage, concluded.stage.snapshot.fleet
    spec = fleet.spec_replicas(row)
    unseen = [fleet.clusters[k].name for k in sorted(spec) if spec[k] and fleet.clusters[k].reach is Reach.UNKNOWN]
    if stage.lost:
        lost = ", ".join(str(loss) for loss in stage.lost)
        yield f"held: nothing is taken away while {lost} is lost"
    elif unseen:
        are = "isn't seen" if len(unseen) == 1 else "aren't seen"
        yield f"held: {', '.join(unseen)} {are}, so nothing of it is taken away"
