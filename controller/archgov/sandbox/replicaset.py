"""A stand-in for the ReplicaSet controller."""

from __future__ import annotations

import math

from . import clock
from .cluster import Cluster, Deletion, Write
from .errors import ApiError
from .objects import (
    Key,
    Object,
    annotations_of,
    condition,
    conditioned,
    controller_of,
    is_leaving,
    key,
    listing,
    mapping,
    name,
    namespace,
    owner_reference,
    spec,
    status,
    uid,
    unconditioned,
    with_status,
)
from .pods import is_active, is_ready, node_of
from .store import Event

REPLICA_SETS = "replicasets.apps"
DELETION_COST = "controller.kubernetes.io/pod-deletion-cost"
_RETRY_SECONDS = 1.0
WRITE = Write(user="system:serviceaccount:kube-system:replicaset-controller", agent="kube-controller-manager")
_PHASES = {"Pending": 0, "Unknown": 1, "Running": 2}


def pod_from(owner: Object, pod_name: str, template: Object, **extra: str) -> Object:
    """A pod made from an owner's template."""
    metadata = mapping(template.get("metadata"))
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {
            "name": pod_name,
            "namespace": namespace(owner),
            "labels": {**mapping(metadata.get("labels")), **extra},
            **({"annotations": metadata["annotations"]} if metadata.get("annotations") else {}),
            "ownerReferences": [owner_reference(owner)],
        },
        "spec": mapping(template.get("spec")),
    }


def pods_of(cluster: Cluster, owner: Object) -> list[Object]:
    """The pods that the owner controls."""
    places = cluster.store.dependents(uid(owner))
    bodies = (cluster.peek(*place) for place in places if place[0] == "pods")
    return [pod for pod in bodies if pod is not None and _is_controlled_by(pod, owner)]


def _is_controlled_by(pod: Object, owner: Object) -> bool:
    controller = controller_of(pod)
    return controller is not None and controller.get("uid") == uid(owner)


class ReplicaSets:
    """Keeps as many pods as each ReplicaSet asks for."""

    def __init__(self, cluster: Cluster) -> None:
        self._cluster = cluster
        cluster.store.listen(REPLICA_SETS, lambda event: cluster.agenda.soon(self.reconcile, key(event.now)))
        cluster.store.listen("pods", self._pod_changed)

    def _pod_changed(self, event: Event) -> None:
        owner = controller_of(event.now)
        if owner is not None and owner.get("kind") == "ReplicaSet":
            self._cluster.agenda.soon(self.reconcile, (namespace(event.now), str(owner.get("name"))))

    def reconcile(self, at: Key) -> None:
        """Creates what is missing, removes what is too much, reports."""
        body = self._cluster.peek(REPLICA_SETS, at)
        if body is None:
            return
        pods = pods_of(self._cluster, body)
        active = [pod for pod in pods if is_active(pod)]
        refusal = "" if is_leaving(body) else self._balance(body, active)
        self._report(body, pods_of(self._cluster, body), refusal)

    def _balance(self, body: Object, active: list[Object]) -> str:
        """Why pods could not be created; empty when nothing was refused."""
        missing = int(spec(body).get("replicas", 1)) - len(active)
        for pod in self._surplus(body, active, -missing):
            self._cluster.delete(_verb("delete"), self._cluster.registry.by_key("pods"), key(pod), Deletion())
        for _ in range(missing):
            if refusal := self._create(body):
                # Quota may be freed by somebody whom nothing here can hear.
                self._cluster.agenda.later(_RETRY_SECONDS, self.reconcile, key(body))
                return refusal
        return ""

    def _create(self, body: Object) -> str:
        template = mapping(spec(body).get("template"))
        pod = pod_from(body, f"{name(body)}-{self._cluster.suffix()}", template)
        pods, write = self._cluster.registry.by_key("pods"), _verb("create")
        try:
            self._cluster.create(write, pods, pod)
        except ApiError as refusal:
            self._cluster.refuse(write, pods, key(pod), refusal)
            return refusal.message
        return ""

    def _surplus(self, body: Object, active: list[Object], count: int) -> list[Object]:
        if count <= 0:
            return []
        crowd = self._crowd(body)
        return sorted(active, key=lambda pod: removal_order(pod, crowd.get(node_of(pod), 0)))[:count]

    def _crowd(self, body: Object) -> dict[str, int]:
        """Active pods by node, over all ReplicaSets of the same owner."""
        owner = controller_of(body)
        places = self._cluster.store.dependents(str(owner["uid"])) if owner else []
        family = [self._cluster.peek(*place) for place in places if place[0] == REPLICA_SETS] or [body]
        crowd: dict[str, int] = {}
        for each in family:
            for pod in pods_of(self._cluster, each) if each else ():
                if is_active(pod):
                    crowd[node_of(pod)] = crowd.get(node_of(pod), 0) + 1
        return crowd

    def _report(self, body: Object, pods: list[Object], refusal: str) -> None:
        alive = [pod for pod in pods if is_active(pod)]
        ready = sum(map(is_ready, alive))
        after = with_status(
            body,
            replicas=len(alive),
            fullyLabeledReplicas=len(alive) or None,
            readyReplicas=ready or None,
            availableReplicas=ready or None,
            observedGeneration=body["metadata"].get("generation"),
        )
        if refusal:
            if condition(body, "ReplicaFailure") is None:
                self._cluster.event(
                    body, "Warning", "FailedCreate", f"Error creating: {refusal}", "replicaset-controller"
                )
            after = conditioned(after, "ReplicaFailure", "True", "FailedCreate", refusal)
        elif condition(body, "ReplicaFailure") and len(alive) >= int(spec(body).get("replicas", 1)):
            after = unconditioned(after, "ReplicaFailure")
        self._cluster.replace(_verb("update", "status"), REPLICA_SETS, after)


def _verb(verb: str, subresource: str = "") -> Write:
    return Write(user=WRITE.user, agent=WRITE.agent, verb=verb, subresource=subresource)


def removal_order(pod: Object, crowd: int) -> tuple[object, ...]:
    """Sorts first what a ReplicaSet removes first; `crowd` is how many siblings stand on the pod's node.

    Source: Kubernetes, `pkg/controller/controller_utils.go`, `ActivePodsWithRanks`.
    """
    state = status(pod)
    restarts = sum(int(mapping(each).get("restartCount", 0)) for each in listing(state.get("containerStatuses")))
    ready = next((each for each in listing(state.get("conditions")) if each.get("type") == "Ready"), None)
    ready_for = clock.seconds_since(ready.get("lastTransitionTime")) if ready and is_ready(pod) else None
    age = clock.seconds_since(pod["metadata"].get("creationTimestamp"))
    return (
        bool(node_of(pod)),
        _PHASES.get(str(state.get("phase")), 1),
        is_ready(pod),
        _cost(pod),
        -crowd,
        _magnitude(ready_for),
        -restarts,
        _magnitude(age),
        uid(pod),
    )


def _cost(pod: Object) -> int:
    try:
        return int(annotations_of(pod).get(DELETION_COST, "0"))
    except ValueError:
        return 0


def _magnitude(seconds: float | None) -> int:
    # Ages count by powers of two, so that among pods of about one age chance decides (LogarithmicScaleDown).
    return -1 if seconds is None or seconds < 1 else int(math.log2(seconds))
