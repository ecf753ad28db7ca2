"""Sandbox, operator process, credentials: everything that must stand before the story begins."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from base64 import b64encode
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import yaml

from archgov.api.crd import definitions
from archgov.cli.demo.cluster import Cluster, collection
from archgov.cli.demo.fleet import HUB, SYSTEM
from archgov.sandbox import Sandbox

CRDS: Final = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions"
STOP_SECONDS: Final = 15


@dataclass(frozen=True, slots=True)
class Scene:
    """A running sandbox as the story needs it. witnesses: the one probe of each member."""

    sandbox: Sandbox
    hub: Cluster
    members: Mapping[str, Cluster]
    directory: Path


def scene(sandbox: Sandbox, members: list[str], directory: Path) -> Scene:
    """Connects to every cluster of a sandbox that has started."""
    return Scene(
        sandbox,
        Cluster.of(sandbox.kubeconfig, HUB),
        {name: Cluster.of(sandbox.kubeconfig, name) for name in members},
        directory,
    )


def install(the: Scene, member_objects: Mapping[str, Mapping[str, Any]]) -> None:
    """What an installation brings to the hub: kinds, one kubeconfig Secret per member, the members themselves."""
    for definition in definitions():
        the.hub.apply(CRDS, definition)
    for name, member in member_objects.items():
        the.hub.apply(f"/api/v1/namespaces/{SYSTEM}/secrets", _secret(name, the.sandbox.kubeconfig_for(name)))
        the.hub.apply(collection("memberclusters"), member)


@contextmanager
def operator(the: Scene) -> Iterator[subprocess.Popen[bytes]]:
    """`archgov run` as a process of its own, knowing nothing but a kubeconfig; stopped as Kubernetes would stop it."""
    kubeconfig = the.directory / "operator.kubeconfig"
    kubeconfig.touch(mode=0o600)
    kubeconfig.write_text(the.sandbox.kubeconfig_for(HUB))
    environment = {
        **os.environ,
        "ARCHGOV_TRACES_FILE": str(the.directory / "traces.jsonl"),
        "ARCHGOV_LEDGER_FILE": str(the.directory / "ledger.sqlite"),
    }
    with (the.directory / "operator.log").open("wb") as log:
        process = subprocess.Popen(
            [sys.executable, "-m", "archgov", "run", "--kubeconfig", str(kubeconfig)],
            stdout=log,
            stderr=subprocess.STDOUT,
            env=environment,
            # Ctrl-C reaches the demo alone, which then stops the operator in order.
            start_new_session=True,
        )
        try:
            yield process
        finally:
            process.send_signal(signal.SIGTERM)
            try:
                process.wait(STOP_SECONDS)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


def manifests(folder: Path) -> list[dict[str, Any]]:
    """Every object of the YAML files of a folder, in order of their names."""
    return [
        body
        for file in sorted(folder.glob("*.yaml"))
        for body in yaml.load_all(file.read_text(), Loader=yaml.CSafeLoader)
        if body
    ]


def apply(hub: Cluster, body: Mapping[str, Any]) -> None:
    """Applies an intent or a ConfigMap, as `kubectl apply --server-side` would."""
    namespace = body["metadata"]["namespace"]
    if body["kind"] == "ConfigMap":
        hub.apply(f"/api/v1/namespaces/{namespace}/configmaps", body)
    else:
        hub.apply(collection(f"{body['kind'].lower()}s", namespace), body)


def _secret(name: str, kubeconfig: str) -> dict[str, Any]:
    return {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {"name": f"kubeconfig-{name}", "namespace": SYSTEM},
        "type": "Opaque",
        "data": {"kubeconfig": b64encode(kubeconfig.encode()).decode()},
    }
