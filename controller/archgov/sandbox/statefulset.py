"""A stand-in for the StatefulSet controller."""

from __future__ import annotations

from .cluster import Cluster, Deletion, Write
from .deployment import template_hash
from .objects import (
    Key,
    Object,
    controller_of,
    is_leaving,
    key,
    labels,
    mapping,
    name,
    namespace,
    spec,
    with_status,
)
from .pods import is_done, is_ready
from .replicaset import pod_from, pods_of
from .store import Event

STATEFUL_SETS = "statefulsets.apps"
REVISION_LABEL = "controller-revision-hash"
_USER = "system:serviceaccount:kube-system:statefulset-controller"


class StatefulSets:
    """Keeps the numbered pods of each StatefulSet, one after the other."""

    def __init__(self, cluster: Cluster) -> None:
        self._cluster = cluster
        cluster.store.listen(STATEFUL_SETS, lambda event: cluster.agenda.soon(self.reconcile, key(event.now)))
        cluster.store.listen("pods", self._pod_changed)

    def _pod_changed(self, event: Event) -> None:
        owner = controller_of(event.now)
        if owner is not None and owner.get("kind") == "StatefulSet":
            self._cluster.agenda.soon(self.reconcile, (namespace(event.now), str(owner.get("name"))))

    def reconcile(self, at: Key) -> None:
        """Takes the next step for one StatefulSet."""
        body = self._cluster.peek(STATEFUL_SETS, at)
        if body is None:
            return
        pods = {name(pod): pod for pod in pods_of(self._cluster, body)}
        revision = template_hash(spec(body).get("template"))
        if not is_leaving(body):
            self._step(body, pods, revision)
        self._report(body, pods_of(self._cluster, body), revision)

    def _step(self, body: Object, pods: dict[str, Object], revision: str) -> None:
        wanted = [f"{name(body)}-{i}" for i in range(int(spec(body).get("replicas", 1)))]
        at_once = spec(body).get("podManagementPolicy") == "Parallel"
        for pod_name in wanted:
            pod = pods.get(pod_name)
            if pod is None:
                self._create(body, pod_name, revision)
            elif is_done(pod) and not is_leaving(pod):
                self._delete(pod)
            if not at_once and (pod is None or is_leaving(pod) or not is_ready(pod)):
                return
        surplus = sorted(set(pods) - set(wanted), key=_ordinal, reverse=True)
        for pod_name in surplus if at_once else surplus[:1]:
            self._delete(pods[pod_name])
        if not surplus:
            self._renew([pods[each] for each in reversed(wanted) if each in pods], revision)

    def _renew(self, newest_first: list[Object], revision: str) -> None:
        for pod in newest_first:
            if is_leaving(pod) or not is_ready(pod):
                return
            if labels(pod).get(REVISION_LABEL) != revision:
                self._delete(pod)
                return

    def _create(self, body: Object, pod_name: str, revision: str) -> None:
        marks = {"statefulset.kubernetes.io/pod-name": pod_name, REVISION_LABEL: revision}
        marks["apps.kubernetes.io/pod-index"] = str(_ordinal(pod_name))
        pod = pod_from(body, pod_name, mapping(spec(body).get("template")), **marks)
        self._cluster.create(_write("create"), self._cluster.registry.by_key("pods"), pod)

    def _delete(self, pod: Object) -> None:
        if not is_leaving(pod):
            self._cluster.delete(_write("delete"), self._cluster.registry.by_key("pods"), key(pod), Deletion())

    def _report(self, body: Object, pods: list[Object], revision: str) -> None:
        staying = [pod for pod in pods if not is_leaving(pod)]
        updated = sum(labels(pod).get(REVISION_LABEL) == revision for pod in staying)
        ready = sum(map(is_ready, staying))
        after = with_status(
            body,
            observedGeneration=body["metadata"].get("generation"),
            replicas=len(staying),
            readyReplicas=ready or None,
            availableReplicas=ready,
            currentReplicas=updated or None,
            updatedReplicas=updated or None,
            currentRevision=f"{name(body)}-{revision}",
            updateRevision=f"{name(body)}-{revision}",
        )
        self._cluster.replace(_write("update", "status"), STATEFUL_SETS, after)


def _ordinal(pod_name: str) -> int:
    tail = pod_name.rpartition("-")[2]
    return int(tail) if tail.isdigit() else -1


def _write(verb: str, subresource: str = "") -> Write:
    return Write(user=_USER, agent="kube-controller-manager", verb=verb, subresource=subresource)
