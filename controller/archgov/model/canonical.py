"""One order for equal content: sorts a fleet's rows by name."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any, TypeVar

import numpy as np
import numpy.typing as npt

from archgov.model.fit import fit
from archgov.model.fleet import (
    DeployedTable,
    Fleet,
    Int32,
    NodeTable,
    StandingTable,
    WorkloadTable,
    freeze,
)
from archgov.model.plain import to_plain
from archgov.model.shape import PodShape

T = TypeVar("T")
Order = npt.NDArray[np.intp]


def canonical(fleet: Fleet) -> Fleet:
    """The same fleet with rows in canonical order, equal small values merged, `fit` counted, all arrays read-only.

    Resources and clusters go by name, domains by cluster and zone, nodes by domain and name, workloads by key. Small values that
    no row uses go away, as do rows of `standing` without replicas.
    """
    column = np.array(sorted(range(len(fleet.resources)), key=fleet.resources.__getitem__), np.intp)
    clusters, cluster_row = _sorted(fleet.clusters)
    domains, domain_row = _sorted(fleet.domains)
    classes, class_row = _sorted_used(fleet.node_classes, fleet.nodes.kind)
    labels, label_row = _sorted_used(fleet.label_sets, fleet.workloads.labels, key=_itself)
    shapes, shape_row = _sorted_used([_by_column(shape, column) for shape in fleet.shapes], fleet.workloads.shape)
    workloads, workload_row = _workloads(fleet.workloads, shape_row, label_row)
    nodes = _nodes(fleet.nodes, domain_row, class_row, column)
    ordered = Fleet(
        resources=tuple(fleet.resources[p] for p in column),
        clusters=clusters,
        domains=domains,
        node_classes=classes,
        label_sets=labels,
        shapes=shapes,
        quotas=_sorted(fleet.quotas)[0],
        nodes=nodes,
        workloads=workloads,
        deployed=_deployed(fleet.deployed, workload_row, cluster_row),
        standing=_standing(fleet.standing, workload_row, domain_row),
        fit=fit(nodes, classes, shapes, len(domains)),
    )
    for table in (ordered.nodes, ordered.workloads, ordered.deployed, ordered.standing):
        freeze(table)
    ordered.fit.setflags(write=False)
    return ordered


def _text(value: object) -> str:
    return json.dumps(to_plain(value), separators=(",", ":"))


def _itself(value: T) -> T:
    """The key of values that have an order of their own; a million texts would take longer."""
    return value


def _sorted(values: Sequence[T], key: Callable[[T], Any] = _text) -> tuple[tuple[T, ...], Int32]:
    """Distinct values in the order of their keys, with the new row of each old one."""
    keys = [key(value) for value in values]
    distinct = dict(zip(keys, values, strict=True))
    ordered = sorted(distinct)
    row = {key: index for index, key in enumerate(ordered)}
    return tuple(distinct[key] for key in ordered), np.fromiter((row[key] for key in keys), np.int32, len(keys))


def _sorted_used(values: Sequence[T], column: Int32, key: Callable[[T], Any] = _text) -> tuple[tuple[T, ...], Int32]:
    """The same of those values that a column refers to: what nothing uses is no content. Rows of the others are -1."""
    used = np.flatnonzero(np.bincount(column, minlength=len(values)))
    ordered, used_row = _sorted([values[row] for row in used.tolist()], key)
    row = np.full(len(values), -1, np.int32)
    row[used] = used_row
    return ordered, row


def _by_column(shape: PodShape, column: Order) -> PodShape:
    return replace(shape, requests=tuple(shape.requests[p] for p in column))


def _inverse(order: Order) -> Int32:
    inverse = np.empty(len(order), np.int32)
    inverse[order] = np.arange(len(order), dtype=np.int32)
    return inverse


def _workloads(table: WorkloadTable, shape_row: Int32, label_row: Int32) -> tuple[WorkloadTable, Int32]:
    order = table.key.order()
    ordered = WorkloadTable(
        key=table.key.take(order),
        shape=shape_row[table.shape[order]],
        labels=label_row[table.labels[order]],
        fixed=table.fixed[order],
        guarded=table.guarded[order],
    )
    return ordered, _inverse(order)


def _nodes(table: NodeTable, domain_row: Int32, class_row: Int32, column: Order) -> NodeTable:
    domain = domain_row[table.domain]
    by_name = table.name.order()
    order = by_name[np.argsort(domain[by_name], kind="stable")]
    return NodeTable(
        name=table.name.take(order),
        domain=domain[order],
        kind=class_row[table.kind[order]],
        allocatable=table.allocatable[order[:, None], column],
        used=table.used[order[:, None], column],
        ready=table.ready[order],
        price=table.price[order],
    )


def _by_both(first: Int32, second: Int32) -> Order:
    """The order of pairs; sorting them as single numbers takes half the time."""
    return np.argsort(first.astype(np.int64) << 32 | second, kind="stable")


def _deployed(table: DeployedTable, workload_row: Int32, cluster_row: Int32) -> DeployedTable:
    workload, cluster = workload_row[table.workload], cluster_row[table.cluster]
    order = _by_both(workload, cluster)
    return DeployedTable(
        workload[order],
        cluster[order],
        table.replicas[order],
        table.ready[order],
        table.refused[order],
        table.uid[order],
    )


def _standing(table: StandingTable, workload_row: Int32, domain_row: Int32) -> StandingTable:
    workload, domain = workload_row[table.workload], domain_row[table.domain]
    order = _by_both(workload, domain)
    order = order[table.replicas[order] > 0]
    return StandingTable(workload[order], domain[order], table.replicas[order], table.ready[order])
