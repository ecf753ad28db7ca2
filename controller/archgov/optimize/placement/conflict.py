"""Why no placement exists: an irreducible set of named rules that collide, then what relaxing each of them would take.

The set is found by QuickXplain (Junker 2004) over the names of rules, so that all rules of one declared line stand or
fall together; it is irreducible: without any one of its names the others can hold. A problem may hold another conflict
beside it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from itertools import islice
from typing import TypeVar

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
    concerns,
)
from archgov.optimize.placement.reach import spare_room
from archgov.optimize.placement.solve import is_possible

Possible = Callable[[Problem], bool]
T = TypeVar("T")

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
    core = _core(problem, possible)
    ways_out = islice(_relaxations(problem, core, possible), MOST_RELAXATIONS)
    return (Conflict(tuple(sorted(core)), tuple(ways_out)),)


def _core(problem: Problem, possible: Possible) -> tuple[str, ...]:
    """Names of an irreducible conflict: first the few workloads that can't be served together, then what collides between them."""
    free = tuple(np.flatnonzero(problem.free).tolist())
    few = _quick_explain((), (), free, lambda some: possible(_about(problem, some)))
    between = _about(problem, few)
    names = tuple(dict.fromkeys(rule.name for rule in between.rules))
    suspects = _quick_explain((), (), names, lambda some: possible(_only(between, some)))
    # A name may also stand for rules of other workloads, with which fewer names collide.
    return _quick_explain((), (), suspects, lambda some: possible(_only(problem, some)))


def _quick_explain(
    kept: tuple[T, ...], added: tuple[T, ...], items: tuple[T, ...], possible: Callable[[tuple[T, ...]], bool]
) -> tuple[T, ...]:
    """The part of `items` that an irreducible conflict needs beside what is kept."""
    if added and not possible(kept):
        return ()
    if len(items) <= 1:
        return items
    half = len(items) // 2
    first, second = items[:half], items[half:]
    of_second = _quick_explain(kept + first, first, second, possible)
    of_first = _quick_explain(kept + of_second, of_second, first, possible)
    return of_first + of_second


def _about(problem: Problem, workloads: tuple[int, ...]) -> Problem:
    """The problem with nothing asked of other workloads, but room for what may not be moved."""
    some = set(workloads)
    return replace(
        problem,
        rules=tuple(
            rule for rule in problem.rules if isinstance(rule, Capacity) or not some.isdisjoint(concerns(rule))
        ),
    )


def _only(problem: Problem, names: Iterable[str]) -> Problem:
    some = set(names)
    return replace(problem, rules=tuple(rule for rule in problem.rules if rule.name in some))


def _relaxations(problem: Problem, core: tuple[str, ...], possible: Possible) -> Iterator[Relaxation]:
    """Ways out, what people declared before what machines hold; judged with all other rules where those can hold."""
    others = {rule.name for rule in problem.rules} - set(core)
    little = _only(problem, core)
    context = problem if possible(_only(problem, others)) else little
    for kind in (MinDomains, MaxShare, Allowed, AtMost, Survive, Ceiling, AtLeast, Quota, Fit, Capacity, Total):
        for name in core:
            rules = [rule for rule in context.rules if rule.name == name]
            if rules and isinstance(rules[0], kind):
                found = _relaxed(context, little, name, rules[0], possible)
                if found is not None:
                    yield found


def _relaxed(context: Problem, little: Problem, name: str, rule: Rule, possible: Possible) -> Relaxation | None:
    """The nearest number that lets a rule hold: searched among the rules of the conflict alone, which is quick, then in context."""
    kind = type(rule).__name__
    if isinstance(rule, Allowed):
        opened = _opened(context, name, rule.s, rule.clusters, possible)
        return None if opened is None else Relaxation(name, kind, len(rule.clusters), opened)
    if isinstance(rule, MaxShare) and not rule.percent:
        return None  # it says how much may be astray, which nobody declared
    asked, most = _range(context, rule)
    step, low = _grid(context, rule, asked)
    to: int | None = None
    for problem in (little, context):

        def works(number: int, problem: Problem = problem) -> bool:
            return possible(_with(problem, name, rule, number))

        if to is None or not works(to):
            begin = low if to is None else to
            to = _least(begin, most, step, works) if most > asked else _greatest(begin, works)
            if to is None:
                return None
    return None if to is None else Relaxation(name, kind, asked, to)


def _range(problem: Problem, rule: Rule) -> tuple[int, int]:
    """(what a rule asks for, the most lenient number worth a try); 0 where less is more lenient."""
    needed = _needed(problem)
    match rule:
        case MinDomains(floor=asked) | Survive(floor=asked) | AtLeast(floor=asked) | Total(floor=asked):
            return asked, 0
        case MaxShare(percent=asked):
            return asked, WHOLE
        case Ceiling(cap=asked) | AtMost(cap=asked):
            return asked, asked + int(problem.now.sum()) + needed
        case Fit(limit=asked):
            return asked, asked + needed
        case Quota(limit=asked, p=p, members=members):
            return asked, asked + needed * int(problem.request[list(members), p].max(initial=0))
        case Capacity(k=k, p=p):
            asked = int(problem.room[k, p])
            return asked, asked + needed * int(problem.request[:, p].max(initial=0))
        case _:
            raise AssertionError(f"{type(rule).__name__} has no number")


def _grid(problem: Problem, rule: Rule, asked: int) -> tuple[int, int]:
    """(by how much a number has to change to make a difference, the last that did): rooms are used up by whole requests."""
    match rule:
        case Capacity(k=k, p=p):
            step = max(1, int(np.gcd.reduce(problem.request[problem.free, p])))
            today = int(problem.now[:, k] @ problem.request[:, p])
            return step, max(asked, today) - int(spare_room(problem)[k, p]) % step
        case Quota(p=p, members=members):
            step = max(1, int(np.gcd.reduce(problem.request[list(members), p])))
            return step, max(0, asked) // step * step
        case _:
            return 1, asked


def _with(problem: Problem, name: str, rule: Rule, number: int) -> Problem:
    """The problem with another number in all rules of a name."""
    match rule:
        case MaxShare():
            return _changed(problem, name, lambda one: _shared(one, number))
        case Ceiling() | AtMost():
            return _changed(problem, name, lambda one: _capped(one, number))
        case Fit() | Quota():
            return _changed(problem, name, lambda one: _limited(one, number))
        case Capacity(k=k, p=p):
            return _roomier(problem, k, p, number)
        case _:
            return _changed(problem, name, lambda one: _lowered(one, number))


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
    if asked <= 1 or not works(1):
        return None
    low, high = 1, asked
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (middle, high) if works(middle) else (low, middle)
    return low


def _least(asked: int, most: int, step: int, works: Callable[[int], bool]) -> int | None:
    """The least number above `asked` that works, for numbers that matter every `step`; None where not even `most` does.

    Most often the least is near, so the search gallops before it bisects.
    """
    low, stride = asked, step
    while not works(min(low + stride, most)):
        if low + stride >= most:
            return None
        low, stride = low + stride, 2 * stride
    high = min(low + stride, most)
    while high - low > step:
        middle = low + max(1, (high - low) // (2 * step)) * step
        low, high = (low, middle) if works(middle) else (middle, high)
    return high
