"""What the report shows, as plain values with their geometry worked out."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from archgov.decide.explain import followed
from archgov.decide.round import Round
from archgov.decide.stage import declared_needs
from archgov.model.fleet import Fleet, Int64, Level, Reach, Scope
from archgov.model.quantity import HOURS_A_DAY
from archgov.optimize.placement import judge

MOST_ROWS, MOST_SCOPES = 40, 12
# Width of a bar that is full.
FULL = 320.0


@dataclass(frozen=True, slots=True)
class Bar:
    """How full a cluster is, in thousandths of cores, with its parts as widths.

    Attributes:
        other: what no intent governs. before, after: what is governed. x_…: where widths begin. over: beyond what there is.
    """

    cluster: str
    region: str
    seen: bool
    evidence: str
    room: int
    other: int
    before: int
    after: int
    cost_before: float
    cost_after: float
    bill: float
    assumed: bool
    scale: float

    def width(self, amount: int) -> float:
        return round(min(FULL, amount * self.scale), 1)

    @property
    def percent(self) -> tuple[int, int]:
        """How much of the cores is asked for, before and after."""
        return tuple(round(100 * (self.other + part) / max(1, self.room)) for part in (self.before, self.after))  # type: ignore[return-value]


@dataclass(frozen=True, slots=True)
class Cell:
    """What a loss leaves of a workload, in percent of its need; after: None where nothing changes."""

    before: int
    after: int | None

    @property
    def grade(self) -> str:
        """A class for its colour; the number says the same."""
        left = self.before if self.after is None else self.after
        return "gone" if left == 0 else "low" if left < 50 else "some" if left < 100 else "all"


@dataclass(frozen=True, slots=True)
class Matrix:
    """Workloads by losses, the worst first. left_out: how many workloads, how many scopes are not shown."""

    scopes: tuple[Scope, ...]
    rows: tuple[tuple[str, tuple[Cell, ...]], ...]
    left_out: tuple[int, int]


def bars(concluded: Round) -> tuple[Bar, ...]:
    """Every cluster before and after."""
    stage, fleet = concluded.stage, concluded.stage.snapshot.fleet
    now, then = stage.base.problem.now, followed(concluded)
    p = fleet.resources.index("cpu")
    cores, price = stage.base.problem.request[:, p], stage.base.problem.price
    of_node = fleet.domain_cluster[fleet.nodes.domain]
    room, used, bill = (
        np.bincount(of_node, weights=column, minlength=len(fleet.clusters))
        for column in (fleet.nodes.allocatable[:, p], fleet.nodes.used[:, p], fleet.nodes.price)
    )
    stood = cores @ stage.base.problem.stood
    scale = FULL / max(1.0, float(room.max(initial=0)))
    return tuple(
        Bar(
            cluster=cluster.name,
            region=cluster.region,
            seen=cluster.reach is Reach.YES,
            evidence=cluster.evidence,
            room=int(room[k]),
            other=max(0, int(used[k] - stood[k])),
            before=int(cores @ now[:, k]),
            after=int(cores @ then[:, k]),
            cost_before=_a_day(int(price[:, k] @ now[:, k])),
            cost_after=_a_day(int(price[:, k] @ then[:, k])),
            bill=_a_day(int(bill[k])),
            assumed=cluster.price.assumed,
            scale=scale,
        )
        for k, cluster in enumerate(fleet.clusters)
    )


def matrix(concluded: Round) -> Matrix:
    """What each loss leaves of the workloads that some loss hits worst."""
    stage, fleet = concluded.stage, concluded.stage.snapshot.fleet
    scopes = _scopes(concluded)
    needs = {**stage.needs, **declared_needs(stage, stage.governed)}
    then, s_of = followed(concluded), {row: s for s, row in enumerate(stage.base.rows)}
    ready = np.zeros(len(fleet.workloads.key), np.int64)
    np.add.at(ready, fleet.standing.workload, fleet.standing.ready)
    held = {scope: _held(fleet, domains) for scope, domains in scopes}
    worst = np.max([count / np.maximum(1, ready) for count in held.values()], axis=0) if held else np.zeros(len(ready))
    standing = np.flatnonzero(ready > 0)
    order = sorted(standing.tolist(), key=lambda row: (-worst[row], -int(ready[row]), row))
    rows = []
    for row in order[:MOST_ROWS]:
        need = needs[row].total if row in needs else int(ready[row])
        cells = []
        for scope, domains in scopes:
            before = _share(int(ready[row] - held[scope][row]), need)
            after = _share(_left(concluded, then, s_of[row], domains), need) if row in s_of else None
            cells.append(Cell(before, None if after == before or not _changed(concluded, then, s_of, row) else after))
        rows.append((str(fleet.ref(row)), tuple(cells)))
    every = sum(len(fleet.scopes(level)) for level in _levels(fleet))
    return Matrix(tuple(scope for scope, _ in scopes), tuple(rows), (len(standing) - len(rows), every - len(scopes)))


def _levels(fleet: Fleet) -> Sequence[Level]:
    """Levels of which a loss leaves something."""
    return [level for level in Level if len(fleet.scopes(level)) > 1]


def _scopes(concluded: Round) -> list[tuple[Scope, tuple[int, ...]]]:
    """The scopes whose loss takes most, in order of level and name."""
    fleet = concluded.stage.snapshot.fleet
    gone = {exposure.scope: (exposure.gone, exposure.halved) for exposure in concluded.overview.exposures}
    every = [pair for level in _levels(fleet) for pair in fleet.scopes(level).items()]
    kept = sorted(every, key=lambda pair: (tuple(-n for n in gone.get(pair[0], (0, 0))), pair[0]))[:MOST_SCOPES]
    return sorted(kept, key=lambda pair: (list(Level).index(pair[0].level), pair[0].name))


def _held(fleet: Fleet, domains: tuple[int, ...]) -> Int64:
    """(W,) Ready replicas of every workload in some domains."""
    inside = np.isin(fleet.standing.domain, domains)
    found = np.zeros(len(fleet.workloads.key), np.int64)
    np.add.at(found, fleet.standing.workload[inside], fleet.standing.ready[inside])
    return found


def _left(concluded: Round, then: Int64, s: int, domains: tuple[int, ...]) -> int:
    """Replicas that surely stay, wherever the scheduler puts the new ones."""
    return int(then[s].sum()) - judge.at_most(concluded.stage.base.problem, s, domains, then[s])


def _changed(concluded: Round, then: Int64, s_of: dict[int, int], row: int) -> bool:
    return row in s_of and bool((then[s_of[row]] != concluded.stage.base.problem.now[s_of[row]]).any())


def _share(left: int, need: int) -> int:
    """Whole percent, rounded down, so that 99.9 % isn't everything; more than everything is no better than that."""
    return min(100, 100 * left // need) if need else 100


def _a_day(rate: int) -> float:
    return round(rate * HOURS_A_DAY / 1_000_000, 2)
