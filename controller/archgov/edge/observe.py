"""Rows of every cluster, objects of the hub: one Snapshot of it all."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Final
from uuid import UUID

import numpy as np

from archgov.api import fleet as fleet_api
from archgov.api import member_cluster, workload_record
from archgov.api import series as series_api
from archgov.api.fault import IntentError
from archgov.api.member_cluster import Member, Probe
from archgov.api.registry import parse_any
from archgov.api.render import record_name
from archgov.edge import rows as row
from archgov.edge.template import HOST_LABEL, Amounts, Template
from archgov.edge.tree import Json
from archgov.edge.watchset import Health
from archgov.model.approval import Approval
from archgov.model.canonical import canonical
from archgov.model.decision import OpenDecision, Outcome
from archgov.model.fleet import (
    REGION_LABEL,
    ZONE_LABEL,
    Cluster,
    DeployedTable,
    Fixed,
    Fleet,
    Int64,
    NodeTable,
    Price,
    Quota,
    Reach,
    StandingTable,
    WorkloadTable,
)
from archgov.model.intent import CapacityIntent, Governance, Intent, Loss, Record, Stopped, Witness
from archgov.model.names import Names
from archgov.model.ref import ClusterName, DomainRef, WorkloadRef
from archgov.model.selector import Labels
from archgov.model.shape import NodeClass, PodShape, Taint
from archgov.model.snapshot import Series, Snapshot

SYSTEM_NAMESPACES: Final = frozenset({"kube-system", "kube-public", "kube-node-lease", "archgov-system"})
NO_ZONE: Final = "default"
GOVERNED: Final = "archgov.io/governed"
PIN: Final = "archgov.io/pin"
USUAL: Final = ("cpu", "memory", "pods")
# The group of witnesses that are not inside the fleet.
OUTSIDE: Final = "outside"
# Where nobody declares a price: a usual one of a public cloud, so that cost still compares; reports say that it is assumed.
ASSUMED: Final = Price(cpu=30_000, memory=4_000, assumed=True)

DeployableRow = row.DeploymentRow | row.StatefulSetRow | row.DaemonSetRow


@dataclass(frozen=True, slots=True)
class Seen:
    """Everything that is known of one member cluster at one instant; stale where health says so, never empty because of it."""

    member: Member
    health: Health
    nodes: Sequence[row.NodeRow] = ()
    pods: Sequence[row.PodRow] = ()
    deployments: Sequence[row.DeploymentRow] = ()
    replica_sets: Sequence[row.ReplicaSetRow] = ()
    stateful_sets: Sequence[row.StatefulSetRow] = ()
    daemon_sets: Sequence[row.DaemonSetRow] = ()
    pdbs: Sequence[row.PdbRow] = ()
    hpas: Sequence[row.HpaRow] = ()
    quotas: Sequence[row.QuotaRow] = ()
    namespaces: Sequence[row.NamespaceRow] = ()
    malformed: Sequence[row.Malformed] = ()


@dataclass(frozen=True, slots=True)
class Rejected:
    """One of our objects that can't be understood; everything else is still governed."""

    body: Json
    error: IntentError

    @property
    def name(self) -> str:
        return str(self.body.get("metadata", {}).get("name", ""))

    @property
    def namespace(self) -> str:
        return str(self.body.get("metadata", {}).get("namespace", ""))


@dataclass(frozen=True, slots=True)
class Hub:
    """What archgov's own API holds, parsed. rejected: objects that can't be."""

    governance: Governance = Governance()
    intents: tuple[Intent, ...] = ()
    series: tuple[Series, ...] = ()
    records: tuple[Record, ...] = ()
    decisions: tuple[OpenDecision, ...] = ()
    approvals: tuple[Approval, ...] = ()
    losses: tuple[Loss, ...] = ()
    members: tuple[Member, ...] = ()
    rejected: tuple[Rejected, ...] = ()

    @property
    def unclear(self) -> dict[ClusterName, str]:
        """What is wrong with each MemberCluster that can't be understood; its cluster is still a member."""
        return {ClusterName(one.name): str(one.error) for one in self._rejected(member_cluster.NAME)}

    @property
    def unremembered(self) -> frozenset[tuple[str, str]]:
        """Namespaces and names of the WorkloadRecords that can't be understood."""
        return frozenset((one.namespace, one.name) for one in self._rejected(workload_record.NAME))

    def _rejected(self, kind: str) -> Iterable[Rejected]:
        return (one for one in self.rejected if one.body["kind"] == kind)

    @property
    def probes(self) -> tuple[Probe, ...]:
        """Every URL to be asked: witnesses of the members, references outside."""
        outside = (
            Probe(Witness(one.name, ClusterName(""), group=OUTSIDE), one.url) for one in self.governance.references
        )
        return (*(probe for member in self.members for probe in member.probes), *outside)


def understood(objects: Iterable[Json], config_maps: Iterable[Json] = ()) -> Hub:
    """Parses everything of ours, each object by itself."""
    bodies = list(objects)
    rejected: list[Rejected] = []
    governance = Governance()
    parsed: list[object] = []
    for body in sorted(bodies, key=lambda body: body["kind"] != "Fleet"):  # its defaults complete the others
        try:
            value = parse_any(body, governance)
        except IntentError as error:
            rejected.append(Rejected(body, error))
            if body["kind"] == fleet_api.NAME:
                governance = _stopped_by(governance, error)
            continue
        if isinstance(value, Governance):
            governance = replace(value, stopped=governance.stopped or value.stopped)
        parsed.append(value)
    intents = tuple(sorted((v for v in parsed if isinstance(v, Intent)), key=lambda intent: intent.common.ref))
    members = sorted((value for value in parsed if isinstance(value, Member)), key=lambda member: member.name)
    return Hub(
        governance=governance,
        intents=intents,
        series=tuple(_series(intents, {_key(body): body for body in config_maps})),
        records=tuple(sorted((v for v in parsed if isinstance(v, Record)), key=lambda record: record.workload)),
        decisions=tuple(
            sorted(
                (v for v in parsed if isinstance(v, OpenDecision) and v.decision.outcome in _OPEN),
                key=lambda one: (one.namespace, one.decision.name),
            )
        ),
        approvals=tuple(_approvals(parsed)),
        losses=tuple(sorted(_losses(bodies))),
        members=tuple(members),
        rejected=tuple(rejected),
    )


def _approvals(parsed: Iterable[object]) -> Iterable[Approval]:
    """What people say, each with the Decision that it names, over or not."""
    found = list(parsed)
    named = {one.key: one for one in found if isinstance(one, OpenDecision)}
    for one in found:
        if isinstance(one, Approval):
            yield replace(one, about=named.get((one.namespace, one.decision)))


def _stopped_by(governance: Governance, error: IntentError) -> Governance:
    """A Fleet that can't be understood may be what somebody stops all acting with, so it does."""
    return replace(governance, stopped=Stopped("archgov", f"the Fleet object is invalid: {error}"))


_OPEN: Final = (Outcome.APPLYING, Outcome.PROPOSED)


def observe(hub: Hub, clusters: Sequence[Seen], witnesses: Iterable[Witness], *, now: int, seed: int) -> Snapshot:
    """One consistent picture. now: Unix milliseconds."""
    ordered = sorted(clusters, key=lambda seen: seen.member.name)
    assumed = [seen.member.name for seen in ordered if (seen.member.price or ASSUMED).assumed]
    fleet = fleet_of(ordered)
    held = _unremembered(fleet, hub)
    return Snapshot(
        fleet=_holding(fleet, held),
        intents=hub.intents,
        governance=hub.governance,
        series=hub.series,
        records=hub.records,
        witnesses=tuple(sorted(witnesses, key=lambda witness: (witness.cluster, witness.name))),
        losses=hub.losses,
        decisions=hub.decisions,
        approvals=hub.approvals,
        notes=(
            *((f"assumed: prices of {', '.join(assumed)}",) if assumed else ()),
            *(f"held: the WorkloadRecord of {fleet.ref(row)} can't be understood" for row in held),
        ),
        now=now,
        seed=seed,
        lag=tuple((seen.member.name, int(seen.health.lag_seconds * 1000)) for seen in ordered),
    )


def _unremembered(fleet: Fleet, hub: Hub) -> tuple[int, ...]:
    """Rows of workloads whose record can't be understood; its name tells the workload even where its spec doesn't."""
    return tuple(
        row
        for namespace in sorted({namespace for namespace, _ in hub.unremembered})
        for row in fleet.workloads.key.prefixed(f"{namespace}/")
        if (namespace, record_name(fleet.ref(row))) in hub.unremembered
    )


def _holding(fleet: Fleet, rows: Sequence[int]) -> Fleet:
    """The same fleet, but nothing acts on these workloads: a memory that can't be read is not an empty one."""
    if not rows:
        return fleet
    fixed = fleet.workloads.fixed.copy()
    free = [row for row in rows if fixed[row] == Fixed.FREE]
    fixed[free] = Fixed.UNREMEMBERED
    return replace(fleet, workloads=replace(fleet.workloads, fixed=fixed))


def _key(body: Json) -> tuple[str, str]:
    return body["metadata"]["namespace"], body["metadata"]["name"]


def _series(intents: Iterable[Intent], config_maps: Mapping[tuple[str, str], Json]) -> Iterable[Series]:
    """Every series that an intent names and that can be read; the intent says so where one can't."""
    wanted = {
        (intent.common.ref.namespace, intent.series.config_map, intent.series)
        for intent in intents
        if isinstance(intent, CapacityIntent) and intent.series is not None
    }
    for namespace, name, ref in sorted(wanted, key=lambda one: (one[0], one[1], one[2].key)):
        body = config_maps.get((namespace, name))
        if body is not None:
            try:
                yield series_api.parse(body, ref)
            except IntentError:
                continue


def _losses(bodies: Iterable[Json]) -> Iterable[Loss]:
    for body in bodies:
        if body["kind"] == "MemberCluster":
            try:
                # What is wrong with a spec is no reason to forget what the status remembers.
                yield from member_cluster.losses({**body, "spec": {"local": True}})
            except IntentError:
                # A status that somebody garbled says nothing; the loss is declared anew from its evidence.
                continue


# ---------------------------------------------------------------------------------------------------------- fleet


@dataclass(slots=True)
class _Workload:
    """A workload while it is put together: its row in each cluster by name, pods by domain, refused ones by cluster."""

    rows: dict[str, DeployableRow] = field(default_factory=dict)
    fixed: Fixed = Fixed.FREE
    guarded: bool = False
    standing: Counter[DomainRef] = field(default_factory=Counter)
    ready: Counter[DomainRef] = field(default_factory=Counter)
    refused: Counter[str] = field(default_factory=Counter)

    @property
    def lead(self) -> DeployableRow:
        """The row that speaks for the workload: where it is largest, then by name."""
        return min(self.rows.items(), key=lambda pair: (-_replicas(pair[1]), pair[0]))[1]


def fleet_of(clusters: Sequence[Seen]) -> Fleet:
    """The columns of a fleet, in canonical order."""
    workloads = _workloads(clusters)
    resources = _resources(clusters, workloads.values())
    keys = _scheduling_labels(workloads.values())
    domains = sorted({_domain(seen, node) for seen in clusters for node in seen.nodes})
    domain_row = {domain: number for number, domain in enumerate(domains)}
    cluster_row = {seen.member.name: number for number, seen in enumerate(clusters)}
    nodes = [(seen, node) for seen in clusters for node in seen.nodes]
    classes = [NodeClass(_kept(node.labels, keys), _taints(node)) for _, node in nodes]
    distinct = {one: number for number, one in enumerate(dict.fromkeys(classes))}
    refs = list(workloads)
    return canonical(
        Fleet(
            resources=resources,
            clusters=tuple(_cluster(seen) for seen in clusters),
            domains=tuple(domains),
            node_classes=tuple(distinct),
            label_sets=tuple(workload.lead.labels for workload in workloads.values()),
            shapes=tuple(_shape(workload.lead.template, resources) for workload in workloads.values()),
            quotas=tuple(quota for seen in clusters for quota in _quotas(seen)),
            nodes=_node_table(
                clusters,
                nodes,
                [domain_row[_domain(*pair)] for pair in nodes],
                [distinct[c] for c in classes],
                resources,
            ),
            workloads=WorkloadTable(
                key=Names.of(ref.key for ref in refs),
                shape=np.arange(len(refs), dtype=np.int32),
                labels=np.arange(len(refs), dtype=np.int32),
                fixed=np.array([workload.fixed for workload in workloads.values()], np.int32),
                guarded=np.array([workload.guarded for workload in workloads.values()], np.int32),
            ),
            deployed=_deployed(list(workloads.values()), cluster_row),
            standing=_standing(list(workloads.values()), domain_row),
            fit=np.zeros((0, 0), np.int64),
        )
    )


def _workloads(clusters: Sequence[Seen]) -> dict[WorkloadRef, _Workload]:
    found: dict[WorkloadRef, _Workload] = {}
    for seen in clusters:
        by_owner = {}
        for kind, some in (
            ("Deployment", seen.deployments),
            ("StatefulSet", seen.stateful_sets),
            ("DaemonSet", seen.daemon_sets),
        ):
            for one in some:
                if one.namespace in SYSTEM_NAMESPACES:
                    continue
                ref = WorkloadRef(one.namespace, kind, one.name)
                workload = found.setdefault(ref, _Workload())
                workload.rows[seen.member.name] = one
                workload.fixed = workload.fixed or _fixed(kind, one, seen)
                workload.guarded = workload.guarded or _guarded(one, seen.pdbs)
                by_owner[one.uid] = workload
        _count_pods(seen, by_owner)
    return found


def _count_pods(seen: Seen, by_owner: Mapping[str, _Workload]) -> None:
    """Where the replicas of one cluster stand: bound, not on their way out; Ready counts on a Ready node only."""
    deployment_of = {rs.uid: rs.owner.uid for rs in seen.replica_sets if rs.owner is not None}
    node_of = {node.name: node for node in seen.nodes}
    for pod in seen.pods:
        node = node_of.get(pod.node)
        if pod.owner is None or pod.terminating or not pod.is_load:
            continue
        workload = by_owner.get(deployment_of.get(pod.owner.uid, pod.owner.uid))
        if workload is None:
            continue
        if node is None:
            workload.refused[seen.member.name] += bool(pod.unschedulable)
        else:
            domain = _domain(seen, node)
            workload.standing[domain] += 1
            workload.ready[domain] += bool(pod.ready and node.ready)


def _fixed(kind: str, one: DeployableRow, seen: Seen) -> Fixed:
    asked = dict(one.labels) | dict(getattr(one, "annotations", ()))
    namespace = next((n for n in seen.namespaces if n.name == one.namespace), None)
    if kind == "DaemonSet":
        return Fixed.DAEMON
    if kind == "StatefulSet" or one.template.volumes:
        return Fixed.STATEFUL
    if one.owner is not None:
        return Fixed.CONTROLLED
    if any((h.namespace, h.target_kind, h.target_name) == (one.namespace, kind, one.name) for h in seen.hpas):
        return Fixed.AUTOSCALED
    if asked.get(GOVERNED) == "false" or (namespace is not None and dict(namespace.labels).get(GOVERNED) == "false"):
        return Fixed.OPTED_OUT
    if PIN in asked:
        return Fixed.PINNED
    return Fixed.HALF_UNDERSTOOD if _half_understood(one.template) else Fixed.FREE


def _half_understood(template: Template) -> bool:
    """Hard rules beyond selectors, tolerations, a spread over zones, one replica a node."""
    own = dict(template.labels)
    apart_ok = all(
        term.topology_key == HOST_LABEL and term.selector is not None and term.selector.matches(own)
        for term in template.apart
    )
    spread_ok = all(one.topology_key == ZONE_LABEL and one.min_domains <= 1 for one in template.spread)
    return bool(template.unmodelled or template.together) or not apart_ok or not spread_ok


def _guarded(one: DeployableRow, pdbs: Iterable[row.PdbRow]) -> bool:
    labels = dict(one.template.labels)
    return any(
        pdb.namespace == one.namespace and pdb.selector is not None and pdb.selector.matches(labels) for pdb in pdbs
    )


def _replicas(one: DeployableRow) -> int:
    return one.desired if isinstance(one, row.DaemonSetRow) else one.replicas


def _resources(clusters: Sequence[Seen], workloads: Iterable[_Workload]) -> tuple[str, ...]:
    """cpu, memory, pods, then by name what else nodes offer or pods ask for."""
    others = {name for seen in clusters for node in seen.nodes for name, _ in node.allocatable.extended}
    others |= {name for workload in workloads for name, _ in workload.lead.template.requests.extended}
    return (*USUAL, *sorted(others))


def _amounts(found: Amounts, resources: Sequence[str]) -> tuple[int, ...]:
    extended = dict(found.extended)
    return (found.cpu, found.memory, found.pods, *(extended.get(name, 0) for name in resources[len(USUAL) :]))


def _shape(template: Template, resources: Sequence[str]) -> PodShape:
    asked = _amounts(template.requests, resources)
    return PodShape(
        requests=(*asked[:2], 1, *asked[3:]),
        node=template.node,
        tolerations=template.tolerations,
        zone_skew=min((one.max_skew for one in template.spread if one.topology_key == ZONE_LABEL), default=0),
        one_a_node=any(term.topology_key == HOST_LABEL for term in template.apart),
    )


def _scheduling_labels(workloads: Iterable[_Workload]) -> frozenset[str]:
    """Labels of nodes that some template looks at; all others would only make every node a class of its own."""
    keys = {ZONE_LABEL, REGION_LABEL}
    for workload in workloads:
        for term in workload.lead.template.node:
            keys |= {key for key, _ in term.labels} | {expression.key for expression in term.expressions}
    return frozenset(keys)


def _kept(labels: Labels, keys: frozenset[str]) -> Labels:
    return tuple(pair for pair in labels if pair[0] in keys)


def _taints(node: row.NodeRow) -> tuple[Taint, ...]:
    """Those that keep pods away; a cordon is one."""
    cordon = (Taint("node.kubernetes.io/unschedulable", "", "NoSchedule"),) if node.unschedulable else ()
    return tuple(sorted({*cordon, *(taint for taint in node.taints if taint.effect != "PreferNoSchedule")}))


def _domain(seen: Seen, node: row.NodeRow) -> DomainRef:
    return DomainRef(seen.member.name, node.zone or NO_ZONE)


def _cluster(seen: Seen) -> Cluster:
    member = seen.member
    regions = Counter(node.region for node in seen.nodes if node.region)
    common = min(regions, key=lambda region: (-regions[region], region), default="")
    return Cluster(
        name=member.name,
        provider=member.provider or "unknown",
        region=member.region or common or member.name,
        labels=member.labels,
        reach=seen.health.reach,
        evidence=seen.health.evidence if seen.health.reach is Reach.UNKNOWN else "",
        silent=seen.health.silent,
        price=member.price or ASSUMED,
        reserve=member.reserve,
    )


def _quotas(seen: Seen) -> Iterable[Quota]:
    for quota in seen.quotas:
        if not quota.scoped:
            used = dict(quota.used)
            left = tuple((name, max(0, hard - used.get(name, 0))) for name, hard in quota.hard)
            yield Quota(quota.namespace, seen.member.name, left)


def _node_table(
    clusters: Sequence[Seen],
    nodes: Sequence[tuple[Seen, row.NodeRow]],
    domains: Sequence[int],
    kinds: Sequence[int],
    resources: Sequence[str],
) -> NodeTable:
    at = {(seen.member.name, node.name): number for number, (seen, node) in enumerate(nodes)}
    used: Int64 = np.zeros((len(nodes), len(resources)), np.int64)
    for seen in clusters:
        for pod in seen.pods:
            number = at.get((seen.member.name, pod.node))
            # One on its way out gives its room back in a moment; counted, a loss would shed more with each round until then.
            if number is not None and pod.is_load and not pod.terminating:
                asked = _amounts(pod.requests, resources)
                used[number] += (*asked[:2], 1, *asked[3:])
    return NodeTable(
        name=Names.of(node.name for _, node in nodes),
        domain=np.array(domains, np.int32),
        kind=np.array(kinds, np.int32),
        allocatable=np.array([_amounts(node.allocatable, resources) for _, node in nodes], np.int64).reshape(
            len(nodes), len(resources)
        ),
        used=used,
        ready=np.array([bool(node.ready) and not node.terminating for _, node in nodes], np.int32),
        price=np.array([_node_price(seen.member, node) for seen, node in nodes], np.int64),
    )


def _node_price(member: Member, node: row.NodeRow) -> int:
    labels = dict(node.labels)
    return next((price for wanted, price in member.nodes if wanted and all(labels.get(k) == v for k, v in wanted)), 0)


def _deployed(workloads: Sequence[_Workload], cluster_row: Mapping[ClusterName, int]) -> DeployedTable:
    rows, uids = [], []
    for s, workload in enumerate(workloads):
        for cluster, one in workload.rows.items():
            ready = sum(count for domain, count in workload.ready.items() if domain.cluster == cluster)
            rows.append((s, cluster_row[ClusterName(cluster)], _replicas(one), ready, workload.refused[cluster]))
            uids.append(uid_bytes(one.uid))
    table = np.array(rows, np.int32).reshape(len(rows), 5)
    columns = [np.ascontiguousarray(column) for column in table.T]
    uid = np.frombuffer(b"".join(uids), np.uint8).reshape(len(rows), 16)
    return DeployedTable(columns[0], columns[1], columns[2], columns[3], columns[4], uid)


def uid_bytes(uid: str) -> bytes:
    """A uid in 16 bytes: itself where it is a UUID, as Kubernetes makes them, else a digest."""
    try:
        return UUID(uid).bytes
    except ValueError:
        return hashlib.blake2b(uid.encode(), digest_size=16).digest()


def _standing(workloads: Sequence[_Workload], domain_row: Mapping[DomainRef, int]) -> StandingTable:
    rows = [
        (s, domain_row[domain], count, workload.ready[domain])
        for s, workload in enumerate(workloads)
        for domain, count in workload.standing.items()
    ]
    table = np.array(rows, np.int32).reshape(len(rows), 4)
    columns = [np.ascontiguousarray(column) for column in table.T]
    return StandingTable(columns[0], columns[1], columns[2], columns[3])
