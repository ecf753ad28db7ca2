"""A fleet in a file, with a directory of intents beside it."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from archgov.cli.main import app
from archgov.model.fleet import Fixed, Fleet, Reach
from archgov.model.intent import Intent
from archgov.model.snapshot import Snapshot, save
from tests.build import a_cluster, a_fleet, a_snapshot, a_workload

Run = Callable[..., Result]
JURISDICTION = "archgov.io/jurisdiction"


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Run:
    """Runs a command in an empty directory, without any kubeconfig to find."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("KUBECONFIG", raising=False)
    monkeypatch.delenv("KUBERNETES_SERVICE_HOST", raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))
    return lambda *args: CliRunner().invoke(app, [str(arg) for arg in args])


def a_small_fleet(*, unseen: str = "") -> Fleet:
    """Two clusters in the EU, a cheap one elsewhere; one may be out of sight."""
    clusters = [
        a_cluster("eu-1", region="eu", price="0.03", labels={JURISDICTION: "eu"}),
        a_cluster("eu-2", region="eu", price="0.031", labels={JURISDICTION: "eu"}),
        a_cluster("us-1", region="us", price="0.02"),
    ]
    if unseen:
        silence = {"reach": Reach.UNKNOWN, "evidence": "connection refused", "silent": True}
        clusters = [a_cluster(c.name, region=c.region, **silence) if c.name == unseen else c for c in clusters]  # type: ignore[arg-type]
    workloads = [
        a_workload("shop/cart", {"eu-1/a": 2, "eu-1/b": 2, "eu-2/a": 1}, spec={"us-1": 0}, zone_skew=1),
        a_workload("shop/db", {"eu-1/a": 3}, kind="StatefulSet", fixed=Fixed.STATEFUL),
        a_workload("media/transcode", {"eu-1/a": 5}, spec={"us-1": 0, "eu-2": 0}, guarded=True),
        a_workload("pay/ledger", {"us-1/a": 2}, spec={"eu-1": 0, "eu-2": 0}),
    ]
    return a_fleet(clusters, workloads)


def saved(snapshot: Snapshot, directory: Path, name: str = "fleet.snapshot") -> Path:
    file = directory / name
    with file.open("wb") as content:
        save(snapshot, content)
    return file


@pytest.fixture
def fleet(tmp_path: Path) -> Callable[..., Path]:
    """A saved fleet with these intents."""

    def write(intents: Iterable[Intent] = (), name: str = "fleet.snapshot", unseen: str = "", age: int = 0) -> Path:
        seen = a_small_fleet(unseen=unseen)
        lag = {unseen: age * 1000} if unseen else {}
        return saved(a_snapshot(seen, intents, lag=lag, notes=["assumed: prices of us-1"]), tmp_path, name)

    return write


@pytest.fixture
def intents(tmp_path: Path) -> Callable[[str], Path]:
    """A directory with one file of YAML."""

    def write(text: str, name: str = "shop.yaml") -> Path:
        folder = tmp_path / "intents"
        folder.mkdir(exist_ok=True)
        (folder / name).write_text(text)
        return folder

    return write
