"""Decisions that are still open: where they lead, whether they are over."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Protocol

from archgov.decide.stage import Stage
from archgov.model.decision import Decision, OpenDecision, Outcome
from archgov.model.fleet import Int64, Reach
from archgov.model.ref import IntentRef


class Advising(Protocol):
    """Somebody's advice, as far as open decisions care."""

    @property
    def decisions(self) -> tuple[Decision, ...]: ...


def led_by(stage: Stage, outcome: Outcome, intent: IntentRef | None = None, start: Int64 | None = None) -> Int64:
    """(S, K) where open decisions of an outcome lead from `start` (today without one), those of one intent if it is given."""
    target = (stage.base.problem.now if start is None else start).copy()
    for one in stage.snapshot.decisions:
        decision = one.decision
        if decision.outcome is not outcome or (intent is not None and decision.intents[0] != intent):
            continue
        for s, k, after in _cells(stage, decision):
            target[s, k] = after
    return target


def closing(
    stage: Stage, target: Int64, advice: Iterable[Advising]
) -> tuple[set[str], tuple[tuple[OpenDecision, Outcome, str], ...]]:
    """Which open decisions go on, by name, then which are over, how, and why.

    An applying one goes on while the plan still leads where it does; it is verified once that is observed, pods Ready. A proposed
    one goes on while it is still what is advised.
    """
    advised = {decision.name for one in advice for decision in one.decisions}
    kept: set[str] = set()
    over: list[tuple[OpenDecision, Outcome, str]] = []
    for one in stage.snapshot.decisions:
        decision = one.decision
        if decision.outcome is Outcome.PROPOSED:
            if decision.name in advised:
                kept.add(decision.name)
            else:
                over.append((one, Outcome.SUPERSEDED, "it is no longer what is advised"))
        elif not _leads_there(stage, decision, target):
            over.append((one, Outcome.SUPERSEDED, "the plan leads elsewhere now"))
        elif _is_observed(stage, decision):
            over.append((one, Outcome.VERIFIED, "observed as planned, every replica Ready"))
        else:
            kept.add(decision.name)
    return kept, tuple(over)


def _leads_there(stage: Stage, decision: Decision, target: Int64) -> bool:
    cells = list(_cells(stage, decision))
    named = {(s, k) for s, k, _ in cells}
    changed = {
        (s, int(k)) for s in {s for s, _, _ in cells} for k in (target[s] != stage.base.problem.now[s]).nonzero()[0]
    }
    return (
        len(cells) == len(decision.actions) and all(target[s, k] == after for s, k, after in cells) and changed <= named
    )


def _is_observed(stage: Stage, decision: Decision) -> bool:
    fleet = stage.snapshot.fleet
    for s, k, after in _cells(stage, decision):
        seen = fleet.clusters[k].reach is Reach.YES
        ready = fleet.ready_replicas(stage.base.rows[s]).get(k, 0)
        if not seen or stage.base.problem.now[s, k] != after or ready < after or stage.base.problem.stood[s, k] > after:
            return False
    return True


def _cells(stage: Stage, decision: Decision) -> Iterable[tuple[int, int, int]]:
    """(s, k, replicas) that a decision's actions set; those of vanished workloads or clusters are left out."""
    s_of = {stage.snapshot.fleet.ref(row): s for s, row in enumerate(stage.base.rows)}
    for action in decision.actions:
        s, k = s_of.get(action.workload), stage.snapshot.fleet.cluster_row.get(action.cluster)
        if s is not None and k is not None:
            yield s, k, action.after
