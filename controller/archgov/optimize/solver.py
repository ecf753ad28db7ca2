"""The one door to HiGHS: a program of linear rows goes in as arrays, an answer with its dual bound comes out.

Feasibility tolerances of the solver are absolute (1e-7 for rows, 1e-6 for whole numbers), so that whoever builds a
program scales its rows to coefficients within about 1e-3..1e4; `highspy` is imported nowhere else.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from copy import copy
from dataclasses import dataclass
from enum import StrEnum
from importlib.metadata import version

import highspy
import numpy as np
import numpy.typing as npt

ENGINE = f"HiGHS {version('highspy')}"

Float = npt.NDArray[np.float64]
Term = tuple[int, float]  # column, coefficient


class Outcome(StrEnum):
    """How far the solver got."""

    OPTIMAL = "optimal"
    INFEASIBLE = "infeasible"
    STOPPED = "stopped"


class Program:
    """The least cost x with row_lower <= A x <= row_upper, lower <= x <= upper, some x whole; grows by column and row."""

    def __init__(self) -> None:
        self.lower: list[float] = []
        self.upper: list[float] = []
        self.cost: list[float] = []
        self.whole: list[bool] = []
        self.row_lower: list[float] = []
        self.row_upper: list[float] = []
        self.starts: list[int] = [0]
        self.columns: list[int] = []
        self.values: list[float] = []

    def column(self, lower: float, upper: float, *, cost: float = 0.0, whole: bool = False) -> int:
        """The index of a new variable."""
        self.lower.append(lower)
        self.upper.append(upper)
        self.cost.append(cost)
        self.whole.append(whole)
        return len(self.cost) - 1

    def without_cost(self) -> Program:
        """The same program where every point costs nothing, so that the first one found ends the search."""
        free = copy(self)
        free.cost = [0.0] * len(self.cost)
        return free

    def row(self, terms: Iterable[Term], *, lower: float = -math.inf, upper: float = math.inf) -> int:
        """The index of a new row; a column that occurs twice counts with the sum of its coefficients."""
        merged: dict[int, float] = {}
        for column, value in terms:
            merged[column] = merged.get(column, 0.0) + value
        self.columns.extend(merged)
        self.values.extend(merged.values())
        self.starts.append(len(self.columns))
        self.row_lower.append(lower)
        self.row_upper.append(upper)
        return len(self.row_lower) - 1


@dataclass(frozen=True, slots=True)
class Effort:
    """Work first, so that a replay ends alike; seconds are an outer guard.

    Attributes:
        absolute_gap: the search may end this close to its bound. relative_gap: as a share of the objective.
    """

    nodes: int
    seconds: float
    seed: int
    absolute_gap: float = 0.0
    relative_gap: float = 0.0


@dataclass(frozen=True, slots=True, eq=False)
class Answer:
    """What the solver found.

    Attributes:
        x: a feasible point, None when none was found. bound: no feasible point costs less; -inf when nothing is known.
        duals: per row, of a relaxed program; empty for one with whole variables.
        stopped_by: "proof", "nodes" or "seconds".
    """

    outcome: Outcome
    x: Float | None
    bound: float
    duals: Float
    stopped_by: str


def minimise(
    program: Program, effort: Effort, *, relaxed: bool = False, start: Mapping[int, float] | None = None
) -> Answer:
    """The cheapest point of a program, or of its relaxation; `start` gives some columns of a point to begin with."""
    if any(low > high for low, high in zip(program.lower, program.upper, strict=True)):
        return Answer(Outcome.INFEASIBLE, None, math.inf, np.zeros(0), "proof")
    solver = _loaded(program, effort, relaxed=relaxed)
    if start and not relaxed:
        columns = np.fromiter(start, np.int32, len(start))
        solver.setSolution(len(start), columns, np.fromiter(start.values(), np.float64, len(start)))
    solver.run()
    return _answer(solver, relaxed=relaxed or not any(program.whole))


def _loaded(program: Program, effort: Effort, *, relaxed: bool) -> highspy.Highs:
    solver = highspy.Highs()  # type: ignore[no-untyped-call]  # the stubs leave its constructor out
    for option, value in (
        ("output_flag", False),
        ("threads", 1),
        ("random_seed", effort.seed % (1 << 31)),
        ("mip_rel_gap", effort.relative_gap),
        ("mip_abs_gap", effort.absolute_gap),
        ("mip_max_nodes", effort.nodes),
        (
            "mip_detect_symmetry",
            False,
        ),  # takes longer than all else in large programs, where no two workloads are alike
        ("time_limit", effort.seconds),
    ):
        solver.setOptionValue(option, value)
    solver.passModel(
        len(program.cost),
        len(program.row_lower),
        len(program.values),
        int(highspy.MatrixFormat.kRowwise),
        int(highspy.ObjSense.kMinimize),
        0.0,
        np.array(program.cost, np.float64),
        np.array(program.lower, np.float64),
        np.array(program.upper, np.float64),
        np.array(program.row_lower, np.float64),
        np.array(program.row_upper, np.float64),
        np.array(program.starts, np.int32),
        np.array(program.columns, np.int32),
        np.array(program.values, np.float64),
        np.array(program.whole, np.int32) * (not relaxed),
    )
    return solver


def _answer(solver: highspy.Highs, *, relaxed: bool) -> Answer:
    status, info = solver.getModelStatus(), solver.getInfo()
    if status == highspy.HighsModelStatus.kInfeasible:
        return Answer(Outcome.INFEASIBLE, None, math.inf, np.zeros(0), "proof")
    optimal = status in (highspy.HighsModelStatus.kOptimal, highspy.HighsModelStatus.kModelEmpty)
    point = solver.getSolution()
    found = optimal or info.primal_solution_status == highspy.SolutionStatus.kSolutionStatusFeasible
    x = np.array(point.col_value, np.float64) if found else None
    if relaxed:
        bound = float(info.objective_function_value) if optimal else -math.inf
        duals = np.array(point.row_dual, np.float64) if optimal else np.zeros(0)
    else:
        bound, duals = float(info.mip_dual_bound), np.zeros(0)
    stopped_by = "proof" if optimal else "seconds" if status == highspy.HighsModelStatus.kTimeLimit else "nodes"
    return Answer(Outcome.OPTIMAL if optimal else Outcome.STOPPED, x, bound, duals, stopped_by)
