"""How few and how many replicas a plan may need: limits that follow from the problem, so that every variable is
bounded.

low[s,k] <= n[s,k] <= high[s,k] and least[s] <= N[s] <= most[s] hold in some cheapest plan whenever there is a plan.
Rules say most of it; beyond that stands a reach past which more replicas mend nothing, since prices are never negative.
More replicas help a floor at most zone by zone, and a share of p % at most until 100 / p times what a scope is forced
to hold.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

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
    Survive,
    Total,
)


@dataclass(frozen=True, slots=True, eq=False)
class Reach:
    """Limits of n (S, K) and N (S,); `low` above `high` somewhere means that there is no plan.

    Attributes:
        wide, ceiling: as `high` and `most`, but blind to Capacity. Whoever wants to know what room is worth has to leave it to the
            rows of Capacity alone to limit anything.
    """

    low: Int64
    high: Int64
    wide: Int64
    least: Int64
    most: Int64
    ceiling: Int64


def reach(problem: Problem) -> Reach:
    """The limits that every plan worth looking at keeps."""
    low, high = np.zeros_like(problem.now), np.repeat(_beyond(problem)[:, None], problem.now.shape[1], axis=1)
    least, ceiling = np.zeros(len(problem.now), np.int64), high.sum(axis=1)
    fits, stood = high.copy(), problem.stood
    spare = spare_room(problem)
    for rule in problem.rules:
        match rule:
            case Total(s=s, floor=floor) | Survive(s=s, floor=floor):
                least[s] = max(least[s], floor)
            case Ceiling(s=s, cap=cap):
                ceiling[s] = min(ceiling[s], cap)
            case AtLeast(s=s, k=k, floor=floor):
                low[s, k] = max(low[s, k], floor)
            case AtMost(s=s, k=k, cap=cap):
                high[s, k] = min(high[s, k], cap)
            case Allowed(s=s, clusters=clusters):
                high[s, [k for k in range(high.shape[1]) if k not in clusters]] = 0
            case Capacity(k=k, p=p):
                asks = problem.request[:, p] > 0
                fits[asks, k] = np.minimum(fits[asks, k], spare[k, p] // problem.request[asks, p])
            case Fit(k=k):
                joining = sorted(set(rule.members))
                high[joining, k] = np.minimum(high[joining, k], stood[joining, k] + fit_left(problem, rule))
            case Quota(members=members, k=k, p=p, limit=limit):
                for s in members:
                    if asked := int(problem.request[s, p]):
                        high[s, k] = min(high[s, k], problem.now[s, k] + max(0, limit) // asked)
            case MaxShare() | MinDomains():
                continue
    least = np.maximum(least, low.sum(axis=1))
    wide, ceiling = _together(low, high, ceiling)
    high, most = _together(low, np.minimum(high, fits), ceiling)
    return Reach(low, high, wide, least, most, ceiling)


def _together(low: Int64, high: Int64, most: Int64) -> tuple[Int64, Int64]:
    """Limits of n and N that take each other into account."""
    most = np.minimum(most, high.sum(axis=1))
    return np.minimum(high, (most - low.sum(axis=1))[:, None] + low), most


def spare_room(problem: Problem) -> Int64:
    """(K, P) room for free workloads: never less than they use today, beside what the others use."""
    staying = problem.now[~problem.free].T @ problem.request[~problem.free]
    today = problem.now.T @ problem.request
    spare: Int64 = np.maximum(problem.room, today) - staying
    return spare


def fit_left(problem: Problem, rule: Fit) -> int:
    """Replicas that free members of a Fit rule may add, beside those that others have added already."""
    staying = [s for s in set(rule.members) if not problem.free[s]]
    if not staying:
        return max(0, rule.limit)
    added = int(np.maximum(problem.now[staying, rule.k] - problem.stood[staying, rule.k], 0).sum())
    return max(0, rule.limit - added)


def _beyond(problem: Problem) -> Int64:
    """(S,) replicas past which no rule gets easier to keep."""
    zones = int(np.bincount(problem.cluster).max(initial=1))
    floors = np.zeros(len(problem.now), np.int64)
    forced = problem.now.sum(axis=1) + problem.stood.sum(axis=1) + 2 * zones * problem.zone_skew
    share = np.full(len(problem.now), 100, np.int64)
    for rule in problem.rules:
        match rule:
            case Total(s=s, floor=floor) | Survive(s=s, floor=floor):
                floors[s] = max(floors[s], floor)
            case AtLeast(s=s, floor=floor):
                forced[s] += max(0, floor)
            case MinDomains(s=s, scopes=scopes):
                forced[s] += _presence(problem, s, scopes, zones)
            case MaxShare(s=s, percent=percent, tolerated=tolerated):
                forced[s] += tolerated
                share[s] = min(share[s], max(1, percent))
            case _:
                continue
    beyond: Int64 = -(-100 * (forced + zones * floors) // share) + 100
    return beyond


def _presence(problem: Problem, s: int, scopes: Sequence[Sequence[int]], zones: int) -> int:
    """Replicas that suffice to be present in every scope."""
    return len(scopes) * (1 + zones * int(problem.zone_skew[s]))
