"""Whether a fleet's tables fit together: what a file says is believed only after this."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import fields
from typing import Any

import numpy as np
import numpy.typing as npt

from archgov.model.fleet import Fixed, Fleet
from archgov.model.names import Names

_SLASH = ord("/")


def first_flaw(fleet: Fleet) -> str | None:
    """The first thing about a canonical fleet that contradicts itself; None when nothing does."""
    return next(_flaws(fleet), None)


def _flaws(fleet: Fleet) -> Iterator[str]:
    for name in ("nodes", "workloads", "deployed", "standing"):
        yield from _columns(name, getattr(fleet, name))
    yield from _widths(fleet)
    yield from _references(fleet)
    yield from _orders(fleet)
    yield from _amounts(fleet)


def _columns(name: str, table: Any) -> Iterator[str]:
    """Lengths and types of the columns of one table."""
    lengths: set[int] = set()
    for field in fields(table):
        column = getattr(table, field.name)
        lengths.add(len(column))
        if isinstance(column, Names):
            yield from _names(f"{name}.{field.name}", column)
        elif column.dtype != (dtype := _DTYPES[str(field.type)]):
            yield f"{name}.{field.name} holds {column.dtype}, not {dtype}"
    if len(lengths) > 1:
        yield f"columns of {name} have {' and '.join(map(str, sorted(lengths)))} rows"


_DTYPES = {"Int32": np.dtype(np.int32), "Int64": np.dtype(np.int64), "Bytes16": np.dtype(np.uint8)}


def _names(name: str, names: Names) -> Iterator[str]:
    start = names.start
    if names.text.dtype != np.uint8 or start.dtype != np.int64 or names.text.ndim != 1 or start.ndim != 1:
        yield f"{name} is no list of texts"
    elif not len(start) or start[0] != 0 or start[-1] != len(names.text) or (np.diff(start) < 0).any():
        yield f"{name} has texts that begin where they should not"
    else:
        names.text.tobytes().decode()


def _widths(fleet: Fleet) -> Iterator[str]:
    P, H, D = len(fleet.resources), len(fleet.shapes), len(fleet.domains)
    N, n = len(fleet.nodes.name), len(fleet.deployed.workload)
    for name, array, shape in (
        ("nodes.allocatable", fleet.nodes.allocatable, (N, P)),
        ("nodes.used", fleet.nodes.used, (N, P)),
        ("deployed.uid", fleet.deployed.uid, (n, 16)),
        ("fit", fleet.fit, (H, D)),
    ):
        if array.shape != shape:
            yield f"{name} has the shape {array.shape}, not {shape}"
    if fleet.fit.dtype != np.int64:
        yield f"fit holds {fleet.fit.dtype}, not int64"
    if any(len(shape.requests) != P for shape in fleet.shapes):
        yield f"a pod shape does not ask for {P} resources"


def _references(fleet: Fleet) -> Iterator[str]:
    known = {cluster.name for cluster in fleet.clusters}
    if len(known) < len(fleet.clusters):
        yield "two clusters have the same name"
    if lost := sorted({domain.cluster for domain in fleet.domains} - known):
        yield f"there are domains of {lost[0]}, which is no cluster"
    for name, column, rows in (
        ("nodes.domain", fleet.nodes.domain, len(fleet.domains)),
        ("nodes.kind", fleet.nodes.kind, len(fleet.node_classes)),
        ("workloads.shape", fleet.workloads.shape, len(fleet.shapes)),
        ("workloads.labels", fleet.workloads.labels, len(fleet.label_sets)),
        ("workloads.fixed", fleet.workloads.fixed, len(Fixed)),
        ("deployed.workload", fleet.deployed.workload, len(fleet.workloads.key)),
        ("deployed.cluster", fleet.deployed.cluster, len(fleet.clusters)),
        ("standing.workload", fleet.standing.workload, len(fleet.workloads.key)),
        ("standing.domain", fleet.standing.domain, len(fleet.domains)),
    ):
        if column.ndim != 1:
            yield f"{name} is no column"
        elif ((column < 0) | (column >= rows)).any():
            yield f"{name} names a row that is not there; there are {rows}"


def _orders(fleet: Fleet) -> Iterator[str]:
    """Rows are found by bisection, which only finds what is in order."""
    if not fleet.workloads.key.is_ordered():
        yield "workloads are not in the order of their keys"
    if (odd := _odd(fleet.workloads.key)) is not None:
        yield f'"{odd}" is no key of a workload, which is namespace/kind/name'
    for name, first, second in (
        ("deployed", fleet.deployed.workload, fleet.deployed.cluster),
        ("standing", fleet.standing.workload, fleet.standing.domain),
    ):
        pair: npt.NDArray[np.int64] = first.astype(np.int64) << 32 | second
        if (np.diff(pair) <= 0).any():
            yield f"rows of {name} are not in order, or one comes twice"


def _odd(keys: Names) -> str | None:
    """A key that has not exactly two slashes."""
    slashes = np.flatnonzero(keys.text == _SLASH)
    rows = np.flatnonzero(np.diff(np.searchsorted(slashes, keys.start)) != 2)
    return keys[int(rows[0])] if len(rows) else None


def _amounts(fleet: Fleet) -> Iterator[str]:
    for name, column in (
        ("nodes.allocatable", fleet.nodes.allocatable),
        ("nodes.used", fleet.nodes.used),
        ("deployed.replicas", fleet.deployed.replicas),
        ("deployed.ready", fleet.deployed.ready),
        ("deployed.refused", fleet.deployed.refused),
        ("standing.replicas", fleet.standing.replicas),
        ("standing.ready", fleet.standing.ready),
    ):
        if (column < 0).any():
            yield f"{name} has an amount below 0"
