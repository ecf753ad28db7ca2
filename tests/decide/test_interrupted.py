"""Plans that the world gets in the way of."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise

from archgov.model.decision import Outcome
from archgov.model.fleet import Reach
from archgov.model.intent import Budget, Mode, Witness
from archgov.model.ref import ClusterName
from tests.build import a_cluster, a_workload, failover, placement
from tests.world import World

EU = {"archgov.io/jurisdiction": "eu"}


def a_world(at: dict[str, int], *budgets: Budget) -> World:
    """shop/cart exists in ap, eu, us; an enforced intent wants it in eu."""
    spec = {name: at.get(f"{name}/a", 0) for name in ("ap", "eu", "us")}
    return World(
        clusters=[a_cluster("ap"), a_cluster("eu", labels=EU), a_cluster("us")],
        nodes={f"{name}/{zone}": 2 for name in spec for zone in "abc"},
        workloads=[a_workload("shop/cart", at, spec=spec)],
        intents=[placement("shop/in-eu", allow=EU, mode=Mode.ENFORCE, budgets=budgets)],
    )


def test_nothing_is_removed_once_the_cluster_with_the_replacements_is_out_of_sight() -> None:
    world = a_world({"us/a": 3}, Budget(1, is_percent=False, window=10))
    world.step()
    world.step()
    assert world.replicas("shop/cart") == {"eu": 3, "us": 2}
    world.clusters[1] = replace(world.clusters[1], reach=Reach.UNKNOWN, silent=True)
    for _ in range(4):
        assert world.step().effects == ()
    world.clusters[1] = replace(world.clusters[1], reach=Reach.YES, silent=False)
    world.settle()
    assert world.replicas("shop/cart") == {"eu": 3}
    assert world.outcomes()[-1] is Outcome.VERIFIED


def test_replicas_that_somebody_adds_where_archgov_never_wrote_change_the_need() -> None:
    world = a_world({"ap/a": 2, "eu/a": 1})
    world.settle()
    world.scale("shop/cart", "us", 2)
    world.settle()
    assert world.replicas("shop/cart") == {"eu": 5}
    (record,) = world.records.values()
    assert record.need == 5


def test_only_what_a_floor_lacks_is_shed_however_long_it_takes_to_leave() -> None:
    # eu has 6 nodes of 16 cores, all taken by batch; four halves of a core are lacking.
    world = World(
        clusters=[a_cluster(name, region=name) for name in ("ap", "eu", "us")],
        nodes={f"{name}/{zone}": 2 for name in ("ap", "eu", "us") for zone in "abc"},
        workloads=[
            a_workload("shop/cart", {"ap/a": 4}, spec={"ap": 4, "eu": 0}),
            a_workload("shop/batch", {"eu/a": 16, "eu/b": 16, "eu/c": 16}, cpu="2"),
        ],
        intents=[
            placement("shop/anywhere", names=["cart"]),
            failover("shop/cart", names=["cart"], tolerate={"cluster": 1}, on_loss=Mode.ENFORCE, tier=0),
            failover("shop/batch", names=["batch"], tolerate={"cluster": 1}, on_loss=Mode.ENFORCE, tier=9, shed=10),
        ],
        witnesses=(Witness("w", ClusterName("ap"), "probes", answers=False),),
    )
    world.clusters[0] = replace(world.clusters[0], reach=Reach.UNKNOWN, silent=True)
    (shed,) = world.step().effects
    assert (shed.action.workload.name, shed.action.before, shed.action.after) == ("batch", 48, 47)
    # spec.replicas is written, the pod stands there still.
    batch = world.workloads[1]
    world.workloads[1] = replace(batch, at={**batch.at, "eu/a": 16, "eu/b": 16, "eu/c": 16})
    assert world.step().effects == ()
    world.workloads[1] = batch
    (raised,) = world.step().effects
    assert (raised.action.workload.name, raised.action.cluster, raised.action.after) == ("cart", "eu", 4)


def test_a_budget_of_whole_seconds_never_grants_too_early() -> None:
    world = a_world({"us/a": 2}, Budget(1, is_percent=False, window=3))
    world.seconds_a_step = 1
    taken = []
    for _ in range(10):
        taken += [world.now for effect in world.step().effects if effect.action.removes]
    # The first may have been taken at the end of its second, the other is at the beginning of its own.
    assert [second - first > 3 for first, second in pairwise(taken)] == [True]
