"""What exists: clusters, nodes, workloads, replicas as columns of exact integers."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, fields
from enum import IntEnum, StrEnum
from functools import cached_property

import numpy as np
import numpy.typing as npt

from archgov.model.names import Names
from archgov.model.ref import ClusterName, DomainRef, WorkloadRef
from archgov.model.selector import Labels
from archgov.model.shape import NodeClass, PodShape

Int32 = npt.NDArray[np.int32]
Int64 = npt.NDArray[np.int64]
Bytes16 = npt.NDArray[np.uint8]

ZONE_LABEL = "topology.kubernetes.io/zone"
REGION_LABEL = "topology.kubernetes.io/region"
CLUSTER_LABEL = "archgov.io/cluster"
PROVIDER_LABEL = "archgov.io/provider"


class Level(StrEnum):
    """Kinds of scopes: what fails, or is limited, together."""

    ZONE = "zone"
    CLUSTER = "cluster"
    REGION = "region"
    PROVIDER = "provider"


class Reach(StrEnum):
    """Whether a cluster is seen. Whether it is lost is a conclusion (decide.loss), never an observation."""

    YES = "yes"
    UNKNOWN = "unknown"


class Fixed(IntEnum):
    """Why a workload counts as load and is never acted on; FREE ones may be."""

    FREE = 0
    STATEFUL = 1  # StatefulSets, anything with volumes
    DAEMON = 2
    AUTOSCALED = 3  # an HPA owns the replicas
    CONTROLLED = 4  # another controller owns the object
    OPTED_OUT = 5
    PINNED = 6
    HALF_UNDERSTOOD = 7  # it has hard scheduling rules that the model can't express
    UNREMEMBERED = 8  # its WorkloadRecord can't be understood


@dataclass(frozen=True, slots=True)
class Price:
    """What a cluster's resources cost.

    Attributes:
        cpu: micro-USD per core-hour. memory: micro-USD per GiB-hour.
        extended: (resource, micro-USD per unit-hour) of others, such as nvidia.com/gpu.
        assumed: nobody declared it; reports say so.
    """

    cpu: int = 0
    memory: int = 0
    extended: tuple[tuple[str, int], ...] = ()
    assumed: bool = False


@dataclass(frozen=True, slots=True)
class Cluster:
    """One member cluster as observed.

    Attributes:
        labels: of its MemberCluster; with the topology labels they are what intents select domains by.
        reach: seen or not, with the evidence in words. silent: its API server doesn't answer. since: Unix seconds of `reach`.
        reserve: percent of capacity that plans leave free.
    """

    name: ClusterName
    provider: str
    region: str
    labels: Labels = ()
    reach: Reach = Reach.YES
    evidence: str = ""
    silent: bool = False
    since: int = 0
    price: Price = Price()
    reserve: int = 0


@dataclass(frozen=True, slots=True, order=True)
class Scope:
    """Domains that fail or are limited together."""

    level: Level
    name: str

    def __str__(self) -> str:
        return f"{self.level} {self.name}"


@dataclass(frozen=True, slots=True)
class Quota:
    """What a namespace may still request in a cluster; unlimited resources are absent."""

    namespace: str
    cluster: ClusterName
    left: tuple[tuple[str, int], ...]


@dataclass(frozen=True, slots=True, eq=False)
class NodeTable:
    """Nodes that pods may be put on: N rows in order of domain, then name.

    Attributes:
        name: (N,). domain: (N,) row of `domains`. kind: (N,) row of `node_classes`.
        allocatable: (N, P). used: (N, P) requests of every pod that stands there. ready: (N,) 0 or 1.
        price: (N,) micro-USD per hour, what the node itself is billed at.
    """

    name: Names
    domain: Int32
    kind: Int32
    allocatable: Int64
    used: Int64
    ready: Int32
    price: Int64


@dataclass(frozen=True, slots=True, eq=False)
class WorkloadTable:
    """Workloads: S rows in order of their keys.

    Attributes:
        key: (S,) as made by WorkloadRef. shape: (S,) row of `shapes`. labels: (S,) row of `label_sets`.
        fixed: (S,) a `Fixed`. guarded: (S,) 1 where a PodDisruptionBudget selects its pods.
    """

    key: Names
    shape: Int32
    labels: Int32
    fixed: Int32
    guarded: Int32


@dataclass(frozen=True, slots=True, eq=False)
class DeployedTable:
    """What is asked of each cluster: rows in order of workload, then cluster.

    Attributes:
        workload, cluster: rows. replicas: spec.replicas. ready: pods Ready. refused: pods that the scheduler found no node for.
        uid: (n, 16) of the object.
    """

    workload: Int32
    cluster: Int32
    replicas: Int32
    ready: Int32
    refused: Int32
    uid: Bytes16


@dataclass(frozen=True, slots=True, eq=False)
class StandingTable:
    """Where replicas stand: rows in order of workload, then domain; pods bound to a node and not terminating."""

    workload: Int32
    domain: Int32
    replicas: Int32
    ready: Int32


@dataclass(frozen=True, eq=False)
class Fleet:
    """All that is governed, at one instant, in canonical order, so that equal content has equal bytes.

    S workloads, K clusters, D domains, N nodes, P resources, H pod shapes. Units of resources: cpu in thousandths of a core,
    memory in bytes, pods in pods, everything else in thousandths of a unit.
    """

    resources: tuple[str, ...]
    clusters: tuple[Cluster, ...]
    domains: tuple[DomainRef, ...]
    node_classes: tuple[NodeClass, ...]
    label_sets: tuple[Labels, ...]
    shapes: tuple[PodShape, ...]
    quotas: tuple[Quota, ...]
    nodes: NodeTable
    workloads: WorkloadTable
    deployed: DeployedTable
    standing: StandingTable
    fit: Int64  # (H, D) how many more pods of each shape still fit on the real nodes of each domain

    @cached_property
    def cluster_row(self) -> Mapping[str, int]:
        return {cluster.name: row for row, cluster in enumerate(self.clusters)}

    @cached_property
    def domain_cluster(self) -> Int32:
        """(D,) row of each domain's cluster."""
        return np.array([self.cluster_row[domain.cluster] for domain in self.domains], np.int32)

    @cached_property
    def requests(self) -> Int64:
        """(H, P) what one pod of each shape asks for."""
        return np.array([shape.requests for shape in self.shapes], np.int64).reshape(
            len(self.shapes), len(self.resources)
        )

    def refs(self) -> Iterator[WorkloadRef]:
        return (WorkloadRef.parse(key) for key in self.workloads.key)

    def ref(self, row: int) -> WorkloadRef:
        return WorkloadRef.parse(self.workloads.key[row])

    def row(self, ref: WorkloadRef) -> int | None:
        return self.workloads.key.find(ref.key)

    def domain_labels(self, row: int) -> dict[str, str]:
        """What selectors of domains see: the member's labels, with its topology."""
        domain = self.domains[row]
        return {**self.cluster_labels(self.cluster_row[domain.cluster]), ZONE_LABEL: domain.zone}

    def cluster_labels(self, row: int) -> dict[str, str]:
        """What selectors of clusters see."""
        cluster = self.clusters[row]
        return {
            **dict(cluster.labels),
            REGION_LABEL: cluster.region,
            PROVIDER_LABEL: cluster.provider,
            CLUSTER_LABEL: cluster.name,
        }

    def scopes(self, level: Level) -> dict[Scope, tuple[int, ...]]:
        """Every scope of a level with the rows of its domains, by name. A zone is one of its region, whichever cluster uses it."""
        found: dict[Scope, list[int]] = {}
        for row in range(len(self.domains)):
            found.setdefault(self.scope(level, row), []).append(row)
        return {scope: tuple(rows) for scope, rows in sorted(found.items())}

    def scope(self, level: Level, domain: int) -> Scope:
        """The scope of a level that a domain belongs to."""
        ref = self.domains[domain]
        cluster = self.clusters[self.cluster_row[ref.cluster]]
        match level:
            case Level.ZONE:
                return Scope(level, f"{cluster.region}/{ref.zone}")
            case Level.CLUSTER:
                return Scope(level, cluster.name)
            case Level.REGION:
                return Scope(level, cluster.region)
            case Level.PROVIDER:
                return Scope(level, cluster.provider)

    def spec_replicas(self, workload: int) -> dict[int, int]:
        """spec.replicas by row of cluster, where the workload exists."""
        rows = self._rows(self.deployed.workload, workload)
        return dict(zip(self.deployed.cluster[rows].tolist(), self.deployed.replicas[rows].tolist(), strict=True))

    def ready_replicas(self, workload: int) -> dict[int, int]:
        """Ready replicas by row of cluster, where the workload exists."""
        rows = self._rows(self.deployed.workload, workload)
        return dict(zip(self.deployed.cluster[rows].tolist(), self.deployed.ready[rows].tolist(), strict=True))

    def refused_replicas(self, workload: int) -> dict[int, int]:
        """Replicas that the scheduler found no node for, by row of cluster, where there are any."""
        rows = self._rows(self.deployed.workload, workload)
        pairs = zip(self.deployed.cluster[rows].tolist(), self.deployed.refused[rows].tolist(), strict=True)
        return {k: count for k, count in pairs if count}

    def idle_replicas(self, workload: int) -> dict[int, int]:
        """Replicas asked for that surely wait without a node, by row of cluster; a rollout's extra pods are not asked for."""
        spec, ready = self.spec_replicas(workload), self.ready_replicas(workload)
        found = {k: min(count, spec[k] - ready[k]) for k, count in self.refused_replicas(workload).items()}
        return {k: count for k, count in found.items() if count > 0}

    def standing_replicas(self, workload: int) -> dict[int, int]:
        """Standing replicas by row of domain."""
        rows = self._rows(self.standing.workload, workload)
        return dict(zip(self.standing.domain[rows].tolist(), self.standing.replicas[rows].tolist(), strict=True))

    def uid(self, workload: int, cluster: int) -> str:
        """The uid of a workload's object in a cluster, as hexadecimal digits; empty where it doesn't exist."""
        rows = self._rows(self.deployed.workload, workload)
        found = np.flatnonzero(self.deployed.cluster[rows] == cluster)
        return self.deployed.uid[rows.start + int(found[0])].tobytes().hex() if len(found) else ""

    @staticmethod
    def _rows(column: Int32, value: int) -> slice:
        # The scalar has the column's type: with any other numpy would copy the whole column for each search.
        wanted = column.dtype.type(value)
        return slice(int(np.searchsorted(column, wanted)), int(np.searchsorted(column, wanted, side="right")))


def freeze(table: object) -> None:
    """Makes every array of a table read-only: a snapshot is shared by all who ask."""
    for field in fields(table):  # type: ignore[arg-type]
        value = getattr(table, field.name)
        if isinstance(value, np.ndarray):
            value.setflags(write=False)
        elif isinstance(value, Names):
            freeze(value)
