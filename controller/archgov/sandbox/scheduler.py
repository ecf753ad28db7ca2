"""A stand-in for kube-scheduler: filters, scores, binds; no preemption.

Filters: node selector with required affinity, taints, resources, required pod anti-affinity, `DoNotSchedule` spread.
Scores: least allocated, preferred node affinity, `ScheduleAnyway` spread (Kubernetes' default constraints where a pod
declares none). Ties go to the first node by name.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from archgov.model.selector import Expression, Operator, Selector

from . import fit
from .cluster import Cluster, Write
from .nodes import Counts, Mask, Nodes, Term, anti_terms
from .objects import (
    Key,
    Object,
    condition,
    conditioned,
    controller_of,
    is_leaving,
    key,
    labels,
    listing,
    mapping,
    name,
    namespace,
    selector,
    spec,
    with_spec,
)
from .pods import is_done, node_of
from .store import Change, Event

_USER, _SOURCE = "system:kube-scheduler", "default-scheduler"
_BIND = Write(user=_USER, agent="kube-scheduler", verb="create", subresource="binding")
_STATUS = Write(user=_USER, agent="kube-scheduler", verb="patch", subresource="status")
# Source: Kubernetes, `pkg/scheduler/apis/config/v1`, default plugin weights; PodTopologySpread's system defaults.
_FIT_WEIGHT, _AFFINITY_WEIGHT, _SPREAD_WEIGHT = 1, 2, 2
_DEFAULT_SPREAD = ("kubernetes.io/hostname", "topology.kubernetes.io/zone")


@dataclass(frozen=True, slots=True)
class Spread:
    """A topology spread constraint of one pod."""

    topology: str
    max_skew: int
    min_domains: int
    hard: bool
    selector: Selector


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why no node takes a pod, in kube-scheduler's words."""

    message: str


class Scheduler:
    """Binds pods that have no node, first come, first served."""

    def __init__(self, cluster: Cluster) -> None:
        self._cluster = cluster
        self._nodes = Nodes(cluster.store)
        self._stuck: dict[Key, None] = {}
        self._refused: dict[str, Refusal] = {}  # by owner, whose pods are alike; good until room appears
        cluster.store.listen("pods", self._pod_changed)
        cluster.store.listen("nodes", self._node_changed)

    def _pod_changed(self, event: Event) -> None:
        pod, at = event.now, key(event.now)
        if event.change is Change.DELETED or is_done(pod):
            self._stuck.pop(at, None)
            if node_of(pod):
                self._wake()
        elif event.change is Change.ADDED and not node_of(pod):
            self._cluster.agenda.soon(self.place, at)

    def _node_changed(self, _: Event) -> None:
        self._wake()

    def _wake(self) -> None:
        self._refused.clear()
        # Room appears in bursts; one look after each is enough.
        if self._stuck:
            self._cluster.agenda.shortly(self._retry, ("", ""))

    def _retry(self, _: Key) -> None:
        stuck, self._stuck = self._stuck, {}
        for at in stuck:
            self._cluster.agenda.soon(self.place, at)

    def place(self, at: Key) -> None:
        """Binds a pod, or says on it why no node takes it."""
        pod = self._cluster.peek("pods", at)
        if pod is None or node_of(pod) or is_leaving(pod) or is_done(pod):
            return
        if spec(pod).get("schedulingGates") or spec(pod).get("schedulerName") != _SOURCE:
            return
        self._nodes.refresh()
        owner = str((controller_of(pod) or {}).get("uid", at))
        alike = owner if fit.pinned_to(spec(pod)) is None else ""
        choice = self._refused.get(alike) or self.choice(pod)
        if isinstance(choice, Refusal):
            self._stuck[at] = None
            if alike:
                self._refused[alike] = choice
            self._refuse(pod, choice)
            return
        bound = conditioned(with_spec(pod, nodeName=choice), "PodScheduled", "True")
        self._cluster.replace(_BIND, "pods", bound)

    def _refuse(self, pod: Object, refusal: Refusal) -> None:
        said = condition(pod, "PodScheduled")
        if said is not None and said.get("message") == refusal.message:
            return
        if said is None:
            self._cluster.event(pod, "Warning", "FailedScheduling", refusal.message, _SOURCE)
        told = conditioned(pod, "PodScheduled", "False", "Unschedulable", refusal.message)
        self._cluster.replace(_STATUS, "pods", told)

    def choice(self, pod: Object) -> str | Refusal:
        """The best node for the pod."""
        nodes = self._nodes
        if not len(nodes):
            return Refusal("no nodes available to schedule pods")
        need = nodes.need(pod)
        spreads = self._spreads(pod)
        feasible: Mask = np.ones(len(nodes), dtype=np.bool_)
        filters = []
        for mask, reason in self._filters(pod, need, spreads):
            filters.append((mask, reason))
            feasible = feasible & mask
            if not feasible.any():
                return Refusal(self._told(pod, need, filters))
        scores = self._scores(pod, need, spreads, feasible)
        scores[~feasible] = -1
        return name(nodes.bodies[int(scores.argmax())])

    def _filters(self, pod: Object, need: Counts, spreads: tuple[Spread, ...]) -> Iterator[tuple[Mask, str]]:
        nodes, wanted = self._nodes, spec(pod)
        yield nodes.tolerated(wanted), "taint"
        pin = fit.pinned_to(wanted)
        if pin is None:
            yield nodes.selected(wanted), "node(s) didn't match Pod's node affinity/selector"
        else:
            only = np.zeros(len(nodes), dtype=np.bool_)
            if pin in nodes.index:
                only[nodes.index[pin]] = True
            yield only, "node(s) didn't satisfy plugin(s) [NodeAffinity]"
        asked = need > 0
        room: Mask = np.asarray((nodes.capacity - nodes.used >= need)[:, asked].all(axis=1))
        yield room, "room"
        for spread in spreads:
            if spread.hard:
                yield self._spread_mask(pod, spread), "node(s) didn't match pod topology spread constraints"
        for mask in self._anti_masks(pod):
            yield mask, "node(s) didn't match pod anti-affinity rules"

    def _spread_mask(self, pod: Object, spread: Spread) -> Mask:
        nodes = self._nodes
        domain, total = nodes.domains(spread.topology)
        counted = nodes.matching(namespace(pod), spread.selector)
        eligible = nodes.selected(spec(pod)) & (domain >= 0)
        if not eligible.any():
            return np.zeros(len(nodes), dtype=np.bool_)
        held = np.bincount(domain[eligible], weights=counted[eligible], minlength=total)
        present = np.bincount(domain[eligible], minlength=total) > 0
        least = 0 if int(present.sum()) < spread.min_domains else held[present].min()
        itself = int(spread.selector.matches(labels(pod)))
        fine: Mask = (domain >= 0) & present[domain] & (held[domain] + itself - least <= spread.max_skew)
        return fine

    def _anti_masks(self, pod: Object) -> Iterator[Mask]:
        nodes = self._nodes
        for term in anti_terms(pod):
            alike: Counts = np.sum([nodes.matching(home, term.selector) for home in term.namespaces], axis=0)
            yield self._free_of(term, alike)
        for term, held in nodes.carrying():
            if namespace(pod) in term.namespaces and term.selector.matches(labels(pod)):
                yield self._free_of(term, held)

    def _free_of(self, term: Term, held: Counts) -> Mask:
        domain, total = self._nodes.domains(term.topology)
        known = domain >= 0
        sums = np.bincount(domain[known], weights=held[known], minlength=max(total, 1))
        free: Mask = ~known | (sums[domain] == 0)
        return free

    def _scores(self, pod: Object, need: Counts, spreads: tuple[Spread, ...], feasible: Mask) -> Any:
        nodes = self._nodes
        room = np.maximum(nodes.capacity[:, 1:3], 1)
        left = np.clip(nodes.capacity[:, 1:3] - nodes.used[:, 1:3] - need[1:3], 0, None)
        scores = _FIT_WEIGHT * 100 * (left / room).mean(axis=1)
        if fit.has_preference(spec(pod)):
            scores = scores + _AFFINITY_WEIGHT * _normal(nodes.preferred(spec(pod)).astype(np.float64), feasible)
        soft = [spread for spread in spreads if not spread.hard]
        if soft:
            crowded = sum(self._crowding(pod, spread) for spread in soft)
            scores = scores + _SPREAD_WEIGHT * (100 - _normal(crowded, feasible))
        return scores

    def _crowding(self, pod: Object, spread: Spread) -> Any:
        domain, total = self._nodes.domains(spread.topology)
        held = np.bincount(
            domain[domain >= 0],
            weights=self._nodes.matching(namespace(pod), spread.selector)[domain >= 0],
            minlength=max(total, 1),
        )
        # Few domains weigh less each, as in kube-scheduler: log(domains + 2).
        return np.where(domain >= 0, held[domain], held.max(initial=0)) * np.log(total + 2)

    def _spreads(self, pod: Object) -> tuple[Spread, ...]:
        declared = [mapping(each) for each in listing(spec(pod).get("topologySpreadConstraints"))]
        if declared:
            return tuple(_spread(each, pod) for each in declared)
        owner = controller_of(pod)
        place = self._cluster.store.by_uid(str(owner.get("uid"))) if owner else None
        body = self._cluster.store.get(*place) if place else None
        if body is None or body["kind"] == "DaemonSet":
            return ()
        chosen = selector(spec(body).get("selector"))
        return tuple(Spread(topology, 1, 1, hard=False, selector=chosen) for topology in _DEFAULT_SPREAD)

    def _told(self, pod: Object, need: Counts, filters: list[tuple[Mask, str]]) -> str:
        """Each node is counted under the first filter that refused it."""
        nodes, total = self._nodes, len(self._nodes)
        reasons: dict[str, int] = {}
        open_nodes = np.ones(total, dtype=np.bool_)
        for mask, reason in filters:
            for i in np.flatnonzero(open_nodes & ~mask):
                for text in self._reasons(reason, nodes.bodies[i], pod, nodes.capacity[i] - nodes.used[i], need):
                    reasons[text] = reasons.get(text, 0) + 1
            open_nodes &= mask
        listed = ", ".join(sorted(f"{count} {text}" for text, count in reasons.items()))
        helpless = f"preemption: 0/{total} nodes are available: {total} Preemption is not helpful for scheduling."
        return f"0/{total} nodes are available: {listed}. {helpless}"

    def _reasons(self, reason: str, node: Object, pod: Object, free: Counts, need: Counts) -> list[str]:
        if reason == "taint":
            taint = fit.untolerated(node, spec(pod)) or {}
            if taint.get("key") == "node.kubernetes.io/unschedulable":
                return ["node(s) were unschedulable"]
            return [f"node(s) had untolerated taint {{{taint.get('key')}: {taint.get('value', '')}}}"]
        if reason == "room":
            short = [
                r for r, column in self._nodes.resources.items() if need[column] > 0 and free[column] < need[column]
            ]
            return ["Too many pods" if resource == "pods" else f"Insufficient {resource}" for resource in short]
        return [reason]


def _normal(values: Any, feasible: Mask) -> Any:
    """The values scaled so that the largest feasible one is 100."""
    top = values[feasible].max(initial=0)
    return values * 100 / top if top > 0 else np.zeros(len(values))


def _spread(body: Object, pod: Object) -> Spread:
    chosen = selector(body.get("labelSelector"))
    alike = tuple(
        Expression(str(k), Operator.IN, (labels(pod)[k],))
        for k in listing(body.get("matchLabelKeys"))
        if k in labels(pod)
    )
    return Spread(
        topology=str(body.get("topologyKey", "")),
        max_skew=int(body.get("maxSkew", 1)),
        min_domains=int(body.get("minDomains") or 1),
        hard=body.get("whenUnsatisfiable", "DoNotSchedule") == "DoNotSchedule",
        selector=Selector(chosen.labels, chosen.expressions + alike),
    )
