"""The nodes of a cluster as columns, with what stands on them."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import orjson

from archgov.model.selector import Selector

from . import fit
from .objects import Key, Object, key, labels, listing, mapping, name, namespace, selector, spec, status
from .pods import Amounts, amounts, is_done, node_of, requests
from .store import Event, Store

Counts = np.ndarray[Any, np.dtype[np.int64]]
Mask = np.ndarray[Any, np.dtype[np.bool_]]
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


@dataclass(slots=True)
class _Tracker:
    """How many pods on each node satisfy a predicate."""

    matches: Callable[[_Tenant], int]
    counts: Counts = field(default_factory=lambda: np.zeros(0, dtype=np.int64))


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
        self._trackers: dict[Any, _Tracker] = {}
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
        self._trackers.clear()
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
        if event.change == "DELETED" or is_done(pod) or not node_of(pod):
            self._leave(at)
        elif at not in self._tenants:
            self._settle(pod)

    def _settle(self, pod: Object) -> None:
        node = self.index.get(node_of(pod))
        if node is None or is_done(pod):
            return
        tenant = _Tenant(node, self.need(pod), namespace(pod), labels(pod), anti_terms(pod))
        self._tenants[key(pod)] = tenant
        self.used[node] += tenant.need
        for tracker in self._trackers.values():
            tracker.counts[node] += tracker.matches(tenant)

    def _leave(self, at: Key) -> None:
        tenant = self._tenants.pop(at, None)
        if tenant is not None:
            self.used[tenant.node] -= tenant.need
            for tracker in self._trackers.values():
                tracker.counts[tenant.node] -= tracker.matches(tenant)

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
        """How many pods of a namespace that satisfy the selector stand on each node."""
        return self._tracked(("pods", home, wanted), lambda t: int(t.namespace == home and wanted.matches(t.labels)))

    def carrying(self, term: Term) -> Counts:
        """How many pods with that anti-affinity term stand on each node."""
        return self._tracked(("terms", term), lambda t: t.terms.count(term))

    def terms(self) -> Iterable[Term]:
        """All anti-affinity terms of pods that stand on nodes."""
        return {term for tenant in self._tenants.values() if tenant.terms for term in tenant.terms}

    def _tracked(self, what: Any, matches: Callable[[_Tenant], int]) -> Counts:
        if what not in self._trackers:
            counts = np.zeros(len(self.bodies), dtype=np.int64)
            for tenant in self._tenants.values():
                counts[tenant.node] += matches(tenant)
            self._trackers[what] = _Tracker(matches, counts)
        return self._trackers[what].counts
