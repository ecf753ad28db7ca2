"""Optima, against brute force."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from archgov.optimize.placement.judge import broken, cost, violated
from archgov.optimize.placement.problem import (
    Capacity,
    Fit,
    Int64,
    Limits,
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
from archgov.optimize.placement.solve import is_possible, solve
from tests.optimize.oracle import best
from tests.optimize.strategies import a_problem, problems


def answer(problem: Problem, *, limits: Limits | None = None, start: Int64 | None = None) -> Solution:
    return solve(problem, limits=limits or Limits(), seed=7, start=start)


@settings(max_examples=300)
@given(problems())
def test_an_answer_is_the_optimum_of_full_enumeration_with_a_bound_that_meets_it(problem: Problem) -> None:
    solution, truth = answer(problem), best(problem)
    assert broken(problem, solution) == ()
    if truth is None:
        assert solution.status is Status.INFEASIBLE
    else:
        assert solution.status is Status.OPTIMAL
        assert solution.objective == solution.bound == truth.objective


@settings(max_examples=60)
@given(problems())
def test_what_is_possible_is_what_full_enumeration_finds(problem: Problem) -> None:
    assert is_possible(problem, limits=Limits(), seed=7) == (best(problem) is not None)


@settings(max_examples=60)
@given(problems())
def test_no_answer_loses_to_standing_still(problem: Problem) -> None:
    if violated(problem, problem.now):
        return
    solution = answer(problem)
    assert solution.objective <= sum(cost(problem, problem.now).values())
    if solution.objective == sum(cost(problem, problem.now).values()):
        assert (solution.n == problem.now).all()


@settings(max_examples=60)
@given(problems(transient=False, zones=1))
def test_a_plan_that_was_carried_out_is_kept(problem: Problem) -> None:
    lasting = replace(problem, rules=tuple(rule for rule in problem.rules if not isinstance(rule, Fit | Quota)))
    solution = answer(lasting)
    if solution.status is not Status.OPTIMAL:
        return
    assert (answer(replace(lasting, now=solution.n, standing=solution.n)).n == solution.n).all()


@settings(max_examples=50)
@given(problems(), st.randoms(use_true_random=False))
def test_the_order_of_workloads_changes_no_objective(problem: Problem, dice: st.DataObject) -> None:
    order = list(range(len(problem.now)))
    dice.shuffle(order)  # type: ignore[attr-defined]
    straight, shuffled = answer(problem), answer(reordered(problem, order))
    assert (straight.status, straight.objective, straight.bound) == (
        shuffled.status,
        shuffled.objective,
        shuffled.bound,
    )


@settings(max_examples=50)
@given(problems())
def test_tenfold_costs_change_the_objective_tenfold_but_not_the_plan(problem: Problem) -> None:
    once, tenfold = answer(problem), answer(replace(problem, price=problem.price * 10, move=problem.move * 10))
    assert (tenfold.n == once.n).all()
    assert tenfold.objective == 10 * once.objective
    assert tenfold.bound == (None if once.bound is None else 10 * once.bound)


@settings(max_examples=50)
@given(problems(), st.integers(1, 50))
def test_more_room_never_raises_the_optimum(problem: Problem, more: int) -> None:
    tight, wide = answer(problem), answer(replace(problem, room=problem.room + more))
    if tight.status is Status.OPTIMAL:
        assert wide.objective <= tight.objective


@settings(max_examples=30)
@given(problems())
def test_the_same_question_gets_the_same_answer(problem: Problem) -> None:
    first, second = answer(problem), answer(problem)
    assert (first.n == second.n).all()
    assert (first.prices == second.prices).all()


@settings(max_examples=30)
@given(problems())
def test_a_start_changes_no_objective(problem: Problem) -> None:
    truth = best(problem)
    if truth is not None:
        assert answer(problem, start=truth.n).objective == truth.objective


def test_today_wins_a_tie() -> None:
    problem = a_problem(now=[[0, 2]], price=[[5, 5]], rules=(Total("total", 0, 2),))
    assert answer(problem).n.tolist() == [[0, 2]]


def test_prices_vouch_where_only_capacity_limits() -> None:
    problem = a_problem(
        now=[[0, 4]],
        price=[[2, 5]],
        request=[[10]],
        room=[[20], [90]],
        rules=(Total("total", 0, 4), Capacity("room", 0, 0)),
    )
    solution = answer(problem)
    assert solution.n.tolist() == [[2, 2]]
    assert (solution.status, solution.voucher) == (Status.OPTIMAL, Voucher.PRICES)
    assert solution.prices[0, 0] > 0


def test_work_that_runs_out_is_never_called_infeasible() -> None:
    solution = answer(knapsack(), limits=Limits(nodes=1, seconds=60))
    assert solution.status in {Status.FEASIBLE, Status.OPTIMAL, Status.UNKNOWN}
    assert broken(knapsack(), solution) == ()


def test_no_time_at_all_keeps_today() -> None:
    problem = knapsack()
    solution = answer(problem, limits=Limits(nodes=1, seconds=0.0))
    assert solution.status is Status.FEASIBLE
    assert solution.stopped_by == "seconds"
    assert (solution.n == problem.now).all()
    assert broken(problem, solution) == ()


def test_no_time_and_no_plan_at_hand_is_unknown() -> None:
    problem = replace(knapsack(), rules=(*knapsack().rules, Total("one more", 0, 9)))
    solution = answer(problem, limits=Limits(nodes=1, seconds=0.0))
    assert solution.status is Status.UNKNOWN
    assert solution.bound is None
    assert broken(problem, solution) == ()


def test_nothing_to_place_is_optimal_at_no_cost() -> None:
    problem = a_problem(now=np.zeros((0, 2), np.int64), price=np.zeros((0, 2), np.int64))
    assert (answer(problem).status, answer(problem).objective) == (Status.OPTIMAL, 0)


def test_a_workload_that_may_not_move_stays_even_where_it_breaks_a_rule() -> None:
    problem = a_problem(now=[[3, 0]], free=[False], price=[[9, 1]], rules=(Survive("loss", 0, (0,), 2),))
    solution = answer(problem)
    assert solution.n.tolist() == [[3, 0]]
    assert broken(problem, solution) == ()


def test_a_cluster_over_its_room_may_keep_but_not_add() -> None:
    problem = a_problem(
        now=[[3, 0]], price=[[1, 2]], request=[[10]], room=[[20], [90]], rules=(Capacity("room", 0, 0),)
    )
    kept = answer(replace(problem, rules=(*problem.rules, Total("total", 0, 3))))
    grown = answer(replace(problem, rules=(*problem.rules, Total("total", 0, 4))))
    assert (kept.n.tolist(), grown.n.tolist()) == ([[3, 0]], [[3, 1]])


def test_a_cluster_without_room_takes_nobody_when_old_and_new_have_to_fit() -> None:
    problem = a_problem(
        now=[[0, 0]],
        price=[[1, 9]],
        request=[[7]],
        rules=(Capacity("room", 0, 0), Total("total", 0, 1)),
        transient=True,
    )
    assert answer(problem).n.tolist() == [[0, 1]]


def test_bytes_and_millicores_are_kept_to_the_last_unit() -> None:
    gib = 1 << 30
    problem = a_problem(
        now=[[0, 8], [0, 8]],
        price=[[10**6, 4 * 10**6], [10**6, 4 * 10**6]],
        request=[[3 * gib], [gib + 1]],
        room=[[9 * gib + 2], [10**13]],
        rules=(Total("a", 0, 8), Total("b", 1, 8), Capacity("room", 0, 0)),
    )
    solution = answer(problem)
    assert solution.status is Status.OPTIMAL
    assert solution.n.tolist() == [[0, 8], [8, 0]]


def test_a_zone_rule_lets_a_cluster_be_evacuated() -> None:
    problem = a_problem(
        now=[[3, 0, 0]],
        standing=[[3, 0, 0, 0]],
        cluster=[0, 0, 1, 2],
        price=[[1, 1, 1]],
        rules=(Total("total", 0, 3), Survive("loss", 0, (0,), 2)),
    )
    solution = answer(problem)
    assert solution.status is Status.OPTIMAL
    assert solution.n[0, 0] <= 1


@pytest.mark.parametrize(("standing", "m", "needed"), [([1, 0], 1, 2), ([0, 0], 1, 2), ([0, 0], 2, 3), ([4, 0], 1, 5)])
def test_a_hard_spread_is_trusted_to_reach_an_empty_zone_just_when_it_must(
    standing: list[int], m: int, needed: int
) -> None:
    problem = a_problem(
        now=[[sum(standing)]],
        standing=[standing],
        cluster=[0, 0],
        price=[[1]],
        zone_skew=[m],
        rules=(MinDomains("spread", 0, ((0,), (1,)), 2), Total("total", 0, 1)),
    )
    assert answer(problem).n.tolist() == [[needed]]


def test_a_quota_is_shared_by_its_namespace() -> None:
    problem = a_problem(
        now=[[0, 0], [0, 0]],
        price=[[1, 5], [1, 4]],
        request=[[10], [10]],
        rules=(Total("a", 0, 2), Total("b", 1, 2), Quota("quota", (0, 1), 0, 0, 29)),
    )
    assert answer(problem).n.tolist() == [[2, 0], [0, 2]]


def knapsack() -> Problem:
    """Workloads of odd sizes that stand in the dearer of two clusters, and a cheap one with room for some of them."""
    sizes = np.array([[41], [53], [67], [71], [83], [97], [101], [113], [127], [131]], np.int64)
    now = np.tile(np.array([[0, 7]], np.int64), (len(sizes), 1))
    return a_problem(
        now=now,
        price=np.hstack([sizes * 3 + 1, sizes * 7 + np.arange(len(sizes))[:, None] ** 2]),
        request=sizes,
        room=[[2_003], [10**6]],
        rules=(Capacity("room", 0, 0), *(Total(f"total/{s}", s, 7) for s in range(len(sizes)))),
    )


def reordered(problem: Problem, order: Sequence[int]) -> Problem:
    place = {s: row for row, s in enumerate(order)}

    def moved(rule: Rule) -> Rule:
        match rule:
            case Capacity():
                return rule
            case Fit() | Quota():
                return replace(rule, members=tuple(place[s] for s in rule.members))
            case _:
                return replace(rule, s=place[rule.s])

    rows = list(order)
    return replace(
        problem,
        now=problem.now[rows],
        standing=problem.standing[rows],
        request=problem.request[rows],
        price=problem.price[rows],
        move=problem.move[rows],
        free=problem.free[rows],
        zone_skew=problem.zone_skew[rows],
        rules=tuple(map(moved, problem.rules)),
    )
