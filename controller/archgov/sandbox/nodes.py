"""The nodes of a cluster as columns, with what stands on them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import orjson

from archgov.model.selector import Selector

from . import fit
from .objects import Key, Object, is_leaving, key, labels, listing, mapping, name, namespace, selector, spec, status
from .pods import Amounts, amounts, is_done, node_of, requests
from .store import Change, Event, Store

Counts = np.ndarray[Any, np.dtype[np.int64]]
Mask = np.ndarray[Any, np.dtype[np.bool_]]
_Label = tuple[str, str] | None
_REQUIRED = "requiredDuringSchedulingIgnoredDuringExecution"


@dataclass(frozen=True, slots=True)
class Term:
    """A required pod anti-affinity term: no two such pods in one domain of the topology."""

    namespaces: frozenset[str]
    selector: Selector
    topology: str


@dataclass(frozen=True, slots=True)
class _Tenant:
    node: int
    need: Counts
    namespace: str
    labels: dict[str, str]
    terms: tuple[Term, ...]


def anti_terms(pod: Object) -> tuple[Term, ...]:
    """The pod's required anti-affinity terms."""
    affinity = mapping(mapping(spec(pod).get("affinity")).get("podAntiAffinity"))
    return tuple(
        Term(
            frozenset(map(str, listing(each.get("namespaces")))) or frozenset({namespace(pod)}),
            selector(each.get("labelSelector")),
            str(each.get("topologyKey", "")),
        )
        for each in map(mapping, listing(affinity.get(_REQUIRED)))
    )


class Nodes:
    """Capacity, use and labels by node; rebuilt when a node changes, kept up to date as pods come and go."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._stale = True
        self._tenants: dict[Key, _Tenant] = {}
        self._masks: dict[bytes, Any] = {}
        self._domains: dict[str, tuple[Counts, int]] = {}
        self._staying: set[Key] = set()  # a pod on its way out takes room, yet no longer counts for spreading
        self._matching: dict[tuple[str, Selector], Counts] = {}
        self._matching_by_label: dict[tuple[str, _Label], list[tuple[Selector, Counts]]] = {}
        self._carrying: dict[Term, Counts] = {}
        self.bodies: list[Object] = []
        self.index: dict[str, int] = {}
        self.resources: dict[str, int] = {"pods": 0, "cpu": 1, "memory": 2}
        self.capacity: Counts = np.zeros((0, 3), dtype=np.int64)
        self.used: Counts = np.zeros((0, 3), dtype=np.int64)
        store.listen("nodes", self._node_changed)
        store.listen("pods", self.pod_changed)

    def __len__(self) -> int:
        return len(self.bodies)

    def _node_changed(self, _: Event) -> None:
        self._stale = True

    def refresh(self) -> None:
        """Takes up the nodes as they are now."""
        if not self._stale:
            return
        self._stale = False
        self.bodies = self._store.list("nodes")
        self.index = {name(body): i for i, body in enumerate(self.bodies)}
        rooms = [amounts(status(body).get("allocatable") or status(body).get("capacity")) for body in self.bodies]
        for room in rooms:
            for resource in room:
                self.resources.setdefault(resource, len(self.resources))
        self.capacity = np.zeros((len(self.bodies), len(self.resources)), dtype=np.int64)
        for i, room in enumerate(rooms):
            self.capacity[i] = self.vector(room)
            if "pods" not in room:
                self.capacity[i, 0] = 110_000
        self._recount()

    def _recount(self) -> None:
        self.used = np.zeros_like(self.capacity)
        self._masks.clear()
        self._domains.clear()
        self._matching.clear()
        self._matching_by_label.clear()
        self._carrying.clear()
        self._staying.clear()
        self._tenants.clear()
        for pod in self._store.each("pods"):
            self._settle(pod)

    def vector(self, need: Amounts) -> Counts:
        """Amounts as a row in the order of the columns; a resource no node has widens the table."""
        for resource in need:
            if resource not in self.resources:
                self.resources[resource] = len(self.resources)
                self.capacity = np.pad(self.capacity, ((0, 0), (0, 1)))
                self.used = np.pad(self.used, ((0, 0), (0, 1)))
                self._tenants = {
                    at: _Tenant(t.node, np.pad(t.need, (0, 1)), t.namespace, t.labels, t.terms)
                    for at, t in self._tenants.items()
                }
        row = np.zeros(len(self.resources), dtype=np.int64)
        for resource, value in need.items():
            row[self.resources[resource]] = value
        return row

    def need(self, pod: Object) -> Counts:
        """What the pod takes from its node, the place itself included."""
        return self.vector({**requests(pod), "pods": 1000})

    def pod_changed(self, event: Event) -> None:
        """Takes a pod's coming or going into account; a repeated event changes nothing."""
        if self._stale:
            return
        pod, at = event.now, key(event.now)
        if event.change is Change.DELETED or is_done(pod) or not node_of(pod):
            self._leave(at)
        elif at not in self._tenants:
            self._settle(pod)
        elif is_leaving(pod):
            self._uncount(at)

    def _settle(self, pod: Object) -> None:
        node = self.index.get(node_of(pod))
        if node is None or is_done(pod):
            return
        tenant = _Tenant(node, self.need(pod), namespace(pod), labels(pod), anti_terms(pod))
        self._tenants[key(pod)] = tenant
        self.used[node] += tenant.need
        for term in tenant.terms:
            self._carrying.setdefault(term, np.zeros(len(self.bodies), dtype=np.int64))[node] += 1
        if not is_leaving(pod):
            self._staying.add(key(pod))
            self._count(tenant, 1)

    def _leave(self, at: Key) -> None:
        self._uncount(at)
        tenant = self._tenants.pop(at, None)
        if tenant is None:
            return
        self.used[tenant.node] -= tenant.need
        for term in tenant.terms:
            self._carrying[term][tenant.node] -= 1
            if not self._carrying[term].any():
                del self._carrying[term]

    def _uncount(self, at: Key) -> None:
        if at in self._staying:
            self._staying.remove(at)
            self._count(self._tenants[at], -1)

    def _count(self, tenant: _Tenant, sign: int) -> None:
        for label in (None, *tenant.labels.items()):
            for wanted, counts in self._matching_by_label.get((tenant.namespace, label), ()):
                if wanted.matches(tenant.labels):
                    counts[tenant.node] += sign

    def each(self, wanted: Object, what: str, question: Callable[[Object, Object], Any]) -> Any:
        """The answers of all nodes to a question about a pod spec, asked once for all pods that are alike in it."""
        affinity = mapping(mapping(wanted.get("affinity")).get("nodeAffinity"))
        alike = [what, wanted.get("nodeSelector"), affinity, wanted.get("tolerations")]
        signature = orjson.dumps(alike, option=orjson.OPT_SORT_KEYS)
        if signature not in self._masks:
            self._masks[signature] = np.array([question(body, wanted) for body in self.bodies])
        return self._masks[signature]

    def selected(self, wanted: Object) -> Mask:
        found: Mask = self.each(wanted, "selects", fit.selects).astype(np.bool_)
        return found

    def tolerated(self, wanted: Object) -> Mask:
        found: Mask = self.each(wanted, "taints", lambda body, w: fit.untolerated(body, w) is None).astype(np.bool_)
        return found

    def preferred(self, wanted: Object) -> Counts:
        found: Counts = self.each(wanted, "prefers", fit.preference).astype(np.int64)
        return found

    def domains(self, topology: str) -> tuple[Counts, int]:
        """The number of each node's domain (-1 for a node without that label), with how many domains there are."""
        if topology not in self._domains:
            numbers: dict[str, int] = {}
            column = [
                -1 if (value := labels(body).get(topology)) is None else numbers.setdefault(value, len(numbers))
                for body in self.bodies
            ]
            self._domains[topology] = np.array(column, dtype=np.int64), len(numbers)
        return self._domains[topology]

    def matching(self, home: str, wanted: Selector) -> Counts:
        """How many staying pods of a namespace that satisfy the selector stand on each node."""
        if (home, wanted) not in self._matching:
            counts = np.zeros(len(self.bodies), dtype=np.int64)
            for at in self._staying:
                tenant = self._tenants[at]
                if tenant.namespace == home and wanted.matches(tenant.labels):
                    counts[tenant.node] += 1
            self._matching[home, wanted] = counts
            # Whoever matches has the first label, so only pods with it need to be asked.
            first = wanted.labels[0] if wanted.labels else None
            self._matching_by_label.setdefault((home, first), []).append((wanted, counts))
        return self._matching[home, wanted]

    def carrying(self) -> list[tuple[Term, Counts]]:
        """The anti-affinity terms of pods that stand on nodes, with how many carriers stand on each."""
        return list(self._carrying.items())
