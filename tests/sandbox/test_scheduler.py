"""The scheduler: where pods may go, where they go, what is said when they can't."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from archgov.sandbox import Sandbox, SandboxOptions
from tests.sandbox.api import DEPLOYMENTS, ZONE, Api, Json, deployment, eventually, node, pods, ready, zone_of


@pytest.fixture
def api(tmp_path: Path) -> Iterator[Api]:
    """Three zones with two nodes each of 4 CPUs; the nodes of zone c are tainted."""
    taint = {"key": "special", "value": "yes", "effect": "NoSchedule"}
    nodes = [node(f"{zone}{i}", zone) for zone in "ab" for i in (1, 2)]
    nodes += [node(f"c{i}", "c", taints=[taint]) for i in (1, 2)]
    with Sandbox({"eu": [*nodes, deployment("seed", 0)]}, tmp_path, SandboxOptions(speed=200)) as sandbox:
        yield Api.of(sandbox, "eu")


def placed(api: Api, name: str, replicas: int, **more: Any) -> Counter[str]:
    """Pods by zone, once all of them are Ready."""
    api.create(DEPLOYMENTS, deployment(name, replicas, **more))
    eventually(lambda: ready(api, name) == replicas)
    return Counter(zone_of(api, pod) for pod in pods(api, name))


def refusal(api: Api, name: str) -> str:
    def said() -> str:
        for pod in pods(api, name):
            for each in pod["status"].get("conditions", []):
                if each["type"] == "PodScheduled" and each["status"] == "False":
                    assert each["reason"] == "Unschedulable"
                    return str(each["message"])
        return ""

    return eventually(said)


def affinity(kind: str, key: str, operator: str, *values: str) -> Json:
    term = {"matchExpressions": [{"key": key, "operator": operator, "values": list(values)}]}
    if kind == "required":
        return {"nodeAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": {"nodeSelectorTerms": [term]}}}
    return {"nodeAffinity": {"preferredDuringSchedulingIgnoredDuringExecution": [{"weight": 100, "preference": term}]}}


def spread(name: str, **more: Any) -> list[Json]:
    selector = {"matchLabels": {"app": name}}
    return [
        {"maxSkew": 1, "topologyKey": ZONE, "whenUnsatisfiable": "DoNotSchedule", "labelSelector": selector, **more}
    ]


def test_without_a_wish_pods_spread_over_zones_and_keep_off_taints(api: Api) -> None:
    assert placed(api, "free", 8) == {"a": 4, "b": 4}


def test_a_toleration_opens_a_tainted_node(api: Api) -> None:
    tolerations = [{"key": "special", "operator": "Exists", "effect": "NoSchedule"}]
    assert set(placed(api, "brave", 6, tolerations=tolerations)) == {"a", "b", "c"}


def test_a_node_selector_binds(api: Api) -> None:
    assert placed(api, "chosen", 3, nodeSelector={ZONE: "b"}) == {"b": 3}


def test_required_affinity_binds_and_preferred_pulls(api: Api) -> None:
    assert placed(api, "must", 3, affinity=affinity("required", ZONE, "NotIn", "a", "c")) == {"b": 3}
    assert placed(api, "would", 1, affinity=affinity("preferred", ZONE, "In", "b")) == {"b": 1}


def test_a_hard_spread_holds_its_skew(api: Api) -> None:
    api.patch("/api/v1/nodes/a2", {"spec": {"unschedulable": True}})
    tolerant = [{"operator": "Exists"}]
    assert placed(api, "even", 7, topologySpreadConstraints=spread("even"), tolerations=tolerant) in (
        {"a": 3, "b": 2, "c": 2},
        {"a": 2, "b": 3, "c": 2},
        {"a": 2, "b": 2, "c": 3},
    )


def test_a_hard_spread_counts_zones_whose_taints_the_pod_does_not_tolerate(api: Api) -> None:
    # nodeTaintsPolicy is Ignore by default: zone c counts as empty, so a and b hold one pod each.
    api.create(DEPLOYMENTS, deployment("skewed", 3, topologySpreadConstraints=spread("skewed")))
    eventually(lambda: ready(api, "skewed") == 2)
    assert "node(s) didn't match pod topology spread constraints" in refusal(api, "skewed")


def test_too_few_domains_count_as_an_empty_one(api: Api) -> None:
    rule = spread("few", minDomains=4)
    api.create(DEPLOYMENTS, deployment("few", 4, topologySpreadConstraints=rule, tolerations=[{"operator": "Exists"}]))
    eventually(lambda: ready(api, "few") == 3)
    assert "topology spread constraints" in refusal(api, "few")


def test_anti_affinity_keeps_pods_apart_in_both_directions(api: Api) -> None:
    term = {"topologyKey": ZONE, "labelSelector": {"matchLabels": {"app": "shy"}}}
    apart = {"podAntiAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": [term]}}
    api.create(DEPLOYMENTS, deployment("shy", 3, affinity=apart))
    eventually(lambda: ready(api, "shy") == 2)
    assert "node(s) didn't match pod anti-affinity rules" in refusal(api, "shy")
    other = {
        "podAntiAffinity": {
            "requiredDuringSchedulingIgnoredDuringExecution": [
                {"topologyKey": ZONE, "labelSelector": {"matchLabels": {"app": "plain"}}}
            ]
        }
    }
    assert placed(api, "hermit", 1, affinity=other, nodeSelector={ZONE: "a"}) == {"a": 1}
    assert placed(api, "plain", 2) == {"b": 2}


def test_what_does_not_fit_is_explained_then_scheduled_when_room_appears(api: Api) -> None:
    assert placed(api, "full", 4, cpu="3") == {"a": 2, "b": 2}
    api.create(DEPLOYMENTS, deployment("late", 1, cpu="2"))
    message = refusal(api, "late")
    assert message.startswith(
        "0/6 nodes are available: 2 node(s) had untolerated taint {special: yes}, 4 Insufficient cpu. preemption: "
    )
    events = api.items("/api/v1/namespaces/shop/events?fieldSelector=reason%3DFailedScheduling")
    assert [each["message"] for each in events] == [message]
    api.patch(f"{DEPLOYMENTS}/full/scale", {"spec": {"replicas": 3}})
    eventually(lambda: ready(api, "late") == 1)


def test_extended_resources_and_pod_places_are_counted(api: Api) -> None:
    big = node("gpu1", "a")
    for field in ("capacity", "allocatable"):
        big["status"][field] = {"cpu": "8", "memory": "32Gi", "pods": "2", "example.io/gpu": "4"}
    api.create("/api/v1/nodes", big)
    body = deployment("gpu", 3)
    body["spec"]["template"]["spec"]["containers"][0]["resources"]["requests"]["example.io/gpu"] = "1"
    api.create(DEPLOYMENTS, body)
    eventually(lambda: ready(api, "gpu") == 2)
    assert "1 Too many pods" in refusal(api, "gpu")


def test_the_same_seed_places_the_same(tmp_path: Path) -> None:
    def places(directory: Path) -> dict[str, str]:
        fleet = {"eu": [*(node(f"n{i}", "ab"[i % 2]) for i in range(5)), deployment("x", 6), deployment("y", 5)]}
        with Sandbox(fleet, directory, SandboxOptions(seed=7, speed=200)) as sandbox:
            api = Api.of(sandbox, "eu")
            eventually(lambda: ready(api, "x") + ready(api, "y") == 11)
            found = api.items("/api/v1/namespaces/shop/pods")
            return {pod["metadata"]["name"]: pod["spec"]["nodeName"] for pod in found}

    assert places(tmp_path / "one") == places(tmp_path / "two")
