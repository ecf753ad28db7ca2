"""The fleet that the demo plays with: Kubernetes objects by cluster."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

Manifest = dict[str, Any]

HUB: Final = "hub"
SYSTEM: Final = "archgov-system"


@dataclass(frozen=True, slots=True)
class Member:
    """A cluster of the demo. cores, memory (GiB), nodes: per zone."""

    name: str
    provider: str
    region: str
    jurisdiction: str
    nodes: int
    cores: int
    memory: int
    core_hour: str
    gib_hour: str
    node_hour: str

    @property
    def zones(self) -> tuple[str, ...]:
        return tuple(f"{self.region}-{zone}" for zone in "abc")


MEMBERS: Final = (
    Member("ap-south-1", "acme", "ap-south", "in", 5, 8, 32, "0.021", "0.0028", "0.28"),
    Member("eu-north-1", "acme", "eu-north", "eu", 4, 8, 32, "0.027", "0.0036", "0.36"),
    Member("eu-west-1", "acme", "eu-west", "eu", 6, 8, 32, "0.031", "0.0042", "0.42"),
    Member("eu-west-2", "acme", "eu-west", "eu", 6, 8, 32, "0.032", "0.0043", "0.43"),
    Member("us-east-1", "acme", "us-east", "us", 6, 8, 32, "0.030", "0.0040", "0.40"),
    Member("us-east-2", "acme", "us-east", "us", 5, 8, 32, "0.029", "0.0039", "0.39"),
)


@dataclass(frozen=True, slots=True)
class App:
    """A workload of the demo. at: replicas by cluster; it exists at 0 in all others. spread: hard, over zones."""

    name: str
    cpu: str
    memory: str
    at: Mapping[str, int]
    tier: str = "standard"
    spread: bool = False
    kind: str = "Deployment"

    @property
    def namespace(self) -> str:
        return self.name.split("/")[0]


AP, EN, E1, E2, U1, U2 = (member.name for member in MEMBERS)
ALL: Final = {AP: 2, EN: 2, E1: 3, E2: 3, U1: 3, U2: 3}

APPS: Final = (
    # payments: queue workers with residency; the ledger stands in the wrong place.
    App("payments/ledger", "500m", "1Gi", {AP: 6}, "critical"),
    App("payments/fraud", "500m", "1Gi", {E1: 4, E2: 2}, "critical"),
    App("payments/payout", "250m", "512Mi", {E1: 3, EN: 3}, "critical"),
    App("payments/statements", "250m", "512Mi", {E2: 4}),
    # shop: served where its users are.
    App("shop/web", "500m", "512Mi", ALL, "critical", spread=True),
    App("shop/cart", "500m", "1Gi", {E1: 5, E2: 5, EN: 3, U1: 5, U2: 5}, "critical", spread=True),
    App("shop/checkout", "500m", "1Gi", {E1: 4, E2: 4, EN: 2, U1: 4, U2: 4}, "critical", spread=True),
    App("shop/catalog", "500m", "1Gi", {AP: 3, E1: 4, E2: 4, U1: 4, U2: 4}),
    App("shop/search", "1", "2Gi", {E1: 3, U1: 6, U2: 5}),
    App("shop/prices", "250m", "512Mi", {E1: 3, E2: 3, U1: 3, U2: 3}),
    App("shop/reviews", "250m", "512Mi", {E1: 2, E2: 2, U1: 3, U2: 2}),
    App("shop/recommend", "1", "2Gi", {E1: 3, U1: 3, U2: 3}),
    App("shop/images", "250m", "512Mi", {E1: 3, E2: 3, U1: 3, U2: 3}),
    App("shop/session", "250m", "1Gi", {E1: 3, E2: 3, EN: 2, U1: 3, U2: 3}),
    App("shop/db", "1", "4Gi", {E1: 3, U1: 3}, "critical", kind="StatefulSet"),
    # media: queue workers that may run anywhere.
    App("media/transcode", "1", "2Gi", {U1: 9}),
    App("media/encode", "1", "2Gi", {EN: 10, E1: 2}, "batch"),
    App("media/thumbs", "250m", "256Mi", {E1: 3, E2: 3}),
    App("media/captions", "500m", "1Gi", {U2: 5}),
    App("media/upload", "250m", "512Mi", {AP: 2, E1: 3, U1: 3}),
    App("media/player", "250m", "512Mi", {AP: 2, E1: 3, E2: 2, U1: 3, U2: 2}),
    App("media/ads", "250m", "512Mi", {E1: 2, U1: 3, U2: 2}),
    # accounts, data, platform: nobody governs them yet.
    *(
        App(f"accounts/{name}", "250m", "512Mi", at)
        for name, at in (
            ("login", {AP: 2, E1: 3, E2: 3, U1: 3}),
            ("profile", {E1: 3, U1: 3}),
            ("consent", {E1: 2, E2: 2}),
            ("mail", {E2: 3}),
            ("push", {U1: 3, U2: 2}),
            ("audit", {E1: 2, U1: 2}),
        )
    ),
    *(
        App(f"data/{name}", "500m", "2Gi", at, "batch")
        for name, at in (
            ("ingest", {AP: 2, E1: 4, U1: 4}),
            ("features", {U1: 6}),
            ("training", {U2: 6}),
            ("reports", {E1: 3}),
            ("exports", {E2: 3}),
            ("quality", {U2: 2}),
            ("lineage", {E1: 2}),
        )
    ),
    App("data/warehouse", "1", "4Gi", {U1: 4}, kind="StatefulSet"),
    *(
        App(f"platform/{name}", "250m", "256Mi", ALL)
        for name in ("ingress", "dns", "metrics", "logs", "mesh", "secrets", "registry", "ci", "flags", "cron", "certs")
    ),
    App("platform/agent", "100m", "128Mi", {}, kind="DaemonSet"),
)


def objects() -> dict[str, list[Manifest]]:
    """What exists in each member before archgov comes."""
    return {member.name: [*_cluster(member)] for member in MEMBERS}


def hub() -> list[Manifest]:
    """What the hub holds before archgov is installed: archgov's own kinds only will be added."""
    return [_namespace(SYSTEM), *(_namespace(name) for name in _namespaces())]


def counts() -> tuple[int, int, int]:
    """(nodes, workloads, pods) of the fleet."""
    nodes = sum(member.nodes * len(member.zones) for member in MEMBERS)
    return nodes, len(APPS), sum(sum(app.at.values()) or nodes for app in APPS)


def member_cluster(member: Member) -> Manifest:
    """The MemberCluster object of a cluster, which names the Secret with its kubeconfig; its witnesses are still missing."""
    return {
        "apiVersion": "archgov.io/v1alpha1",
        "kind": "MemberCluster",
        "metadata": {"name": member.name, "labels": {"archgov.io/jurisdiction": member.jurisdiction}},
        "spec": {
            "kubeconfigSecret": {"name": f"kubeconfig-{member.name}"},
            "location": {"provider": member.provider, "region": member.region},
            "prices": {
                "cpu": member.core_hour,
                "memory": member.gib_hour,
                "nodes": [{"matchLabels": {"pool": "general"}, "price": member.node_hour}],
            },
        },
    }


def _namespaces() -> list[str]:
    return sorted({app.namespace for app in APPS})


def _cluster(member: Member) -> Iterator[Manifest]:
    yield from (_namespace(name) for name in _namespaces())
    for zone in member.zones:
        for number in range(member.nodes):
            yield _node(member, zone, f"{member.name}-{zone[-1]}{number + 1}")
    for app in APPS:
        yield _workload(app, app.at.get(member.name, 0))
        if app.tier == "critical":
            yield _disruption_budget(app)


def _namespace(name: str) -> Manifest:
    return {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}}


def _node(member: Member, zone: str, name: str) -> Manifest:
    size = {"cpu": str(member.cores), "memory": f"{member.memory}Gi", "pods": "110"}
    labels = {
        "topology.kubernetes.io/zone": zone,
        "topology.kubernetes.io/region": member.region,
        "kubernetes.io/hostname": name,
        "kubernetes.io/arch": "amd64",
        "pool": "general",
    }
    return {
        "apiVersion": "v1",
        "kind": "Node",
        "metadata": {"name": name, "labels": labels},
        "status": {"capacity": size, "allocatable": size},
    }


def _workload(app: App, replicas: int) -> Manifest:
    name = app.name.split("/")[1]
    labels = {"app": name, "tier": app.tier}
    spec: Manifest = {
        "containers": [
            {
                "name": "main",
                "image": f"registry.example/{app.name}:1",
                "resources": {"requests": {"cpu": app.cpu, "memory": app.memory}},
            }
        ],
        "topologySpreadConstraints": [
            {
                "maxSkew": 1,
                "topologyKey": "topology.kubernetes.io/zone",
                "whenUnsatisfiable": "DoNotSchedule" if app.spread else "ScheduleAnyway",
                "labelSelector": {"matchLabels": {"app": name}},
            }
        ],
    }
    body: Manifest = {
        "selector": {"matchLabels": {"app": name}},
        "template": {"metadata": {"labels": labels}, "spec": spec},
    }
    if app.kind != "DaemonSet":
        body["replicas"] = replicas
    if app.kind == "StatefulSet":
        body["serviceName"] = name
    return {
        "apiVersion": "apps/v1",
        "kind": app.kind,
        "metadata": {"name": name, "namespace": app.namespace, "labels": labels},
        "spec": body,
    }


def _disruption_budget(app: App) -> Manifest:
    name = app.name.split("/")[1]
    return {
        "apiVersion": "policy/v1",
        "kind": "PodDisruptionBudget",
        "metadata": {"name": name, "namespace": app.namespace},
        "spec": {"maxUnavailable": 1, "selector": {"matchLabels": {"app": name}}},
    }
