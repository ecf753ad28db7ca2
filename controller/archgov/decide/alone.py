"""The part of a placement problem that concerns one workload."""

from __future__ import annotations

from dataclasses import replace

from archgov.optimize.placement.problem import Capacity, Fit, Problem, Quota, Rule


def alone(problem: Problem, s: int) -> Problem:
    """The problem as if no other workload wanted room: what can't be done alone can't be done together."""
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
        rules=tuple(_renumbered(rule) for rule in problem.rules if s in concerns(rule)),
    )


def concerns(rule: Rule) -> tuple[int, ...]:
    """Workloads that a rule names; a cluster's capacity names none and concerns all."""
    match rule:
        case Capacity():
            return _Everybody()
        case Fit(members=members) | Quota(members=members):
            return members
        case _:
            return (rule.s,)


class _Everybody(tuple[int, ...]):
    __slots__ = ()

    def __contains__(self, _: object) -> bool:
        return True


def _renumbered(rule: Rule) -> Rule:
    match rule:
        case Capacity():
            return rule
        case Fit() | Quota():
            return replace(rule, members=(0,))
        case _:
            return replace(rule, s=0)
