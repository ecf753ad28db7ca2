"""Smallest sets of rules that exclude each other, against all subsets."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given, settings

from archgov.optimize.placement.conflict import Conflict, Relaxation, explain_infeasible
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
from tests.optimize.oracle import best
from tests.optimize.strategies import CEILING, a_problem, problems


def explained(problem: Problem) -> tuple[Conflict, ...]:
    return explain_infeasible(problem, limits=Limits(), seed=5)


def the_conflict(problem: Problem) -> Conflict:
    (conflict,) = explained(problem)
    return conflict


def kept(problem: Problem, names: set[str]) -> Problem:
    """Only the rules of these names, beside the ceilings that end the enumeration."""
    ends = tuple(Ceiling("end", s, CEILING) for s in range(len(problem.now)))
    return replace(problem, rules=(*(rule for rule in problem.rules if rule.name in names), *ends))


@settings(max_examples=120)
@given(problems(workloads=2))
def test_a_conflict_can_not_hold_while_each_of_its_parts_can(problem: Problem) -> None:
    named = replace(problem, rules=tuple(rule for rule in problem.rules if not isinstance(rule, Ceiling)))
    bounded = kept(named, {rule.name for rule in named.rules})
    conflicts = explained(bounded)
    assert bool(conflicts) == (best(bounded) is None)
    for conflict in conflicts:
        names = set(conflict.rules)
        assert best(kept(named, names)) is None
        for one in names - {"end"}:
            assert best(kept(named, names - {one})) is not None


@settings(max_examples=60)
@given(problems(workloads=2))
def test_every_way_out_works_and_a_smaller_step_does_not(problem: Problem) -> None:
    for conflict in explained(problem):
        without = {rule.name for rule in problem.rules} - set(conflict.rules)
        alone = replace(problem, rules=tuple(rule for rule in problem.rules if rule.name in without))
        context = problem if not explained(alone) else kept_only(problem, conflict)
        for way in conflict.relaxations:
            assert not explained(relaxed(context, way, way.to)), way
            if way.kind != "Allowed" and abs(way.to - way.before) > 1:
                nearer = way.to + (1 if way.to < way.before else -1)
                assert explained(relaxed(context, way, nearer)), way


def kept_only(problem: Problem, conflict: Conflict) -> Problem:
    return replace(problem, rules=tuple(rule for rule in problem.rules if rule.name in conflict.rules))


def relaxed(problem: Problem, way: Relaxation, to: int) -> Problem:
    """The problem with one rule changed as a way out says."""
    room = problem.room.copy()
    rules = []
    for rule in problem.rules:
        if rule.name == way.rule and isinstance(rule, Capacity):
            room[rule.k, rule.p] = to
        rules.append(CHANGED[way.kind](rule, to) if rule.name == way.rule else rule)
    return replace(problem, rules=tuple(rules), room=room)


CHANGED: dict[str, Callable[[Any, int], Rule]] = {
    **dict.fromkeys(("Total", "AtLeast", "Survive", "MinDomains"), lambda rule, to: replace(rule, floor=to)),
    **dict.fromkeys(("Ceiling", "AtMost"), lambda rule, to: replace(rule, cap=to)),
    **dict.fromkeys(("Fit", "Quota"), lambda rule, to: replace(rule, limit=to)),
    "MaxShare": lambda rule, to: replace(rule, percent=to),
    "Allowed": lambda rule, to: replace(rule, clusters=(*rule.clusters, to)),
    "Capacity": lambda rule, _: rule,
}

SPREAD = MinDomains("spread", 0, ((0,), (1,), (2,)), 3)
RESIDENCY = Allowed("residency", 0, (0, 1))


@pytest.mark.parametrize(
    ("rules", "way"),
    [
        ((SPREAD, RESIDENCY, Total("t", 0, 3)), Relaxation("spread", "MinDomains", 3, 2)),
        ((SPREAD, RESIDENCY, Total("t", 0, 3)), Relaxation("residency", "Allowed", 2, 2)),
        ((MaxShare("m", 0, (0,), 30), Allowed("one", 0, (0,)), Total("t", 0, 4)), Relaxation("m", "MaxShare", 30, 100)),
        ((Survive("s", 0, (0,), 3), AtLeast("l", 0, 0, 4), Ceiling("c", 0, 6)), Relaxation("s", "Survive", 3, 2)),
        ((Survive("s", 0, (0,), 3), AtLeast("l", 0, 0, 4), Ceiling("c", 0, 6)), Relaxation("c", "Ceiling", 6, 7)),
        ((Survive("s", 0, (0,), 3), AtLeast("l", 0, 0, 4), Ceiling("c", 0, 6)), Relaxation("l", "AtLeast", 4, 3)),
        ((Total("t", 0, 7), Ceiling("c", 0, 6)), Relaxation("t", "Total", 7, 6)),
        ((Quota("q", (0,), 0, 0, 15), AtLeast("l", 0, 0, 4)), Relaxation("q", "Quota", 15, 20)),
        ((AtMost("a", 0, 0, 1), AtLeast("l", 0, 0, 4)), Relaxation("a", "AtMost", 1, 4)),
        ((Fit("f", (0,), 0, 1), AtLeast("l", 0, 0, 4)), Relaxation("f", "Fit", 1, 2)),
        ((Capacity("room", 0, 0), AtLeast("l", 0, 0, 4)), Relaxation("room", "Capacity", 33, 40)),
    ],
    ids=lambda case: case.kind if isinstance(case, Relaxation) else "",
)
def test_each_kind_of_rule_has_its_nearest_way_out(rules: tuple[Rule, ...], way: Relaxation) -> None:
    problem = a_problem(now=[[2, 0, 0]], price=[[1, 2, 3]], request=[[10]], room=[[33], [90], [90]], rules=rules)
    assert way in the_conflict(problem).relaxations


def test_a_conflict_of_two_workloads_over_room_names_both_needs() -> None:
    problem = a_problem(
        now=[[1, 0], [1, 0]],
        price=[[1, 1], [1, 1]],
        request=[[10], [10]],
        room=[[30], [90]],
        rules=(
            Total("a", 0, 2),
            Total("b", 1, 2),
            Allowed("stay a", 0, (0,)),
            Allowed("stay b", 1, (0,)),
            Capacity("room", 0, 0),
            Capacity("elsewhere", 1, 0),
        ),
    )
    conflict = the_conflict(problem)
    assert conflict.rules == ("a", "b", "room", "stay a", "stay b")
    assert 0 < len(conflict.relaxations) <= 3


def test_rules_of_one_name_stand_or_fall_together() -> None:
    shares = tuple(MaxShare("spread", 0, (k,), 30) for k in range(3))
    problem = a_problem(now=[[3, 3, 3]], price=[[1, 1, 1]], rules=(*shares, Total("total", 0, 9)))
    conflict = the_conflict(problem)
    assert conflict.rules == ("spread", "total")
    assert Relaxation("spread", "MaxShare", 30, 34) in conflict.relaxations


def test_what_can_hold_is_no_conflict() -> None:
    assert explained(a_problem(now=[[1]], price=[[1]], rules=(Total("t", 0, 1),))) == ()


def test_work_that_runs_out_proves_no_conflict() -> None:
    problem = a_problem(
        now=[[0, 0]] * 6,
        price=[[1, 1]] * 6,
        request=[[5], [7], [11], [13], [17], [19]],
        room=[[71], [72]],
        rules=(*(Total(f"t{s}", s, 2) for s in range(6)), Capacity("a", 0, 0), Capacity("b", 1, 0)),
    )
    assert explain_infeasible(problem, limits=Limits(nodes=1, seconds=0.0), seed=5) == ()
    assert explained(problem) != ()
