"""What a round says of each intent."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from archgov.decide.advise import Advice
from archgov.decide.approve import Grant, rejected, rejection
from archgov.decide.need import outlooks
from archgov.decide.plan import Plan
from archgov.decide.release import Released
from archgov.decide.select import Governed
from archgov.decide.stage import Stage, declared_needs
from archgov.decide.survive import Loss, floor, tolerated
from archgov.decide.tell import change, conditions, gap_of
from archgov.model.condition import Condition, Kind, Reason, Status
from archgov.model.decision import Decision, Finding, Outcome, merged
from archgov.model.fleet import Int64
from archgov.model.intent import CapacityIntent, FailoverIntent, Intent, Load, Mode
from archgov.model.quantity import counted
from archgov.model.ref import IntentRef
from archgov.optimize.placement import judge

MOST_FINDINGS = 20
LONGEST = 120


@dataclass(frozen=True, slots=True)
class Verdict:
    """What a round says of one intent.

    Attributes:
        waits: something of its plan is not observed yet. moves: replicas that its plan adds, moves or takes away.
        cost_before, cost_after: micro-USD per hour of its workloads. gap: of the plan it stands in, None without one.
        need, planned: replicas that a CapacityIntent asks for, and that its workloads get.
        survivable: (losses survived, losses tolerated) of a FailoverIntent.
    """

    intent: IntentRef
    generation: int
    mode: Mode
    conditions: tuple[Condition, ...]
    summary: str
    workloads: int
    waits: bool
    moves: int
    cost_before: int
    cost_after: int
    gap: float | None
    decision: Decision | None
    findings: tuple[Finding, ...]
    need: int | None = None
    planned: int | None = None
    forecast_error: str = ""
    coverage: str = ""
    survivable: tuple[int, int] | None = None
    failed_over: tuple[str, ...] = ()


def verdict(
    stage: Stage,
    one: Governed[Intent],
    acting: Plan | None,
    advice: tuple[Advice, ...],
    target: Int64,
    released: Released,
    under_way: tuple[Decision, ...],
    findings: tuple[Finding, ...],
) -> Verdict:
    """The verdict on one intent from all that a round found."""
    common = one.intent.common
    mine = next((item for item in advice if item.governed.name == one.name), None)
    plan = mine.plan if mine else acting
    every = merged((*findings, *(mine.plan.findings if mine else ()), *_outvoted(stage, one, plan)))
    about = tuple(finding for finding in every if common.ref in finding.about)[:MOST_FINDINGS]
    before = target if mine else stage.base.problem.now
    after = mine.plan.target if mine else target
    s_of = {row: s for s, row in enumerate(stage.base.rows)}
    # Where its word didn't count, what changes isn't its doing.
    heard = frozenset(one.rows) if plan is None else plan.asked.full.get(one.name, frozenset()) | plan.asked.held
    rows = [s_of[row] for row in one.rows if row in s_of and (row in heard or not any(f.stalls for f in about))]
    grants = [grant for grant in stage.grants if grant.owner.name == one.name]
    acts = one.enforced or bool(grants)
    waits = acts and bool(released.waits & set(one.rows) or _settling(stage, one, target))
    moves = _moves(stage.base.problem.now[rows], target[rows]) if waits else _moves(before[rows], after[rows])
    decision = grants[0].decision if grants and waits else _decision(one, mine, under_way)
    approved = _approved(stage, one, mine, grants)
    cost_before, cost_after = _money(stage, rows, before), _money(stage, rows, after)
    return Verdict(
        intent=common.ref,
        generation=common.generation,
        mode=common.mode,
        conditions=conditions(one, about, waits, moves > 0, stage.stopped, approved),
        summary=_summary(one, about, waits, moves, change(cost_before, cost_after), plan, approved, grants),
        workloads=len(one.rows),
        waits=waits,
        moves=moves,
        cost_before=cost_before,
        cost_after=cost_after,
        gap=gap_of(plan) if plan else None,
        decision=decision,
        findings=about,
        need=_need(stage, one),
        planned=int(after[rows].sum()) if isinstance(one.intent, CapacityIntent) else None,
        survivable=_survivable(stage, one, target),
        failed_over=_failed_over(stage, one),
        **_forecast(stage, one),
    )


def _approved(stage: Stage, one: Governed[Intent], mine: Advice | None, grants: list[Grant]) -> Condition | None:
    """What people said of the plan of an intent that waits for them; None where no plan does."""
    if one.intent.common.mode is not Mode.APPROVE:
        return None
    released = next((grant for grant in grants if not grant.takes_back), None)
    if released is not None:
        rest = (
            f"; the waves after it wait for a word of their own ({counted(len(released.waits), 'action')})"
            if released.waits
            else ""
        )
        told = f"{released.decision.name} was approved by {released.approval.author}{rest}"
        return Condition(Kind.APPROVED, Status.TRUE, Reason.APPROVED, told)
    if mine is None or not mine.decisions:
        return None
    decision, namespace = mine.decisions[0], one.intent.common.ref.namespace
    no = rejected(stage.heard).get((namespace, decision.plan_hash))
    if no is not None:
        return Condition(Kind.APPROVED, Status.FALSE, Reason.REJECTED, f"{decision.name} was {rejection(no)}")
    how = f"archgov approve {decision.name} -n {namespace} (plan {decision.plan_hash[:8]})"
    return Condition(
        Kind.APPROVED, Status.FALSE, Reason.WAITING_FOR_APPROVAL, f"{decision.name} waits for a person: {how}"
    )


def _moves(before: Int64, after: Int64) -> int:
    """Replicas that change: a move, which adds one here to take one there, is one."""
    difference = after - before
    return int(np.maximum(np.maximum(difference, 0).sum(axis=1), np.maximum(-difference, 0).sum(axis=1)).sum())


def _settling(stage: Stage, one: Governed[Intent], target: Int64) -> bool:
    """Written as planned, but pods are not Ready or old ones are not gone yet."""
    open_rows = {
        action.workload
        for still in stage.snapshot.decisions
        if still.decision.outcome is Outcome.APPLYING
        for action in still.decision.actions
    }
    fleet, s_of = stage.snapshot.fleet, {row: s for s, row in enumerate(stage.base.rows)}
    return any(
        fleet.ready_replicas(row).get(k, 0) < int(target[s_of[row], k])
        for row in one.rows
        if fleet.ref(row) in open_rows
        for k in np.flatnonzero(target[s_of[row]]).tolist()
        if k not in stage.unreachable
    )


def _decision(one: Governed[Intent], mine: Advice | None, under_way: tuple[Decision, ...]) -> Decision | None:
    if mine is not None:
        return mine.decisions[0] if mine.decisions else None
    return next((decision for decision in under_way if one.intent.common.ref in decision.intents), None)


def _money(stage: Stage, rows: list[int], n: Int64) -> int:
    return int((stage.base.problem.price[rows] * n[rows]).sum())


def _summary(
    one: Governed[Intent],
    about: tuple[Finding, ...],
    waits: bool,
    moves: int,
    cost: str,
    plan: Plan | None,
    approved: Condition | None,
    grants: list[Grant],
) -> str:
    if one.intent.common.suspend:
        return "suspended"
    stalling = next((finding for finding in about if finding.stalls), None)
    if stalling is not None:
        return _short(stalling)
    if not moves and not waits:
        later = sum(len(grant.waits) for grant in grants)
        return f"waits for approval of the next wave: {counted(later, 'action')}" if later else "as declared"
    gap = gap_of(plan) if plan else None
    told = f"{counted(moves, 'replica')}, cost {cost}" + (f", gap {gap:.1%}" if gap is not None else "")
    if approved is not None and approved.status is Status.FALSE and not waits:
        return f"{'rejected' if approved.reason is Reason.REJECTED else 'waits for approval'}: {told}"
    if one.enforced or waits:
        return told if moves else "waits until every replica is Ready"
    return f"{'would change' if one.intent.common.mode is Mode.OBSERVE else 'recommends'} {told}"


def _short(finding: Finding) -> str:
    """A finding in a line; what exactly collides stands in the conditions."""
    told = finding.message.split("collide", 1)[0] + "collide" if "collide" in finding.message else finding.message
    return f"{finding.reason}: {told}"[:LONGEST]


def _need(stage: Stage, one: Governed[Intent]) -> int | None:
    """Replicas that a CapacityIntent itself asks for, whatever others do."""
    if not isinstance(one.intent, CapacityIntent):
        return None
    needs = {**stage.needs, **declared_needs(stage, (one,))}
    return sum(needs[row].total for row in one.rows if row in needs)


def _outvoted(stage: Stage, one: Governed[Intent], plan: Plan | None) -> tuple[Finding, ...]:
    """Where a plan answers another CapacityIntent's lower demand."""
    if plan is None or not isinstance(one.intent, CapacityIntent) or one.intent.common.suspend:
        return ()
    own, found = declared_needs(stage, (one,)), []
    for row in one.rows:
        asked = plan.asked.needs.get(row)
        if row in own and asked is not None and asked.owner not in ("", one.name) and asked.total < own[row].total:
            ref = stage.snapshot.fleet.ref(row)
            told = f"{ref}: {IntentRef.parse(asked.owner)} decides by its priority: {asked.total} replicas, not {own[row].total}"
            remedies = ("raise spec.priority of the one that matters more", "let one intent declare its demand")
            found.append(Finding(Reason.CONFLICT, told, (one.intent.common.ref,), ref, remedies, stalls=True))
    return tuple(found)


def _forecast(stage: Stage, one: Governed[Intent]) -> dict[str, str]:
    if not isinstance(one.intent, CapacityIntent) or one.intent.series is None:
        return {}
    found = outlooks(stage.snapshot, one.intent)
    seen = [] if isinstance(found, Finding) else [look.forecast for look in found if look.forecast is not None]
    if not seen:
        return {}
    errors = [forecast.error for forecast in seen if not math.isnan(forecast.error)]
    covers = [forecast.coverage for forecast in seen if not math.isnan(forecast.coverage)]
    return {
        "forecast_error": f"{sum(errors) / len(errors):.2f}" if errors else "",
        "coverage": f"{sum(covers) / len(covers):.0%}" if covers else "",
    }


def _survivable(stage: Stage, one: Governed[Intent], target: Int64) -> tuple[int, int] | None:
    """Losses that every workload of a FailoverIntent survives with its floor, as the plan leaves it, of those it tolerates."""
    intent = one.intent
    if not isinstance(intent, FailoverIntent):
        return None
    losses = tolerated(stage.snapshot.fleet, intent, one.clusters)
    s_of = {row: s for s, row in enumerate(stage.base.rows)}
    survived = sum(
        1
        for loss in losses
        if all(_holds(stage, intent, row, s_of[row], target, loss) for row in one.rows if row in s_of)
    )
    return survived, len(losses)


def _holds(stage: Stage, intent: FailoverIntent, row: int, s: int, n: Int64, loss: Loss) -> bool:
    problem = stage.base.problem
    wanted = floor(stage.snapshot.fleet, intent, stage.needs[row], stage.loads.get(row, Load.PER_DOMAIN), loss)
    gone = tuple(sorted({*loss.domains, *stage.lost_domains}))
    left = int(n[s].sum()) - judge.at_most(problem, s, gone, n[s])
    if left < wanted.total:
        return False
    for k, replicas in wanted.by_cluster:
        here = tuple(j for j in gone if int(problem.cluster[j]) == k)
        if int(n[s, k]) - (judge.at_most(problem, s, here, n[s]) if here else 0) < replicas:
            return False
    return True


def _failed_over(stage: Stage, one: Governed[Intent]) -> tuple[str, ...]:
    rows = set(one.rows)
    return tuple(
        str(record.workload)
        for record in stage.records
        if record.origin and stage.snapshot.fleet.row(record.workload) in rows
    )[:MOST_FINDINGS]
