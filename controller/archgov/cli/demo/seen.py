"""What the API says came of the demo; reads objects only, so that it can't agree with the operator by sharing its code."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from archgov.cli.demo.cluster import Cluster, collection

PLURALS = ("placementintents", "capacityintents", "failoverintents")


@dataclass(frozen=True, slots=True)
class Intent:
    """An intent as `kubectl get` shows it."""

    kind: str
    namespace: str
    name: str
    mode: str
    ready: str
    reason: str
    summary: str
    message: str
    settled: bool

    @property
    def key(self) -> str:
        return f"{self.namespace}/{self.name}"


def intents(hub: Cluster) -> list[Intent]:
    """Every intent, in order of namespace, then name."""
    found = [_intent(item) for plural in PLURALS for item in hub.items(collection(plural))]
    return sorted(found, key=lambda intent: (intent.namespace, intent.name))


def decisions(hub: Cluster) -> list[Mapping[str, Any]]:
    """Every Decision object."""
    return hub.items(collection("decisions"))


def carried_out(hub: Cluster) -> list[str]:
    """What verified decisions did, a line per workload: where replicas went, where they came from, what for."""
    moved: dict[str, list[str]] = {}
    why: dict[str, str] = {}
    for decision in decisions(hub):
        if decision.get("status", {}).get("outcome") != "Verified":
            continue
        for action in decision["spec"]["actions"]:
            name = f"{action['workload']['namespace']}/{action['workload']['name']}"
            moved.setdefault(name, []).append(f"{action['cluster']} {action['before']}→{action['after']}")
            why[name] = action.get("why", "")
    return [
        f"{name}: {', '.join(steps)}" + (f"  ({why[name]})" if why[name] else "")
        for name, steps in sorted(moved.items())
    ]


def fleet_status(hub: Cluster) -> Mapping[str, Any]:
    """The status of the one Fleet object; empty before the first round."""
    fleets = hub.items(collection("fleets"))
    return fleets[0].get("status", {}) if fleets else {}


def reach(hub: Cluster) -> dict[str, str]:
    """What archgov says of each member: yes, unknown, or nothing yet."""
    return {
        item["metadata"]["name"]: item.get("status", {}).get("reach", "")
        for item in hub.items(collection("memberclusters"))
    }


def lost(hub: Cluster) -> set[str]:
    """Members that are declared lost and not seen well again."""
    return {
        item["metadata"]["name"]
        for item in hub.items(collection("memberclusters"))
        if any(not loss.get("zone") and not loss.get("ended") for loss in item.get("status", {}).get("losses", []))
    }


def failed_over(hub: Cluster) -> list[str]:
    """Workloads whose records still name where they stood before a failure."""
    return [
        f"{item['metadata']['namespace']}/{item['spec']['workload']['name']}"
        for item in hub.items(collection("workloadrecords"))
        if item["spec"].get("origin")
    ]


def deployments(members: Mapping[str, Cluster], namespace: str = "") -> dict[str, dict[str, tuple[int, int]]]:
    """(replicas, Ready) of each Deployment by cluster, where it asks for any or has any."""
    found: dict[str, dict[str, tuple[int, int]]] = {}
    path = f"/apis/apps/v1/namespaces/{namespace}/deployments" if namespace else "/apis/apps/v1/deployments"
    for name, cluster in members.items():
        for item in cluster.items(path):
            key = f"{item['metadata']['namespace']}/{item['metadata']['name']}"
            replicas, ready = item["spec"].get("replicas", 1), item.get("status", {}).get("readyReplicas", 0)
            if replicas or ready:
                found.setdefault(key, {})[name] = (replicas, ready)
    return found


def pods_not_ready(members: Mapping[str, Cluster]) -> int:
    """Pods that are not Ready yet, in all members."""
    return sum(not _is_ready(pod) for cluster in members.values() for pod in cluster.items("/api/v1/pods"))


def replicas(at: Mapping[str, tuple[int, int]], clusters: Iterable[str] | None = None) -> int:
    """Replicas asked for, in some clusters or in all."""
    return sum(count for name, (count, _) in at.items() if clusters is None or name in clusters)


def ready(at: Mapping[str, tuple[int, int]], clusters: Iterable[str] | None = None) -> int:
    """Replicas that are asked for and Ready, in some clusters or in all."""
    return sum(min(count, up) for name, (count, up) in at.items() if clusters is None or name in clusters)


def _intent(item: Mapping[str, Any]) -> Intent:
    status = item.get("status", {})
    conditions = {condition["type"]: condition for condition in status.get("conditions", [])}
    told = conditions.get("Ready", {})
    generation = item["metadata"]["generation"]
    is_final = told.get("status") == "True" or conditions.get("Stalled", {}).get("status") == "True"
    return Intent(
        kind=item["kind"],
        namespace=item["metadata"]["namespace"],
        name=item["metadata"]["name"],
        mode=status.get("mode", item["spec"].get("mode", "Recommend")),
        ready=told.get("status", "Unknown"),
        reason=told.get("reason", ""),
        summary=status.get("summary", ""),
        message=conditions.get("Stalled", told).get("message", ""),
        settled=is_final and status.get("observedGeneration") == generation,
    )


def _is_ready(pod: Mapping[str, Any]) -> bool:
    conditions = pod.get("status", {}).get("conditions", [])
    return any(condition["type"] == "Ready" and condition["status"] == "True" for condition in conditions)
