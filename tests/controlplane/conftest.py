"""The real control plane, started once for all tests that are marked `controlplane`."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.controlplane import build, plane


@pytest.fixture(scope="session")
def control_plane(tmp_path_factory: pytest.TempPathFactory) -> Iterator[plane.Plane]:
    """A running API server; it never builds one, since that takes minutes and a test has one."""
    binaries = build.found()
    if binaries is None:
        pytest.fail("no etcd and kube-apiserver here; `make test-crds` builds them first")
    with plane.started(binaries, tmp_path_factory.mktemp("controlplane")) as running:
        yield running


@pytest.fixture(scope="session")
def kubeconfig(control_plane: plane.Plane) -> Path:
    return control_plane.kubeconfig
