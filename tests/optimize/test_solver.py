"""The MILP solver behind one function."""

from __future__ import annotations

import pytest

from archgov.optimize.solver import Effort, Outcome, Program, minimise

EFFORT = Effort(nodes=100, seconds=10, seed=1)


def a_program() -> tuple[Program, int, int, int]:
    """Min 3 x + 2 y with x + y >= 3.5 and y <= 2, both whole."""
    program = Program()
    x, y = program.column(0, 9, cost=3, whole=True), program.column(0, 2, cost=2, whole=True)
    row = program.row([(x, 1.0), (y, 1.0)], lower=3.5)
    return program, x, y, row


def test_a_program_is_solved_with_a_bound_that_meets_the_optimum() -> None:
    program, x, y, _ = a_program()
    answer = minimise(program, EFFORT)
    assert answer.x is not None
    assert (answer.outcome, answer.stopped_by) == (Outcome.OPTIMAL, "proof")
    assert (round(answer.x[x]), round(answer.x[y])) == (2, 2)
    assert answer.bound == pytest.approx(10)


def test_a_relaxation_prices_its_rows() -> None:
    program, *_, row = a_program()
    answer = minimise(program, EFFORT, relaxed=True)
    assert answer.bound == pytest.approx(3 * 1.5 + 2 * 2)
    assert answer.duals[row] == pytest.approx(3)


def test_a_column_named_twice_in_a_row_counts_twice() -> None:
    program = Program()
    x = program.column(0, 9, cost=1, whole=True)
    program.row([(x, 1.0), (x, 1.0)], lower=5)
    assert minimise(program, EFFORT).bound == pytest.approx(3)


def test_crossed_limits_are_infeasible() -> None:
    program = Program()
    program.column(2, 1)
    assert minimise(program, EFFORT).outcome is Outcome.INFEASIBLE


def test_rows_that_collide_are_infeasible() -> None:
    program, x, y, _ = a_program()
    program.row([(x, 1.0), (y, 1.0)], upper=3)
    assert minimise(program, EFFORT).outcome is Outcome.INFEASIBLE
    assert minimise(program, EFFORT, relaxed=True).outcome is Outcome.INFEASIBLE


def test_no_time_is_no_proof() -> None:
    program, *_ = a_program()
    answer = minimise(program, Effort(nodes=100, seconds=0.0, seed=1))
    assert (answer.outcome, answer.stopped_by) == (Outcome.STOPPED, "seconds")


def test_a_program_without_cost_is_feasible_at_nothing() -> None:
    program, *_ = a_program()
    answer = minimise(program.without_cost(), EFFORT)
    assert (answer.outcome, answer.bound) == (Outcome.OPTIMAL, 0)
    assert minimise(program, EFFORT).bound == pytest.approx(10)


def test_an_empty_program_costs_nothing() -> None:
    answer = minimise(Program(), EFFORT)
    assert (answer.outcome, answer.bound) == (Outcome.OPTIMAL, 0)
