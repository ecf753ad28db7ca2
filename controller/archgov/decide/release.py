"""Which steps of a plan may be taken now: create, wait until Ready, remove, within the budgets."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import numpy as np

from archgov.decide.budget import Allowance
from archgov.model.condition import Reason
from archgov.model.decision import Finding
from archgov.model.fleet import Fleet, Int64
from archgov.optimize.placement.problem import Problem


@dataclass(frozen=True, slots=True)
class Step:
    """One write: a workload's replicas in one cluster, from what stands there to what may stand there now.

    idle: how many of those that go have no node; no budget is charged for them.
    """

    row: int
    cluster: int
    before: int
    after: int
    idle: int = 0


@dataclass(frozen=True, slots=True)
class Released:
    """Steps that may be taken, and why others wait. waits: rows that are not where the plan wants them yet."""

    steps: tuple[Step, ...]
    findings: tuple[Finding, ...]
    waits: frozenset[int]


def release(
    fleet: Fleet, rows: tuple[int, ...], problem: Problem, target: Int64, allowances: Mapping[int, Allowance]
) -> Released:
    """The next steps from today's placement towards `target` (S, K), such that every state in between holds.

    Replicas are added as far as clusters have room for old and new together; they are taken away only while as many as the plan
    ends with stay Ready, so the last good copy is never touched and an empty set is never healthy.
    """
    ups = tuple(_additions(rows, problem, target))
    taken = {(step.row, step.cluster) for step in ups}
    downs: list[Step] = []
    findings: list[Finding] = []
    for s, row in enumerate(rows):
        wanted = [k for k in np.flatnonzero(target[s] < problem.now[s]).tolist() if (row, k) not in taken]
        if not wanted:
            continue
        spare = _spare(fleet, row, problem.now[s], target[s])
        allowance = allowances.get(row)
        idle_at = fleet.idle_replicas(row)
        for k in wanted:
            want = int(problem.now[s, k] - target[s, k])
            # Nobody is served by pods without a node, and a ReplicaSet removes them first.
            idle = min(want, idle_at.get(k, 0))
            may = min(want - idle, spare)
            granted = allowance.take(may) if allowance else may
            if idle + granted:
                downs.append(Step(row, k, int(problem.now[s, k]), int(problem.now[s, k]) - idle - granted, idle))
                spare -= granted
            if granted < may and allowance:
                findings.append(_out_of_budget(fleet, row, allowance))
    waits = frozenset(row for s, row in enumerate(rows) if (target[s] != problem.now[s]).any())
    return Released(ups + tuple(downs), tuple(dict.fromkeys(findings)), waits)


def _additions(rows: tuple[int, ...], problem: Problem, target: Int64) -> Iterable[Step]:
    """Additions in order of name as far as each cluster holds them beside what still stands there."""
    free_room = problem.room - np.einsum("sk,sp->kp", np.maximum(problem.now, problem.stood), problem.request)
    for s, row in enumerate(rows):
        request = problem.request[s]
        for k in np.flatnonzero(target[s] > problem.now[s]).tolist():
            want = int(target[s, k] - problem.now[s, k])
            asked = request > 0
            holds = (
                int((np.maximum(free_room[k, asked], 0) // request[asked]).min(initial=want)) if asked.any() else want
            )
            granted = min(want, holds)
            if granted > 0:
                free_room[k] -= granted * request
                yield Step(row, k, int(problem.now[s, k]), int(problem.now[s, k]) + granted)


def _spare(fleet: Fleet, row: int, now: Int64, target: Int64) -> int:
    """Replicas that may go: those Ready beyond what the plan ends with; where the plan grows, only once the new ones are Ready."""
    ready = fleet.ready_replicas(row)
    # In a cluster more Ready pods than asked for are already leaving: they don't count.
    counted = sum(min(ready.get(k, 0), int(now[k])) for k in range(len(now)))
    arriving = sum(1 for k in np.flatnonzero(target > 0).tolist() if ready.get(k, 0) < min(int(target[k]), int(now[k])))
    growing = bool((target > now).any())
    return 0 if arriving or growing else max(0, counted - int(target.sum()))


def _out_of_budget(fleet: Fleet, row: int, allowance: Allowance) -> Finding:
    return Finding(
        Reason.WAITING_FOR_BUDGET,
        f"{fleet.ref(row)}: the disruption budget {allowance.binding} is used up; the rest follows when its window moves on",
        (allowance.intent,) if allowance.intent else (),
        fleet.ref(row),
    )
