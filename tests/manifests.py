"""Builders for Kubernetes objects as an API server holds them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from uuid import NAMESPACE_DNS, uuid5

Manifest = dict[str, Any]

API = "archgov.io/v1alpha1"
ZONE = "topology.kubernetes.io/zone"
REGION = "topology.kubernetes.io/region"


def uid(*parts: str) -> str:
    """A UUID that is the same for the same parts."""
    return str(uuid5(NAMESPACE_DNS, "/".join(parts)))


def namespace(name: str, labels: Mapping[str, str] | None = None) -> Manifest:
    return {"apiVersion": "v1", "kind": "Namespace", "metadata": _meta("", name, labels)}


def node(
    name: str,
    zone: str = "a",
    *,
    region: str = "",
    cpu: str = "8",
    memory: str = "32Gi",
    ready: str = "True",
    labels: Mapping[str, str] | None = None,
    spec: Manifest | None = None,
) -> Manifest:
    """A node; without a zone it has no such label. ready: True, False or Unknown."""
    placed = {key: value for key, value in ((ZONE, zone), (REGION, region)) if value}
    size = {"cpu": cpu, "memory": memory, "pods": "110"}
    return {
        "apiVersion": "v1",
        "kind": "Node",
        "metadata": _meta("", name, {"kubernetes.io/hostname": name, **placed, **(labels or {})}),
        "spec": spec or {},
        "status": {"capacity": size, "allocatable": size, "conditions": [{"type": "Ready", "status": ready}]},
    }


def deployment(
    name: str,
    replicas: int = 1,
    *,
    cpu: str = "500m",
    memory: str = "256Mi",
    labels: Mapping[str, str] | None = None,
    annotations: Mapping[str, str] | None = None,
    spread: bool = False,
    pod: Manifest | None = None,
    cluster: str = "",
    kind: str = "Deployment",
) -> Manifest:
    """A Deployment named `namespace/name`; `app` is its name. spread: hard, over zones. pod: more of the pod's spec."""
    home, bare = name.split("/")
    app = {"app": bare}
    container = {"name": "main", "image": f"registry.example/{bare}:1"}
    requests = {"requests": {"cpu": cpu, "memory": memory}}
    constraint = {
        "maxSkew": 1,
        "topologyKey": ZONE,
        "whenUnsatisfiable": "DoNotSchedule",
        "labelSelector": {"matchLabels": app},
    }
    template = {"containers": [{**container, "resources": requests}], **(pod or {})}
    if spread:
        template["topologySpreadConstraints"] = [constraint]
    spec: Manifest = {
        "replicas": replicas,
        "selector": {"matchLabels": app},
        "template": {"metadata": {"labels": {**app, **(labels or {})}}, "spec": template},
    }
    if kind == "DaemonSet":
        del spec["replicas"]
    metadata = _meta(home, bare, {**app, **(labels or {})}, cluster)
    return {
        "apiVersion": "apps/v1",
        "kind": kind,
        "metadata": {**metadata, "annotations": dict(annotations or {})},
        "spec": spec,
    }


def replica_set(of: Manifest) -> Manifest:
    """The ReplicaSet of a Deployment."""
    home, name = of["metadata"]["namespace"], of["metadata"]["name"]
    metadata = _meta(home, f"{name}-abc", {}, of["metadata"]["uid"])
    return {"metadata": {**metadata, "ownerReferences": [owner(of)]}, "spec": {"replicas": of["spec"]["replicas"]}}


def pod(
    name: str,
    on: str,
    of: Manifest | None = None,
    *,
    ready: bool = True,
    leaving: bool = False,
    phase: str = "Running",
    cpu: str = "500m",
    memory: str = "256Mi",
) -> Manifest:
    """A pod `namespace/name` on a node (none: not bound yet) of an owner (none: a bare one)."""
    home, bare = name.split("/")
    metadata = _meta(home, bare)
    if of is not None:
        metadata["ownerReferences"] = [owner(of)]
    if leaving:
        metadata["deletionTimestamp"] = "2026-01-05T00:00:00Z"
    container = {"name": "main", "resources": {"requests": {"cpu": cpu, "memory": memory}}}
    return {
        "metadata": metadata,
        "spec": {"nodeName": on, "containers": [container]} if on else {"containers": [container]},
        "status": {"phase": phase, "conditions": [{"type": "Ready", "status": str(ready)}]},
    }


def owner(of: Manifest) -> Manifest:
    return {
        "apiVersion": "apps/v1",
        "kind": of.get("kind", "ReplicaSet"),
        "name": of["metadata"]["name"],
        "uid": of["metadata"]["uid"],
        "controller": True,
    }


def ours(kind: str, name: str, spec: Manifest, **more: Any) -> Manifest:
    """An object of archgov's own kinds, named `namespace/name`, or `name` where its kind has no namespace."""
    home, _, bare = name.rpartition("/")
    metadata: Manifest = {"name": bare, **({"namespace": home} if home else {})}
    return {"apiVersion": API, "kind": kind, "metadata": {**metadata, **more}, "spec": spec}


def _meta(home: str, name: str, labels: Mapping[str, str] | None = None, salt: str = "") -> Manifest:
    metadata: Manifest = {"name": name, "uid": uid(salt, home, name), "labels": dict(labels or {})}
    return {**metadata, "namespace": home} if home else metadata
