"""How many more pods of each shape fit on the real nodes of each domain."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from archgov.model.fleet import NodeTable
from archgov.model.shape import NodeClass, PodShape

# A shape that asks for nothing fits without end; this many says so and still sums safely.
ENDLESS = 1 << 20

Int64 = npt.NDArray[np.int64]


def fit(nodes: NodeTable, classes: Sequence[NodeClass], shapes: Sequence[PodShape], domains: int) -> Int64:
    """(H, D) additional pods per shape and domain; aggregate free capacity would lie, since half-core pieces hold no pod.

    A node counts when it is ready and its labels and taints admit the shape; each node takes the floor of what is free over
    what is asked, in the scarcest resource.
    """
    free = np.ascontiguousarray(np.maximum(nodes.allocatable - nodes.used, 0).T)
    found = np.zeros((len(shapes), domains), np.int64)
    for rows in _alike(shapes):
        admitting = np.array([shapes[rows[0]].may_run_on(node) for node in classes], np.bool_)
        where = np.flatnonzero(admitting[nodes.kind] & (nodes.ready > 0)) if len(classes) else np.zeros(0, np.intp)
        there, domain = free[:, where], nodes.domain[where]
        for row in rows:
            # Counts of pods are far below 2**53, so sums of them as floats are exact.
            most = per_node(there, shapes[row])
            found[row] = np.bincount(domain, weights=most, minlength=domains)
    return found


def per_node(free: Int64, shape: PodShape) -> Int64:
    """(N,) pods of a shape that each node's free resources (P, N) hold."""
    most = np.full(free.shape[1], 1 if shape.one_a_node else ENDLESS, np.int64)
    for left, asked in zip(free, shape.requests, strict=True):
        if asked > 0:
            # One divisor at a time: numpy turns that into a multiplication, which it can't with a row of them.
            np.minimum(most, left // asked, out=most)
    return most


def _alike(shapes: Sequence[PodShape]) -> list[list[int]]:
    """Rows of shapes that the same nodes admit; they are few, however many shapes there are."""
    groups: dict[object, list[int]] = {}
    for row, shape in enumerate(shapes):
        groups.setdefault((shape.node, shape.tolerations), []).append(row)
    return list(groups.values())
