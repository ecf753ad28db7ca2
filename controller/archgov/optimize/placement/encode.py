"""A placement problem as a program of linear rows over whole numbers, exact for every rule.

Letters as in `problem`; only free workloads have variables, the others stand on the right-hand sides. Positive parts,
(n - now)^+ and the like, enter where less is cheaper or looser, so that two rows and no binary describe them. Three
rules need more:

Zones (a scope that cuts through a cluster). With I the zones inside, X what stands in them, q their number and a = (n -
    T)^+, at_most = min(n, R),   R = X + sum over j in I of min(a, (floor((n + m (Z-1)) / Z) - x_j)^+)      (R = X + q a
without a hard spread) which is the judge's sum over zones in another order. A variable w >= at_most is all that caps
and floors need, so the outer minimum is one binary e: w >= n - M e, w >= R - M' (1 - e). Its relaxation, w >= n X / T
up to T, is exact where nothing changes. The binary goes when one side is the smaller one throughout, which holds unless
the cluster may be evacuated. Shares. A <= max(c, floor(p N / 100)) with c = max(1, tolerated) is A <= c or 100 A <= p
N: a binary where both can happen. Presence. at_least rises with n, so a zone holds a replica for sure from some n = t
on: y <= n where t = 1, else a binary with n >= t y.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from archgov.optimize.placement.problem import (
    Capacity,
    Fit,
    MaxShare,
    MinDomains,
    Problem,
    Quota,
    Survive,
)
from archgov.optimize.placement.reach import Reach, fit_left, reach, spare_room
from archgov.optimize.solver import Program

# Costs enter with the largest near this: HiGHS holds reduced costs to an absolute 1e-7.
LARGEST_COST = 4096.0


@dataclass(frozen=True, slots=True)
class Affine:
    """A sum of columns with coefficients, and a constant."""

    terms: tuple[tuple[int, float], ...] = ()
    constant: float = 0.0

    def __add__(self, other: Affine) -> Affine:
        return Affine(self.terms + other.terms, self.constant + other.constant)

    def __sub__(self, other: Affine) -> Affine:
        return self + other * -1

    def __mul__(self, factor: float) -> Affine:
        return Affine(tuple((column, value * factor) for column, value in self.terms), self.constant * factor)


def _constant(value: float) -> Affine:
    return Affine((), value)


def _sum(parts: Sequence[Affine]) -> Affine:
    terms = tuple(term for part in parts for term in part.terms)
    return Affine(terms, sum(part.constant for part in parts))


@dataclass(slots=True)
class Encoding:
    """The program, and how to read its answer.

    Attributes:
        n: column of n[s,k] by (s, k). quantum: objectives of plans differ by multiples of this many micro-USD. scale:
            micro-USD per unit of the program's cost. fixed_cost: micro-USD per hour of what may not be moved.
        capacity: row and its unit of a resource by (k, p).
    """

    program: Program
    n: dict[tuple[int, int], int]
    quantum: int
    scale: float
    fixed_cost: int
    capacity: dict[tuple[int, int], tuple[int, float]] = field(default_factory=dict)


def encode(problem: Problem) -> Encoding | None:
    """The program whose cheapest point is the cheapest placement; None where limits already contradict each other."""
    limits = reach(problem)
    free = problem.free
    if (limits.low[free] > limits.high[free]).any() or (limits.least[free] > limits.most[free]).any():
        return None
    return _Encoder(problem, limits).encoded()


class _Encoder:
    """Adds the rows of one rule after another; remembers the variables that several rules share."""

    def __init__(self, problem: Problem, limits: Reach) -> None:
        self.problem, self.limits = problem, limits
        self.stood = problem.stood
        self.zones = [np.flatnonzero(problem.cluster == k).tolist() for k in range(problem.now.shape[1])]
        self.owner: list[int] = problem.cluster.tolist()
        self.spare = spare_room(problem)
        self.program = Program()
        self.excess_columns: dict[tuple[int, int, int], int] = {}
        self.exposures: dict[tuple[int, int, tuple[int, ...]], Affine] = {}
        free = problem.free
        costs = np.concatenate([problem.price[free].ravel(), problem.move[free], np.zeros(1, np.int64)])
        self.quantum = max(1, int(np.gcd.reduce(costs)))
        largest = int(np.abs(costs).max()) / self.quantum
        self.scale = self.quantum * 2.0 ** max(0, math.ceil(math.log2(max(largest, 1.0) / LARGEST_COST)))
        self.n = {
            (s, k): self._whole(limits.low[s, k], limits.wide[s, k], cost=problem.price[s, k] / self.scale)
            for s in np.flatnonzero(free).tolist()
            for k in range(problem.now.shape[1])
        }

    def encoded(self) -> Encoding:
        problem = self.problem
        stays = ~problem.free
        encoding = Encoding(
            self.program, self.n, self.quantum, self.scale, int((problem.price[stays] * problem.now[stays]).sum())
        )
        for s, k in self.n:
            self._charge_moves(s, k)
        for s in np.flatnonzero(problem.free).tolist():
            self._total(s)
        for rule in problem.rules:
            match rule:
                case Capacity(k=k, p=p):
                    if (k, p) not in encoding.capacity and (row := self._capacity(k, p)):
                        encoding.capacity[k, p] = row
                case Fit():
                    self._fit(rule)
                case Quota():
                    self._quota(rule)
                case MaxShare(s=s) if problem.free[s]:
                    self._share(rule)
                case MinDomains(s=s) if problem.free[s]:
                    self._presence(rule)
                case Survive(s=s) if problem.free[s]:
                    self._survive(rule)
                case _:  # the others are limits of single variables, or of N
                    continue
        return encoding

    # -- variables

    def _whole(self, low: float, high: float, *, cost: float = 0.0) -> int:
        # What would come out whole by itself is declared whole too: of min 10 n + r, n + r >= 1, n whole, r not, the
        # presolve of HiGHS 1.14 calls n = 1, r = 0 optimal (ERGO-Code/HiGHS issue 3043).
        return self.program.column(low, high, cost=cost, whole=True)

    def _at(self, s: int, k: int) -> Affine:
        return Affine(((self.n[s, k], 1.0),))

    def _all(self, s: int) -> Affine:
        return Affine(tuple((self.n[s, k], 1.0) for k in range(len(self.zones))))

    def _range(self, s: int, k: int) -> tuple[int, int]:
        return int(self.limits.low[s, k]), int(self.limits.high[s, k])

    def _excess(self, s: int, k: int, base: int) -> Affine:
        """At least (n[s,k] - base)^+, and equal to it where that is better."""
        low, high = int(self.limits.low[s, k]), int(self.limits.wide[s, k])  # rows of Capacity count on this
        if base >= high:
            return _constant(0)
        if base <= low:
            return self._at(s, k) + _constant(-base)
        if (s, k, base) not in self.excess_columns:
            column = self._whole(0, high - base)
            self.program.row([(column, 1.0), (self.n[s, k], -1.0)], lower=-base)
            self.excess_columns[s, k, base] = column
        return Affine(((self.excess_columns[s, k, base], 1.0),))

    def _binary(self) -> Affine:
        return Affine(((self._whole(0, 1), 1.0),))

    def _require(self, small: Affine, large: Affine) -> None:
        """One sum is at most another."""
        gap = large - small
        self.program.row(gap.terms, lower=-gap.constant)

    # -- money

    def _charge_moves(self, s: int, k: int) -> None:
        low, _ = self._range(s, k)
        now, move = int(self.problem.now[s, k]), int(self.problem.move[s])
        if move > 0 and now > low:
            removed = self._whole(0, now, cost=move / self.scale)
            self.program.row([(removed, 1.0), (self.n[s, k], 1.0)], lower=now)

    # -- limits of one workload

    def _total(self, s: int) -> None:
        self.program.row(self._all(s).terms, lower=int(self.limits.least[s]), upper=int(self.limits.ceiling[s]))

    def _share(self, rule: MaxShare) -> None:
        s, p, c = rule.s, rule.percent, max(1, rule.tolerated)
        least, most = int(self.limits.least[s]) * p // 100, int(self.limits.most[s]) * p // 100
        inside, share = self._exposed(s, rule.domains), self._all(s) * (p / 100)
        if least >= c:
            self._require(inside, share)
        elif most <= c:
            self._require(inside, _constant(c))
        else:
            by_share = self._binary()
            self._require(inside, by_share * (most - c) + _constant(c))
            self._require(inside, share + (_constant(1) - by_share) * c)

    def _survive(self, rule: Survive) -> None:
        self._require(self._exposed(rule.s, rule.lost) + _constant(rule.floor), self._all(rule.s))

    def _presence(self, rule: MinDomains) -> None:
        held = _sum([self._sure_of(rule.s, scope) for scope in rule.scopes])
        if self.limits.least[rule.s] >= 1:
            self._require(_constant(rule.floor), held)
            return
        some = self._binary()  # without any replica the rule holds
        self._require(self._all(rule.s), some * int(self.limits.most[rule.s]))
        self._require(some * rule.floor, held)

    def _sure_of(self, s: int, scope: Sequence[int]) -> Affine:
        """A number within 0..1 that is 1 only where the scope holds a replica for sure."""
        held = Affine(((self._whole(0, 1), 1.0),))
        self._require(held, _sum([self._sign(s, k, inside) for k, inside in self._pieces(scope)]))
        return held

    def _sign(self, s: int, k: int, inside: tuple[int, ...]) -> Affine:
        """At least 1 only where these zones of a cluster hold a replica for sure."""
        _, high = self._range(s, k)
        enough = self._sure_from(s, k, inside)
        if enough > high:
            return _constant(0)
        if enough <= 1:
            return self._at(s, k)
        reached = self._binary()
        self._require(reached * enough, self._at(s, k))
        return reached

    def _sure_from(self, s: int, k: int, inside: tuple[int, ...]) -> float:
        """The smallest n[s,k] at which some replica must stand in these zones."""
        zones, stood, m = self.zones[k], int(self.stood[s, k]), int(self.problem.zone_skew[s])
        if len(inside) == len(zones):
            return 1
        best = max(int(self.problem.standing[s, j]) for j in inside)
        if best >= 1:
            return stood - best + 1
        # An empty zone gets its first replica once every other one is m ahead of it.
        ahead = sum(max(0, m - int(self.problem.standing[s, j])) for j in zones)
        return stood + ahead - m + 1 if m > 0 else math.inf

    # -- zones

    def _pieces(self, domains: Sequence[int]) -> list[tuple[int, tuple[int, ...]]]:
        """The clusters that a set of domains touches, each with the zones that lie inside."""
        wanted = set(domains)
        clusters = sorted({self.owner[j] for j in wanted})
        return [(k, tuple(j for j in self.zones[k] if j in wanted)) for k in clusters]

    def _exposed(self, s: int, domains: Sequence[int]) -> Affine:
        """At least at_most(s, domains), and equal to it where that is better."""
        return _sum([self._exposure(s, k, inside) for k, inside in self._pieces(domains)])

    def _exposure(self, s: int, k: int, inside: tuple[int, ...]) -> Affine:
        if len(inside) == len(self.zones[k]):
            return self._at(s, k)
        if (s, k, inside) not in self.exposures:
            self.exposures[s, k, inside] = self._partly(s, k, inside)
        return self.exposures[s, k, inside]

    def _partly(self, s: int, k: int, inside: tuple[int, ...]) -> Affine:
        """The w >= min(n, R) of the module's docstring."""
        low, high = self._range(s, k)
        x = [int(self.problem.standing[s, j]) for j in inside]
        n, R = np.arange(low, high + 1), self._other_side(s, k, x)
        if (n <= R).all():
            return self._at(s, k)
        rows = self._other_rows(s, k, x)
        w = Affine(((self._whole(0, high), 1.0),))
        if (n >= R).all():
            for row, _ in rows:
                self._require(row, w)
            return w
        evacuated = self._binary()  # e of the docstring is its complement
        stays = _constant(1) - evacuated
        self._require(self._at(s, k) - stays * int((n - R).max()), w)
        for row, above in rows:
            self._require(row - evacuated * above, w)
        return w

    def _other_side(self, s: int, k: int, x: list[int]) -> np.ndarray[tuple[int], np.dtype[np.int64]]:
        """R for every n from low to high."""
        low, high = self._range(s, k)
        n = np.arange(low, high + 1)
        added = np.maximum(0, n - int(self.stood[s, k]))
        m = int(self.problem.zone_skew[s])
        if m == 0:
            return sum(x) + len(x) * added
        even = (n + m * (len(self.zones[k]) - 1)) // len(self.zones[k])
        R: np.ndarray[tuple[int], np.dtype[np.int64]] = sum(x) + sum(
            (np.minimum(added, np.maximum(0, even - standing)) for standing in x), np.zeros_like(n)
        )
        return R

    def _other_rows(self, s: int, k: int, x: list[int]) -> list[tuple[Affine, int]]:
        """Sums whose largest is R, each with how far it may lie above n."""
        low, high = self._range(s, k)
        X, q, T = sum(x), len(x), int(self.stood[s, k])
        if self.problem.zone_skew[s] > 0:
            more = _sum([self._joined(s, k, standing) for standing in x])
            R = self._other_side(s, k, x)
            return [(more + _constant(X), max(0, int((R - np.arange(low, high + 1)).max())))]
        added = self._at(s, k) * q + _constant(X - q * T)
        return [(_constant(X), max(0, X - low)), (added, max(0, X + q * (high - T) - high))]

    def _joined(self, s: int, k: int, standing: int) -> Affine:
        """Replicas that a hard spread may add to one zone: r >= min(a, (floor((n + m (Z-1)) / Z) - x)^+)."""
        low, high = self._range(s, k)
        m, Z, T = int(self.problem.zone_skew[s]), len(self.zones[k]), int(self.stood[s, k])
        n = np.arange(low, high + 1)
        added, even = np.maximum(0, n - T), np.maximum(0, (n + m * (Z - 1)) // Z - standing)
        r = Affine(((self._whole(0, max(0, high - T)), 1.0),))
        by_addition = self._at(s, k) + _constant(-T)
        # r is whole, so Z r >= n + m (Z-1) - Z x - (Z-1) lifts it to the floor.
        by_evenness = (self._at(s, k) + _constant((m - 1) * (Z - 1) - Z * standing)) * (1 / Z)
        if (added <= even).all():
            self._require(by_addition, r)
        elif (even <= added).all():
            self._require(by_evenness, r)
        else:
            even_binds = self._binary()
            self._require(by_addition - even_binds * max(0, high - T), r)
            self._require(by_evenness - (_constant(1) - even_binds) * int(even.max()), r)
        return r

    # -- what workloads share

    def _capacity(self, k: int, p: int) -> tuple[int, float] | None:
        """The row of one resource of a cluster with its unit; None where it cannot bind."""
        request, spare = self.problem.request[:, p], int(self.spare[k, p])
        asking = [s for s in np.flatnonzero(self.problem.free).tolist() if request[s] > 0]
        high = self.limits.wide[:, k]
        held = np.maximum(high, self.problem.now[:, k]) if self.problem.transient else high
        if int((request[asking] * held[asking]).sum()) <= spare:
            return None
        step = int(np.gcd.reduce(request[asking]))  # use is a multiple of it
        sizes = request[asking] // step
        unit = 2.0 ** round(math.log2(math.sqrt(float(sizes.min()) * float(sizes.max()))))
        used = _sum([self._held(s, k) * (int(size) / unit) for s, size in zip(asking, sizes, strict=True)])
        return self.program.row(used.terms, upper=(spare // step) / unit - used.constant), step * unit

    def _held(self, s: int, k: int) -> Affine:
        if not self.problem.transient:
            return self._at(s, k)
        now = int(self.problem.now[s, k])
        return self._excess(s, k, now) + _constant(now)

    def _fit(self, rule: Fit) -> None:
        joining = [s for s in sorted(set(rule.members)) if self.problem.free[s]]
        left = fit_left(self.problem, rule)
        most = np.maximum(self.limits.wide[joining, rule.k] - self.stood[joining, rule.k], 0).sum()
        if most <= left:  # limits of the single variables say it already, as they do for every shape of one workload
            return
        added = [self._excess(s, rule.k, int(self.stood[s, rule.k])) for s in joining]
        self._require(_sum(added), _constant(left))

    def _quota(self, rule: Quota) -> None:
        k, request = rule.k, self.problem.request[:, rule.p]
        asking = [s for s in sorted(set(rule.members)) if self.problem.free[s] and request[s] > 0]
        if not asking:
            return
        step = int(np.gcd.reduce(request[asking]))  # what is asked is a multiple of it
        unit = float(request[asking].max() // step)
        asked = [self._excess(s, k, int(self.problem.now[s, k])) * (int(request[s]) // step / unit) for s in asking]
        self._require(_sum(asked), _constant(max(0, rule.limit) // step / unit))
