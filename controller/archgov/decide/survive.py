"""Survivor floors: what must be left, where, after each loss that an intent tolerates."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import combinations

from archgov.decide.need import Need
from archgov.model.fleet import Fleet, Scope
from archgov.model.intent import FailoverIntent, Load, Tolerate

# Pairs are enumerated; beyond this many scopes they would be too many to check in a round.
MOST_SCOPES_FOR_PAIRS = 50


@dataclass(frozen=True, slots=True)
class Loss:
    """A loss that an intent tolerates. path: where it is declared. scopes: what fails at once. domains: their rows."""

    path: str
    scopes: tuple[Scope, ...]
    domains: tuple[int, ...]

    @property
    def what(self) -> str:
        return " with ".join(str(scope) for scope in self.scopes)


@dataclass(frozen=True, slots=True)
class Floor:
    """What must be left of a workload after a loss.

    Attributes:
        total: replicas in all survivors, for load that follows replicas.
        by_cluster: (row of cluster, replicas) for load that arrives where it arrives; constants, since the lost demand is
            split in proportion to the survivors' own.
    """

    loss: Loss
    total: int = 0
    by_cluster: tuple[tuple[int, int], ...] = ()


def tolerated(fleet: Fleet, intent: FailoverIntent, clusters: tuple[int, ...]) -> tuple[Loss, ...]:
    """Every loss that the intent wants to survive, among the clusters its target names."""
    found: list[Loss] = []
    for number, tolerate in enumerate(intent.tolerate):
        found += _losses(fleet, tolerate, f"spec.tolerate[{number}]", clusters)
    return tuple(found)


def refused(fleet: Fleet, intent: FailoverIntent) -> str | None:
    """Why a tolerance can't be checked, or None."""
    for number, tolerate in enumerate(intent.tolerate):
        scopes = len(fleet.scopes(tolerate.level))
        if tolerate.failures > 1 and scopes > MOST_SCOPES_FOR_PAIRS:
            return (
                f"spec.tolerate[{number}].failures=2 is checked pair by pair for up to {MOST_SCOPES_FOR_PAIRS} scopes; "
                f"this fleet has {scopes} {tolerate.level}s. Use failures: 1, or a wider scope"
            )
    return None


def floor(fleet: Fleet, intent: FailoverIntent, need: Need, load: Load, loss: Loss) -> Floor:
    """What the survivors of one loss must hold: max(D - L, share D), L the demand that arrives in what is lost."""
    if load is Load.FOLLOWS_REPLICAS or not need.by_cluster:
        return Floor(loss, total=_share(intent.share, need.total))
    demand = dict(need.by_cluster)
    standing = {k: _remaining(fleet, k, loss) for k in demand}
    alive = {k: count for k, count in demand.items() if standing[k] > 0}
    total, kept = sum(demand.values()), sum(alive.values())
    extra = max(0, _share(intent.share, total) - kept)
    return Floor(
        loss,
        by_cluster=tuple(
            (k, _within(fleet, intent, k, count, loss) + _part(extra, count, kept, len(alive)))
            for k, count in sorted(alive.items())
        ),
    )


def _losses(fleet: Fleet, tolerate: Tolerate, path: str, clusters: tuple[int, ...]) -> Iterator[Loss]:
    inside = set(clusters)
    scopes = {
        scope: domains
        for scope, domains in fleet.scopes(tolerate.level).items()
        if any(int(fleet.domain_cluster[j]) in inside for j in domains)
    }
    for lost in combinations(scopes, min(tolerate.failures, len(scopes))):
        yield Loss(path, lost, tuple(sorted(_joined(scopes[scope] for scope in lost))))


def _joined(rows: Iterable[tuple[int, ...]]) -> set[int]:
    return {row for some in rows for row in some}


def _remaining(fleet: Fleet, k: int, loss: Loss) -> int:
    """Zones of a cluster that a loss leaves."""
    return sum(1 for j, cluster in enumerate(fleet.domain_cluster) if cluster == k and j not in loss.domains)


def _within(fleet: Fleet, intent: FailoverIntent, k: int, count: int, loss: Loss) -> int:
    """What a cluster's own demand still asks of it when some of its zones are lost; their demand is taken as an equal part."""
    zones = int((fleet.domain_cluster == k).sum())
    left = _remaining(fleet, k, loss)
    return count if left == zones else max(-(-count * left // zones), _share(intent.share, count))


def _part(extra: int, count: int, kept: int, survivors: int) -> int:
    """A survivor's part of the demand that lost its place: in proportion to its own, equal where nobody has any."""
    return -(-extra * count // kept) if kept else -(-extra // max(1, survivors))


def _share(share: int, count: int) -> int:
    return -(-share * count // 100)
