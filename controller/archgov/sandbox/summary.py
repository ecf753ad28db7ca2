"""What the request log keeps of an object."""

from __future__ import annotations

from typing import Any

from .objects import Object, controller_of, is_leaving, key, labels, mapping, namespace, spec
from .pods import is_ready, node_of
from .resources import Resource
from .store import Store

ZONE = "topology.kubernetes.io/zone"
_SCALED = frozenset({"deployments.apps", "replicasets.apps", "statefulsets.apps"})
_OWN_GROUP = "archgov.io"


def summary(store: Store, resource: Resource, body: Object | None) -> dict[str, Any] | None:
    """A few facts for kinds that many objects have; whole spec with status for archgov's own; else the version."""
    if body is None:
        return None
    facts = {field: body["metadata"].get(field) for field in ("uid", "resourceVersion", "generation")}
    facts = {field: value for field, value in facts.items() if value is not None}
    if resource.qualified == "pods":
        return facts | pod_facts(store, body)
    if resource.qualified in _SCALED:
        status = mapping(body.get("status"))
        return facts | {"replicas": spec(body).get("replicas"), "ready": status.get("readyReplicas", 0)}
    if resource.group == _OWN_GROUP:
        return facts | {"spec": body.get("spec"), "status": body.get("status")}
    return facts


def pod_facts(store: Store, pod: Object) -> dict[str, Any]:
    """Readiness with whereabouts; the owner is the topmost one."""
    node = node_of(pod)
    home = store.get("nodes", ("", node)) if node else None
    return {
        "ready": is_ready(pod),
        "phase": mapping(pod.get("status")).get("phase"),
        "node": node,
        "zone": labels(home).get(ZONE, "") if home else "",
        "owner": top_owner(store, pod),
        "terminating": is_leaving(pod),
    }


def top_owner(store: Store, body: Object) -> str:
    """`namespace/Kind/name` of the last owner in the chain; empty when nobody owns the object."""
    owner = controller_of(body)
    if owner is None:
        return ""
    place = store.by_uid(str(owner.get("uid", "")))
    above = store.get(*place) if place else None
    if above is None:
        return f"{namespace(body)}/{owner.get('kind')}/{owner.get('name')}"
    return top_owner(store, above) or f"{namespace(above)}/{above['kind']}/{key(above)[1]}"
