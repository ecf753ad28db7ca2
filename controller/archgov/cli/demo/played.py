"""The fleet of a snapshot as Kubernetes objects, as far as the snapshot tells.

Replicas stand in the zones where they stood, on nodes that were used as much. What belongs to no workload is taken off the nodes.
What archgov must not act on (autoscaled, owned by a controller, half understood) is opted out. Records and losses are not taken
over: the fleet begins anew.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime
from decimal import Decimal
from typing import Final
from uuid import NAMESPACE_URL, UUID, uuid5

import numpy as np

from archgov.api.kind import API_VERSION
from archgov.cli.declare import body
from archgov.cli.demo.fleet import SYSTEM, Manifest
from archgov.model.fleet import REGION_LABEL, ZONE_LABEL, Fixed, Fleet, Int64
from archgov.model.intent import CapacityIntent, Governance
from archgov.model.quantity import milli_text
from archgov.model.selector import Selector
from archgov.model.shape import PodShape
from archgov.model.snapshot import Series, Snapshot

HOST_LABEL: Final = "kubernetes.io/hostname"
HASH_LABEL: Final = "pod-template-hash"
# The number of a workload: selects its own pods and nobody else's, whatever labels it carries.
PLAYED: Final = "archgov.io/played"
# What a node is billed at, so that a MemberCluster can name the price of all nodes that cost as much.
BILLED: Final = "archgov.io/billed"
MOST_NODE_PRICES: Final = 64
API: Final = {"apiVersion": "apps/v1"}


def objects(snapshot: Snapshot) -> dict[str, list[Manifest]]:
    """What exists in each member before archgov comes, in the order in which it is created."""
    fleet = snapshot.fleet
    seats, spare = _seats(fleet)
    found: dict[str, list[Manifest]] = {}
    for k, cluster in enumerate(fleet.clusters):
        found[cluster.name] = [
            *(_namespace(name) for name in namespaces(snapshot)),
            *(_node(fleet, int(n), spare[n]) for n in _nodes_of(fleet, k) if fleet.nodes.ready[n]),
            *(_quota(fleet, namespace, k, left) for namespace, left in _quotas(fleet, k)),
            *(one for s in range(len(fleet.workloads.key)) for one in _workload(fleet, s, k, seats.get((s, k), []))),
        ]
    return found


def namespaces(snapshot: Snapshot) -> list[str]:
    """Those of workloads and intents."""
    workloads = {ref.namespace for ref in snapshot.fleet.refs()}
    return sorted(workloads | {intent.common.ref.namespace for intent in snapshot.intents})


def hub(snapshot: Snapshot) -> list[Manifest]:
    """What the hub holds before archgov is installed."""
    return [_namespace(SYSTEM), *(_namespace(name) for name in namespaces(snapshot))]


def pending(snapshot: Snapshot) -> int:
    """Replicas that are asked for and stood nowhere when the snapshot was taken."""
    return max(0, int(snapshot.fleet.deployed.replicas.sum()) - int(snapshot.fleet.standing.replicas.sum()))


def member_clusters(snapshot: Snapshot) -> dict[str, Manifest]:
    """The MemberCluster of each cluster, its witnesses still missing."""
    return {cluster.name: _member(snapshot.fleet, k) for k, cluster in enumerate(snapshot.fleet.clusters)}


def declarations(snapshot: Snapshot, now: datetime) -> list[Manifest]:
    """Intents with the series that they name, moved in time so that they end now."""
    named = {
        (intent.common.ref.namespace, intent.series.config_map, intent.series.key)
        for intent in snapshot.intents
        if isinstance(intent, CapacityIntent) and intent.series
    }
    by_map: dict[tuple[str, str], list[Series]] = defaultdict(list)
    for one in snapshot.series:
        if (one.namespace, one.config_map, one.key) in named:
            by_map[one.namespace, one.config_map].append(one)
    later = int(now.timestamp()) - snapshot.seconds
    maps = [_config_map(*place, some, later) for place, some in sorted(by_map.items())]
    return maps + [body(intent) for intent in snapshot.intents]


def fleet_object(governance: Governance) -> Manifest:
    """The Fleet that says what the snapshot's said, but for a stop."""
    spec: Manifest = {
        "defaultMode": governance.default_mode.value,
        "prices": {"move": _money(governance.move_price)},
        "optimizer": {"maxNodes": governance.max_nodes},
    }
    if governance.governing:
        spec["governingNamespaces"] = list(governance.governing)
    if governance.ceilings:
        spec["priorityCeilings"] = [{"namespace": name, "ceiling": most} for name, most in governance.ceilings]
    return {"apiVersion": API_VERSION, "kind": "Fleet", "metadata": {"name": "fleet"}, "spec": spec}


# ---------------------------------------------------------------------------------------------------- who stands where


def _seats(fleet: Fleet) -> tuple[dict[tuple[int, int], list[int]], Int64]:
    """Rows of nodes for the replicas of each (workload, cluster), largest first, and (N, P) what the nodes offer to all of them.

    A replica that no node takes is left to the scheduler.
    """
    taken = np.zeros_like(fleet.nodes.used)
    for s in np.flatnonzero(fleet.workloads.fixed == Fixed.DAEMON).tolist():
        for n in _open_nodes(fleet, s):
            taken[n] += fleet.requests[fleet.workloads.shape[s]]
    spare = fleet.nodes.allocatable - _of_nobody(fleet)
    seats: dict[tuple[int, int], list[int]] = defaultdict(list)
    for s, j, count in _by_size(fleet):
        request = fleet.requests[fleet.workloads.shape[s]]
        near = [n for n in _open_nodes(fleet, s) if fleet.nodes.domain[n] == j]
        for _ in range(count):
            if not (fits := _taking(fleet.nodes.used, taken, request, near) or _taking(spare, taken, request, near)):
                break
            taken[fits[0]] += request
            seats[s, int(fleet.domain_cluster[j])].append(fits[0])
            if fleet.shapes[fleet.workloads.shape[s]].one_a_node:
                near.remove(fits[0])
    return seats, spare


def _by_size(fleet: Fleet) -> list[tuple[int, int, int]]:
    """(workload, domain, replicas) of Deployments, the pods that are hardest to place first."""
    most = np.maximum(fleet.nodes.allocatable.max(axis=0, initial=1), 1)
    size = (fleet.requests / most).max(axis=1, initial=0)
    table = fleet.standing
    rows = zip(table.workload.tolist(), table.domain.tolist(), table.replicas.tolist(), strict=True)
    found = [row for row in rows if fleet.ref(row[0]).kind == "Deployment"]
    return sorted(found, key=lambda row: (-size[fleet.workloads.shape[row[0]]], row))


def _open_nodes(fleet: Fleet, s: int) -> list[int]:
    shape = fleet.shapes[fleet.workloads.shape[s]]
    fine = np.array([shape.may_run_on(node) for node in fleet.node_classes], bool)
    found: list[int] = np.flatnonzero(fine[fleet.nodes.kind] & (fleet.nodes.ready == 1)).tolist()
    return found


def _taking(room: Int64, taken: Int64, request: Int64, nodes: list[int]) -> list[int]:
    fits = (taken[nodes] + request <= room[nodes]).all(axis=1)
    return [nodes[i] for i in np.flatnonzero(fits).tolist()]


def _of_nobody(fleet: Fleet) -> Int64:
    """(N, P) what pods of no workload use: known by domain, so shared out as the nodes are used."""
    left = np.zeros((len(fleet.domains), len(fleet.resources)), np.int64)
    np.add.at(left, fleet.nodes.domain, fleet.nodes.used)
    used = left.copy()
    table = fleet.standing
    np.subtract.at(left, table.domain, fleet.requests[fleet.workloads.shape[table.workload]] * table.replicas[:, None])
    others = np.maximum(left, 0)[fleet.nodes.domain]
    shares = np.divide(fleet.nodes.used, np.maximum(used, 1)[fleet.nodes.domain])
    found: Int64 = np.floor(others * shares).astype(np.int64)
    return found


# -------------------------------------------------------------------------------------------------------------- objects


def _namespace(name: str) -> Manifest:
    return {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}}


def _nodes_of(fleet: Fleet, k: int) -> Int64:
    found: Int64 = np.flatnonzero(fleet.domain_cluster[fleet.nodes.domain] == k)
    return found


def _node(fleet: Fleet, n: int, room: Int64) -> Manifest:
    kind, domain = fleet.node_classes[fleet.nodes.kind[n]], fleet.domains[fleet.nodes.domain[n]]
    name = fleet.nodes.name[n]
    labels = {
        HOST_LABEL: name,
        REGION_LABEL: fleet.clusters[fleet.cluster_row[domain.cluster]].region,
        **dict(kind.labels),
        ZONE_LABEL: domain.zone,
        BILLED: str(int(fleet.nodes.price[n])),
    }
    size = _quantities(fleet, np.maximum(room, 0).tolist())
    taints = [{"key": taint.key, "value": taint.value, "effect": taint.effect} for taint in kind.taints]
    return {
        "apiVersion": "v1",
        "kind": "Node",
        "metadata": {"name": name, "labels": {key: value for key, value in labels.items() if value}},
        "spec": {"taints": taints} if taints else {},
        "status": {"capacity": size, "allocatable": size},
    }


def _quantities(fleet: Fleet, amounts: Iterable[int]) -> dict[str, str]:
    texts = {"cpu": "{}m", "memory": "{}", "pods": "{}"}
    return {
        name: texts[name].format(amount) if name in texts else str(amount // 1000)
        for name, amount in zip(fleet.resources, amounts, strict=True)
    }


def _workload(fleet: Fleet, s: int, k: int, seats: list[int]) -> Iterator[Manifest]:
    """A workload in one cluster; for a Deployment also its ReplicaSet and its pods, each on its node."""
    replicas = fleet.spec_replicas(s).get(k)
    if replicas is None:
        return
    ref, uid = fleet.ref(s), _uid(fleet, s, k)
    template = _template(fleet, s)
    labels = template["metadata"]["labels"]
    fixed = Fixed(int(fleet.workloads.fixed[s]))
    marks = {"archgov.io/governed": "false"} if fixed not in (Fixed.FREE, Fixed.STATEFUL, Fixed.DAEMON) else {}
    chosen = {"matchLabels": {PLAYED: labels[PLAYED]}}
    meta = {"name": ref.name, "namespace": ref.namespace, "labels": labels | marks, "uid": uid}
    spec: Manifest = {"selector": chosen, "template": template}
    if ref.kind != "DaemonSet":
        spec["replicas"] = replicas
    if ref.kind == "StatefulSet":
        spec["serviceName"] = ref.name
    yield {**API, "kind": ref.kind, "metadata": meta, "spec": spec}
    if fleet.workloads.guarded[s]:
        yield _guard(fleet, s, chosen)
    if ref.kind == "Deployment":
        yield from _pods(fleet, seats[:replicas], meta, spec)


def _pods(fleet: Fleet, seats: list[int], meta: Manifest, spec: Manifest) -> Iterator[Manifest]:
    name, namespace, of_set = f"{meta['name']}-played", meta["namespace"], str(uuid5(UUID(meta["uid"]), "ReplicaSet"))
    template = spec["template"]
    labels = {**template["metadata"]["labels"], HASH_LABEL: "played"}
    yield {
        **API,
        "kind": "ReplicaSet",
        "metadata": {
            "name": name,
            "namespace": namespace,
            "uid": of_set,
            "labels": labels,
            "annotations": {"deployment.kubernetes.io/revision": "1"},
            "ownerReferences": [_owner("Deployment", meta["name"], meta["uid"])],
        },
        "spec": {
            "replicas": spec["replicas"],
            "selector": {"matchLabels": {**spec["selector"]["matchLabels"], HASH_LABEL: "played"}},
            "template": {**template, "metadata": {"labels": labels}},
        },
    }
    for number, n in enumerate(seats):
        yield {
            "apiVersion": "v1",
            "kind": "Pod",
            "metadata": {
                "name": f"{name}-{number}",
                "namespace": namespace,
                "labels": labels,
                "ownerReferences": [_owner("ReplicaSet", name, of_set)],
            },
            "spec": {**template["spec"], "nodeName": fleet.nodes.name[n]},
        }


def _owner(kind: str, name: str, uid: str) -> Manifest:
    return {**API, "kind": kind, "name": name, "uid": uid, "controller": True, "blockOwnerDeletion": True}


def _uid(fleet: Fleet, s: int, k: int) -> str:
    """The uid that was observed, so that what was decided about an object still names it."""
    known = fleet.uid(s, k)
    return str(UUID(known)) if known.strip("0") else str(uuid5(NAMESPACE_URL, f"{fleet.ref(s).key}@{k}"))


def _template(fleet: Fleet, s: int) -> Manifest:
    shape: PodShape = fleet.shapes[fleet.workloads.shape[s]]
    mine = {"matchLabels": {PLAYED: f"w{s}"}}
    requests = [0 if name == "pods" else amount for name, amount in zip(fleet.resources, shape.requests, strict=True)]
    asked = {name: text for name, text in _quantities(fleet, requests).items() if text not in ("0", "0m")}
    spec: Manifest = {
        "containers": [{"name": "main", "image": "registry.example/played:1", "resources": {"requests": asked}}]
    }
    affinity: Manifest = {}
    if shape.node:
        terms = {"nodeSelectorTerms": [{"matchExpressions": _expressions(one)} for one in shape.node]}
        affinity["nodeAffinity"] = {"requiredDuringSchedulingIgnoredDuringExecution": terms}
    if shape.one_a_node:
        term = {"topologyKey": HOST_LABEL, "labelSelector": mine}
        affinity["podAntiAffinity"] = {"requiredDuringSchedulingIgnoredDuringExecution": [term]}
    if affinity:
        spec["affinity"] = affinity
    if shape.tolerations:
        spec["tolerations"] = [
            {"key": one.key, "operator": one.operator, "value": one.value, "effect": one.effect}
            for one in shape.tolerations
        ]
    if shape.zone_skew:
        spec["topologySpreadConstraints"] = [
            {
                "maxSkew": shape.zone_skew,
                "topologyKey": ZONE_LABEL,
                "whenUnsatisfiable": "DoNotSchedule",
                "labelSelector": mine,
            }
        ]
    labels = {**dict(fleet.label_sets[fleet.workloads.labels[s]]), PLAYED: f"w{s}"}
    return {"metadata": {"labels": labels}, "spec": spec}


def _expressions(selector: Selector) -> list[Manifest]:
    # An expression without values matches no node, which Kubernetes wants to be said by a value that no node has.
    return [{"key": key, "operator": "In", "values": [value]} for key, value in selector.labels] + [
        {"key": one.key, "operator": one.operator.value}
        | ({} if one.operator.value.endswith(("Exists", "Exist")) else {"values": list(one.values) or ["nowhere"]})
        for one in selector.expressions
    ]


def _guard(fleet: Fleet, s: int, chosen: Manifest) -> Manifest:
    ref = fleet.ref(s)
    return {
        "apiVersion": "policy/v1",
        "kind": "PodDisruptionBudget",
        "metadata": {"name": f"{ref.name}-{ref.kind.lower()}", "namespace": ref.namespace},
        "spec": {"maxUnavailable": 1, "selector": chosen},
    }


def _quotas(fleet: Fleet, k: int) -> Iterator[tuple[str, tuple[tuple[str, int], ...]]]:
    cluster = fleet.clusters[k].name
    return ((quota.namespace, quota.left) for quota in fleet.quotas if quota.cluster == cluster)


def _quota(fleet: Fleet, namespace: str, k: int, left: tuple[tuple[str, int], ...]) -> Manifest:
    """A quota that leaves as much as the snapshot's did, once the pods of the namespace stand."""
    used = np.zeros(len(fleet.resources), np.int64)
    for s, ref in enumerate(fleet.refs()):
        if ref.namespace == namespace:
            used += fleet.spec_replicas(s).get(k, 0) * fleet.requests[fleet.workloads.shape[s]]
    limits = np.array([dict(left).get(name, 0) for name in fleet.resources], np.int64) + used
    texts = _quantities(fleet, limits.tolist())
    hard = {name if name == "pods" else f"requests.{name}": texts[name] for name, _ in left if name in texts}
    return {
        "apiVersion": "v1",
        "kind": "ResourceQuota",
        "metadata": {"name": "played", "namespace": namespace},
        "spec": {"hard": hard},
    }


def _member(fleet: Fleet, k: int) -> Manifest:
    cluster = fleet.clusters[k]
    price = cluster.price
    billed = sorted(set(fleet.nodes.price[_nodes_of(fleet, k)].tolist()))[:MOST_NODE_PRICES]
    prices: Manifest = {
        "cpu": _money(price.cpu),
        "memory": _money(price.memory),
        "extended": [{"resource": name, "price": _money(rate)} for name, rate in price.extended],
        "nodes": [{"matchLabels": {BILLED: str(rate)}, "price": _money(rate)} for rate in billed],
        "assumed": price.assumed,
    }
    place = {"provider": cluster.provider, "region": cluster.region}
    return {
        "apiVersion": API_VERSION,
        "kind": "MemberCluster",
        "metadata": {"name": cluster.name, "labels": dict(cluster.labels)},
        "spec": {
            "kubeconfigSecret": {"name": f"kubeconfig-{cluster.name}"},
            "location": {key: value for key, value in place.items() if value},
            "prices": prices,
            "reserve": f"{cluster.reserve}%",
        },
    }


def _config_map(namespace: str, name: str, series: Iterable[Series], later: int) -> Manifest:
    data = {}
    for one in series:
        moved = later // one.step * one.step
        lines = [
            f"{datetime.fromtimestamp(sample.at + moved, UTC):%Y-%m-%dT%H:%M:%SZ},{sample.place},{milli_text(sample.amount)}"
            for sample in one.samples
        ]
        data[one.key] = "\n".join(["time,place,amount", *lines]) + "\n"
    return {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {"name": name, "namespace": namespace},
        "data": data,
    }


def _money(micro: int) -> str:
    return f"{Decimal(micro) / 1_000_000:f}"
