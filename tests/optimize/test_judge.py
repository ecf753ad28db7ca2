"""The judge of placements, against the definition of each rule."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from archgov.optimize.placement.judge import at_least, at_most, broken, cost, violated
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
    Solution,
    Status,
    Survive,
    Total,
    Voucher,
)
from archgov.optimize.placement.solve import solve
from tests.optimize.strategies import a_problem, problems

# Two workloads on three clusters of one zone each; every rule below holds for the plan that moves nothing.
STANDING = [[2, 2, 2], [1, 1, 0]]
HOLDS: tuple[Rule, ...] = (
    Total("total", 0, 6),
    Ceiling("ceiling", 0, 6),
    AtLeast("at least", 0, 0, 1),
    AtMost("at most", 0, 1, 3),
    Allowed("allowed", 1, (0, 1)),
    MaxShare("share", 0, (0,), 50),
    MinDomains("domains", 1, ((0,), (1,), (2,)), 2),
    Survive("survive", 0, (2,), 3),
    Fit("fit", (0, 1), 2, 1),
    Quota("quota", (1,), 1, 0, 10),
    Capacity("capacity", 2, 0),
)

# For each rule a plan that breaks it but no other.
BREAKS: tuple[tuple[str, str, list[list[int]]], ...] = (
    ("Total", "total", [[2, 2, 1], [1, 1, 0]]),
    ("Ceiling", "ceiling", [[3, 2, 2], [1, 1, 0]]),
    ("AtLeast", "at least", [[0, 3, 3], [1, 1, 0]]),
    ("AtMost", "at most", [[1, 4, 1], [1, 1, 0]]),
    ("Allowed", "allowed", [[2, 2, 2], [1, 1, 1]]),
    ("MaxShare", "share", [[4, 1, 1], [1, 1, 0]]),
    ("MinDomains", "domains", [[2, 2, 2], [2, 0, 0]]),
    ("Survive", "survive", [[1, 1, 4], [1, 1, 0]]),
    ("Fit", "fit", [[2, 0, 4], [1, 1, 0]]),
    ("Quota", "quota", [[2, 2, 2], [1, 3, 0]]),
    ("OverCapacity", "capacity", [[2, 1, 3], [1, 1, 0]]),
)

# Rules that a plan of another line would break as well, loosened there so that one rule is to blame.
LOOSENED: dict[str, tuple[Rule, ...]] = {
    "survive": (Fit("fit", (0, 1), 2, 9),),
    "fit": (Survive("survive", 0, (2,), 1),),
}


def the_problem(rules: tuple[Rule, ...] = HOLDS) -> Problem:
    return a_problem(
        now=STANDING,
        price=np.ones((2, 3), np.int64),
        request=[[10], [10]],
        room=[[90], [90], [20]],
        rules=rules,
    )


def blamed(name: str) -> Problem:
    """The problem in which only the named rule is tight."""
    loose = {rule.name: rule for rule in LOOSENED.get(name, ())}
    problem = the_problem(tuple(loose.get(rule.name, rule) for rule in HOLDS))
    return problem if name == "capacity" else replace(problem, room=np.full_like(problem.room, 90))


def plan(problem: Problem, n: npt.ArrayLike, /, **changes: Any) -> Solution:
    placed = np.array(n, np.int64)
    honest = Solution(
        status=Status.FEASIBLE,
        n=placed,
        objective=sum(cost(problem, placed).values()),
        bound=None,
        voucher=Voucher.SEARCH,
        prices=np.zeros(problem.room.shape),
        engine="by hand",
        seed=0,
        stopped_by="nodes",
    )
    return replace(honest, **changes)


def kinds(problem: Problem, solution: Solution) -> list[str]:
    return [violation.kind for violation in broken(problem, solution)]


def test_the_hand_made_problem_holds_as_it_stands() -> None:
    problem = the_problem()
    assert broken(problem, plan(problem, STANDING)) == ()


def test_every_kind_of_rule_has_a_plan_that_breaks_it() -> None:
    assert {type(rule) for rule in HOLDS} == set(Rule.__args__)
    assert [name for _, name, _ in BREAKS] == [rule.name for rule in HOLDS]


@pytest.mark.parametrize(("kind", "name", "n"), BREAKS, ids=[name for _, name, _ in BREAKS])
def test_a_plan_that_breaks_one_rule_is_reported_under_its_name(kind: str, name: str, n: list[list[int]]) -> None:
    problem = blamed(name)
    found = broken(problem, plan(problem, n))
    assert [(violation.kind, violation.rule) for violation in found] == [(kind, name)]
    assert found[0].message


@pytest.mark.parametrize("name", [name for _, name, _ in BREAKS])
def test_a_plan_that_broke_a_rule_is_fine_without_it(name: str) -> None:
    n = next(n for _, other, n in BREAKS if other == name)
    problem = blamed(name)
    without = replace(problem, rules=tuple(rule for rule in problem.rules if rule.name != name))
    assert broken(without, plan(without, n)) == ()


def test_old_and_new_replicas_have_to_fit_at_once_where_a_plan_takes_two_waves() -> None:
    problem = a_problem(
        now=[[2, 0], [0, 2]],
        price=[[1, 1], [1, 1]],
        request=[[10], [10]],
        room=[[20], [20]],
        rules=(Capacity("a", 0, 0), Capacity("b", 1, 0)),
    )
    swapped = [[0, 2], [2, 0]]
    assert broken(problem, plan(problem, swapped)) == ()
    at_once = replace(problem, transient=True)
    assert [violation.rule for violation in broken(at_once, plan(at_once, swapped))] == ["a", "b"]


@pytest.mark.parametrize(
    ("rule", "n", "holds"),
    [
        (MaxShare("share", 0, (0,), 50), [2, 1, 1], True),
        (MaxShare("share", 0, (0,), 50), [3, 1, 1], False),
        (MinDomains("domains", 0, ((0,), (1,), (2,)), 2), [0, 0, 0], True),
        (MinDomains("domains", 0, ((0,), (1,), (2,)), 2), [1, 0, 0], False),
        (Quota("quota", (0,), 0, 0, 30), [5, 0, 0], True),
        (Quota("quota", (0,), 0, 0, 29), [5, 0, 0], False),
        (Quota("quota", (0,), 0, 0, 0), [2, 9, 9], True),
        (Quota("quota", (0,), 0, 0, -5), [2, 2, 2], True),
        (Quota("quota", (0,), 0, 0, 9), [3, 2, 2], False),
        (Quota("quota", (0,), 0, 0, 9), [1, 2, 2], True),
    ],
    ids=str,
)
def test_a_rule_holds_up_to_its_limit_and_no_further(rule: Rule, n: list[int], holds: bool) -> None:
    assert (violated(the_problem((rule,)), np.array([n, STANDING[1]], np.int64)) == ()) is holds


def test_moves_cost_what_leaves_a_cluster_and_nothing_else() -> None:
    problem = replace(the_problem(), move=np.array([5, 7], np.int64))
    assert cost(problem, np.array([[0, 3, 4], [1, 1, 0]], np.int64)) == {"placement": 9, "moves": 10}
    assert cost(problem, np.array([[9, 9, 9], [0, 1, 1]], np.int64)) == {"placement": 29, "moves": 7}


@pytest.mark.parametrize(("objective", "gap", "proven"), [(10**12, 900, True), (10**12, 1100, False), (0, 0, True)])
def test_optimal_means_that_next_to_nothing_lies_between_bound_and_objective(
    objective: int, gap: int, proven: bool
) -> None:
    problem = a_problem(now=[[1]], price=[[objective]], rules=())
    claimed = plan(problem, [[1]], bound=objective - gap, status=Status.OPTIMAL)
    assert kinds(problem, claimed) == ([] if proven else ["UnprovenBound"])
    assert kinds(problem, replace(claimed, status=Status.FEASIBLE)) == []


def test_what_may_not_move_is_not_moved() -> None:
    problem = a_problem(now=[[1, 0]], price=[[1, 1]], free=[False], rules=(Total("total", 0, 5),))
    assert kinds(problem, plan(problem, [[0, 1]])) == ["NotFree"]
    assert kinds(problem, plan(problem, [[1, 0]])) == []


def test_pending_replicas_of_workloads_that_stay_leave_no_fit_for_others_but_break_nothing() -> None:
    problem = a_problem(
        now=[[3, 0], [0, 1]],
        standing=[[1, 0], [0, 1]],
        price=[[1, 1], [1, 1]],
        free=[False, True],
        rules=(Fit("fit", (0, 1), 0, 1),),
    )
    assert kinds(problem, plan(problem, problem.now)) == []
    assert kinds(problem, plan(problem, [[3, 0], [1, 0]])) == ["Fit"]


@pytest.mark.parametrize(
    ("changes", "kind"),
    [
        ({"objective": 7}, "WrongObjective"),
        ({"bound": 9}, "BoundAboveObjective"),
        ({"bound": 1, "voucher": Voucher.PRICES}, "UnprovenBound"),
        ({"bound": 7, "status": Status.OPTIMAL}, "UnprovenBound"),
        ({"bound": None, "status": Status.OPTIMAL}, "UnprovenBound"),
        ({"n": np.zeros((3, 3), np.int64)}, "Malformed"),
        ({"n": np.full((2, 3), 0.5)}, "Malformed"),
        ({"n": np.full((2, 3), np.nan)}, "Malformed"),
        ({"n": np.full((2, 3), -1)}, "Malformed"),
        ({"n": np.full((2, 3), "x")}, "Malformed"),
        ({"n": None}, "Malformed"),
        ({"prices": np.full((3, 1), np.nan)}, "Malformed"),
        ({"prices": np.full((3, 1), -0.5)}, "Malformed"),
        ({"prices": np.zeros((1, 1))}, "Malformed"),
        ({"objective": None}, "Malformed"),
        ({"objective": 8.0}, "Malformed"),
        ({"bound": "8"}, "Malformed"),
        ({"status": Status.UNKNOWN, "n": np.zeros((2, 3), np.int64)}, "Malformed"),
        ({"status": Status.INFEASIBLE, "n": np.zeros((2, 3), np.int64)}, "Malformed"),
    ],
)
def test_a_false_claim_is_seen_through(changes: dict[str, Any], kind: str) -> None:
    problem = the_problem((Ceiling("ceiling", 0, 6),))
    assert kind in kinds(problem, plan(problem, STANDING, **changes))


def test_an_absurd_number_of_replicas_is_judged_at_once() -> None:
    problem = a_problem(
        now=[[1]],
        standing=[[1, 0]],
        cluster=[0, 0],
        price=[[1]],
        zone_skew=[1],
        rules=(MinDomains("domains", 0, ((0,), (1,)), 2), Ceiling("ceiling", 0, 9)),
    )
    assert kinds(problem, plan(problem, [[10**12]])) == ["Ceiling"]


@settings(max_examples=60)
@given(problems())
def test_a_rule_that_is_dropped_breaks_nothing_new(problem: Problem) -> None:
    solution = solve(problem, limits=Limits(), seed=3)
    for dropped in range(len(problem.rules)):
        fewer = replace(problem, rules=problem.rules[:dropped] + problem.rules[dropped + 1 :])
        assert violated(fewer, solution.n) == tuple(
            violation for violation in violated(problem, solution.n) if violation.rule != problem.rules[dropped].name
        )


zones_of_a_cluster = st.lists(st.integers(0, 3), min_size=2, max_size=3)


@settings(max_examples=150)
@given(zones_of_a_cluster, st.integers(0, 9), st.integers(0, 2), st.data())
def test_zones_never_hold_more_or_fewer_than_the_scheduler_could_bring_about(
    standing: list[int], n: int, m: int, data: st.DataObject
) -> None:
    problem = a_problem(
        now=[[sum(standing)]], standing=[standing], cluster=[0] * len(standing), price=[[1]], zone_skew=[m]
    )
    inside = tuple(data.draw(st.sets(st.integers(0, len(standing) - 1), min_size=1, max_size=len(standing) - 1)))
    counts = [sum(state[j] for j in inside) for state in outcomes(tuple(standing), n, m)]
    assert at_least(problem, 0, inside, [n]) <= min(counts)
    assert max(counts) <= at_most(problem, 0, inside, [n])
    if len(inside) == 1 and (m == 0 or n <= sum(standing) or len(set(standing)) == 1):
        assert (at_least(problem, 0, inside, [n]), at_most(problem, 0, inside, [n])) == (min(counts), max(counts))


def test_a_hard_spread_fills_an_empty_zone_only_when_the_others_are_ahead() -> None:
    problem = a_problem(now=[[5]], standing=[[5, 0]], cluster=[0, 0], price=[[1]], zone_skew=[1])
    assert [at_least(problem, 0, (1,), [n]) for n in (4, 5, 6, 9)] == [0, 0, 1, 4]


def outcomes(standing: tuple[int, ...], n: int, m: int) -> set[tuple[int, ...]]:
    """Every way in which replicas may stand once n are wanted: removed from any zone, added where the spread lets them."""
    states = {standing}
    for _ in range(abs(n - sum(standing))):
        step = 1 if n > sum(standing) else -1
        states = {
            (*state[:j], state[j] + step, *state[j + 1 :])
            for state in states
            for j in range(len(state))
            if (state[j] > 0 if step < 0 else m == 0 or state[j] + 1 - min(state) <= m)
        }
    return states
