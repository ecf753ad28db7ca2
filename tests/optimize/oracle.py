"""Brute force: the cheapest placement found by looking at every one."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from itertools import product

import numpy as np

from archgov.optimize.placement.judge import violated
from archgov.optimize.placement.problem import Capacity, Fit, Int64, Problem, Quota, Rule
from tests.optimize.strategies import CEILING

SHARED = (Capacity, Fit, Quota)


@dataclass(frozen=True)
class Best:
    """The cheapest objective and one placement that reaches it."""

    objective: int
    n: Int64


def best(problem: Problem) -> Best | None:
    """The cheapest placement of a problem in which each workload has a ceiling; None when there is none."""
    S = len(problem.now)
    rows = [np.array(list(_rows(problem, s)), np.int64).reshape(-1, problem.now.shape[1]) for s in range(S)]
    if any(len(choices) == 0 for choices in rows):
        return None
    total = _spread([_cost(problem, s, choices) for s, choices in enumerate(rows)])
    keeps = np.ones(total.shape, bool)
    for rule in problem.rules:
        if isinstance(rule, SHARED):
            keeps &= _spread([_taken(problem, rule, s, choices) for s, choices in enumerate(rows)]) <= _left(
                problem, rule
            )
    if not keeps.any():
        return None
    where = np.unravel_index(int(np.where(keeps, total, np.iinfo(np.int64).max).argmin()), total.shape)
    n = np.array([rows[s][choice] for s, choice in enumerate(where)])
    return Best(int(total[where]), n)


def _rows(problem: Problem, s: int) -> Iterator[tuple[int, ...]]:
    """Every row of a workload that keeps the rules about it alone."""
    if not problem.free[s]:
        yield tuple(problem.now[s].tolist())
        return
    alone = replace(
        problem, rules=tuple(rule for rule in problem.rules if not isinstance(rule, SHARED) and rule.s == s)
    )
    for row in product(range(CEILING + 1), repeat=problem.now.shape[1]):
        if sum(row) <= CEILING:
            n = problem.now.copy()
            n[s] = row
            if not violated(alone, n):
                yield row


def _cost(problem: Problem, s: int, rows: Int64) -> Int64:
    moved = np.maximum(problem.now[s] - rows, 0).sum(axis=1)
    total: Int64 = rows @ problem.price[s] + problem.move[s] * moved
    return total


def _taken(problem: Problem, rule: Rule, s: int, rows: Int64) -> Int64:
    """What each row of a workload takes of what a rule limits."""
    nothing = np.zeros(len(rows), np.int64)
    match rule:
        case Capacity(k=k, p=p):
            held = np.maximum(rows[:, k], problem.now[s, k]) if problem.transient else rows[:, k]
            return np.asarray(held * problem.request[s, p])
        case Fit(members=members, k=k):
            return np.maximum(rows[:, k] - problem.stood[s, k], 0) if s in members else nothing
        case Quota(members=members, k=k, p=p):
            return np.maximum(rows[:, k] - problem.now[s, k], 0) * problem.request[s, p] if s in members else nothing
        case _:
            return nothing


def _left(problem: Problem, rule: Rule) -> int:
    stays = [s for s in range(len(problem.now)) if not problem.free[s]]
    match rule:
        case Capacity(k=k, p=p):
            return max(int(problem.room[k, p]), int(problem.now[:, k] @ problem.request[:, p]))
        case Fit(members=members, k=k, limit=limit):
            added = sum(max(0, int(problem.now[s, k] - problem.stood[s, k])) for s in stays if s in members)
            return max(limit, added)
        case Quota(limit=limit):
            return max(limit, 0)
        case _:
            raise AssertionError(rule)


def _spread(parts: list[Int64]) -> Int64:
    """The sum over workloads of one number each, for every combination of rows."""
    total = np.zeros((1,) * len(parts), np.int64)
    for axis, part in enumerate(parts):
        total = total + part.reshape([-1 if other == axis else 1 for other in range(len(parts))])
    return total
