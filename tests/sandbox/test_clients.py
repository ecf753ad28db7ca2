"""The Python clients, unchanged."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import kubernetes
import pytest
import yaml

from archgov.sandbox import Sandbox
from tests.sandbox.api import WIDGETS, Api, deployment, eventually, ready, widget


@pytest.fixture
def client(sandbox: Sandbox) -> Iterator[Any]:
    load: Any = kubernetes.config.new_client_from_config_dict
    with load(yaml.safe_load(sandbox.kubeconfig_for("eu"))) as found:
        yield found


def test_the_typed_client_reads_writes_and_scales(client: Any, api: Api) -> None:
    apps: Any = kubernetes.client.AppsV1Api(client)
    core: Any = kubernetes.client.CoreV1Api(client)
    made = apps.create_namespaced_deployment("shop", deployment("typed", 2))
    assert made.status.replicas is None
    assert made.metadata.generation == 1
    eventually(lambda: ready(api, "typed") == 2)
    scale = apps.read_namespaced_deployment_scale("typed", "shop")
    scale.spec.replicas = 1
    assert apps.replace_namespaced_deployment_scale("typed", "shop", scale).spec.replicas == 1
    with pytest.raises(kubernetes.client.ApiException) as refused:
        apps.replace_namespaced_deployment_scale("typed", "shop", scale)
    assert refused.value.status == 409
    eventually(lambda: len(core.list_namespaced_pod("shop", label_selector="app=typed").items) == 1)
    pod = core.list_namespaced_pod("shop", label_selector="app=typed").items[0]
    eviction = kubernetes.client.V1Eviction(metadata=kubernetes.client.V1ObjectMeta(name=pod.metadata.name))
    core.create_namespaced_pod_eviction(pod.metadata.name, "shop", eviction)
    assert {node.status.conditions[0].type for node in core.list_node().items} == {"Ready"}


def test_the_typed_client_watches(client: Any, api: Api) -> None:
    custom: Any = kubernetes.client.CustomObjectsApi(client)
    listed = custom.list_namespaced_custom_object("example.io", "v1", "shop", "widgets")
    api.create(WIDGETS, widget("watched"))
    watch: Any = kubernetes.watch.Watch
    stream = watch().stream(
        custom.list_namespaced_custom_object,
        "example.io",
        "v1",
        "shop",
        "widgets",
        resource_version=listed["metadata"]["resourceVersion"],
        timeout_seconds=5,
    )
    assert next(iter(stream))["object"]["metadata"]["name"] == "watched"


def test_kopf_sees_what_is_there_and_what_comes(sandbox: Sandbox, api: Api, tmp_path: Path) -> None:
    config = tmp_path / "kubeconfig"
    config.write_text(sandbox.kubeconfig_for("eu"))
    api.create(WIDGETS, widget("before"))
    command = [sys.executable, str(Path(__file__).with_name("seen_by_kopf.py"))]
    environment = {**os.environ, "KUBECONFIG": str(config)}
    with subprocess.Popen(
        command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
    ) as process:
        assert process.stdout is not None
        lines = iter(process.stdout)
        assert "None before\n" in lines  # reads on until it comes
        api.create(WIDGETS, widget("after"))
        assert "ADDED after\n" in lines
        api.delete(f"{WIDGETS}/after")
        assert "DELETED after\n" in lines
        process.terminate()
        assert process.wait(20) in (0, -15)
