"""A stand-in for the DaemonSet controller."""

from __future__ import annotations

from typing import Any

from .cluster import Cluster, Deletion, Write
from .deployment import template_hash
from .fit import admits, keeps, pinned_to
from .objects import (
    Key,
    Object,
    controller_of,
    is_leaving,
    key,
    labels,
    listing,
    mapping,
    name,
    namespace,
    spec,
    with_status,
)
from .pods import is_active, is_ready, node_of
from .replicaset import pod_from, pods_of
from .statefulset import REVISION_LABEL
from .store import Change, Event

DAEMON_SETS = "daemonsets.apps"
_USER = "system:serviceaccount:kube-system:daemon-set-controller"
_TOLERATED = (
    ("node.kubernetes.io/not-ready", "NoExecute"),
    ("node.kubernetes.io/unreachable", "NoExecute"),
    ("node.kubernetes.io/unschedulable", "NoSchedule"),
)


class DaemonSets:
    """Keeps one pod of each DaemonSet on every node that admits it."""

    def __init__(self, cluster: Cluster) -> None:
        self._cluster = cluster
        cluster.store.listen(DAEMON_SETS, lambda event: cluster.agenda.soon(self.reconcile, key(event.now)))
        cluster.store.listen("pods", self._pod_changed)
        cluster.store.listen("nodes", self._node_changed)

    def _pod_changed(self, event: Event) -> None:
        owner = controller_of(event.now)
        if owner is not None and owner.get("kind") == "DaemonSet":
            self._cluster.agenda.soon(self.reconcile, (namespace(event.now), str(owner.get("name"))))

    def _node_changed(self, event: Event) -> None:
        if event.change is Change.MODIFIED and event.before and _admission(event.now) == _admission(event.before):
            return
        for body in self._cluster.store.each(DAEMON_SETS):
            self._cluster.agenda.soon(self.reconcile, key(body))

    def reconcile(self, at: Key) -> None:
        """Creates pods on nodes that lack one, removes them where they don't belong, reports."""
        body = self._cluster.peek(DAEMON_SETS, at)
        if body is None:
            return
        template = mapping(spec(body).get("template"))
        revision = template_hash(template)
        wanted = self._template(template)
        nodes = list(self._cluster.store.each("nodes"))
        homes = {name(node) for node in nodes if keeps(node, mapping(wanted.get("spec")))}
        if not is_leaving(body):
            opened = {name(node) for node in nodes if admits(node, mapping(wanted.get("spec")))}
            self._balance(body, wanted, homes, opened, revision)
        self._report(body, homes, revision)

    def _balance(self, body: Object, wanted: Object, homes: set[str], opened: set[str], revision: str) -> None:
        held: set[str] = set()
        for pod in pods_of(self._cluster, body):
            home = target_node(pod)
            belongs = home in homes and home not in held and labels(pod).get(REVISION_LABEL) == revision
            held.add(home)
            if is_active(pod) and not belongs:
                self._cluster.delete(_write("delete"), self._cluster.registry.by_key("pods"), key(pod), Deletion())
        for home in sorted(opened - held):
            pod_name = f"{name(body)}-{self._cluster.suffix()}"
            pod = pod_from(body, pod_name, _pinned(wanted, home), **{REVISION_LABEL: revision})
            self._cluster.create(_write("create"), self._cluster.registry.by_key("pods"), pod)

    def _template(self, template: Object) -> Object:
        wanted = mapping(template.get("spec"))
        extra = [{"key": k, "operator": "Exists", "effect": effect} for k, effect in _TOLERATED]
        return {**template, "spec": {**wanted, "tolerations": [*listing(wanted.get("tolerations")), *extra]}}

    def _report(self, body: Object, homes: set[str], revision: str) -> None:
        pods = [pod for pod in pods_of(self._cluster, body) if is_active(pod)]
        placed = {target_node(pod) for pod in pods}
        ready = sum(map(is_ready, pods))
        after = with_status(
            body,
            observedGeneration=body["metadata"].get("generation"),
            desiredNumberScheduled=len(homes),
            currentNumberScheduled=len(placed & homes),
            numberMisscheduled=len(placed - homes),
            updatedNumberScheduled=sum(labels(pod).get(REVISION_LABEL) == revision for pod in pods),
            numberReady=ready,
            numberAvailable=ready,
            numberUnavailable=max(0, len(homes) - ready) or None,
        )
        self._cluster.replace(_write("update", "status"), DAEMON_SETS, after)


def target_node(pod: Object) -> str:
    """The node a DaemonSet made the pod for."""
    return node_of(pod) or pinned_to(spec(pod)) or ""


def _pinned(template: Object, node: str) -> Object:
    """The template with a required affinity to one node, as the real controller writes it."""
    wanted = mapping(template.get("spec"))
    affinity = mapping(wanted.get("affinity"))
    term = {"matchFields": [{"key": "metadata.name", "operator": "In", "values": [node]}]}
    pinned = {
        **affinity,
        "nodeAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": {"nodeSelectorTerms": [term]}},
    }
    return {**template, "spec": {**wanted, "affinity": pinned}}


def _admission(node: Object) -> tuple[Any, ...]:
    return labels(node), spec(node).get("taints"), spec(node).get("unschedulable")


def _write(verb: str, subresource: str = "") -> Write:
    return Write(user=_USER, agent="kube-controller-manager", verb=verb, subresource=subresource)
