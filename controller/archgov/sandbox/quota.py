"""A stand-in for what limits a namespace: ResourceQuotas with LimitRange defaults."""

from __future__ import annotations

from collections import defaultdict
from typing import Any

from archgov.model.quantity import milli_text

from .cluster import Cluster, Write
from .errors import forbidden
from .objects import Key, Object, key, listing, mapping, name, namespace, spec, with_status
from .pods import Amounts, amount, is_done, requests
from .resources import Resource
from .store import Change, Event

QUOTAS = "resourcequotas"
_WRITE = Write(
    user="system:serviceaccount:kube-system:resourcequota-controller",
    agent="kube-controller-manager",
    verb="update",
    subresource="status",
)


class Quotas:
    """Refuses what a namespace has no quota left for; keeps count of what it uses."""

    def __init__(self, cluster: Cluster) -> None:
        self._cluster = cluster
        self._used: dict[str, Amounts] = defaultdict(lambda: defaultdict(int))
        self._counted: dict[Key, Amounts] = {}
        cluster.store.listen("pods", self._pod_changed)
        cluster.store.listen(QUOTAS, lambda event: cluster.agenda.soon(self.reconcile, key(event.now)))
        cluster.store.listen_to_all(self._anything_changed)
        cluster.admit += [self._with_limit_defaults, self._within_quota]

    def _pod_changed(self, event: Event) -> None:
        at = key(event.now)
        if event.change is Change.DELETED or is_done(event.now):
            for resource, value in self._counted.pop(at, {}).items():
                self._used[at[0]][resource] -= value
        elif at not in self._counted:
            self._counted[at] = usage(event.now)
            for resource, value in self._counted[at].items():
                self._used[at[0]][resource] += value

    def _anything_changed(self, resource: str, event: Event) -> None:
        if event.change is Change.MODIFIED and not (resource == "pods" and is_done(event.now)):
            return
        for body in self._cluster.store.each(QUOTAS, namespace(event.now)) if namespace(event.now) else ():
            self._cluster.agenda.shortly(self.reconcile, key(body))

    def reconcile(self, at: Key) -> None:
        """Writes what the namespace uses."""
        body = self._cluster.peek(QUOTAS, at)
        if body is None:
            return
        hard = mapping(spec(body).get("hard"))
        used = {resource: milli_text(self._use(at[0], resource)) for resource in hard}
        self._cluster.replace(_WRITE, QUOTAS, with_status(body, hard=hard, used=used))

    def _use(self, home: str, resource: str) -> int:
        if resource.startswith("count/"):
            return 1000 * len(self._cluster.store.list(resource.partition("/")[2], home))
        if resource in ("services", "configmaps", "secrets", "resourcequotas"):
            return 1000 * len(self._cluster.store.list(resource, home))
        return self._used[home][_plain(resource)]

    def _within_quota(self, cluster: Cluster, resource: Resource, body: Object) -> Object:
        asked = usage(body) if resource.qualified == "pods" else {}
        for quota in cluster.store.each(QUOTAS, namespace(body)) if resource.namespaced else ():
            self._ask(quota, resource, body, asked)
        return body

    def _ask(self, quota: Object, resource: Resource, body: Object, asked: Amounts) -> None:
        over, unsaid = [], []
        for what, limit in mapping(spec(quota).get("hard")).items():
            if resource.qualified == "pods" and _is_compute(what) and _plain(what) not in asked:
                unsaid.append(what)
                continue
            more = asked.get(_plain(what), 0) + 1000 * (what in (f"count/{resource.qualified}", resource.qualified))
            if what == "pods" and resource.qualified == "pods":
                more = 1000
            used = self._use(namespace(body), what)
            if more and used + more > amount(str(limit)):
                over.append((what, milli_text(more), milli_text(used), limit))
        if unsaid:
            why = f"failed quota: {name(quota)}: must specify {','.join(sorted(unsaid))} for: {_first_container(body)}"
            raise forbidden(resource.plural, resource.group, name(body), why)
        if over:
            parts = [",".join(f"{row[0]}={row[column]}" for row in sorted(over)) for column in (1, 2, 3)]
            why = f"exceeded quota: {name(quota)}, requested: {parts[0]}, used: {parts[1]}, limited: {parts[2]}"
            raise forbidden(resource.plural, resource.group, name(body), why)

    def _with_limit_defaults(self, cluster: Cluster, resource: Resource, body: Object) -> Object:
        if resource.qualified != "pods":
            return body
        for limits in cluster.store.each("limitranges", namespace(body)):
            for each in map(mapping, listing(spec(limits).get("limits"))):
                if each.get("type") == "Container":
                    body = _with_container_defaults(body, each)
        return body


def usage(pod: Object) -> Amounts:
    """What a pod counts for in a quota: requests by their plain name, limits by `limits.`, itself as one of `pods`."""
    limits = {f"limits.{resource}": value for resource, value in requests(pod, "limits").items()}
    return {"pods": 1000, **requests(pod), **limits}


def _plain(resource: str) -> str:
    return resource.removeprefix("requests.")


def _is_compute(resource: str) -> bool:
    return _plain(resource) in ("cpu", "memory") or resource in ("limits.cpu", "limits.memory")


def _first_container(pod: Object) -> str:
    return ",".join(str(mapping(each).get("name")) for each in listing(spec(pod).get("containers")))


def _with_container_defaults(pod: Object, limits: Object) -> Object:
    containers = []
    for each in map(mapping, listing(spec(pod).get("containers"))):
        resources: dict[str, Any] = mapping(each.get("resources"))
        filled = {
            "limits": {**mapping(limits.get("default")), **mapping(resources.get("limits"))},
            "requests": {**mapping(limits.get("defaultRequest")), **mapping(resources.get("requests"))},
        }
        containers.append({**each, "resources": {**resources, **{k: v for k, v in filled.items() if v}}})
    return {**pod, "spec": {**spec(pod), "containers": containers}}
