"""Decisions that are still open: where they lead, whether they are over."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Protocol

from archgov.decide.approve import rejected, rejection
from archgov.decide.compose import cells
from archgov.decide.stage import Stage
from archgov.model.decision import Decision, OpenDecision, Outcome
from archgov.model.fleet import Int64, Reach
from archgov.model.quantity import counted
from archgov.model.ref import IntentRef, WorkloadRef

# Namespaces and names of decisions.
Keys = set[tuple[str, str]]


class Advising(Protocol):
    """Somebody's advice, as far as open decisions care."""

    @property
    def decisions(self) -> tuple[Decision, ...]: ...


@dataclass(frozen=True, slots=True)
class Closed:
    """An open decision that is over. overtaken: workloads of it that another plan leads elsewhere; only the others are verified."""

    namespace: str
    name: str
    outcome: Outcome
    reason: str
    overtaken: tuple[WorkloadRef, ...] = ()

    @property
    def key(self) -> tuple[str, str]:
        """(namespace, name)."""
        return self.namespace, self.name


def led_by(stage: Stage, outcome: Outcome, intent: IntentRef | None = None, start: Int64 | None = None) -> Int64:
    """(S, K) where open decisions of an outcome lead from `start` (today without one), those of one intent if it is given."""
    target = (stage.base.problem.now if start is None else start).copy()
    for one in sorted(stage.snapshot.decisions, key=lambda one: one.created):  # where two disagree, the later one leads
        decision = one.decision
        if decision.outcome is not outcome or (intent is not None and decision.intents[0] != intent):
            continue
        for s, k, action in cells(stage.base.fleet, stage.base.rows, decision.actions):
            target[s, k] = action.after
    return target


def closing(stage: Stage, target: Int64, advice: Iterable[Advising]) -> tuple[Keys, tuple[Closed, ...]]:
    """Which open decisions go on, then which are over, how, and why.

    An applying one goes on for the workloads that the plan still leads where it does, until that is observed, pods Ready; what
    another plan took over is that plan's to verify. A proposed one goes on while it is still what is advised.
    """
    advised = {decision.key for one in advice for decision in one.decisions}
    refused = rejected(stage.heard)
    kept: Keys = set()
    over: list[Closed] = []
    for one in stage.snapshot.decisions:
        decision, grant = one.decision, stage.grant_of(one)
        if grant is not None:
            released = replace(decision, actions=grant.actions)
            if not grant.waits and _is_observed(stage, released, still_led(stage, released, target)):
                by = f"observed as approved by {grant.approval.author}, every replica Ready"
                over.append(_closed(one, Outcome.VERIFIED, by))
            else:
                kept.add(one.key)
        elif (no := refused.get((one.namespace, decision.plan_hash))) is not None:
            stays = f"; archgov rollback {decision.name} takes back what was done" if decision.approved_by else ""
            over.append(_closed(one, Outcome.REJECTED, f"{rejection(no)}{stays}"))
        elif decision.outcome is Outcome.PROPOSED:
            if one.key in advised:
                kept.add(one.key)
            else:
                over.append(_closed(one, Outcome.SUPERSEDED, "it is no longer what is advised"))
        elif not (led := still_led(stage, decision, target)):
            over.append(_closed(one, Outcome.SUPERSEDED, "the plan leads elsewhere now"))
        elif _is_observed(stage, decision, led):
            overtaken = tuple(sorted({action.workload for action in decision.actions} - led))
            told = f"; {counted(len(overtaken), 'workload')} overtaken by another plan" if overtaken else ""
            over.append(_closed(one, Outcome.VERIFIED, f"observed as planned, every replica Ready{told}", overtaken))
        else:
            kept.add(one.key)
    return kept, tuple(over)


def still_led(stage: Stage, decision: Decision, target: Int64) -> frozenset[WorkloadRef]:
    """The workloads of a decision that a plan (S, K) still leads where the decision does, and nowhere else."""
    now = stage.base.problem.now
    by_workload: dict[WorkloadRef, dict[int, int]] = defaultdict(dict)
    s_of = {}
    for s, k, action in cells(stage.base.fleet, stage.base.rows, decision.actions):
        ref = stage.snapshot.fleet.ref(stage.base.rows[s])
        by_workload[ref][k], s_of[ref] = action.after, s
    asked = Counter(action.workload for action in decision.actions)
    return frozenset(
        ref
        for ref, afters in by_workload.items()
        if len(afters) == asked[ref]
        and all(target[s_of[ref], k] == after for k, after in afters.items())
        and {int(k) for k in (target[s_of[ref]] != now[s_of[ref]]).nonzero()[0]} <= afters.keys()
    )


def _closed(one: OpenDecision, outcome: Outcome, why: str, overtaken: tuple[WorkloadRef, ...] = ()) -> Closed:
    return Closed(one.namespace, one.decision.name, outcome, why, overtaken)


def _is_observed(stage: Stage, decision: Decision, led: frozenset[WorkloadRef]) -> bool:
    fleet = stage.snapshot.fleet
    for s, k, action in cells(stage.base.fleet, stage.base.rows, decision.actions):
        if fleet.ref(stage.base.rows[s]) not in led:
            continue
        seen = fleet.clusters[k].reach is Reach.YES
        ready = fleet.ready_replicas(stage.base.rows[s]).get(k, 0)
        if (
            not seen
            or stage.base.problem.now[s, k] != action.after
            or ready < action.after
            or stage.base.problem.stood[s, k] > action.after
        ):
            return False
    return True
