"""A stand-in for the Deployment controller."""

from __future__ import annotations

import hashlib
from typing import Any

import orjson

from .cluster import Cluster, Write
from .objects import (
    Key,
    Object,
    annotations_of,
    condition,
    conditioned,
    controller_of,
    is_leaving,
    key,
    mapping,
    name,
    namespace,
    owner_reference,
    spec,
    status,
    uid,
    unconditioned,
    with_metadata,
    with_spec,
    with_status,
)
from .replicaset import REPLICA_SETS
from .store import Event

DEPLOYMENTS = "deployments.apps"
HASH_LABEL = "pod-template-hash"
REVISION = "deployment.kubernetes.io/revision"
_USER = "system:serviceaccount:kube-system:deployment-controller"
_SOURCE = "deployment-controller"
_LETTERS = "bcdfghjklmnpqrstvwxz2456789"


def template_hash(template: Any) -> str:
    """Ten letters that differ when templates do."""
    digest = hashlib.sha256(orjson.dumps(template, option=orjson.OPT_SORT_KEYS)).digest()
    return "".join(_LETTERS[byte % len(_LETTERS)] for byte in digest[:10])


def resolved_count(value: Any, total: int, *, up: bool) -> int:
    """A count or percentage of a total."""
    text = str(value)
    if not text.endswith("%"):
        return int(text) if text.lstrip("-").isdigit() else 0
    share = int(text[:-1]) * total if text[:-1].isdigit() else 0
    return -(-share // 100) if up else share // 100


class Deployments:
    """Keeps one ReplicaSet for each Deployment's template, rolling over when the template changes."""

    def __init__(self, cluster: Cluster) -> None:
        self._cluster = cluster
        cluster.store.listen(DEPLOYMENTS, lambda event: cluster.agenda.soon(self.reconcile, key(event.now)))
        cluster.store.listen(REPLICA_SETS, self._set_changed)

    def _set_changed(self, event: Event) -> None:
        owner = controller_of(event.now)
        if owner is not None and owner.get("kind") == "Deployment":
            self._cluster.agenda.soon(self.reconcile, (namespace(event.now), str(owner.get("name"))))

    def reconcile(self, at: Key) -> None:
        """Brings the ReplicaSets of a Deployment one step nearer to what it asks for."""
        body = self._cluster.peek(DEPLOYMENTS, at)
        if body is None:
            return
        if is_leaving(body):
            self._report(body, self._sets(body))
            return
        sets = self._sets(body)
        current = self._current(body, sets)
        if current is None and not spec(body).get("paused"):
            current = self._new_set(body, sets)
        self._scale(body, current, [each for each in sets if current is None or uid(each) != uid(current)])
        self._report(body, self._sets(body))

    def _sets(self, body: Object) -> list[Object]:
        places = self._cluster.store.dependents(uid(body))
        found = [self._cluster.peek(*place) for place in places if place[0] == REPLICA_SETS]
        return sorted((each for each in found if each is not None), key=name)

    def _current(self, body: Object, sets: list[Object]) -> Object | None:
        wanted = mapping(spec(body).get("template"))
        return next((each for each in sets if _template_of(each) == _plain(wanted)), None)

    def _new_set(self, body: Object, sets: list[Object]) -> Object:
        template = mapping(spec(body).get("template"))
        digest = template_hash(_plain(template))
        metadata = mapping(template.get("metadata"))
        marked = {**mapping(metadata.get("labels")), HASH_LABEL: digest}
        chosen = mapping(spec(body).get("selector"))
        selector = {**chosen, "matchLabels": {**mapping(chosen.get("matchLabels")), HASH_LABEL: digest}}
        revision = str(1 + max((int(annotations_of(each).get(REVISION, "0")) for each in sets), default=0))
        first = not sets
        created = self._cluster.create(
            _write("create"),
            self._cluster.registry.by_key(REPLICA_SETS),
            {
                "metadata": {
                    "name": f"{name(body)}-{digest}",
                    "namespace": namespace(body),
                    "labels": marked,
                    "annotations": {REVISION: revision},
                    "ownerReferences": [owner_reference(body)],
                },
                "spec": {
                    "replicas": spec(body).get("replicas", 1) if first else 0,
                    "selector": selector,
                    "template": {**template, "metadata": {**metadata, "labels": marked}},
                },
            },
        )
        if first:
            self._tell(body, created, 0, int(spec(body).get("replicas", 1)))
        noted = with_metadata(self._fresh(body), annotations={**annotations_of(self._fresh(body)), REVISION: revision})
        self._cluster.replace(_write("update"), DEPLOYMENTS, noted)
        return created

    def _fresh(self, body: Object) -> Object:
        return self._cluster.peek(DEPLOYMENTS, key(body)) or body

    def _scale(self, body: Object, current: Object | None, old: list[Object]) -> None:
        wanted = int(spec(body).get("replicas", 1))
        running = [each for each in old if _asked(each) or int(status(each).get("replicas", 0))]
        if current is None:
            # A paused rollout still scales; the newest set takes the difference.
            newest = max(old, key=lambda each: int(annotations_of(each).get(REVISION, "0")), default=None)
            if newest is not None:
                self._resize(body, newest, max(0, wanted - sum(map(_asked, old)) + _asked(newest)))
        elif not running:
            self._resize(body, current, wanted)
        elif mapping(spec(body).get("strategy")).get("type") == "Recreate":
            for each in running:
                self._resize(body, each, 0)
        else:
            self._roll(body, current, running, wanted)

    def _roll(self, body: Object, current: Object, old: list[Object], wanted: int) -> None:
        rolling = mapping(mapping(spec(body).get("strategy")).get("rollingUpdate"))
        surge = resolved_count(rolling.get("maxSurge", "25%"), wanted, up=True)
        unavailable = resolved_count(rolling.get("maxUnavailable", "25%"), wanted, up=False)
        if surge == 0 and unavailable == 0:
            unavailable = 1
        total = _asked(current) + sum(map(_asked, old))
        grown = min(wanted, _asked(current) + max(0, wanted + surge - total)) if _asked(current) <= wanted else wanted
        self._resize(body, current, grown)
        # Statuses lag behind: what was asked to go but is still reported must not count twice.
        floor = wanted - unavailable
        room = total - floor - max(0, _asked(current) - _ready(current))
        spare = _ready(current) + sum(map(_ready, old)) - floor
        for each in old:
            broken = max(0, _asked(each) - _ready(each))
            healthy = min(_asked(each) - broken, max(0, spare))
            step = min(broken + healthy, max(0, room))
            room -= step
            spare -= max(0, step - broken)
            self._resize(body, each, _asked(each) - step)

    def _resize(self, body: Object, target: Object, replicas: int) -> None:
        before = _asked(target)
        if before != replicas:
            self._cluster.replace(_write("update"), REPLICA_SETS, with_spec(target, replicas=replicas))
            self._tell(body, target, before, replicas)

    def _tell(self, body: Object, target: Object, before: int, after: int) -> None:
        word = "up" if after > before else "down"
        text = f"Scaled {word} replica set {name(target)} from {before} to {after}"
        if before != after:
            self._cluster.event(body, "Normal", "ScalingReplicaSet", text, _SOURCE)

    def _report(self, body: Object, sets: list[Object]) -> None:
        body = self._fresh(body)
        current = self._current(body, sets)
        wanted = int(spec(body).get("replicas", 1))
        total, ready = sum(int(status(each).get("replicas", 0)) for each in sets), sum(map(_ready, sets))
        updated = int(status(current).get("replicas", 0)) if current else 0
        after = with_status(
            body,
            observedGeneration=body["metadata"].get("generation"),
            replicas=total or None,
            updatedReplicas=updated or None,
            readyReplicas=ready or None,
            availableReplicas=ready or None,
            unavailableReplicas=max(0, wanted - ready) or None,
        )
        after = self._with_conditions(after, wanted, ready, complete=updated == total == wanted and ready >= wanted)
        failed = next((found for each in sets if (found := condition(each, "ReplicaFailure"))), None)
        if failed:
            after = conditioned(after, "ReplicaFailure", "True", failed["reason"], failed["message"])
        elif condition(after, "ReplicaFailure"):
            after = unconditioned(after, "ReplicaFailure")
        self._cluster.replace(_write("update", "status"), DEPLOYMENTS, after)

    def _with_conditions(self, body: Object, wanted: int, ready: int, *, complete: bool) -> Object:
        rolling = mapping(mapping(spec(body).get("strategy")).get("rollingUpdate"))
        floor = wanted - resolved_count(rolling.get("maxUnavailable", "25%"), wanted, up=False)
        if ready >= floor:
            text = "Deployment has minimum availability."
            body = conditioned(body, "Available", "True", "MinimumReplicasAvailable", text)
        else:
            text = "Deployment does not have minimum availability."
            body = conditioned(body, "Available", "False", "MinimumReplicasUnavailable", text)
        if complete:
            text = f'ReplicaSet of "{name(body)}" has successfully progressed.'
            return conditioned(body, "Progressing", "True", "NewReplicaSetAvailable", text)
        return conditioned(
            body, "Progressing", "True", "ReplicaSetUpdated", f'Deployment "{name(body)}" is progressing.'
        )


def _write(verb: str, subresource: str = "") -> Write:
    return Write(user=_USER, agent="kube-controller-manager", verb=verb, subresource=subresource)


def _plain(template: Object) -> Object:
    """The template without the mark that tells its ReplicaSet's pods apart."""
    metadata = mapping(template.get("metadata"))
    unmarked = {k: v for k, v in mapping(metadata.get("labels")).items() if k != HASH_LABEL}
    return {**template, "metadata": {**metadata, "labels": unmarked}}


def _template_of(body: Object) -> Object:
    return _plain(mapping(spec(body).get("template")))


def _asked(body: Object) -> int:
    return int(spec(body).get("replicas", 1))


def _ready(body: Object) -> int:
    return int(status(body).get("readyReplicas", 0))
