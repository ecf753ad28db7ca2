"""The judge of placements: everything wrong with an answer, worked out from the problem alone.

It is the specification of the rules, kept plain, and knows no solver. Letters as in `problem`. Three readings need an
argument.

Zones. archgov sets totals per cluster; the scheduler picks the zone, and a ReplicaSet which replica to remove. For a zone
j of cluster k with Z zones, x = standing[s,j], T = stood[s,k], a = (n - T)^+ replicas added there and m = zone_skew[s]:
    at_most(j)   every added replica may go to j, and removed ones may all leave from elsewhere: min(n, x + a). With a hard
                 spread the scheduler adds to a zone only while it stays within m of the emptiest one: no more than
                 floor((n + m (Z-1)) / Z), or the x that were there before.
    at_least(j)  every removed replica may leave from j: (x - (T - n)^+)^+. With a hard spread j gets one more when the
                 others can't take it: the smallest v >= x with a <= (v - x) + sum over others i of (v + m - x_i)^+; from
                 an even start that is ceil((n - m (Z-1)) / Z).
A set of domains counts a cluster that lies wholly inside with its n, and one that lies partly inside with the sum over
its zones, never more than n.

No worse than now. A cluster that is already over its room keeps its Capacity rule while usage does not exceed today's.
Fit holds where the added replicas of movable workloads do; those of workloads that stay cannot be taken back by any
plan.

Workloads that are not free stay as they are: rules about one of them are not judged, rules about what several share
count them.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any, assert_never

import numpy as np
import numpy.typing as npt

from archgov.optimize.placement.bound import proven
from archgov.optimize.placement.problem import (
    Allowed,
    AtLeast,
    AtMost,
    Capacity,
    Ceiling,
    Fit,
    Int64,
    MaxShare,
    MinDomains,
    Problem,
    Quota,
    Rule,
    Solution,
    Status,
    Survive,
    Total,
    Voucher,
)

# An objective and a bound this close, relative to the objective, are the same number.
SAME = 1e-9

Count = Callable[
    [int, list[int], int, int], int
]  # zone, what stands in each zone of the cluster, n, m -> replicas there


@dataclass(frozen=True, slots=True)
class Violation:
    """What is wrong with an answer.

    Attributes:
        kind: the rule's type, "OverCapacity" for Capacity, or one of Malformed, NotFree, WrongObjective,
            BoundAboveObjective, UnprovenBound.
        rule: the rule's name; empty where the answer itself is at fault.
    """

    kind: str
    rule: str
    message: str


def broken(problem: Problem, solution: Solution) -> tuple[Violation, ...]:
    """Everything wrong with an answer, its proof included; empty means it may be used."""
    if malformed := _malformed(problem, solution):
        return (Violation("Malformed", "", malformed),)
    if solution.status in (Status.INFEASIBLE, Status.UNKNOWN):
        return _moves_without_a_plan(problem, solution)
    moved = tuple(
        Violation("NotFree", "", f"workload {s} may not be moved, yet the plan changes it")
        for s in np.flatnonzero(~problem.free & (solution.n != problem.now).any(axis=1)).tolist()
    )
    return moved + violated(problem, solution.n) + _wrong_claims(problem, solution)


def violated(problem: Problem, n: Int64) -> tuple[Violation, ...]:
    """The rules that a placement breaks, in the order of the problem."""
    use = _Use(problem, n)
    found = []
    for rule in problem.rules:
        if message := _breach(problem, rule, n, use):
            kind = "OverCapacity" if isinstance(rule, Capacity) else type(rule).__name__
            found.append(Violation(kind, rule.name, message))
    return tuple(found)


def cost(problem: Problem, n: Int64) -> dict[str, int]:
    """What a placement costs, micro-USD per hour by named term."""
    return {
        "placement": int((problem.price * n).sum()),
        "moves": int((problem.move[:, None] * np.maximum(problem.now - n, 0)).sum()),
    }


def at_most(problem: Problem, s: int, domains: Iterable[int], n_row: Sequence[int] | Int64) -> int:
    """Replicas of a workload that may stand in these domains when its clusters hold n_row (K,)."""
    return _inside(problem, s, domains, n_row, _most)


def at_least(problem: Problem, s: int, domains: Iterable[int], n_row: Sequence[int] | Int64) -> int:
    """Replicas of a workload that must stand in these domains when its clusters hold n_row (K,)."""
    return _inside(problem, s, domains, n_row, _least)


def _inside(problem: Problem, s: int, domains: Iterable[int], n_row: Sequence[int] | Int64, count: Count) -> int:
    """Replicas in a set of domains, cluster by cluster; `count` answers for one zone of a cluster."""
    cluster = problem.cluster.tolist()
    standing = problem.standing[s].tolist()
    m = int(problem.zone_skew[s])
    wanted = set(domains)
    found = 0
    for k in {cluster[j] for j in wanted}:
        zones = [j for j, owner in enumerate(cluster) if owner == k]
        inside = [j for j in zones if j in wanted]
        n = int(n_row[k])
        if len(inside) == len(zones):
            found += n
            continue
        here = [standing[j] for j in zones]
        found += min(n, sum(count(zones.index(j), here, n, m) for j in inside))
    return found


def _most(zone: int, standing: list[int], n: int, m: int) -> int:
    x, Z = standing[zone], len(standing)
    open_end = min(n, x + max(0, n - sum(standing)))
    return min(open_end, max(x, (n + m * (Z - 1)) // Z)) if m > 0 else open_end


def _least(zone: int, standing: list[int], n: int, m: int) -> int:
    x, added = standing[zone], n - sum(standing)
    if m == 0 or added <= 0:
        return max(0, x + min(0, added))
    held = range(x, x + added)
    return x + bisect_left(held, True, key=lambda here: added <= here - x + _elsewhere(zone, standing, here + m))


def _elsewhere(zone: int, standing: list[int], level: int) -> int:
    """Replicas that the other zones take until each of them holds this many."""
    return sum(max(0, level - x) for other, x in enumerate(standing) if other != zone)


class _Use:
    """What a placement, and today's, take of the clusters' resources; worked out once."""

    def __init__(self, problem: Problem, n: Int64) -> None:
        held = np.maximum(n, problem.now) if problem.transient else n
        self.then: list[list[int]] = (held.T @ problem.request).tolist()
        self.today: list[list[int]] = (problem.now.T @ problem.request).tolist()
        self.stood = problem.stood


def _breach(problem: Problem, rule: Rule, n: Int64, use: _Use) -> str:
    """How a placement breaks a rule; empty where it keeps it or the workload is not free."""
    match rule:
        case Fit():
            return _fit_breach(problem, rule, n, use)
        case Quota():
            return _quota_breach(problem, rule, n)
        case Capacity():
            return _capacity_breach(problem, rule, use)
    if not problem.free[rule.s]:
        return ""
    row = n[rule.s].tolist()
    match rule:
        case Total(floor=floor):
            return f"{sum(row)} replicas in all, {floor} needed" if sum(row) < floor else ""
        case Ceiling(cap=cap):
            return f"{sum(row)} replicas in all, at most {cap} wanted" if sum(row) > cap else ""
        case AtLeast(k=k, floor=floor):
            return f"{row[k]} replicas in cluster {k}, {floor} needed there" if row[k] < floor else ""
        case AtMost(k=k, cap=cap):
            return f"{row[k]} replicas in cluster {k}, {cap} fit there" if row[k] > cap else ""
        case Allowed(clusters=clusters):
            outside = [k for k, replicas in enumerate(row) if replicas > 0 and k not in clusters]
            return f"replicas in clusters {outside}, allowed are {sorted(clusters)}" if outside else ""
        case MaxShare():
            return _share_breach(problem, rule, row)
        case MinDomains():
            return _domains_breach(problem, rule, row)
        case Survive(s=s, lost=lost, floor=floor):
            left = sum(row) - at_most(problem, s, lost, row)
            return f"{left} replicas are left without domains {sorted(lost)}, {floor} needed" if left < floor else ""
        case _:
            assert_never(rule)


def _share_breach(problem: Problem, rule: MaxShare, row: list[int]) -> str:
    cap = max(1, rule.percent * sum(row) // 100, rule.tolerated)
    inside = at_most(problem, rule.s, rule.domains, row)
    if sum(row) == 0 or inside <= cap:
        return ""
    return f"up to {inside} of {sum(row)} replicas in domains {sorted(rule.domains)}, {rule.percent} % allows {cap}"


def _domains_breach(problem: Problem, rule: MinDomains, row: list[int]) -> str:
    held = sum(at_least(problem, rule.s, scope, row) >= 1 for scope in rule.scopes)
    if sum(row) == 0 or held >= rule.floor:
        return ""
    return f"sure to be in {held} of {len(rule.scopes)} scopes, {rule.floor} needed"


def _fit_breach(problem: Problem, rule: Fit, n: Int64, use: _Use) -> str:
    added = {s: max(0, int(n[s, rule.k] - use.stood[s, rule.k])) for s in set(rule.members)}
    staying = sum(count for s, count in added.items() if not problem.free[s])
    total = sum(added.values())
    if total <= max(rule.limit, staying):
        return ""
    return f"{total} replicas more than stand in cluster {rule.k}, {rule.limit} fit"


def _quota_breach(problem: Problem, rule: Quota, n: Int64) -> str:
    asked = sum(
        int(problem.request[s, rule.p]) * max(0, int(n[s, rule.k] - problem.now[s, rule.k])) for s in set(rule.members)
    )
    if asked <= max(rule.limit, 0):
        return ""
    return f"{asked} more of resource {rule.p} requested in cluster {rule.k}, the quota leaves {rule.limit}"


def _capacity_breach(problem: Problem, rule: Capacity, use: _Use) -> str:
    used, today, room = use.then[rule.k][rule.p], use.today[rule.k][rule.p], int(problem.room[rule.k, rule.p])
    if used <= max(room, today):
        return ""
    return f"{used} of resource {rule.p} used in cluster {rule.k}, the room is {room} (today {today})"


def _malformed(problem: Problem, solution: Solution) -> str:
    """Why an answer cannot even be read; empty when it can."""
    for name, found, wanted in (
        ("n", solution.n, problem.now.shape),
        ("prices", solution.prices, problem.room.shape),
    ):
        if fault := _unreadable(name, found, wanted):
            return fault
    if not np.issubdtype(solution.n.dtype, np.integer):
        return f"n holds {solution.n.dtype}, replicas are whole numbers"
    claims: tuple[tuple[str, object], ...] = (("objective", solution.objective), ("bound", solution.bound or 0))
    for name, claim in claims:
        if not isinstance(claim, int):
            return f"{name} is {claim!r}, micro-USD are whole numbers"
    return ""


def _unreadable(name: str, found: object, wanted: tuple[int, ...]) -> str:
    if not isinstance(found, np.ndarray) or found.shape != wanted:
        return f"{name} has shape {getattr(found, 'shape', None)} for {wanted}"
    array: npt.NDArray[Any] = found
    if not np.issubdtype(array.dtype, np.number) or np.issubdtype(array.dtype, np.complexfloating):
        return f"{name} holds {array.dtype}, not numbers"
    if not np.isfinite(array).all() or (array < 0).any():
        return f"{name} holds a number that is negative or not finite"
    return ""


def _moves_without_a_plan(problem: Problem, solution: Solution) -> tuple[Violation, ...]:
    if np.array_equal(solution.n, problem.now):
        return ()
    return (Violation("Malformed", "", f"the answer is {solution.status}, so n must be today's placement"),)


def _wrong_claims(problem: Problem, solution: Solution) -> tuple[Violation, ...]:
    """What the numbers beside the placement claim too much of."""
    found = []
    true_cost = sum(cost(problem, solution.n).values())
    if true_cost != solution.objective:
        found.append(Violation("WrongObjective", "", f"claims {solution.objective}, costs {true_cost}"))
    if solution.bound is not None and solution.bound > solution.objective:
        message = f"the bound {solution.bound} is above the objective {solution.objective}"
        found.append(Violation("BoundAboveObjective", "", message))
    if unproven := _unproven(problem, solution):
        found.append(Violation("UnprovenBound", "", unproven))
    return tuple(found)


def _unproven(problem: Problem, solution: Solution) -> str:
    if solution.bound is None:
        return "claims to be optimal without a bound" if solution.status == Status.OPTIMAL else ""
    gap = solution.objective - solution.bound
    if solution.status == Status.OPTIMAL and gap > SAME * max(1, abs(solution.objective)):
        return f"claims to be optimal; {gap} lie between bound and objective"
    if solution.voucher == Voucher.PRICES and solution.bound > (worth := proven(problem, solution.prices)):
        return f"claims {solution.bound}, the prices prove {worth}"
    return ""
