"""The cheapest placement, exact by HiGHS on aggregated whole numbers.

Three answers in rising order of effort: the relaxation, whose prices often prove that today's placement cannot be
beaten; the search, begun from the best placement at hand; and, where the search ends early, whatever was found with the
bound that was reached.

Today's placement is a candidate throughout: an answer that costs no less loses to it, so that carrying a plan out and
asking again changes nothing. Whatever comes back has been rounded, priced in whole micro-USD and shown to the judge's
rules.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from archgov.optimize.placement.bound import proven
from archgov.optimize.placement.encode import Encoding, encode
from archgov.optimize.placement.judge import SAME, cost, violated
from archgov.optimize.placement.problem import (
    AtLeast,
    Capacity,
    Int64,
    Limits,
    Problem,
    Solution,
    Status,
    Survive,
    Total,
    Voucher,
    concerns,
)
from archgov.optimize.solver import ENGINE, Answer, Effort, Outcome, minimise

# The share of an objective by which the solver's own arithmetic may be off.
BLUR = 2e-10

# A node of the search costs about as much as the program has variables; `Limits.nodes` are those of a program of this many.
USUAL = 100

# Up to EXACT variables the search goes on until nothing cheaper can exist; beyond, until at most the share NEAR could be saved:
# the proof of the last tenth of a percent took minutes there, and no plan that saves so little is worth a disruption.
EXACT = 2_000
NEAR = 1e-3


@dataclass(frozen=True, slots=True, eq=False)
class _Candidate:
    """A placement that keeps every rule, and what it costs."""

    n: Int64
    objective: int


def solve(problem: Problem, *, limits: Limits, seed: int, start: Int64 | None = None) -> Solution:
    """The cheapest placement with its proof, or why there is none; `start` is another placement to begin with."""
    today = _candidate(problem, problem.now)
    encoding = encode(problem)
    if encoding is None:
        return _without_plan(problem, Status.INFEASIBLE, seed, "proof")
    relaxed = minimise(encoding.program, _effort(encoding, limits, seed), relaxed=True)
    if relaxed.outcome == Outcome.INFEASIBLE:
        return _without_plan(problem, Status.INFEASIBLE, seed, "proof")
    prices = _prices(problem, encoding, relaxed)
    floor = proven(problem, prices)
    if today is not None and _same(today.objective, floor):
        return _with_plan(today, floor, floor, prices, seed, "proof")
    begin = _cheapest(today, None if start is None else _candidate(problem, start))
    found = minimise(encoding.program, _effort(encoding, limits, seed), start=_columns(encoding, begin))
    if found.outcome == Outcome.INFEASIBLE and begin is None:
        return _without_plan(problem, Status.INFEASIBLE, seed, "proof")
    best = _cheapest(today, _cheapest(begin, _read(problem, encoding, found)))
    if best is None:
        return _without_plan(problem, Status.UNKNOWN, seed, found.stopped_by)
    searched = min(_searched(encoding, found, best.objective), best.objective)
    return _with_plan(best, floor, searched, prices, seed, found.stopped_by)


def is_possible(problem: Problem, *, limits: Limits, seed: int) -> bool:
    """Whether some placement keeps every rule; also true when work runs out before that is known."""
    if _candidate(problem, problem.now) is not None:
        return True
    encoding = encode(_demanding(problem))
    if encoding is None:
        return False
    found = minimise(encoding.program.without_cost(), _effort(encoding, limits, seed))
    return found.outcome is not Outcome.INFEASIBLE


def _demanding(problem: Problem) -> Problem:
    """The same question about those workloads alone that must have replicas: all others could have none, which breaks no rule."""
    if problem.transient:
        return problem
    demands = np.zeros(len(problem.now), bool)
    for rule in problem.rules:
        if isinstance(rule, Total | Survive | AtLeast) and rule.floor > 0:
            demands[rule.s] = True
    idle = problem.free & ~demands
    free = problem.free & demands
    asking = set(np.flatnonzero(free).tolist())
    return replace(
        problem,
        free=free,
        now=np.where(idle[:, None], 0, problem.now),
        standing=np.where(idle[:, None], 0, problem.standing),
        # What is used today counts as room, whoever uses it.
        room=np.maximum(problem.room, problem.now.T @ problem.request),
        rules=tuple(
            rule for rule in problem.rules if isinstance(rule, Capacity) or not asking.isdisjoint(concerns(rule))
        ),
    )


def _candidate(problem: Problem, n: Int64) -> _Candidate | None:
    if n.shape != problem.now.shape or (n < 0).any() or (n != problem.now)[~problem.free].any() or violated(problem, n):
        return None
    return _Candidate(n, sum(cost(problem, n).values()))


def _cheapest(first: _Candidate | None, second: _Candidate | None) -> _Candidate | None:
    """The cheaper one; the first where they cost the same."""
    if first is None or second is None:
        return second if first is None else first
    return second if second.objective < first.objective else first


def _effort(encoding: Encoding, limits: Limits, seed: int) -> Effort:
    variables = len(encoding.program.cost)
    return Effort(
        nodes=max(1, limits.nodes * USUAL // max(USUAL, variables)),
        seconds=limits.seconds,
        seed=seed,
        # Plans differ by whole quanta, so a bound within half of one leaves no room for a better plan.
        absolute_gap=0.5 * encoding.quantum / encoding.scale,
        relative_gap=0.0 if variables <= EXACT else NEAR,
    )


def _prices(problem: Problem, encoding: Encoding, relaxed: Answer) -> npt.NDArray[np.float64]:
    """(K, P) what one more unit of each resource would save per hour."""
    prices = np.zeros(problem.room.shape, np.float64)
    if relaxed.duals.size:
        for (k, p), (row, unit) in encoding.capacity.items():
            prices[k, p] = max(0.0, -float(relaxed.duals[row])) * encoding.scale / unit
    return prices


def _columns(encoding: Encoding, begin: _Candidate | None) -> dict[int, float] | None:
    return None if begin is None else {column: float(begin.n[s, k]) for (s, k), column in encoding.n.items()}


def _read(problem: Problem, encoding: Encoding, found: Answer) -> _Candidate | None:
    """The solver's point as a placement, if it keeps the rules after rounding."""
    if found.x is None:
        return None
    n = problem.now.copy()
    for (s, k), column in encoding.n.items():
        n[s, k] = round(float(found.x[column]))
    return _candidate(problem, n)


def _searched(encoding: Encoding, found: Answer, objective: int) -> int:
    """The bound of the search, raised to the next cost that a plan can have."""
    if found.outcome == Outcome.INFEASIBLE or not math.isfinite(found.bound):
        return encoding.fixed_cost
    reached = found.bound * encoding.scale - BLUR * max(1.0, abs(objective))
    return encoding.fixed_cost + encoding.quantum * math.ceil(reached / encoding.quantum)


def _same(objective: int, bound: int) -> bool:
    return objective - bound <= SAME * max(1, abs(objective))


def _with_plan(
    best: _Candidate, floor: int, searched: int, prices: npt.NDArray[np.float64], seed: int, stopped_by: str
) -> Solution:
    """The answer, vouched for by prices where they prove as much as the search did."""
    by_prices = _same(best.objective, floor) or floor >= searched
    bound = min(floor if by_prices else searched, best.objective)
    status = Status.OPTIMAL if _same(best.objective, bound) else Status.FEASIBLE
    if status == Status.FEASIBLE and stopped_by == "proof":
        stopped_by = "gap"
    return Solution(
        status=status,
        n=_frozen(best.n),
        objective=best.objective,
        bound=bound,
        voucher=Voucher.PRICES if by_prices else Voucher.SEARCH,
        prices=prices,
        engine=ENGINE,
        seed=seed,
        stopped_by="proof" if status == Status.OPTIMAL else stopped_by,
    )


def _without_plan(problem: Problem, status: Status, seed: int, stopped_by: str) -> Solution:
    return Solution(
        status=status,
        n=_frozen(problem.now),
        objective=sum(cost(problem, problem.now).values()),
        bound=None,
        voucher=Voucher.SEARCH,
        prices=np.zeros(problem.room.shape, np.float64),
        engine=ENGINE,
        seed=seed,
        stopped_by=stopped_by,
    )


def _frozen(n: Int64) -> Int64:
    frozen = n.astype(np.int64)
    frozen.setflags(write=False)
    return frozen
