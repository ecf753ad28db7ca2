"""Bounds that no plan beats, against brute force."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from archgov.optimize.placement.bound import proven
from archgov.optimize.placement.judge import cost
from archgov.optimize.placement.problem import Capacity, Ceiling, Limits, Problem, Total
from archgov.optimize.placement.solve import solve
from tests.optimize.oracle import best
from tests.optimize.strategies import a_problem, problems

prices = st.floats(0, 50, allow_nan=False) | st.just(0.0)


@settings(max_examples=150)
@given(problems(), st.data())
def test_no_prices_prove_more_than_the_optimum(problem: Problem, data: st.DataObject) -> None:
    size = problem.room.size
    drawn = data.draw(st.lists(prices, min_size=size, max_size=size))
    truth = best(problem)
    if truth is not None:
        assert proven(problem, np.array(drawn).reshape(problem.room.shape)) <= truth.objective


@settings(max_examples=60)
@given(problems())
def test_the_prices_of_an_answer_prove_no_more_than_its_bound(problem: Problem) -> None:
    solution = solve(problem, limits=Limits(), seed=1)
    if solution.bound is not None:
        assert proven(problem, solution.prices) <= solution.bound


def test_the_right_price_proves_the_optimum_exactly() -> None:
    problem = a_problem(
        now=[[0, 3]],
        price=[[2, 5]],
        request=[[10]],
        room=[[20], [90]],
        rules=(Total("total", 0, 3), Capacity("room", 0, 0)),
    )
    truth = best(replace(problem, rules=(*problem.rules, Ceiling("ceiling", 0, 5))))
    assert truth is not None
    assert proven(problem, np.array([[0.3], [0.0]])) == truth.objective == 9


def test_without_prices_the_cheapest_clusters_are_the_bound() -> None:
    problem = a_problem(now=[[0, 4]], price=[[3, 5]], move=[1], rules=(Total("total", 0, 6),))
    assert proven(problem, np.zeros((2, 1))) == 6 * 3 + 4 * 1


@pytest.mark.parametrize("nonsense", [np.nan, np.inf, -np.inf, -3.0])
def test_nonsense_for_a_price_counts_as_none(nonsense: float) -> None:
    problem = a_problem(now=[[2, 0]], price=[[3, 5]], request=[[1]], rules=(Total("t", 0, 2), Capacity("c", 0, 0)))
    assert proven(problem, np.full((2, 1), nonsense)) == proven(problem, np.zeros((2, 1))) == 6


def test_a_price_for_room_that_no_rule_limits_proves_nothing() -> None:
    problem = a_problem(now=[[2, 0]], price=[[3, 5]], request=[[1]], rules=(Total("t", 0, 2),))
    assert proven(problem, np.array([[9.0], [9.0]])) == 6


def test_a_workload_that_stays_counts_with_what_it_costs() -> None:
    problem = a_problem(now=[[2, 1]], price=[[3, 5]], free=[False], rules=(Total("t", 0, 9),))
    assert proven(problem, np.zeros((2, 1))) == sum(cost(problem, problem.now).values()) == 11
