"""Workload controllers: pods come, roll over, leave in the real order."""

from __future__ import annotations

import pytest

from archgov.sandbox import Sandbox
from archgov.sandbox.replicaset import removal_order
from tests.sandbox.api import (
    DEPLOYMENTS,
    PODS,
    ZONE,
    Api,
    Json,
    budget,
    deployment,
    eventually,
    is_ready,
    node,
    pods,
    ready,
)

SETS = "/apis/apps/v1/namespaces/shop/replicasets"
BUDGETS = "/apis/policy/v1/namespaces/shop/poddisruptionbudgets"


def scale(api: Api, name: str, replicas: int) -> None:
    assert api.patch(f"{DEPLOYMENTS}/{name}/scale", {"spec": {"replicas": replicas}}).code == 200


def test_a_deployment_of_the_fleet_gets_its_pods_ready(api: Api) -> None:
    eventually(lambda: ready(api, "cart") == 3)
    eventually(lambda: api.get(f"{DEPLOYMENTS}/cart").body["status"].get("readyReplicas") == 3)
    status = api.get(f"{DEPLOYMENTS}/cart").body["status"]
    assert status["observedGeneration"] == 1
    assert {c["type"]: c["status"] for c in status["conditions"]} == {"Available": "True", "Progressing": "True"}


def test_scaling_keeps_the_replica_set(api: Api) -> None:
    api.create(DEPLOYMENTS, deployment("grow", 1))
    eventually(lambda: ready(api, "grow") == 1)
    before = {pod["metadata"]["uid"] for pod in pods(api, "grow")}
    scale(api, "grow", 4)
    eventually(lambda: ready(api, "grow") == 4)
    assert before <= {pod["metadata"]["uid"] for pod in pods(api, "grow")}
    assert len(api.items(f"{SETS}?labelSelector=app%3Dgrow")) == 1
    scale(api, "grow", 0)
    eventually(lambda: api.items(f"{PODS}?labelSelector=app%3Dgrow") == [])


def test_a_new_template_rolls_over_and_never_falls_below_the_floor(api: Api) -> None:
    api.create(DEPLOYMENTS, deployment("roll", 4))
    eventually(lambda: ready(api, "roll") == 4)
    since = api.get(PODS).version
    image = [{"name": "main", "image": "roll:2"}]
    change = {"spec": {"template": {"spec": {"containers": image}}}}
    api.patch(f"{DEPLOYMENTS}/roll", change, "application/strategic-merge-patch+json")

    def renewed() -> bool:
        status = api.get(f"{DEPLOYMENTS}/roll").body["status"]
        return bool(status["observedGeneration"] == 2 and status.get("updatedReplicas") == status.get("replicas") == 4)

    eventually(renewed)
    eventually(lambda: ready(api, "roll") == 4)
    assert {pod["spec"]["containers"][0]["image"] for pod in pods(api, "roll")} == {"roll:2"}
    alive, lowest = 4, 4
    for event in api.watch(PODS, f"resourceVersion={since}&timeoutSeconds=1&labelSelector=app%3Droll"):
        body = event["object"]
        if event["type"] == "MODIFIED" and "deletionTimestamp" in body["metadata"]:
            alive -= 1
        elif event["type"] == "MODIFIED" and is_ready(body):
            alive += 1
        lowest = min(lowest, alive)
    assert lowest == 3  # maxUnavailable 25 % of 4


def test_a_deleted_deployment_takes_its_pods_along(api: Api) -> None:
    api.create(DEPLOYMENTS, deployment("brief", 2))
    eventually(lambda: ready(api, "brief") == 2)
    api.delete(f"{DEPLOYMENTS}/brief")
    eventually(lambda: api.items(f"{PODS}?labelSelector=app%3Dbrief") == [])
    assert api.items(f"{SETS}?labelSelector=app%3Dbrief") == []


def test_orphaned_pods_stay(api: Api) -> None:
    api.create(DEPLOYMENTS, deployment("orphan", 1))
    eventually(lambda: ready(api, "orphan") == 1)
    api.delete(f"{DEPLOYMENTS}/orphan", {"propagationPolicy": "Orphan"})
    eventually(lambda: api.get(f"{DEPLOYMENTS}/orphan").code == 404)
    (left,) = api.items(f"{SETS}?labelSelector=app%3Dorphan")
    assert "ownerReferences" not in left["metadata"]
    assert ready(api, "orphan") == 1


def test_a_foreground_deletion_waits_for_the_pods(api: Api) -> None:
    api.create(DEPLOYMENTS, deployment("front", 1))
    eventually(lambda: ready(api, "front") == 1)
    api.delete(f"{DEPLOYMENTS}/front", {"propagationPolicy": "Foreground"})
    eventually(lambda: api.get(f"{DEPLOYMENTS}/front").code == 404)
    assert api.items(f"{PODS}?labelSelector=app%3Dfront") == []


def test_an_object_whose_owner_is_absent_is_collected(api: Api) -> None:
    owner = {"apiVersion": "apps/v1", "kind": "ReplicaSet", "name": "gone", "uid": "no-such-uid"}
    body = {"metadata": {"name": "waif", "ownerReferences": [owner]}}
    api.create("/api/v1/namespaces/shop/configmaps", body)
    eventually(lambda: api.get("/api/v1/namespaces/shop/configmaps/waif").code == 404)


def test_a_stateful_set_counts_its_pods_and_starts_them_in_order(api: Api) -> None:
    path = "/apis/apps/v1/namespaces/shop/statefulsets"
    since = api.get(PODS).version
    api.create(path, deployment("db", 3, kind="StatefulSet"))
    eventually(lambda: ready(api, "db") == 3)
    order = []
    for event in api.watch(PODS, f"resourceVersion={since}&timeoutSeconds=1&labelSelector=app%3Ddb"):
        name = event["object"]["metadata"]["name"]
        if event["type"] == "ADDED" or (is_ready(event["object"]) and f"{name} ready" not in order):
            order.append(f"{name} {'added' if event['type'] == 'ADDED' else 'ready'}")
    assert order == ["db-0 added", "db-0 ready", "db-1 added", "db-1 ready", "db-2 added", "db-2 ready"]
    api.patch(f"{path}/db/scale", {"spec": {"replicas": 1}})
    eventually(lambda: [pod["metadata"]["name"] for pod in api.items(f"{PODS}?labelSelector=app%3Ddb")] == ["db-0"])


def test_a_daemon_set_has_a_pod_on_each_node_that_admits_it(api: Api) -> None:
    path = "/apis/apps/v1/namespaces/shop/daemonsets"
    api.create(path, deployment("agent", kind="DaemonSet", nodeSelector={ZONE: "a"}))
    eventually(lambda: ready(api, "agent") == 2)
    assert sorted(pod["spec"]["nodeName"] for pod in pods(api, "agent")) == ["n0", "n3"]
    api.create("/api/v1/nodes", node("n9", "a"))
    eventually(lambda: api.get(f"{path}/agent").body["status"].get("numberReady") == 3)
    api.delete(f"{path}/agent")
    api.delete("/api/v1/nodes/n9")


def aged(name: str, **more: object) -> Json:
    """A Ready pod on a node, a minute old, with something about it changed."""
    conditions = [{"type": "Ready", "status": "True", "lastTransitionTime": "2026-01-05T00:00:10Z"}]
    pod: Json = {
        "metadata": {"name": name, "uid": name, "creationTimestamp": "2026-01-05T00:00:00Z", "annotations": {}},
        "spec": {"nodeName": "n1"},
        "status": {"phase": "Running", "conditions": conditions, "containerStatuses": [{"restartCount": 0}]},
    }
    for path, value in more.items():
        part, _, field = path.partition("_")
        pod[part][field] = value
    return pod


def test_pods_are_removed_in_the_order_of_the_real_controller() -> None:
    not_ready = [{"type": "Ready", "status": "False"}]
    just_ready = [{"type": "Ready", "status": "True", "lastTransitionTime": "2099-01-05T00:00:00Z"}]
    cost = "controller.kubernetes.io/pod-deletion-cost"
    ranked = [
        (aged("unscheduled", spec_nodeName=""), 0),
        (aged("pending", status_phase="Pending"), 0),
        (aged("not-ready", status_conditions=not_ready), 0),
        (aged("cheap", metadata_annotations={cost: "-5"}), 0),
        (aged("crowded"), 3),
        (aged("just-ready", status_conditions=just_ready), 0),
        (aged("restarted", status_containerStatuses=[{"restartCount": 2}]), 0),
        (aged("younger", metadata_creationTimestamp="2099-01-05T00:00:00Z"), 0),
        (aged("ordinary"), 0),
        (aged("dear", metadata_annotations={cost: "5"}), 9),
    ]
    shuffled = sorted(ranked, key=lambda each: each[0]["metadata"]["name"])
    order = sorted(shuffled, key=lambda each: removal_order(each[0], each[1]))
    assert [pod["metadata"]["name"] for pod, _ in order] == [pod["metadata"]["name"] for pod, _ in ranked]


def test_the_deletion_cost_decides_who_leaves(api: Api) -> None:
    api.create(DEPLOYMENTS, deployment("cost", 3))
    eventually(lambda: ready(api, "cost") == 3)
    names = sorted(pod["metadata"]["name"] for pod in pods(api, "cost"))
    mark = {"metadata": {"annotations": {"controller.kubernetes.io/pod-deletion-cost": "-1"}}}
    api.patch(f"{PODS}/{names[1]}", mark)
    scale(api, "cost", 2)
    eventually(lambda: len(pods(api, "cost")) == 2)
    assert sorted(pod["metadata"]["name"] for pod in pods(api, "cost")) == [names[0], names[2]]


def evict(api: Api, name: str) -> tuple[int, Json]:
    body = {"apiVersion": "policy/v1", "kind": "Eviction", "metadata": {"name": name, "namespace": "shop"}}
    answer = api.create(f"{PODS}/{name}/eviction", body)
    return answer.code, answer.body


def test_a_budget_refuses_the_eviction_that_would_break_it(api: Api) -> None:
    api.create(DEPLOYMENTS, deployment("guarded", 3))
    eventually(lambda: ready(api, "guarded") == 3)
    api.create(BUDGETS, budget("guarded", "guarded", minAvailable=3))
    name = pods(api, "guarded")[0]["metadata"]["name"]
    code, refusal = evict(api, name)
    assert (code, refusal["reason"]) == (429, "TooManyRequests")
    assert [cause["reason"] for cause in refusal["details"]["causes"]] == ["DisruptionBudget"]
    api.patch(f"{BUDGETS}/guarded", {"spec": {"minAvailable": 2}})
    eventually(lambda: api.get(f"{BUDGETS}/guarded").body["status"].get("disruptionsAllowed") == 1)
    assert evict(api, name)[0] == 201
    eventually(lambda: ready(api, "guarded") == 3)
    assert name not in {pod["metadata"]["name"] for pod in pods(api, "guarded")}


def test_a_pod_under_two_budgets_cannot_be_evicted(api: Api) -> None:
    api.create(DEPLOYMENTS, deployment("twice", 1))
    eventually(lambda: ready(api, "twice") == 1)
    for name in ("twice-a", "twice-b"):
        api.create(BUDGETS, budget(name, "twice", maxUnavailable=1))
    assert evict(api, pods(api, "twice")[0]["metadata"]["name"])[0] == 500


@pytest.mark.parametrize(
    ("spec", "allowed"), [({"maxUnavailable": 1}, 1), ({"maxUnavailable": "50%"}, 2), ({"minAvailable": "100%"}, 0)]
)
def test_a_budget_counts_in_pods_or_percent(api: Api, spec: Json, allowed: int) -> None:
    name = f"pdb{allowed}"
    api.create(DEPLOYMENTS, deployment(name, 4))
    eventually(lambda: ready(api, name) == 4)
    api.create(BUDGETS, budget(name, name, **spec))
    status = eventually(
        lambda: (s := api.get(f"{BUDGETS}/{name}").body.get("status", {})).get("currentHealthy") == 4 and s
    )
    assert isinstance(status, dict)
    assert status["disruptionsAllowed"] == allowed


def test_a_quota_refuses_what_it_has_no_room_for(sandbox: Sandbox) -> None:
    api = Api.of(sandbox, "eu")
    api.create("/api/v1/namespaces", {"metadata": {"name": "tight"}})
    quota = {"metadata": {"name": "q"}, "spec": {"hard": {"requests.cpu": "250m", "pods": "9"}}}
    api.create("/api/v1/namespaces/tight/resourcequotas", quota)
    body = deployment("fat", 3)
    body["metadata"]["namespace"] = "tight"
    api.create("/apis/apps/v1/namespaces/tight/deployments", body)
    path = "/apis/apps/v1/namespaces/tight/deployments/fat"

    def failure() -> str:
        conditions = api.get(path).body.get("status", {}).get("conditions", [])
        return next((c["message"] for c in conditions if c["type"] == "ReplicaFailure"), "")

    message = eventually(failure)
    assert (
        "exceeded quota: q, requested: requests.cpu=100m, used: requests.cpu=200m, limited: requests.cpu=250m"
        in message
    )
    used = eventually(lambda: api.get("/api/v1/namespaces/tight/resourcequotas/q").body["status"].get("used"))
    assert used == {"requests.cpu": "200m", "pods": "2"}
    api.patch("/api/v1/namespaces/tight/resourcequotas/q", {"spec": {"hard": {"requests.cpu": "1"}}})
    eventually(lambda: api.get(path).body["status"].get("readyReplicas") == 3)
    eventually(lambda: failure() == "")
