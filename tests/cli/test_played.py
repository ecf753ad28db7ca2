"""The fleet of a snapshot, played: what a look at the sandbox sees is what the snapshot told."""

from __future__ import annotations

import fcntl
import time
from collections import Counter
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

from archgov.cli.demo import played
from archgov.cli.demo.command import play, tale_of
from archgov.cli.demo.fleet import HUB
from archgov.cli.demo.page import picture
from archgov.cli.demo.stage import install, scene
from archgov.cli.failure import Failure
from archgov.model.fleet import Fixed, Fleet
from archgov.model.intent import Intent, Mode
from archgov.model.shape import Taint, Toleration
from archgov.model.snapshot import Snapshot
from archgov.sandbox import Sandbox, SandboxOptions
from tests.build import a_cluster, a_fleet, a_node, a_series, a_snapshot, a_workload, capacity, placement

PATIENCE = 40.0
GPU = "archgov.io/gpu-milli"


def a_told_fleet() -> Fleet:
    """Every kind of thing that a snapshot can tell of a workload and of a node."""
    dedicated = Taint("dedicated", "ml", "NoSchedule")
    return a_fleet(
        [
            a_cluster("eu", region="eu-west", labels={"archgov.io/jurisdiction": "eu"}, price="0.03"),
            a_cluster("us", region="us-east", price="0.04"),
        ],
        [
            a_workload("shop/web", {"eu/a": 2, "eu/b": 1, "us/a": 3}, zone_skew=1, guarded=True),
            a_workload("shop/cart", {"us/b": 2}, spec={"us": 3, "eu": 0}, one_a_node=True),
            a_workload("ml/train", {"eu/a": 1}, extended={GPU: "500"}, tolerations=[Toleration("dedicated", "Exists")]),
            a_workload("ml/only-gpu", {"eu/a": 1}, node=[{"pool": "gpu"}], tolerations=[Toleration("", "Exists")]),
            a_workload("shop/scaled", {"eu/b": 1}, fixed=Fixed.AUTOSCALED),
            a_workload("shop/db", {"us/a": 2}, kind="StatefulSet", fixed=Fixed.STATEFUL),
        ],
        [
            a_node("eu/a", cpu="8", extended={GPU: "4000"}, labels={"pool": "gpu"}, taints=[dedicated], price="0.9"),
            a_node("eu/a", cpu="8", price="0.4"),
            a_node("eu/b", cpu="8", price="0.4", used={"cpu": "2"}),
            a_node("us/a", cpu="8"),
            a_node("us/b", cpu="8"),
            a_node("us/b", cpu="8"),
        ],
    )


@pytest.fixture(scope="module")
def told() -> Snapshot:
    intents: list[Intent] = [
        placement("shop/in-eu", allow={"archgov.io/jurisdiction": "eu"}, names=["web"], mode=Mode.ENFORCE),
        capacity("shop/demand", series="history", names=["cart"]),
    ]
    series = a_series("shop/history", [3, 4, 5] * 20, key="demand.csv")
    return a_snapshot(a_told_fleet(), intents, series=[series])


@pytest.fixture(scope="module")
def seen(told: Snapshot, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Fleet]:
    folder = tmp_path_factory.mktemp("played")
    tale = tale_of(told)
    with Sandbox({HUB: tale.hub, **tale.objects}, folder, SandboxOptions(speed=20)) as sandbox:
        install(scene(sandbox, list(tale.objects), folder), tale.members)
        until = time.monotonic() + PATIENCE
        fleet = picture(sandbox.kubeconfig).fleet
        while int(fleet.standing.ready.sum()) < int(told.fleet.standing.replicas.sum()) and time.monotonic() < until:
            fleet = picture(sandbox.kubeconfig).fleet
        yield fleet


def spec(fleet: Fleet) -> dict[tuple[str, str], int]:
    table = fleet.deployed
    rows = zip(table.workload.tolist(), table.cluster.tolist(), table.replicas.tolist(), strict=True)
    return {(str(fleet.ref(s)), str(fleet.clusters[k].name)): count for s, k, count in rows}


def standing(fleet: Fleet, kind: str) -> dict[tuple[str, str], int]:
    table = fleet.standing
    rows = zip(table.workload.tolist(), table.domain.tolist(), table.replicas.tolist(), strict=True)
    return {(str(fleet.ref(s)), str(fleet.domains[j])): count for s, j, count in rows if fleet.ref(s).kind == kind}


def test_every_replica_is_asked_for_where_it_was(told: Snapshot, seen: Fleet) -> None:
    assert spec(seen) == spec(told.fleet)


def test_every_replica_of_a_deployment_stands_in_its_zone(told: Snapshot, seen: Fleet) -> None:
    before = Counter(standing(told.fleet, "Deployment"))
    now = Counter(standing(seen, "Deployment"))
    assert now - before == Counter({("shop/cart", "us/a"): 1})  # the pending one found a node
    assert before - now == Counter()


def test_pods_ask_for_the_same_and_refuse_the_same(told: Snapshot, seen: Fleet) -> None:
    for s in range(len(told.fleet.workloads.key)):
        row = seen.row(told.fleet.ref(s))
        assert row is not None
        was, is_ = (f.shapes[f.workloads.shape[r]] for f, r in ((told.fleet, s), (seen, row)))
        amounts = [dict(zip(f.resources, one.requests, strict=True)) for f, one in ((told.fleet, was), (seen, is_))]
        assert amounts[0] == amounts[1]
        assert (was.zone_skew, was.one_a_node, len(was.node)) == (is_.zone_skew, is_.one_a_node, len(is_.node))


def test_what_archgov_may_not_act_on_stays_load(told: Snapshot, seen: Fleet) -> None:
    fixed = {seen.ref(s).name: Fixed(int(why)) for s, why in enumerate(seen.workloads.fixed)}
    assert {name for name, why in fixed.items() if why is Fixed.FREE} == {"web", "cart", "train", "only-gpu"}
    assert (fixed["scaled"], fixed["db"]) == (Fixed.OPTED_OUT, Fixed.STATEFUL)


def test_clusters_keep_place_labels_and_prices(told: Snapshot, seen: Fleet) -> None:
    for was, is_ in zip(told.fleet.clusters, seen.clusters, strict=True):
        assert (was.name, was.region, was.provider, was.labels) == (is_.name, is_.region, is_.provider, is_.labels)
        assert was.price == is_.price
    assert int(seen.nodes.price.sum()) == int(told.fleet.nodes.price.sum())


def test_what_belongs_to_no_workload_is_taken_off_the_nodes(told: Snapshot, seen: Fleet) -> None:
    def cores(fleet: Fleet) -> int:
        return int(fleet.nodes.allocatable[:, fleet.resources.index("cpu")].sum())

    assert cores(seen) == cores(told.fleet) - 2000


def test_series_end_now_and_keep_their_step(told: Snapshot) -> None:
    now = datetime(2027, 3, 4, 12, 30, tzinfo=UTC)
    (config_map, *intents) = played.declarations(told, now)
    lines = config_map["data"]["demand.csv"].splitlines()
    last = datetime.fromisoformat(lines[-1].split(",")[0])
    first_of_told = max(sample.at for sample in told.series[0].samples)
    assert (now - last).total_seconds() - (told.seconds - first_of_told) < told.series[0].step
    assert [intent["kind"] for intent in intents] == ["CapacityIntent", "PlacementIntent"]


def test_a_cluster_named_as_the_hub_is_refused() -> None:
    snapshot = a_snapshot(a_fleet(["hub"], [a_workload("shop/web", {"hub/a": 1})]), [])
    with pytest.raises(Failure, match="hub"):
        tale_of(snapshot)


def test_a_directory_with_other_things_in_it_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "thesis.txt").write_text("three years")
    with pytest.raises(Failure, match="no demo left there"):
        play(tmp_path)
    assert (tmp_path / "thesis.txt").read_text() == "three years"


def test_a_demo_that_is_running_is_not_emptied_by_another(tmp_path: Path) -> None:
    (tmp_path / "requests.jsonl").touch()
    with (tmp_path / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        with pytest.raises(Failure, match="a demo is running"):
            play(tmp_path)
    assert (tmp_path / "requests.jsonl").exists()


def test_a_folder_that_can_not_be_made_is_told() -> None:
    with pytest.raises(Failure, match="can't be made"):
        play(Path("/proc/nowhere"))
