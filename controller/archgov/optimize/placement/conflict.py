"""Why no placement exists: an irreducible set of named rules that collide, then what relaxing each of them would take.

The set is found by QuickXplain (Junker 2004) over the names of rules, so that all rules of one declared line stand or
fall together; it is irreducible: without any one of its names the others can hold. A problem may hold another conflict
beside it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from itertools import islice

import numpy as np

from archgov.optimize.placement.problem import (
    Allowed,
    AtLeast,
    AtMost,
    Capacity,
    Ceiling,
    Fit,
    Limits,
    MaxShare,
    MinDomains,
    Problem,
    Quota,
    Rule,
    Survive,
    Total,
)
from archgov.optimize.placement.solve import is_possible

Possible = Callable[[Problem], bool]

MOST_RELAXATIONS = 3
WHOLE = 100  # percent


@dataclass(frozen=True, slots=True)
class Relaxation:
    """A change of one rule that is enough by itself, verified by solving.

    Attributes:
        rule: its name. kind: its type's name. before, to: the number that was asked, the nearest one that works; for
            Allowed `to` is the cluster that would have to be allowed too.
    """

    rule: str
    kind: str
    before: int
    to: int


@dataclass(frozen=True, slots=True)
class Conflict:
    """Names of rules that can't all hold, in order; every proper subset can. relaxations: at most three ways out."""

    rules: tuple[str, ...]
    relaxations: tuple[Relaxation, ...]


def explain_infeasible(problem: Problem, *, limits: Limits, seed: int) -> tuple[Conflict, ...]:
    """One irreducible conflict with its ways out; nothing when the rules can hold, or when work ran out before that was known."""

    def possible(some: Problem) -> bool:
        return is_possible(some, limits=limits, seed=seed)

    if possible(problem):
        return ()
    names = tuple(dict.fromkeys(rule.name for rule in problem.rules))
    core = _quick_explain(problem, (), (), names, possible)
    ways_out = islice(_relaxations(problem, core, possible), MOST_RELAXATIONS)
    return (Conflict(tuple(sorted(core)), tuple(ways_out)),)


def _quick_explain(
    problem: Problem, kept: tuple[str, ...], added: tuple[str, ...], names: tuple[str, ...], possible: Possible
) -> tuple[str, ...]:
    """The part of `names` that an irreducible conflict needs beside the rules in `kept`."""
    if added and not possible(_only(problem, {*kept})):
        return ()
    if len(names) <= 1:
        return names
    half = len(names) // 2
    first, second = names[:half], names[half:]
    of_second = _quick_explain(problem, kept + first, first, second, possible)
    of_first = _quick_explain(problem, kept + of_second, of_second, first, possible)
    return of_first + of_second


def _only(problem: Problem, names: set[str]) -> Problem:
    return replace(problem, rules=tuple(rule for rule in problem.rules if rule.name in names))


def _relaxations(problem: Problem, core: tuple[str, ...], possible: Possible) -> Iterator[Relaxation]:
    """Ways out, what people declared before what machines hold; judged with all other rules where those can hold."""
    others = {rule.name for rule in problem.rules} - set(core)
    context = problem if possible(_only(problem, others)) else _only(problem, set(core))
    for kind in (MinDomains, MaxShare, Allowed, Survive, Ceiling, AtLeast, Total, Quota, AtMost, Fit, Capacity):
        for name in core:
            rules = [rule for rule in context.rules if rule.name == name]
            if rules and isinstance(rules[0], kind):
                found = _relaxed(context, name, rules[0], possible)
                if found is not None:
                    yield found


def _relaxed(problem: Problem, name: str, rule: Rule, possible: Possible) -> Relaxation | None:
    kind = type(rule).__name__
    asked, to = 0, None
    match rule:
        case MinDomains(floor=asked) | Survive(floor=asked) | AtLeast(floor=asked) | Total(floor=asked):
            to = _greatest(asked, lambda floor: possible(_changed(problem, name, lambda one: _lowered(one, floor))))
        case MaxShare(percent=asked):
            to = _least(asked, WHOLE, lambda share: possible(_changed(problem, name, lambda one: _shared(one, share))))
        case Ceiling(cap=asked) | AtMost(cap=asked):
            most = asked + int(problem.now.sum()) + _needed(problem)
            to = _least(asked, most, lambda cap: possible(_changed(problem, name, lambda one: _capped(one, cap))))
        case Fit(limit=asked):
            most = asked + _needed(problem)
            to = _least(asked, most, lambda limit: possible(_changed(problem, name, lambda one: _limited(one, limit))))
        case Quota(limit=asked, p=p, members=members):
            most = asked + _needed(problem) * int(problem.request[list(members), p].max(initial=0))
            to = _least(asked, most, lambda limit: possible(_changed(problem, name, lambda one: _limited(one, limit))))
        case Capacity(k=k, p=p):
            asked = int(problem.room[k, p])
            most = asked + _needed(problem) * int(problem.request[:, p].max(initial=0))
            to = _least(asked, most, lambda room: possible(_roomier(problem, k, p, room)))
        case Allowed(s=s, clusters=clusters):
            asked = len(clusters)
            to = _opened(problem, name, s, clusters, possible)
    return None if to is None or (to == asked and kind != "Allowed") else Relaxation(name, kind, asked, to)


def _needed(problem: Problem) -> int:
    """Replicas that rules ask for at most, so that a search for more room ends."""
    floors = [rule.floor for rule in problem.rules if isinstance(rule, Total | AtLeast | Survive)]
    return int(problem.now.sum()) + sum(floors) + 1


def _changed(problem: Problem, name: str, change: Callable[[Rule], Rule]) -> Problem:
    return replace(problem, rules=tuple(change(rule) if rule.name == name else rule for rule in problem.rules))


def _lowered(rule: Rule, floor: int) -> Rule:
    if isinstance(rule, MinDomains | Survive | AtLeast | Total):
        return replace(rule, floor=min(rule.floor, floor))
    return rule


def _shared(rule: Rule, percent: int) -> Rule:
    return replace(rule, percent=max(rule.percent, percent)) if isinstance(rule, MaxShare) else rule


def _capped(rule: Rule, cap: int) -> Rule:
    return replace(rule, cap=max(rule.cap, cap)) if isinstance(rule, Ceiling | AtMost) else rule


def _limited(rule: Rule, limit: int) -> Rule:
    return replace(rule, limit=max(rule.limit, limit)) if isinstance(rule, Fit | Quota) else rule


def _roomier(problem: Problem, k: int, p: int, room: int) -> Problem:
    wider = problem.room.copy()
    wider[k, p] = room
    return replace(problem, room=wider)


def _opened(problem: Problem, name: str, s: int, clusters: tuple[int, ...], possible: Possible) -> int | None:
    """The cheapest cluster that, once allowed too, lets the rules hold."""
    closed = [k for k in np.argsort(problem.price[s], kind="stable").tolist() if k not in clusters]

    def with_one_more(k: int) -> Problem:
        return _changed(
            problem,
            name,
            lambda rule: (
                replace(rule, clusters=tuple(sorted({*rule.clusters, k}))) if isinstance(rule, Allowed) else rule
            ),
        )

    return next((k for k in closed if possible(with_one_more(k))), None)


def _greatest(asked: int, works: Callable[[int], bool]) -> int | None:
    """The greatest number below `asked` that works, by bisection; None where not even 1 does, since 0 asks for nothing."""
    if asked < 1 or not works(1):
        return None
    low, high = 1, asked
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (middle, high) if works(middle) else (low, middle)
    return low


def _least(asked: int, most: int, works: Callable[[int], bool]) -> int | None:
    """The least number above `asked` that works, by bisection; None where not even `most` does."""
    if most <= asked or not works(most):
        return None
    low, high = asked, most
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if works(middle) else (middle, high)
    return high
