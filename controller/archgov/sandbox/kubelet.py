"""A stand-in for the kubelets of a cluster: pods start after a while, stop when asked to."""

from __future__ import annotations

from .clock import now
from .cluster import Cluster, Write
from .objects import (
    Key,
    Object,
    condition,
    conditioned,
    is_leaving,
    key,
    listing,
    mapping,
    name,
    spec,
    status,
    uid,
    with_metadata,
    with_status,
)
from .pods import is_done, is_ready, node_of
from .store import Change, Event

_STOP_SECONDS = 0.5
_GROUP = "system:node:"
_CONDITIONS = ("PodReadyToStartContainers", "Initialized", "Ready", "ContainersReady")


class Kubelet:
    """Starts bound pods after a seeded delay, removes those whose deletion was asked for; dead nodes do neither."""

    def __init__(self, cluster: Cluster, start_seconds: tuple[float, float]) -> None:
        self._cluster = cluster
        self._start_seconds = start_seconds
        self._awaited: dict[Key, str] = {}  # the uid that a start or a stop is due for
        self._addresses = 0
        self.dead: set[str] = set()
        cluster.store.listen("pods", self._pod_changed)
        cluster.store.listen("nodes", self._node_changed)

    def _node_changed(self, event: Event) -> None:
        if event.change is Change.ADDED:
            self._cluster.agenda.soon(self.register, key(event.now))

    def register(self, at: Key) -> None:
        """Reports a node that has no kubelet of its own as Ready."""
        node = self._cluster.peek("nodes", at)
        if node is None or condition(node, "Ready") is not None:
            return
        capacity = status(node).get("capacity") or status(node).get("allocatable") or {}
        body = with_status(
            node,
            capacity=capacity,
            allocatable=status(node).get("allocatable") or capacity,
            nodeInfo=mapping(status(node).get("nodeInfo")) or _NODE_INFO,
            addresses=listing(status(node).get("addresses")) or [{"type": "Hostname", "address": name(node)}],
        )
        body = conditioned(body, "Ready", "True", "KubeletReady", "kubelet is posting ready status")
        self._cluster.replace(_write(name(node), "nodes"), "nodes", body)

    def _pod_changed(self, event: Event) -> None:
        pod, at = event.now, key(event.now)
        if event.change is Change.DELETED:
            self._awaited.pop(at, None)
        elif node_of(pod):
            self.look_after(pod)

    def look_after(self, pod: Object) -> None:
        """Plans the start or the stop that a pod on a living node waits for."""
        at, alive = key(pod), node_of(pod) not in self.dead
        if alive and is_leaving(pod) and self._awaited.get(at) != f"stop {uid(pod)}":
            self._awaited[at] = f"stop {uid(pod)}"
            grace = float(pod["metadata"].get("deletionGracePeriodSeconds", _STOP_SECONDS))
            self._cluster.agenda.later(min(_STOP_SECONDS, grace), self.stop, at)
        if alive and _should_start(pod) and self._awaited.get(at) != f"start {uid(pod)}":
            self._awaited[at] = f"start {uid(pod)}"
            self._cluster.agenda.later(self._cluster.dice.uniform(*self._start_seconds), self.start, at)

    def start(self, at: Key) -> None:
        """Makes a pod Running with all its containers Ready."""
        pod = self._cluster.peek("pods", at)
        if pod is None or self._awaited.get(at) != f"start {uid(pod)}":
            return
        del self._awaited[at]
        if node_of(pod) in self.dead or is_leaving(pod) or is_done(pod):
            return
        self._cluster.replace(_write(node_of(pod), "pods"), "pods", self._running(pod))

    def stop(self, at: Key) -> None:
        """Takes away a pod whose deletion was asked for."""
        pod = self._cluster.peek("pods", at)
        if pod is None or self._awaited.get(at) != f"stop {uid(pod)}":
            return
        del self._awaited[at]
        if node_of(pod) in self.dead:
            return
        if pod["metadata"].get("finalizers"):
            ended = with_metadata(with_status(pod, phase="Succeeded"), deletionGracePeriodSeconds=0)
            self._cluster.replace(_write(node_of(pod), "pods"), "pods", ended)
            return
        self._cluster.remove(_write(node_of(pod), "pods", verb="delete"), "pods", at)

    def _running(self, pod: Object) -> Object:
        time = now()
        self._addresses += 1
        address = f"10.{self._addresses >> 16 & 255}.{self._addresses >> 8 & 255}.{self._addresses & 255}"
        body = with_status(
            pod,
            phase="Running",
            hostIP="127.0.0.1",
            podIP=status(pod).get("podIP") or address,
            podIPs=status(pod).get("podIPs") or [{"ip": address}],
            startTime=status(pod).get("startTime") or time,
            containerStatuses=[
                _container_status(pod, i, time) for i in range(len(listing(spec(pod).get("containers"))))
            ],
        )
        for kind in _CONDITIONS:
            body = conditioned(body, kind, "True", at=time)
        return body


def _should_start(pod: Object) -> bool:
    return not is_leaving(pod) and not is_ready(pod) and not is_done(pod)


def _container_status(pod: Object, i: int, time: str) -> Object:
    container = mapping(spec(pod)["containers"][i])
    return {
        "name": container.get("name", ""),
        "image": container.get("image", ""),
        "imageID": "",
        "containerID": f"sandbox://{uid(pod)}/{i}",
        "ready": True,
        "started": True,
        "restartCount": 0,
        "lastState": {},
        "state": {"running": {"startedAt": time}},
    }


_NODE_INFO = {
    "architecture": "amd64",
    "bootID": "",
    "containerRuntimeVersion": "sandbox://1",
    "kernelVersion": "",
    "kubeProxyVersion": "",
    "kubeletVersion": "v1.36.0+archgov-sandbox",
    "machineID": "",
    "operatingSystem": "linux",
    "osImage": "archgov sandbox",
    "systemUUID": "",
}


def _write(node: str, resource: str, verb: str = "patch") -> Write:
    subresource = "status" if verb == "patch" else ""
    return Write(user=_GROUP + node, agent=f"kubelet ({resource})", verb=verb, subresource=subresource)
