"""The sandbox as its users hold it: start, kubeconfig, request log, stop."""

from __future__ import annotations

import json
import stat
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import pytest
import yaml

from archgov.sandbox import Sandbox, SandboxOptions
from tests.sandbox.api import DEPLOYMENTS, PODS, Api, deployment, eventually, node, pods, ready


def entries(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text().splitlines()]


def test_the_kubeconfig_has_a_context_for_each_cluster_and_is_private(tmp_path: Path) -> None:
    with Sandbox({"hub": [], "eu": []}, tmp_path) as sandbox:
        config = yaml.safe_load(sandbox.kubeconfig.read_text())
        assert config["current-context"] == "hub"
        assert [context["name"] for context in config["contexts"]] == ["hub", "eu"]
        assert stat.S_IMODE(sandbox.kubeconfig.stat().st_mode) == 0o600
        other = yaml.safe_load(sandbox.kubeconfig_for("eu", "jane", "https://eu.example:6443"))
        assert other["clusters"][0]["cluster"]["server"] == "https://eu.example:6443"
        assert other["users"][0]["user"]["token"] == sandbox.token("jane")


def test_the_log_tells_each_write_with_what_it_changed(tmp_path: Path) -> None:
    with Sandbox({"eu": [node("n1", "a"), deployment("cart", 1)]}, tmp_path, SandboxOptions(speed=100)) as sandbox:
        api = Api.of(sandbox, "eu", "archgov")
        eventually(lambda: ready(api, "cart") == 1)
        before = api.get(f"{DEPLOYMENTS}/cart/scale").body
        api.patch(f"{DEPLOYMENTS}/cart/scale", {"spec": {"replicas": 2}})
        api.patch(f"{DEPLOYMENTS}/cart/scale", {"metadata": {"resourceVersion": "1"}, "spec": {"replicas": 3}})
        eventually(lambda: ready(api, "cart") == 2)
        api.delete(f"{PODS}/{pods(api, 'cart')[0]['metadata']['name']}")
        eventually(lambda: ready(api, "cart") == 2)
    log = entries(sandbox.request_log)
    assert [entry["t"] for entry in log] == sorted(entry["t"] for entry in log)
    scaled, refused = (entry for entry in log if entry["subresource"] == "scale")
    assert (scaled["cluster"], scaled["user"]) == ("eu", "system:serviceaccount:archgov-system:archgov")
    assert (scaled["agent"], scaled["verb"], scaled["resource"], scaled["code"]) == (
        "tests/1",
        "patch",
        "deployments",
        200,
    )
    assert (scaled["namespace"], scaled["name"]) == ("shop", "cart")
    assert (scaled["before"]["replicas"], scaled["after"]["replicas"]) == (1, 2)
    assert scaled["before"]["uid"] == scaled["after"]["uid"] == before["metadata"]["uid"]
    assert (refused["code"], refused["after"]) == (409, None)
    became = [e["after"] for e in log if e["resource"] == "pods" and e["after"] and e["after"]["ready"]]
    assert {(pod["node"], pod["zone"], pod["owner"]) for pod in became} == {("n1", "a", "shop/Deployment/cart")}
    leaving = [e for e in log if e["resource"] == "pods" and e["after"] and e["after"]["terminating"]]
    assert [entry["before"]["ready"] for entry in leaving] == [True]
    assert any(e["resource"] == "pods" and e["verb"] == "delete" and e["after"] is None for e in log)


def test_initial_objects_keep_their_status_and_uid(tmp_path: Path) -> None:
    scaler = {
        "apiVersion": "autoscaling/v2",
        "kind": "HorizontalPodAutoscaler",
        "metadata": {"name": "cart", "namespace": "shop", "uid": "given"},
        "spec": {"scaleTargetRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": "cart"}, "maxReplicas": 3},
        "status": {"currentReplicas": 2, "desiredReplicas": 2},
    }
    with Sandbox({"eu": [scaler]}, tmp_path) as sandbox:
        path = "/apis/autoscaling/v2/namespaces/shop/horizontalpodautoscalers/cart"
        body = Api.of(sandbox, "eu").get(path).body
        assert (body["metadata"]["uid"], body["status"]["currentReplicas"]) == ("given", 2)


def test_a_fleet_that_cannot_begin_says_why(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="a sandbox needs at least one cluster"):
        Sandbox({}, tmp_path)
    strange = {"apiVersion": "example.io/v1", "kind": "Widget", "metadata": {"name": "w"}}
    with pytest.raises(ValueError, match=r"cluster eu can't begin with a example.io/v1 Widget: .* add its CRD"):
        Sandbox({"eu": [strange]}, tmp_path).start()


def test_a_stopped_sandbox_leaves_no_thread_behind(tmp_path: Path) -> None:
    sandbox = Sandbox({"eu": []}, tmp_path)
    sandbox.start()
    with pytest.raises(RuntimeError, match="runs already"):
        sandbox.start()
    sandbox.stop()
    sandbox.stop()
    assert "archgov-sandbox" not in {thread.name for thread in threading.enumerate()}
    with pytest.raises(KeyError, match="doesn't run"):
        sandbox.url("eu")


def test_the_module_serves_a_file_until_it_is_told_to_stop(tmp_path: Path) -> None:
    body = {**deployment("cart", 1)}
    body["metadata"]["annotations"] = {"sandbox.archgov.io/cluster": "eu"}
    fleet = tmp_path / "fleet.yaml"
    fleet.write_text(yaml.safe_dump(body))
    command = [sys.executable, "-m", "archgov.sandbox", "--fleet", str(fleet), "--directory", str(tmp_path / "run")]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline().startswith("export KUBECONFIG=")
        process.terminate()
        assert process.wait(10) == 0
