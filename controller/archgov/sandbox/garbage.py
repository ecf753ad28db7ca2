"""Stand-ins for what cleans up: the garbage collector, namespaces that end, definitions that end."""

from __future__ import annotations

from collections.abc import Iterable

from .cluster import CRD_FINALIZER, CRDS, FOREGROUND, ORPHAN, Cluster, Deletion, Write
from .errors import ApiError
from .objects import (
    Key,
    Object,
    is_leaving,
    key,
    listing,
    mapping,
    name,
    namespace,
    owners,
    spec,
    uid,
    with_metadata,
    with_spec,
)
from .resources import Resource
from .store import Change, Event

_USER = "system:serviceaccount:kube-system:generic-garbage-collector"
_NAMESPACE_USER = "system:serviceaccount:kube-system:namespace-controller"


class Garbage:
    """Deletes what nobody owns any more, what lives in a namespace that ends, what a definition that ends defined."""

    def __init__(self, cluster: Cluster) -> None:
        self._cluster = cluster
        cluster.store.listen_to_all(self._changed)

    def _changed(self, resource: str, event: Event) -> None:
        body = event.now
        soon = self._cluster.agenda.soon
        if event.change is Change.DELETED:
            if self._cluster.store.dependents(uid(body)):
                soon(self._collect, (uid(body), ""))
            for owner in owners(body):
                soon(self._release, (str(owner.get("uid")), ""))
            self._end_of(resource, body)
        elif is_leaving(body):
            soon(self._release, (uid(body), ""))
            if resource == "namespaces":
                soon(self.end_namespace, key(body))
            elif resource == CRDS:
                soon(self.end_definition, key(body))
        elif event.change is Change.ADDED and owners(body):
            soon(self._adopt, (uid(body), ""))

    def _end_of(self, resource: str, body: Object) -> None:
        """Looks again at whatever waits for the last object of its kind to go."""
        home = self._cluster.peek("namespaces", ("", namespace(body))) if namespace(body) else None
        if home is not None and is_leaving(home):
            self._cluster.agenda.soon(self.end_namespace, key(home))
        definition = self._cluster.peek(CRDS, ("", resource))
        if definition is not None and is_leaving(definition):
            self._cluster.agenda.soon(self.end_definition, key(definition))

    def _collect(self, gone: Key) -> None:
        for place in self._cluster.store.dependents(gone[0]):
            self._judge(place)

    def _adopt(self, born: Key) -> None:
        place = self._cluster.store.by_uid(born[0])
        if place is not None:
            self._judge(place)

    def _judge(self, place: tuple[str, Key]) -> None:
        """Deletes an object all of whose owners are absent; forgets the absent ones of several."""
        body = self._cluster.peek(*place)
        if body is None or not owners(body):
            return
        present = [owner for owner in owners(body) if self._is_present(body, owner)]
        if not present:
            self._delete([(place[0], body)], Deletion(uid=uid(body)))
        elif len(present) < len(owners(body)):
            self._cluster.replace(_write(_USER, "patch"), place[0], with_metadata(body, ownerReferences=present))

    def _is_present(self, body: Object, owner: Object) -> bool:
        place = self._cluster.store.by_uid(str(owner.get("uid")))
        # An owner in another namespace counts as absent, as the real collector has it.
        return place is not None and place[1][0] in ("", namespace(body))

    def _release(self, owner: Key) -> None:
        """Lets an owner go whose deletion waited for its dependents."""
        place = self._cluster.store.by_uid(owner[0])
        body = self._cluster.peek(*place) if place else None
        if place is None or body is None or not is_leaving(body):
            return
        finalizers = listing(body["metadata"].get("finalizers"))
        below = [
            (where[0], found)
            for where in self._cluster.store.dependents(owner[0])
            if (found := self._cluster.peek(*where))
        ]
        if ORPHAN in finalizers:
            for resource, each in below:
                kept = [ref for ref in owners(each) if ref.get("uid") != owner[0]]
                self._cluster.replace(
                    _write(_USER, "patch"), resource, with_metadata(each, ownerReferences=kept or None)
                )
            self._without(place[0], body, ORPHAN)
        elif FOREGROUND in finalizers:
            self._delete([each for each in below if not is_leaving(each[1])], Deletion(propagation="Foreground"))
            if not self._cluster.store.dependents(owner[0]):
                self._without(place[0], body, FOREGROUND)

    def _without(self, resource: str, body: Object, finalizer: str) -> None:
        body = self._cluster.peek(resource, key(body)) or body
        kept = [each for each in listing(body["metadata"].get("finalizers")) if each != finalizer]
        self._cluster.update(
            _write(_USER, "patch"), self._cluster.registry.by_key(resource), body, with_metadata(body, finalizers=kept)
        )

    def end_namespace(self, at: Key) -> None:
        """Deletes what a namespace holds, then the namespace."""
        body = self._cluster.peek("namespaces", at)
        if body is None or not is_leaving(body):
            return
        held = [
            (resource.qualified, each)
            for resource in _stored(self._cluster.registry)
            if resource.namespaced
            for each in self._cluster.store.list(resource.qualified, name(body))
        ]
        self._delete([each for each in held if not is_leaving(each[1])], Deletion(), user=_NAMESPACE_USER)
        if not any(self._cluster.peek(resource, key(each)) for resource, each in held):
            ended = with_spec(body, finalizers=None)
            self._cluster.replace(_write(_NAMESPACE_USER, "update", "finalize"), "namespaces", ended)
            self._cluster.remove(_write(_NAMESPACE_USER, "delete"), "namespaces", at)

    def end_definition(self, at: Key) -> None:
        """Deletes the objects of a definition, then the definition."""
        body = self._cluster.peek(CRDS, at)
        if body is None or not is_leaving(body):
            return
        resource = f"{mapping(spec(body).get('names')).get('plural')}.{spec(body).get('group')}"
        held = [(resource, each) for each in self._cluster.store.list(resource)]
        self._delete([each for each in held if not is_leaving(each[1])], Deletion())
        if not self._cluster.store.list(resource):
            self._without(CRDS, body, CRD_FINALIZER)

    def _delete(self, bodies: Iterable[tuple[str, Object]], how: Deletion, user: str = _USER) -> None:
        for resource, body in bodies:
            try:
                self._cluster.delete(_write(user, "delete"), self._cluster.registry.by_key(resource), key(body), how)
            except ApiError as refusal:
                if refusal.code not in (404, 409):
                    raise


def _stored(resources: Iterable[Resource]) -> list[Resource]:
    return [each for each in resources if each.storable and not each.stored_as]


def _write(user: str, verb: str, subresource: str = "") -> Write:
    return Write(user=user, agent="kube-controller-manager", verb=verb, subresource=subresource)
