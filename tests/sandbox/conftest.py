"""One sandbox for the tests that leave nothing behind which others would see."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from archgov.sandbox import Sandbox, SandboxOptions
from tests.sandbox.api import Api, deployment, node, widget_definition

FAST = SandboxOptions(speed=100)


@pytest.fixture(scope="module")
def sandbox(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Sandbox]:
    """Two clusters: `eu` with six nodes in three zones and one Deployment, `hub` with no nodes."""
    nodes = [node(f"n{i}", "abc"[i % 3]) for i in range(6)]
    fleet = {"eu": [widget_definition(), *nodes, deployment("cart", 3)], "hub": []}
    with Sandbox(fleet, tmp_path_factory.mktemp("sandbox"), FAST) as running:
        yield running


@pytest.fixture(scope="module")
def api(sandbox: Sandbox) -> Api:
    return Api.of(sandbox, "eu")


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    return tmp_path
