"""The whole fleet in a few numbers."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from archgov.decide.compose import hourly_prices
from archgov.model.fleet import Fleet, Level, Scope


@dataclass(frozen=True, slots=True)
class Exposure:
    """What the loss of one scope would take. gone: workloads left with no Ready replica. halved: left with less than half."""

    scope: Scope
    gone: int
    halved: int


@dataclass(frozen=True, slots=True)
class Overview:
    """What a fleet has and what it risks.

    Attributes:
        allocated: micro-USD per hour of all replicas. bill: micro-USD per hour of the nodes that exist.
        fragile: by level, workloads that some single loss of a scope would leave with nothing.
        assumed: nobody declared some price.
    """

    workloads: int
    replicas: int
    ready: int
    nodes: int
    allocated: int
    bill: int
    exposures: tuple[Exposure, ...]
    fragile: tuple[tuple[Level, int], ...]
    assumed: bool


def overview(fleet: Fleet) -> Overview:
    """Counts, money, survivability of everything that is observed, whether an intent governs it or not."""
    by_level = {level: _exposures(fleet, level) for level in Level}
    return Overview(
        workloads=len(fleet.workloads.key),
        replicas=int(fleet.deployed.replicas.sum()),
        ready=int(fleet.deployed.ready.sum()),
        nodes=len(fleet.nodes.name),
        allocated=allocated(fleet),
        bill=int(fleet.nodes.price.sum()),
        exposures=tuple(exposure for exposures, _ in by_level.values() for exposure in exposures),
        fragile=tuple((level, fragile) for level, (_, fragile) in by_level.items()),
        assumed=any(cluster.price.assumed for cluster in fleet.clusters),
    )


def allocated(fleet: Fleet) -> int:
    """Micro-USD per hour of all replicas at the prices of their clusters; moving them saves nothing until nodes go."""
    prices = hourly_prices(fleet)
    shapes = fleet.workloads.shape[fleet.deployed.workload]
    return int((prices[shapes, fleet.deployed.cluster] * fleet.deployed.replicas).sum())


def _exposures(fleet: Fleet, level: Level) -> tuple[tuple[Exposure, ...], int]:
    """What each scope of a level holds of every workload, summed without a workloads-by-domains matrix."""
    scopes = fleet.scopes(level)
    of_domain = np.zeros(len(fleet.domains), np.int64)
    for number, domains in enumerate(scopes.values()):
        of_domain[list(domains)] = number
    workloads, ready = fleet.standing.workload.astype(np.int64), fleet.standing.ready.astype(np.int64)
    total = np.bincount(workloads, weights=ready, minlength=len(fleet.workloads.key))
    pair, index = np.unique(workloads * max(1, len(scopes)) + of_domain[fleet.standing.domain], return_inverse=True)
    held = np.bincount(index, weights=ready, minlength=len(pair))
    whose, scope = pair // max(1, len(scopes)), pair % max(1, len(scopes))
    gone = (held > 0) & (held == total[whose])
    halved = (held > 0) & (2 * held > total[whose])
    gone_by, halved_by = (np.bincount(scope[some], minlength=len(scopes)) for some in (gone, halved))
    exposures = tuple(
        Exposure(name, int(gone_by[number]), int(halved_by[number])) for number, name in enumerate(scopes)
    )
    return exposures, len(np.unique(whose[gone]))
