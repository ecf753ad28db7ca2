"""What the API says came of the demo; reads objects only, so that it can't agree with the operator by sharing its code."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
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


Deployed = Mapping[str, Mapping[str, tuple[int, int]]]  # (replicas, Ready) by Deployment, by cluster


def changed(hub: Cluster, before: Deployed, now: Deployed) -> list[str]:
    """What became of each workload that changed, with what decisions say it was for."""
    why: dict[str, str] = {}
    for decision in sorted(decisions(hub), key=lambda one: str(one["metadata"]["creationTimestamp"])):
        for action in decision["spec"]["actions"] if outcome(decision) != "Proposed" else ():
            why.setdefault(f"{action['workload']['namespace']}/{action['workload']['name']}", action.get("why", ""))
    return [
        f"{name}: {', '.join(steps)}" + (f"  ({why[name]})" if why.get(name) else "")
        for name in sorted(before.keys() | now.keys())
        if (steps := _steps(before.get(name, {}), now.get(name, {})))
    ]


def _steps(before: Mapping[str, tuple[int, int]], now: Mapping[str, tuple[int, int]]) -> list[str]:
    counts = {k: (before.get(k, (0, 0))[0], now.get(k, (0, 0))[0]) for k in sorted(before.keys() | now.keys())}
    return [f"{cluster} {was}→{is_}" for cluster, (was, is_) in counts.items() if was != is_]


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


def lost_zones(hub: Cluster) -> set[tuple[str, str]]:
    """(member, zone) that are declared lost and not seen well again."""
    return {
        (item["metadata"]["name"], loss["zone"])
        for item in hub.items(collection("memberclusters"))
        for loss in item.get("status", {}).get("losses", [])
        if loss.get("zone") and not loss.get("ended")
    }


def needs(hub: Cluster) -> dict[str, int]:
    """Replicas that each recorded workload must have in all."""
    return {
        f"{item['metadata']['namespace']}/{item['spec']['workload']['name']}": item["spec"]["need"]
        for item in hub.items(collection("workloadrecords"))
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


def deployment_labels(members: Mapping[str, Cluster]) -> dict[str, Mapping[str, str]]:
    """Labels of each Deployment."""
    return {
        f"{item['metadata']['namespace']}/{item['metadata']['name']}": item["metadata"].get("labels", {})
        for cluster in members.values()
        for item in cluster.items("/apis/apps/v1/deployments")
    }


def nodes(members: Mapping[str, Cluster]) -> list[tuple[str, str, Mapping[str, str]]]:
    """(cluster, node, its labels) of every node."""
    return [
        (name, item["metadata"]["name"], item["metadata"].get("labels", {}))
        for name, cluster in members.items()
        for item in cluster.items("/api/v1/nodes")
    ]


def ready_by_node(members: Mapping[str, Cluster]) -> Counter[tuple[str, str]]:
    """Ready pods by (cluster, node)."""
    return Counter(
        (name, pod["spec"].get("nodeName", ""))
        for name, cluster in members.items()
        for pod in cluster.items("/api/v1/pods")
        if _is(pod, "Ready")
    )


def pods_starting(members: Mapping[str, Cluster]) -> int:
    """Pods that are neither Ready nor refused by every node, in all members."""
    return sum(not _is(pod, "Ready") and not _waits(pod) for pod in _pods(members))


def pods_ready(members: Mapping[str, Cluster]) -> tuple[int, int]:
    """(pods Ready, pods that no node takes) in all members."""
    pods = list(_pods(members))
    return sum(_is(pod, "Ready") for pod in pods), sum(map(_waits, pods))


def outcome(decision: Mapping[str, Any]) -> str:
    """What became of a decision."""
    return str(decision.get("status", {}).get("outcome") or decision["spec"].get("outcome", ""))


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


def _pods(members: Mapping[str, Cluster]) -> Iterator[Mapping[str, Any]]:
    return (pod for cluster in members.values() for pod in cluster.items("/api/v1/pods"))


def _is(pod: Mapping[str, Any], condition: str, status: str = "True") -> bool:
    conditions = pod.get("status", {}).get("conditions", [])
    return any(one["type"] == condition and one["status"] == status for one in conditions)


def _waits(pod: Mapping[str, Any]) -> bool:
    return not pod["spec"].get("nodeName") and _is(pod, "PodScheduled", "False")
