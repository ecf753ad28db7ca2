"""A stand-in for the node lifecycle controller, with the switch that fails a zone."""

from __future__ import annotations

import math

from . import clock
from .clock import now
from .cluster import Cluster, Deletion, Write
from .fit import tolerates
from .kubelet import Kubelet
from .objects import (
    Key,
    Object,
    conditioned,
    is_leaving,
    key,
    labels,
    listing,
    mapping,
    name,
    spec,
    with_spec,
)
from .pods import is_done, is_ready, node_of
from .summary import ZONE

_GRACE_SECONDS = 1.0  # from the node's silence to its pods no longer counting as ready
_USER = "system:serviceaccount:kube-system:node-controller"
_UNREACHABLE = "node.kubernetes.io/unreachable"
_SILENT = "Kubelet stopped posting node status."


class Outages:
    """Lets the nodes of a zone fall silent, evicts from them what doesn't tolerate it, brings them back."""

    def __init__(self, cluster: Cluster, kubelet: Kubelet) -> None:
        self._cluster = cluster
        self._kubelet = kubelet
        self._due: dict[Key, float] = {}  # when a pod has tolerated enough; a heal in between forgets it

    def fail(self, zone: str) -> int:
        """How many nodes fell silent."""
        nodes = [node for node in self._cluster.store.list("nodes") if labels(node).get(ZONE) == zone]
        for node in nodes:
            self._kubelet.dead.add(name(node))
            self._cluster.replace(_write("patch", "status"), "nodes", _silent(node))
            self._cluster.event(
                node, "Normal", "NodeNotReady", f"Node {name(node)} status is now: NodeNotReady", "node-controller"
            )
        self._cluster.agenda.later(_GRACE_SECONDS, self.unready, ("", zone))
        return len(nodes)

    def heal(self, zone: str) -> int:
        """How many nodes came back."""
        nodes = [node for node in self._cluster.store.list("nodes") if labels(node).get(ZONE) == zone]
        for node in nodes:
            self._kubelet.dead.discard(name(node))
            self._cluster.replace(_write("patch", "status"), "nodes", _speaking(node))
        back = {name(node) for node in nodes}
        for pod in self._cluster.store.list("pods"):
            if node_of(pod) in back:
                self._due.pop(key(pod), None)
                self._kubelet.look_after(pod)
        return len(nodes)

    def unready(self, _: Key) -> None:
        """Marks the pods of silent nodes not Ready; what tolerates the silence for a time leaves after it."""
        on_silent = [pod for pod in self._cluster.store.list("pods") if node_of(pod) in self._kubelet.dead]
        for pod in on_silent:
            if is_done(pod):
                continue
            if is_ready(pod):
                told = conditioned(pod, "Ready", "False", "NodeNotReady", _SILENT)
                self._cluster.replace(_write("patch", "status"), "pods", told)
            seconds = _tolerated_seconds(pod)
            if seconds is not None and not is_leaving(pod):
                self._due[key(pod)] = clock.monotonic() + self._cluster.agenda.real(seconds)
                self._cluster.agenda.later(seconds, self.evict, key(pod))

    def evict(self, at: Key) -> None:
        """Asks for the deletion of a pod on a node that is silent still."""
        pod = self._cluster.peek("pods", at)
        if pod is None or is_leaving(pod) or node_of(pod) not in self._kubelet.dead:
            return
        if clock.monotonic() < self._due.get(at, math.inf):  # a timer from an earlier failure
            return
        self._cluster.event(
            pod,
            "Normal",
            "TaintManagerEviction",
            f"Marking for deletion Pod {'/'.join(at)}",
            "taint-eviction-controller",
        )
        self._cluster.delete(_write("delete"), self._cluster.registry.by_key("pods"), at, Deletion())


def _silent(node: Object) -> Object:
    taints = [each for each in listing(spec(node).get("taints")) if mapping(each).get("key") != _UNREACHABLE]
    marks = [{"key": _UNREACHABLE, "effect": effect, "timeAdded": now()} for effect in ("NoSchedule", "NoExecute")]
    body = with_spec(node, taints=taints + marks)
    return conditioned(body, "Ready", "Unknown", "NodeStatusUnknown", _SILENT)


def _speaking(node: Object) -> Object:
    taints = [each for each in listing(spec(node).get("taints")) if mapping(each).get("key") != _UNREACHABLE]
    body = with_spec(node, taints=taints or None)
    return conditioned(body, "Ready", "True", "KubeletReady", "kubelet is posting ready status")


def _tolerated_seconds(pod: Object) -> float | None:
    """How long a pod stays on an unreachable node; None for ever."""
    taint = {"key": _UNREACHABLE, "effect": "NoExecute"}
    covering = [each for each in map(mapping, listing(spec(pod).get("tolerations"))) if tolerates(each, taint)]
    if not covering:
        return 0.0
    limits = [float(each["tolerationSeconds"]) for each in covering if each.get("tolerationSeconds") is not None]
    return min(limits, default=None)


def _write(verb: str, subresource: str = "") -> Write:
    return Write(user=_USER, agent="kube-controller-manager", verb=verb, subresource=subresource)
