"""Commands against API servers that answer, refuse, or are silent."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from typer.testing import CliRunner, Result

from archgov.cli.main import app
from archgov.model.fleet import Reach
from archgov.model.snapshot import load
from tests import manifests as k8s
from tests.e2e.stage import HUB, Stage, collection, everywhere, stage

pytestmark = pytest.mark.e2e


def run(the: Stage, *args: str) -> Result:
    config = the.directory / "person.kubeconfig"
    config.touch(mode=0o600)
    config.write_text(the.sandbox.kubeconfig_for(HUB))
    return CliRunner().invoke(app, [args[0], "--kubeconfig", str(config), *args[1:]])


@pytest.fixture(scope="module")
def the(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stage]:
    """Three clusters with a workload in the dearest one; archgov itself is not running."""
    workloads = everywhere("shop/cart", {"us": 3}, ("ap", "eu", "us"))
    with stage(tmp_path_factory.mktemp("live"), workloads, start=False) as ready:
        ready.apply(k8s.ours("PlacementIntent", "shop/cheap", _follows()))
        yield ready


def _follows(**more: Any) -> dict[str, Any]:
    return {"target": {"workloads": {}}, "load": "FollowsReplicas", **more}


def test_a_live_fleet_is_planned_as_its_snapshot_is(the: Stage) -> None:
    file = the.directory / "fleet.snapshot"
    saved = run(the, "snapshot", "--out", str(file))
    assert saved.exit_code == 0, saved.output
    with file.open("rb") as content:
        snapshot = load(content)
    assert [cluster.name for cluster in snapshot.fleet.clusters] == ["ap", "eu", "us"]
    assert all(cluster.reach is Reach.YES for cluster in snapshot.fleet.clusters)
    assert all(witness.answers for witness in snapshot.witnesses)
    live = run(the, "plan", "--json")
    replayed = CliRunner().invoke(app, ["plan", "--snapshot", str(file), "--json"])
    assert (live.exit_code, replayed.exit_code) == (2, 2)
    assert json.loads(live.stdout)["changes"] == json.loads(replayed.stdout)["changes"]
    assert json.loads(live.stdout)["changes"][0]["then"] == {"ap": 3}


def test_planning_writes_nothing(the: Stage, tmp_path: Path) -> None:
    before = the.sandbox.request_log.read_text()
    intents = tmp_path / "eu.yaml"
    only = {"matchLabels": {"archgov.io/jurisdiction": "eu"}}
    body = k8s.ours("PlacementIntent", "shop/cheap", _follows(allow=only, mode="Enforce"))
    intents.write_text(yaml.safe_dump(body))
    planned = run(the, "plan", "-f", str(intents), "--json")
    assert planned.exit_code == 2, planned.output
    [change] = json.loads(planned.stdout)["changes"]
    assert (change["mode"], change["then"]) == ("Enforce", {"eu": 3})
    assert the.sandbox.request_log.read_text() == before
    assert the.replicas("shop/cart") == {"us": 3}


def test_hashed_names_leave_the_plan_as_it_is(the: Stage) -> None:
    plain, secret = the.directory / "plain.snapshot", the.directory / "secret.snapshot"
    assert run(the, "snapshot", "--out", str(plain)).exit_code == 0
    assert run(the, "snapshot", "--out", str(secret), "--hash-names").exit_code == 0
    assert not any(word in secret.read_bytes() for word in (b"shop", b"cart", b"acme"))
    plans = [
        json.loads(CliRunner().invoke(app, ["plan", "--snapshot", str(file), "--json"]).stdout)
        for file in (plain, secret)
    ]
    assert plans[0]["cost"] == plans[1]["cost"]
    assert list(plans[1]["changes"][0]["then"].values()) == [3]


def test_stop_is_seen_by_all_until_resume(the: Stage) -> None:
    stopped = run(the, "stop", "--reason", "black friday", "--until", "2h", "--by", "ada")
    assert stopped.exit_code == 0, stopped.output
    found = the.hub.get(f"{collection('Fleet')}/fleet")["spec"]["stopped"]
    assert (found["by"], found["reason"]) == ("ada", "black friday")
    again = run(the, "stop", "--reason", "still", "--by", "eve", "--json")
    assert json.loads(again.stdout) == {"stopped": {"by": "eve", "reason": "still"}}
    assert the.hub.get(f"{collection('Fleet')}/fleet")["spec"]["stopped"] == {"by": "eve", "reason": "still"}
    resumed = run(the, "resume")
    assert (resumed.exit_code, "stopped by eve" in resumed.stdout) == (0, True)
    assert "stopped" not in the.hub.get(f"{collection('Fleet')}/fleet")["spec"]
    assert "nothing was stopped" in run(the, "resume").stdout


def test_a_silent_cluster_is_named_with_two_ways_on(the: Stage) -> None:
    the.silence("eu")
    try:
        refused = run(the, "plan")
        assert refused.exit_code == 1
        assert 'error: cannot reach cluster "eu": ' in refused.stderr
        assert "leave it out with --without eu" in refused.stderr
        without = run(the, "plan", "--without", "eu", "--json")
        assert without.exit_code == 2, without.output
        assert json.loads(without.stdout)["changes"][0]["then"] == {"ap": 3}
    finally:
        the.heal("eu")


def test_an_api_server_that_is_not_there_is_an_error_in_words(tmp_path: Path, the: Stage) -> None:
    config = yaml.safe_load(the.sandbox.kubeconfig_for(HUB))
    config["clusters"][0]["cluster"]["server"] = "https://127.0.0.1:9"
    file = tmp_path / "nobody.kubeconfig"
    file.touch(mode=0o600)
    file.write_text(yaml.safe_dump(config))
    found = CliRunner().invoke(app, ["plan", "--kubeconfig", str(file)])
    assert found.exit_code == 1
    assert found.stderr.startswith("error: cannot reach the API server: ")
    assert "https://127.0.0.1:9" in found.stderr
    assert found.stdout == ""
