"""WorkloadRecord: what must be remembered of a workload."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar, Final

from pydantic import Field

from archgov.api.body import read
from archgov.api.common import ClusterReplicas, Instant, Name, ObjectName, Word, WorkloadKind, fence
from archgov.api.instant import unix
from archgov.api.kind import AGE, READY, REASON, Column, Kind
from archgov.api.part import Part, Rule, map_by
from archgov.api.status import ObjectStatus
from archgov.model.intent import Record, Removal
from archgov.model.ref import ClusterName, WorkloadRef

NAME: Final = "WorkloadRecord"
CLUSTERS: Final = 1000
REMOVALS: Final = 500
REVERSALS: Final = 20


class RecordedWorkload(Part):
    """A workload of the record's own namespace."""

    kind: WorkloadKind = Field(description="Its kind.")
    name: ObjectName = Field(description="Its name.")


class RemovalSpec(Part):
    """Replicas taken away at one time."""

    at: Instant = Field(description="When.")
    replicas: int = Field(ge=1, le=2147483647, description="How many.")


class ClusterUid(Part):
    """Which object is meant in one cluster."""

    cluster: Name = Field(description="Name of the MemberCluster.")
    uid: Word = Field(description="Its uid, as hexadecimal digits.")


class WorkloadRecordSpec(Part):
    """What must be remembered of a workload; archgov writes it, people only read it."""

    RULES: ClassVar[tuple[Rule, ...]] = (fence(),)

    workload: RecordedWorkload = Field(description="The workload, wherever it runs.")
    need: int = Field(ge=0, le=2147483647, description="Replicas that it must have in all.")
    needs: list[ClusterReplicas] = Field(
        default_factory=list,
        max_length=CLUSTERS,
        description="The same by cluster, for load that stays where it arrives.",
        json_schema_extra=map_by("cluster"),
    )
    former: list[ClusterReplicas] = Field(
        default_factory=list,
        max_length=CLUSTERS,
        description="spec.replicas before archgov first wrote it.",
        json_schema_extra=map_by("cluster"),
    )
    written: list[ClusterReplicas] = Field(
        default_factory=list,
        max_length=CLUSTERS,
        description="The last spec.replicas that archgov wrote.",
        json_schema_extra=map_by("cluster"),
    )
    pending: list[ClusterReplicas] = Field(
        default_factory=list,
        max_length=CLUSTERS,
        description="What stood there when they were written, until they are observed.",
        json_schema_extra=map_by("cluster"),
    )
    origin: list[ClusterReplicas] = Field(
        default_factory=list,
        max_length=CLUSTERS,
        description="Replicas before a failover; empty while nothing is failed over.",
        json_schema_extra=map_by("cluster"),
    )
    removals: list[RemovalSpec] = Field(
        default_factory=list, max_length=REMOVALS, description="Recent removals, oldest first; budgets count them."
    )
    reversals: list[Instant] = Field(
        default_factory=list, max_length=REVERSALS, description="When somebody took a written value back, oldest first."
    )
    uids: list[ClusterUid] = Field(
        default_factory=list,
        max_length=CLUSTERS,
        description="uid of the object in each cluster: one that is made anew with fewer replicas takes nothing off the need.",
        json_schema_extra=map_by("cluster"),
    )
    epoch: int = Field(default=0, ge=0, description="Of the leadership in which it was written; it only rises.")


def parse(body: Mapping[str, Any]) -> Record:
    """The record that a body holds.

    Raises:
        IntentError: with everything that is wrong.
    """
    meta, spec = read(body, NAME, WorkloadRecordSpec, namespaced=True)
    return Record(
        workload=WorkloadRef(meta.namespace, spec.workload.kind, spec.workload.name),
        need=spec.need,
        needs=_by_cluster(spec.needs),
        former=_by_cluster(spec.former),
        written=_by_cluster(spec.written),
        pending=_by_cluster(spec.pending),
        removals=tuple(Removal(unix(removal.at), removal.replicas) for removal in spec.removals),
        origin=_by_cluster(spec.origin),
        reversals=tuple(unix(at) for at in spec.reversals),
        uids=tuple((ClusterName(entry.cluster), entry.uid) for entry in spec.uids),
    )


def _by_cluster(entries: list[ClusterReplicas]) -> tuple[tuple[ClusterName, int], ...]:
    return tuple((ClusterName(entry.cluster), entry.replicas) for entry in entries)


KIND: Final = Kind(
    name=NAME,
    plural="workloadrecords",
    short="wr",
    scope="Namespaced",
    about="What archgov remembers of a workload because it can't be observed. Written by archgov.",
    spec=WorkloadRecordSpec,
    status=ObjectStatus,
    columns=(
        READY,
        Column("Kind", ".spec.workload.kind"),
        Column("Workload", ".spec.workload.name"),
        Column("Need", ".spec.need", "integer"),
        Column("Origin", ".spec.origin[*].cluster", wide=True),
        REASON,
        AGE,
    ),
    parse=lambda body, _: parse(body),
)
