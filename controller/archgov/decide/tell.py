"""What a plan means for each intent: decisions to write, conditions to show."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import numpy as np

from archgov.decide.compose import Frame
from archgov.decide.plan import Plan
from archgov.decide.select import Governed
from archgov.model.condition import Condition, Kind, Reason, Status
from archgov.model.decision import Action, Cause, Decision, Finding, Outcome, plan_hash
from archgov.model.fleet import Int64
from archgov.model.intent import Intent, Mode
from archgov.model.quantity import counted
from archgov.model.snapshot import Snapshot

ENGINE = "exact"
# A Decision object holds at most this many actions; a larger plan is several, each after the one before.
MOST_ACTIONS = 100
MOST_FINDINGS = 20


def actions(
    base: Frame, now: Int64, target: Int64, rows: Iterable[int], cause: Mapping[int, Cause], why: Mapping[int, str]
) -> tuple[Action, ...]:
    """The difference between two placements of some workloads: additions in wave 0, removals in wave 1."""
    s_of = {row: s for s, row in enumerate(base.rows)}
    found = []
    for row in rows:
        s = s_of[row]
        for k in np.flatnonzero(now[s] != target[s]).tolist():
            before, after = int(now[s, k]), int(target[s, k])
            found.append(
                Action(
                    wave=0 if after > before or cause[row] is Cause.SHED else 1,
                    workload=base.fleet.ref(row),
                    cluster=base.fleet.clusters[k].name,
                    before=before,
                    after=after,
                    uid=base.fleet.uid(row, k),
                    cause=cause[row],
                    why=why.get(row, ""),
                )
            )
    return tuple(sorted(found))


def decisions(
    snapshot: Snapshot,
    owner: Governed[Intent],
    involved: tuple[Governed[Intent], ...],
    found: tuple[Action, ...],
    base: Frame,
    plan: Plan | None,
    outcome: Outcome,
    findings: tuple[Finding, ...] = (),
) -> tuple[Decision, ...]:
    """Decision objects for the actions of one owner: one, or a chain where they are many."""
    ordered = tuple(sorted(found))
    intents = (owner, *(one for one in involved if one.name != owner.name))
    identity = tuple((one.intent.common.uid, one.intent.common.generation) for one in intents)
    digest = plan_hash(ordered, identity)
    before, after = _money(base, ordered)
    chain: list[Decision] = []
    for start in range(0, len(ordered), MOST_ACTIONS):
        part = ordered[start : start + MOST_ACTIONS]
        number = start // MOST_ACTIONS
        chain.append(
            Decision(
                intents=tuple(one.intent.common.ref for one in intents),
                actions=part,
                outcome=outcome,
                objective=plan.objective if plan else after,
                bound=plan.bound if plan else None,
                cost_before=before,
                cost_after=after,
                summary=summary_of(ordered, before, after, plan),
                engine=ENGINE if plan else "levels",
                seed=snapshot.seed,
                snapshot=snapshot.digest,
                findings=findings[:MOST_FINDINGS],
                plan_hash=digest,
                name=f"{owner.intent.common.ref.name[:200]}-{digest[:8]}" + (f"-{number + 1}" if number else ""),
                after=(chain[-1].name,) if chain else (),
                generation=owner.intent.common.generation,
            )
        )
    return tuple(chain)


def summary_of(found: tuple[Action, ...], before: int, after: int, plan: Plan | None) -> str:
    """A plan in one line: what it does, what it costs, how good it is known to be."""
    added = sum(max(0, action.after - action.before) for action in found)
    removed = sum(action.removes for action in found)
    parts = [f"+{counted(added, 'replica')}"] * bool(added) + [f"−{counted(removed, 'replica')}"] * bool(removed)
    parts.append(f"cost {change(before, after)}")
    if plan is not None and (gap := gap_of(plan)) is not None:
        parts.append(f"gap {gap:.1%}")
    return ", ".join(parts)


def change(before: int, after: int) -> str:
    """A relative change as people write it: −4.1%, +12.0%, 0.0%."""
    if before == 0:
        return "0.0%" if after == 0 else "new"
    relative = (after - before) / before
    return f"{relative:+.1%}".replace("-", "−") if round(relative, 3) else "0.0%"


def gap_of(plan: Plan) -> float | None:
    """Relative distance between what a plan costs and what no plan can be below."""
    if plan.bound is None:
        return None
    return max(0.0, (plan.objective - plan.bound) / max(1, abs(plan.objective)))


def _money(base: Frame, found: tuple[Action, ...]) -> tuple[int, int]:
    s_of = {base.fleet.ref(row): s for s, row in enumerate(base.rows)}
    before = after = 0
    for ref in {action.workload for action in found}:
        s = s_of[ref]
        now, then = base.problem.now[s], base.problem.now[s].copy()
        for action in found:
            if action.workload == ref:
                then[base.fleet.cluster_row[action.cluster]] = action.after
        before += int(base.problem.price[s] @ now)
        after += int(base.problem.price[s] @ then)
    return before, after


_NOT_SEEN = (Reason.INPUTS_STALE, Reason.CLUSTER_UNKNOWN, Reason.CLUSTER_LOST)


def conditions(
    one: Governed[Intent],
    findings: tuple[Finding, ...],
    waits: bool,
    planned: bool,
    stopped: str,
    approved: Condition | None = None,
) -> tuple[Condition, ...]:
    """The conditions of an intent, from what a round found about it. approved: what people said of its plan, in mode Approve."""
    common = one.intent.common
    stalling = next((finding for finding in findings if finding.stalls), None)
    found = [Condition(Kind.ACCEPTED, Status.TRUE, Reason.AS_DECLARED, "the intent was understood")]
    if common.suspend:
        found.append(
            Condition(Kind.SUSPENDED, Status.TRUE, Reason.SUSPENDED, "spec.suspend is true; nothing is decided")
        )
        found.append(Condition(Kind.READY, Status.TRUE, Reason.SUSPENDED, "suspended by spec.suspend"))
        return tuple(found)
    stale = [f for f in findings if f.reason in _NOT_SEEN]
    found.append(
        Condition(
            Kind.INPUTS_FRESH,
            Status.FALSE if stale else Status.TRUE,
            stale[0].reason if stale else Reason.AS_DECLARED,
            stale[0].message if stale else "every cluster of the target is seen",
        )
    )
    infeasible = [f for f in findings if f.reason is Reason.INFEASIBLE]
    found.append(
        Condition(
            Kind.FEASIBLE,
            Status.FALSE if infeasible else Status.TRUE,
            Reason.INFEASIBLE if infeasible else Reason.AS_DECLARED,
            infeasible[0].message if infeasible else "all requirements can hold",
        )
    )
    if stalling:
        remedy = "; ".join(stalling.remedies) or stalling.message
        found.append(Condition(Kind.STALLED, Status.TRUE, stalling.reason, f"a person has to choose: {remedy}"))
        found.append(Condition(Kind.READY, Status.FALSE, stalling.reason, stalling.message))
        return tuple(found)
    found.append(
        Condition(
            Kind.PLANNED,
            Status.TRUE,
            Reason.RECOMMENDED if planned else Reason.AS_DECLARED,
            "a plan exists" if planned else "nothing to do: everything is as declared",
        )
    )
    if approved is not None:
        found.append(approved)
    return (*found, *_progress(one, findings, waits, planned, stopped, approved))


def _progress(
    one: Governed[Intent],
    findings: tuple[Finding, ...],
    waits: bool,
    planned: bool,
    stopped: str,
    approved: Condition | None,
) -> Iterable[Condition]:
    away = next((f for f in findings if f.reason in (Reason.FAILED_OVER, Reason.FAILING_BACK)), None)
    gone = next((f for f in findings if f.reason in (Reason.CLUSTER_LOST, Reason.CLUSTER_UNKNOWN)), None)
    if away:
        yield Condition(Kind.RECONCILING, Status.TRUE, away.reason, away.message)
        yield Condition(Kind.READY, Status.FALSE, away.reason, away.message)
        return
    if gone and not waits:
        status = Status.FALSE if gone.reason is Reason.CLUSTER_LOST else Status.UNKNOWN
        yield Condition(Kind.READY, status, gone.reason, gone.message)
        return
    if approved is not None and not waits:
        # Whoever waits for the intent to be Ready must not hang on a person.
        yield Condition(Kind.READY, Status.TRUE, approved.reason, approved.message)
        return
    if one.intent.common.mode is not Mode.ENFORCE and not waits:
        reason = Reason.REPORTED if one.intent.common.mode is Mode.OBSERVE else Reason.RECOMMENDED
        message = "a plan is proposed; nothing is acted on" if planned else "nothing to do: everything is as declared"
        yield Condition(Kind.READY, Status.TRUE, reason if planned else Reason.AS_DECLARED, message)
        return
    degraded = next((f for f in findings if f.reason in (Reason.CONTENDED, Reason.NOT_SCHEDULED)), None)
    if degraded:
        yield Condition(Kind.DEGRADED, Status.TRUE, degraded.reason, degraded.message)
    if waits and stopped:
        yield Condition(Kind.READY, Status.FALSE, Reason.STOPPED, stopped)
    elif waits:
        waiting = next((f for f in findings if f.reason is Reason.WAITING_FOR_BUDGET), None)
        reason = waiting.reason if waiting else Reason.APPLYING
        message = waiting.message if waiting else "the plan is being carried out: create, wait until Ready, remove"
        yield Condition(Kind.RECONCILING, Status.TRUE, reason, message)
        yield Condition(Kind.READY, Status.FALSE, reason, message)
    else:
        yield Condition(Kind.APPLIED, Status.TRUE, Reason.APPLIED, "nothing is left to write")
        yield Condition(Kind.VERIFIED, Status.TRUE, Reason.VERIFIED, "observed as planned")
        yield Condition(Kind.READY, Status.TRUE, Reason.AS_DECLARED, "as declared, observed")
