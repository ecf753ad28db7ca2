"""Builders for what tests talk about: a fleet, a snapshot, intents."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TypedDict, Unpack

import numpy as np
import numpy.typing as npt

from archgov.model.approval import Approval
from archgov.model.canonical import canonical
from archgov.model.decision import OpenDecision
from archgov.model.fleet import (
    ZONE_LABEL,
    Cluster,
    DeployedTable,
    Fixed,
    Fleet,
    Level,
    NodeTable,
    Price,
    Quota,
    Reach,
    StandingTable,
    WorkloadTable,
)
from archgov.model.intent import (
    Budget,
    CapacityIntent,
    Common,
    Disruption,
    Failback,
    FailoverIntent,
    Governance,
    Intent,
    Load,
    Loss,
    Mode,
    PlacementIntent,
    Point,
    Record,
    SeriesRef,
    Spread,
    Target,
    Tolerate,
    Witness,
)
from archgov.model.names import Names
from archgov.model.quantity import micro_usd, milli, whole
from archgov.model.quantity import seconds as duration
from archgov.model.ref import ClusterName, DomainRef, IntentRef, WorkloadRef
from archgov.model.selector import Labels, Selector
from archgov.model.shape import NodeClass, PodShape, Taint, Toleration
from archgov.model.snapshot import Sample, Series, Snapshot

# 2026-01-05 00:00 UTC, a Monday: weeks and days begin with it.
MONDAY = 1_767_571_200
ZONES = ("a", "b", "c")
UNGOVERNED = Governance()

Amount = str | int
Labelled = Mapping[str, str] | Selector


# ---------------------------------------------------------------------------------------------------------- fleet


def a_cluster(
    name: str,
    *,
    region: str = "eu",
    provider: str = "acme",
    labels: Mapping[str, str] | None = None,
    price: Amount | Price = "0.03",
    reach: Reach = Reach.YES,
    evidence: str = "",
    silent: bool = False,
    since: int = 0,
    reserve: int = 0,
) -> Cluster:
    """A member cluster. price: a bare amount is US dollars per core-hour, with memory free."""
    return Cluster(
        name=ClusterName(name),
        provider=provider,
        region=region,
        labels=_labels(labels),
        reach=reach,
        evidence=evidence,
        silent=silent,
        since=since,
        price=price if isinstance(price, Price) else Price(cpu=micro_usd(price)),
        reserve=reserve,
    )


@dataclass(frozen=True, slots=True)
class Node:
    """A node as `a_fleet` takes it; `used` is what foreign pods request there, beside the workloads of the fleet."""

    domain: str
    name: str
    allocatable: Mapping[str, int]
    used: Mapping[str, int]
    labels: Labels
    taints: tuple[Taint, ...]
    ready: bool
    price: int


def a_node(
    domain: str,
    name: str = "",
    *,
    cpu: Amount = "16",
    memory: Amount = "64Gi",
    pods: int = 110,
    extended: Mapping[str, Amount] | None = None,
    used: Mapping[str, Amount] | None = None,
    labels: Mapping[str, str] | None = None,
    taints: Iterable[Taint] = (),
    ready: bool = True,
    price: Amount = "0",
) -> Node:
    """A node of a domain written `cluster/zone`; `a_fleet` names it if need be. price: US dollars per hour."""
    return Node(
        domain=domain,
        name=name,
        allocatable=_resources({"cpu": cpu, "memory": memory, "pods": pods, **(extended or {})}),
        used=_resources(used or {}),
        labels=_labels(labels),
        taints=tuple(taints),
        ready=ready,
        price=micro_usd(price),
    )


@dataclass(frozen=True, slots=True)
class Workload:
    """A workload as `a_fleet` takes it: standing and ready by `cluster/zone`, spec.replicas and pods without a node by cluster."""

    ref: WorkloadRef
    at: Mapping[str, int]
    ready: Mapping[str, int]
    spec: Mapping[str, int]
    requests: Mapping[str, int]
    shape: PodShape
    labels: Labels
    fixed: Fixed
    guarded: bool
    refused: Mapping[str, int]


def a_workload(
    name: str,
    at: Mapping[str, int] | None = None,
    *,
    cpu: Amount = "500m",
    memory: Amount = "256Mi",
    extended: Mapping[str, Amount] | None = None,
    labels: Mapping[str, str] | None = None,
    ready: Mapping[str, int] | None = None,
    spec: Mapping[str, int] | None = None,
    refused: Mapping[str, int] | None = None,
    kind: str = "Deployment",
    fixed: Fixed = Fixed.FREE,
    guarded: bool = False,
    node: Iterable[Labelled] = (),
    tolerations: Iterable[Toleration] = (),
    zone_skew: int = 0,
    one_a_node: bool = False,
) -> Workload:
    """A workload named `namespace/name`.

    Args:
        at: standing replicas by `cluster/zone`.
        ready: how many of them are Ready, where that is not all.
        spec: spec.replicas by cluster where it differs from what stands; more is pending, `{"us-1": 0}` only exists.
        refused: pending ones that the scheduler found no node for, by cluster.
        labels: `app` is its name unless told otherwise.
        node: alternatives of required node labels.
    """
    namespace, bare = name.split("/")
    at = at or {}
    standing: dict[str, int] = {}
    for place, replicas in at.items():
        standing[_cluster_of(place)] = standing.get(_cluster_of(place), 0) + replicas
    return Workload(
        ref=WorkloadRef(namespace, kind, bare),
        at=at,
        ready={**at, **(ready or {})},
        spec={**standing, **(spec or {})},
        requests=_resources({"cpu": cpu, "memory": memory, "pods": 1, **(extended or {})}),
        shape=PodShape(
            requests=(),
            node=tuple(a_selector(term) for term in node),
            tolerations=tuple(tolerations),
            zone_skew=zone_skew,
            one_a_node=one_a_node,
        ),
        labels=_labels({"app": bare} if labels is None else labels),
        fixed=fixed,
        guarded=guarded,
        refused=refused or {},
    )


def a_fleet(
    clusters: Iterable[Cluster | str],
    workloads: Iterable[Workload] = (),
    nodes: Mapping[str, int] | Iterable[Node] | None = None,
    quotas: Iterable[Quota] = (),
) -> Fleet:
    """A canonical fleet whose nodes carry the pods that stand in their domains.

    Args:
        nodes: nodes, or how many usual ones (16 cores, 64 GiB, 110 pods) by `cluster/zone`; None puts one usual node
            into zones a, b, c of each cluster, as well as into every other zone where something stands.
    Raises:
        ValueError: replicas stand where no cluster, no domain or no free node is.
    """
    return canonical(raw_fleet(clusters, workloads, nodes, quotas))


def raw_fleet(
    clusters: Iterable[Cluster | str],
    workloads: Iterable[Workload] = (),
    nodes: Mapping[str, int] | Iterable[Node] | None = None,
    quotas: Iterable[Quota] = (),
) -> Fleet:
    """The same, with rows in the order in which they were given and `fit` not yet counted."""
    members = tuple(a_cluster(member) if isinstance(member, str) else member for member in clusters)
    asked = tuple(workloads)
    placed = _named(_nodes(nodes, members, asked))
    resources = _resource_names([*(node.allocatable for node in placed), *(workload.requests for workload in asked)])
    cluster_row = {member.name: row for row, member in enumerate(members)}
    domain_row = {place: row for row, place in enumerate(dict.fromkeys(node.domain for node in placed))}
    for place in [*domain_row, *(cluster for workload in asked for cluster in workload.spec)]:
        if ClusterName(_cluster_of(place)) not in cluster_row:
            raise ValueError(f"{place} belongs to none of the clusters {', '.join(cluster_row)}; add it to them")
    classes = tuple(NodeClass(node.labels, node.taints) for node in placed)
    shapes = tuple(_shape(workload, resources) for workload in asked)
    return Fleet(
        resources=resources,
        clusters=members,
        domains=tuple(DomainRef.parse(place) for place in domain_row),
        node_classes=classes,
        label_sets=tuple(workload.labels for workload in asked),
        shapes=shapes,
        quotas=tuple(quotas),
        nodes=NodeTable(
            name=Names.of(node.name for node in placed),
            domain=_column(domain_row[node.domain] for node in placed),
            kind=_column(range(len(placed))),
            allocatable=_matrix([node.allocatable for node in placed], resources),
            used=_used(placed, classes, asked, shapes, resources),
            ready=_column(node.ready for node in placed),
            price=np.array([node.price for node in placed], np.int64),
        ),
        workloads=WorkloadTable(
            key=Names.of(workload.ref.key for workload in asked),
            shape=_column(range(len(asked))),
            labels=_column(range(len(asked))),
            fixed=_column(workload.fixed for workload in asked),
            guarded=_column(workload.guarded for workload in asked),
        ),
        deployed=_deployed(asked, cluster_row),
        standing=_standing(asked, domain_row),
        fit=np.zeros((len(shapes), len(domain_row)), np.int64),
    )


# ------------------------------------------------------------------------------------------------------- snapshot


def a_snapshot(
    fleet: Fleet,
    intents: Iterable[Intent] = (),
    *,
    governance: Governance = UNGOVERNED,
    series: Iterable[Series] = (),
    records: Iterable[Record] = (),
    witnesses: Iterable[Witness] = (),
    losses: Iterable[Loss] = (),
    decisions: Iterable[OpenDecision] = (),
    approvals: Iterable[Approval] = (),
    notes: Iterable[str] = (),
    now: int = MONDAY,
    seed: int = 1,
    lag: Mapping[str, int] | None = None,
) -> Snapshot:
    """An observation with everything in order. now: Unix seconds."""
    return Snapshot(
        fleet=fleet,
        intents=tuple(intents),
        governance=governance,
        series=tuple(series),
        records=tuple(records),
        witnesses=tuple(witnesses),
        losses=tuple(losses),
        decisions=tuple(decisions),
        approvals=tuple(approvals),
        notes=tuple(notes),
        now=now * 1000,
        seed=seed,
        lag=tuple((lag or {}).items()),
    )


def a_series(
    name: str,
    values: Mapping[str, Sequence[int | None]] | Sequence[int | None],
    *,
    key: str = "demand.csv",
    step: int = 3600,
    start: int = MONDAY,
) -> Series:
    """A series named `namespace/configmap` of whole demand units, by place or in all; None leaves a gap."""
    namespace, config_map = name.split("/")
    places = values if isinstance(values, Mapping) else {"": values}
    samples = [
        Sample(start + step * index, place, amount * 1000)
        for place, amounts in places.items()
        for index, amount in enumerate(amounts)
        if amount is not None
    ]
    return Series(namespace, config_map, key, step, tuple(sorted(samples, key=lambda s: (s.at, s.place))))


# -------------------------------------------------------------------------------------------------------- intents


class CommonFields(TypedDict, total=False):
    """What every intent takes: target, authority, disruption."""

    names: Iterable[str]
    kinds: Iterable[str]
    workloads: Labelled
    clusters: Labelled
    namespaces: Iterable[str]
    mode: Mode
    suspend: bool
    priority: int
    budgets: Iterable[Budget]
    min_improvement: int
    uid: str
    generation: int


def a_selector(labels: Labelled) -> Selector:
    """Labels that must all be there, or a ready selector."""
    return labels if isinstance(labels, Selector) else Selector(labels=_labels(labels))


def placement(
    name: str,
    *,
    load: Load = Load.FOLLOWS_REPLICAS,
    allow: Labelled | None = None,
    deny: Labelled | None = None,
    spread: Iterable[Spread] = (),
    **common: Unpack[CommonFields],
) -> PlacementIntent:
    """`placement("shop/in-eu", allow={REGION_LABEL: "eu"}, spread=[spread("zone", max_share=60)])`."""
    return PlacementIntent(
        common=_common("PlacementIntent", name, common),
        load=load,
        allow=None if allow is None else a_selector(allow),
        deny=None if deny is None else a_selector(deny),
        spread=tuple(spread),
    )


def spread(level: str, *, max_share: int = 100, min_domains: int = 0) -> Spread:
    """One rule of a placement. max_share: percent."""
    return Spread(Level(level), max_share, min_domains)


def capacity(
    name: str,
    *,
    demand: Mapping[str, Amount] | Amount | None = None,
    series: str = "",
    per_replica: Amount = 1,
    quantile: int = 95,
    headroom: int = 0,
    horizon: str = "1h",
    minimum: int = 0,
    maximum: int = 0,
    **common: Unpack[CommonFields],
) -> CapacityIntent:
    """`capacity("shop/cart", demand={"eu-1": 120}, per_replica=10)`, in demand units.

    Args:
        demand: by place; a bare amount is for the workload in all.
        series: `configmap` or `configmap/key`.
    """
    if demand is None:
        points: tuple[Point, ...] = ()
    else:
        places = demand if isinstance(demand, Mapping) else {"": demand}
        points = tuple(Point(place, milli(amount)) for place, amount in sorted(places.items()))
    config_map, _, key = series.partition("/")
    return CapacityIntent(
        common=_common("CapacityIntent", name, common),
        demand=points,
        series=SeriesRef(config_map, key or "demand.csv") if series else None,
        per_replica=milli(per_replica),
        quantile=quantile,
        headroom=headroom,
        horizon=duration(horizon),
        minimum=minimum,
        maximum=maximum,
    )


def failover(
    name: str,
    *,
    tolerate: Mapping[str, int] | None = None,
    tier: int = 1,
    share: int = 100,
    on_loss: Mode = Mode.RECOMMEND,
    rto: str = "",
    failback: Failback = Failback.AUTOMATIC,
    soak: str = "5m",
    shed: int | None = None,
    **common: Unpack[CommonFields],
) -> FailoverIntent:
    """`failover("shop/n-1", tolerate={"zone": 1, "cluster": 1}, tier=0)`."""
    return FailoverIntent(
        common=_common("FailoverIntent", name, common),
        tier=tier,
        tolerate=tuple(Tolerate(Level(level), failures) for level, failures in (tolerate or {}).items()),
        share=share,
        on_loss=on_loss,
        rto=duration(rto) if rto else 0,
        failback=failback,
        soak=duration(soak),
        shed=shed,
    )


# --------------------------------------------------------------------------------------------------------- inside


def _common(kind: str, name: str, given: CommonFields) -> Common:
    namespace, bare = name.split("/")
    return Common(
        ref=IntentRef(kind, namespace, bare),
        uid=given.get("uid", hashlib.blake2b(f"{kind}/{name}".encode(), digest_size=16).hexdigest()),
        generation=given.get("generation", 1),
        mode=given.get("mode", Mode.RECOMMEND),
        suspend=given.get("suspend", False),
        target=Target(
            clusters=a_selector(given.get("clusters", {})),
            kinds=tuple(given.get("kinds", ())),
            names=tuple(given.get("names", ())),
            workloads=a_selector(given.get("workloads", {})),
            namespaces=tuple(given.get("namespaces", ())),
        ),
        priority=given.get("priority", 0),
        disruption=Disruption(tuple(given.get("budgets", ())), given.get("min_improvement", 2)),
    )


def _labels(labels: Mapping[str, str] | None) -> Labels:
    return tuple(sorted((labels or {}).items()))


def _resources(amounts: Mapping[str, Amount]) -> dict[str, int]:
    """In the units of the fleet: bytes and pods are whole, everything else is in thousandths."""
    return {name: whole(amount) if name in ("memory", "pods") else milli(amount) for name, amount in amounts.items()}


def _cluster_of(place: str) -> str:
    return place.partition("/")[0]


def _nodes(
    nodes: Mapping[str, int] | Iterable[Node] | None, clusters: Sequence[Cluster], workloads: Sequence[Workload]
) -> list[Node]:
    if nodes is None:
        usual = [f"{cluster.name}/{zone}" for cluster in clusters for zone in ZONES]
        nodes = dict.fromkeys([*usual, *(place for workload in workloads for place in workload.at)], 1)
    if isinstance(nodes, Mapping):
        return [a_node(place) for place, count in nodes.items() for _ in range(count)]
    return list(nodes)


def _named(nodes: Sequence[Node]) -> list[Node]:
    """Nodes with names and the well-known labels that a real node always has."""
    named: list[Node] = []
    for row, node in enumerate(nodes):
        labels = _labels({ZONE_LABEL: node.domain.partition("/")[2], **dict(node.labels)})
        named.append(replace(node, name=node.name or f"node-{row}", labels=labels))
    return named


def _resource_names(amounts: Iterable[Mapping[str, int]]) -> tuple[str, ...]:
    usual = ("cpu", "memory", "pods")
    return (*usual, *sorted({name for amount in amounts for name in amount} - {*usual}))


def _shape(workload: Workload, resources: Sequence[str]) -> PodShape:
    return replace(workload.shape, requests=tuple(workload.requests.get(resource, 0) for resource in resources))


def _used(
    nodes: Sequence[Node],
    classes: Sequence[NodeClass],
    workloads: Sequence[Workload],
    shapes: Sequence[PodShape],
    resources: Sequence[str],
) -> npt.NDArray[np.int64]:
    """(N, P) requests after every standing pod went to the emptiest node of its domain that takes it."""
    used = _matrix([node.used for node in nodes], resources)
    room = _matrix([node.allocatable for node in nodes], resources)
    for workload, shape in zip(workloads, shapes, strict=True):
        request = np.array(shape.requests, np.int64)
        for place, replicas in workload.at.items():
            there = [n for n, node in enumerate(nodes) if node.domain == place and shape.may_run_on(classes[n])]
            for _ in range(replicas):
                taking = [n for n in there if (used[n] + request <= room[n]).all()]
                if not taking:
                    raise ValueError(f"no node of {place} has room for {replicas} of {workload.ref}; enlarge some")
                used[min(taking, key=lambda n: (used[n, 0], n))] += request
    return used


def _deployed(workloads: Sequence[Workload], cluster_row: Mapping[ClusterName, int]) -> DeployedTable:
    rows: list[tuple[int, int, int, int, int]] = []
    uids: list[bytes] = []
    for s, workload in enumerate(workloads):
        for cluster, replicas in workload.spec.items():
            ready = sum(workload.ready[place] for place in workload.at if _cluster_of(place) == cluster)
            rows.append((s, cluster_row[ClusterName(cluster)], replicas, ready, workload.refused.get(cluster, 0)))
            uids.append(hashlib.blake2b(f"{cluster}/{workload.ref.key}".encode(), digest_size=16).digest())
    table = np.array(rows, np.int32).reshape(len(rows), 5)
    uid = np.frombuffer(b"".join(uids), np.uint8).reshape(len(rows), 16)
    workload, cluster, replicas, ready, refused = np.ascontiguousarray(table.T)
    return DeployedTable(workload, cluster, replicas, ready, refused, uid)


def _standing(workloads: Sequence[Workload], domain_row: Mapping[str, int]) -> StandingTable:
    rows: list[tuple[int, int, int, int]] = []
    for s, workload in enumerate(workloads):
        for place, replicas in workload.at.items():
            if place not in domain_row:
                raise ValueError(f"{workload.ref} stands in {place}, where no node is; add one to nodes")
            rows.append((s, domain_row[place], replicas, workload.ready[place]))
    table = np.array(rows, np.int32).reshape(len(rows), 4)
    workload, domain, replicas, ready = np.ascontiguousarray(table.T)
    return StandingTable(workload, domain, replicas, ready)


def _column(values: Iterable[int]) -> npt.NDArray[np.int32]:
    return np.array([int(value) for value in values], np.int32)


def _matrix(amounts: Sequence[Mapping[str, int]], resources: Sequence[str]) -> npt.NDArray[np.int64]:
    rows = [[amount.get(resource, 0) for resource in resources] for amount in amounts]
    return np.array(rows, np.int64).reshape(len(rows), len(resources))
