"""The part of a placement problem that concerns one workload."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import replace

from archgov.optimize.placement.problem import Capacity, Fit, Problem, Quota, Rule, concerns


def shares(problem: Problem) -> dict[int, tuple[Rule, ...]]:
    """The rules that name each workload; a cluster's capacity, which names none, is everybody's."""
    everybody = [rule for rule in problem.rules if isinstance(rule, Capacity)]
    found: dict[int, list[Rule]] = defaultdict(list)
    for rule in problem.rules:
        for s in concerns(rule):
            found[s].append(rule)
    return {s: (*found[s], *everybody) for s in range(len(problem.now))}


def alone(problem: Problem, s: int, share: tuple[Rule, ...] | None = None) -> Problem:
    """The problem as if no other workload wanted room: what can't be done alone can't be done together.

    Args:
        share: the rules that name the workload, for those who ask about many.
    """
    one = slice(s, s + 1)
    return replace(
        problem,
        now=problem.now[one],
        standing=problem.standing[one],
        request=problem.request[one],
        price=problem.price[one],
        move=problem.move[one],
        free=problem.free[one],
        zone_skew=problem.zone_skew[one],
        rules=tuple(_renumbered(rule) for rule in (shares(problem)[s] if share is None else share)),
    )


def _renumbered(rule: Rule) -> Rule:
    match rule:
        case Capacity():
            return rule
        case Fit() | Quota():
            return replace(rule, members=(0,))
        case _:
            return replace(rule, s=0)
