"""Names as types: keys of workloads, domains and intents are made here, nowhere else."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NewType

ClusterName = NewType("ClusterName", str)


@dataclass(frozen=True, slots=True, order=True)
class WorkloadRef:
    """A workload wherever it runs: the same one in every cluster where namespace, kind and name agree."""

    namespace: str
    kind: str
    name: str

    @property
    def key(self) -> str:
        return f"{self.namespace}/{self.kind}/{self.name}"

    @classmethod
    def parse(cls, key: str) -> WorkloadRef:
        namespace, kind, name = key.split("/")
        return cls(namespace, kind, name)

    def __str__(self) -> str:
        """`shop/cart`, with the kind only where it isn't the usual one."""
        return f"{self.namespace}/{self.name}" if self.kind == "Deployment" else self.key


@dataclass(frozen=True, slots=True, order=True)
class DomainRef:
    """A place replicas can stand in: one zone of one cluster."""

    cluster: ClusterName
    zone: str

    @property
    def key(self) -> str:
        return f"{self.cluster}/{self.zone}"

    @classmethod
    def parse(cls, key: str) -> DomainRef:
        cluster, zone = key.split("/", 1)
        return cls(ClusterName(cluster), zone)

    def __str__(self) -> str:
        return self.key


@dataclass(frozen=True, slots=True, order=True)
class IntentRef:
    """One declared intent."""

    kind: str
    namespace: str
    name: str

    @property
    def key(self) -> str:
        return f"{self.kind}/{self.namespace}/{self.name}"

    @classmethod
    def parse(cls, key: str) -> IntentRef:
        kind, namespace, name = key.split("/")
        return cls(kind, namespace, name)

    def __str__(self) -> str:
        return f"{self.kind} {self.namespace}/{self.name}"
