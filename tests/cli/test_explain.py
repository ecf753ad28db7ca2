"""`archgov explain`, as its reader sees it."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

from archgov.model.fleet import Reach
from archgov.model.intent import Intent, Loss, Mode
from archgov.model.ref import ClusterName
from tests.build import MONDAY, a_cluster, a_fleet, a_node, a_snapshot, a_workload, capacity, failover, placement
from tests.cli.conftest import JURISDICTION, Run, saved

Fleet = Callable[..., Path]


def a_loss(directory: Path) -> Path:
    """us-1 is lost; shop/cart stood there and is raised elsewhere; shop/search stands still meanwhile."""
    gone = a_cluster("us-1", region="us", reach=Reach.UNKNOWN, evidence="timeout", silent=True)
    workloads = [
        a_workload("shop/cart", {"eu-1/a": 2, "us-1/a": 2}),
        a_workload("shop/search", {"eu-1/a": 2}, spec={"us-1": 0}),
    ]
    asked: list[Intent] = [
        failover("shop/crit", tolerate={"cluster": 1}, on_loss=Mode.ENFORCE, mode=Mode.ENFORCE, names=["cart"]),
        placement("shop/cheap"),
        capacity("shop/load", demand=3, names=["search"], mode=Mode.ENFORCE),
    ]
    lost = Loss(ClusterName("us-1"), since=MONDAY - 60)
    fleet = a_fleet([a_cluster("eu-1"), gone], workloads, {"eu-1/a": 2, "us-1/a": 2})
    return saved(a_snapshot(fleet, asked, losses=[lost]), directory)


def test_while_a_loss_is_answered_every_intent_says_that_it_waits(run: Run, tmp_path: Path) -> None:
    file = a_loss(tmp_path)
    for intent in ("pi/cheap", "ci/load"):
        found = run("explain", intent, "-n", "shop", "--snapshot", file)
        assert (found.exit_code, found.stderr) == (0, "")
        assert "the loss of us-1 is being answered; the plan stands still until then" in found.stdout
        assert "nothing better pays" not in found.stdout


def test_what_others_change_meanwhile_is_shown_with_who_does(run: Run, tmp_path: Path) -> None:
    document = json.loads(run("explain", "pi/cheap", "-n", "shop", "--snapshot", a_loss(tmp_path), "--json").stdout)
    cart, search = document["workloads"]
    assert cart["then"] == {"eu-1": 4, "us-1": 2}
    assert "by FailoverIntent shop/crit (Enforce)" in cart["why"]
    assert (search["then"], document["changes"], document["conditions"]) == (None, [], [])


def test_why_not_waits_too(run: Run, tmp_path: Path) -> None:
    asked = ("explain", "pi/cheap", "-n", "shop", "--workload", "search", "--why-not", "eu-1", "--snapshot")
    [answer] = json.loads(run(*asked, a_loss(tmp_path), "--json").stdout)["whyNot"]
    assert answer["conflict"] == ["the loss of us-1 is being answered; the plan stands still until then"]


def test_what_is_infeasible_is_not_said_to_hold(run: Run, fleet: Fleet) -> None:
    nowhere = placement("pay/moon", allow={JURISDICTION: "moon"}, mode=Mode.ENFORCE)
    document = json.loads(run("explain", "pi/moon", "-n", "pay", "--snapshot", fleet([nowhere]), "--json").stdout)
    [workload] = document["workloads"]
    assert any("collide" in why or "can't hold" in why for why in workload["why"])
    assert document["decided"]["gap"] is None


def test_what_is_held_is_not_said_to_be_best(run: Run, fleet: Fleet) -> None:
    file = fleet([placement("pay/x")], unseen="us-1", age=30)
    [workload] = json.loads(run("explain", "pi/x", "-n", "pay", "--snapshot", file, "--json").stdout)["workloads"]
    assert workload["why"] == ["held: us-1 isn't seen, so nothing of it is taken away"]


def test_the_need_that_counts_is_shown(run: Run, fleet: Fleet) -> None:
    file = fleet([capacity("shop/load", demand=16, names=["cart"], mode=Mode.ENFORCE)])
    [workload] = json.loads(run("explain", "ci/load", "-n", "shop", "--snapshot", file, "--json").stdout)["workloads"]
    assert (workload["need"], workload["because"]) == (16, "spec.demand")


def test_an_intent_of_another_namespace_is_found(run: Run, fleet: Fleet) -> None:
    file = fleet([placement("media/cheap"), placement("shop/cheap")])
    found = run("explain", "pi/cheap", "--snapshot", file)
    assert found.exit_code == 1
    assert found.stderr == (
        "error: there is no PlacementIntent default/cheap\n"
        "  it exists in namespaces media, shop: add -n media or -n shop\n"
    )
    one = run("explain", "pi/cheap", "--snapshot", fleet([placement("media/cheap")]))
    assert "it exists in namespace media: add -n media" in one.stderr


def test_a_zone_does_not_hold_what_its_cluster_holds(run: Run, fleet: Fleet) -> None:
    asked = (
        "explain",
        "pi/cheap",
        "-n",
        "media",
        "--why-not",
        "us-1/a",
        "--snapshot",
        fleet([placement("media/cheap")]),
    )
    told = run(*asked).stdout
    assert "us-1 holds 5 of media/transcode, in which zone isn't planned; this is about one more in us-1/a." in told


def test_room_that_lacks_is_told_in_cores(run: Run, tmp_path: Path) -> None:
    clusters = [a_cluster("ap", price="0.02", reserve=75), a_cluster("eu", price="0.03")]
    workload = a_workload("shop/cart", {"eu/a": 1}, spec={"ap": 0}, cpu="2")
    nodes = [a_node("ap/a", cpu="4"), a_node("eu/a")]
    file = saved(a_snapshot(a_fleet(clusters, [workload], nodes), [placement("shop/x")]), tmp_path)
    told = run("explain", "pi/x", "-n", "shop", "--why-not", "ap", "--snapshot", file).stdout
    assert "It would be chosen if:\n  ap had 1 core more\n" in told, told
    assert "1000" not in told
