"""What prices prove: no placement costs less than the minimum that is left when capacity is for sale instead of
limited.

For prices L[k,p] >= 0 on the Capacity rules (letters as in `problem`; u[k,p] is the room, or today's usage where that
    is more) bound = sum over s of min over n[s] in X[s] of sum over k of
                price n + move (now - n)^+ + sum over p of L[k,p] request[s,p] h  -  sum over k, p of L[k,p] u[k,p],
with h = n, or max(n, now) in a transient problem, is a lower bound of the problem (Geoffrion 1974). X[s] keeps Allowed,
AtLeast, AtMost, Total, Ceiling and the least total that Survive implies; all other rules are dropped, which can only
lower the minimum.

What is left is one sum of convex functions per workload under limits on each n[s,k] and on their sum, so giving out the
cheapest next replica first is exact. Prices are rounded down to a fixed point and all sums are taken in whole numbers:
nothing is lost to rounding.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from archgov.optimize.placement.problem import (
    Allowed,
    AtLeast,
    AtMost,
    Capacity,
    Ceiling,
    Problem,
    Survive,
    Total,
)

# Binary digits after the point of a price: a micro-USD per byte is coarse, 2**-40 of it is not.
POINT = 40

# More replicas than anybody runs, in place of no limit.
ENDLESS = 1 << 40

Segment = tuple[int, int]  # what one more replica costs, how many at that cost


def proven(problem: Problem, prices: npt.NDArray[np.float64]) -> int:
    """The lower bound of the objective that (K, P) prices imply, micro-USD per hour.

    Any prices are valid; negative ones count as 0.
    """
    worth = _whole(problem, prices)
    used: list[list[int]] = (problem.now.T @ problem.request).tolist()
    room: list[list[int]] = problem.room.tolist()
    paid = sum(price * max(room[k][p], used[k][p]) for k, row in enumerate(worth) for p, price in enumerate(row))
    limits = _limits(problem)
    least = sum(_least(problem, s, worth, limits[s]) for s in range(len(problem.now)))
    return -((paid - least) >> POINT)


def _whole(problem: Problem, prices: npt.NDArray[np.float64]) -> list[list[int]]:
    """(K, P) prices as multiples of 2**-POINT; 0 where no Capacity rule limits the resource."""
    clean = np.nan_to_num(prices, nan=0.0, posinf=0.0, neginf=0.0)
    worth = [[0] * problem.room.shape[1] for _ in range(problem.room.shape[0])]
    for rule in problem.rules:
        if isinstance(rule, Capacity):
            worth[rule.k][rule.p] = max(0, int(float(clean[rule.k, rule.p]) * 2.0**POINT))
    return worth


class _Limits:
    """What the rules that are kept leave to one workload."""

    __slots__ = ("ceiling", "floor", "high", "low")

    def __init__(self, clusters: int) -> None:
        self.low = [0] * clusters
        self.high = [ENDLESS] * clusters
        self.floor = 0
        self.ceiling = ENDLESS


def _limits(problem: Problem) -> list[_Limits]:
    found = [_Limits(problem.now.shape[1]) for _ in range(len(problem.now))]
    for rule in problem.rules:
        match rule:
            case Total(s=s, floor=floor) | Survive(s=s, floor=floor):
                found[s].floor = max(found[s].floor, floor)
            case Ceiling(s=s, cap=cap):
                found[s].ceiling = min(found[s].ceiling, cap)
            case AtLeast(s=s, k=k, floor=floor):
                found[s].low[k] = max(found[s].low[k], floor)
            case AtMost(s=s, k=k, cap=cap):
                found[s].high[k] = min(found[s].high[k], cap)
            case Allowed(s=s, clusters=clusters):
                for k in set(range(len(found[s].high))) - set(clusters):
                    found[s].high[k] = 0
            case _:
                continue
    return found


def _least(problem: Problem, s: int, worth: list[list[int]], limits: _Limits) -> int:
    """The least that one workload costs at these prices, times 2**POINT."""
    request, now, price = problem.request[s].tolist(), problem.now[s].tolist(), problem.price[s].tolist()
    held = [sum(w * r for w, r in zip(row, request, strict=True)) for row in worth]
    move = int(problem.move[s]) << POINT
    if not problem.free[s]:
        return sum(((c << POINT) + h) * have for c, h, have in zip(price, held, now, strict=True))
    start, segments, replicas = 0, [], 0
    for k, have in enumerate(now):
        low, high = limits.low[k], limits.high[k]
        below = (price[k] << POINT) - move + (0 if problem.transient else held[k])
        above = (price[k] << POINT) + held[k]
        kept = max(0, min(low, have))
        start += move * have + (held[k] * have if problem.transient else 0) + below * kept + above * max(0, low - have)
        replicas += low
        segments += _segments(low, have, high, below, above)
    return start + _given_out(segments, replicas, limits)


def _segments(low: int, have: int, high: int, below: int, above: int) -> list[Segment]:
    """Replicas beyond `low` in rising order of cost: first those that stand today, then new ones."""
    kept, new = min(have, high) - low, high - max(low, have)
    return [(each, count) for each, count in ((below, kept), (above, new)) if count > 0]


def _given_out(segments: list[Segment], replicas: int, limits: _Limits) -> int:
    """What further replicas add: the needed ones at any cost, others only while they save."""
    spent = 0
    for each, count in sorted(segments):
        needed, wanted = limits.floor - replicas, limits.ceiling - replicas
        take = max(0, min(count, wanted if each < 0 else needed))
        spent += each * take
        replicas += take
    return spent
