"""What a loss would do, before it happens."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from archgov.decide.place import UnknownPlace, place
from archgov.decide.round import conclude
from archgov.decide.simulate import fail, simulate, with_demand, without
from archgov.model.fit import fit
from archgov.model.fleet import Fixed, Fleet, Reach
from archgov.model.intent import CapacityIntent, Intent, Loss, Mode, Witness
from archgov.model.ref import ClusterName
from archgov.model.snapshot import Snapshot
from tests.build import MONDAY, a_cluster, a_fleet, a_series, a_snapshot, a_workload, capacity, failover, placement

CLUSTERS = ("eu-1", "eu-2", "us-1", "us-2")


def a_world() -> Fleet:
    clusters = [a_cluster(name, region=name[:2]) for name in CLUSTERS]
    everywhere = dict.fromkeys(CLUSTERS, 0)
    return a_fleet(
        clusters,
        [
            a_workload("shop/cart", {"eu-1/a": 2, "eu-1/b": 2, "us-1/a": 2}, spec=everywhere | {"eu-1": 4, "us-1": 2}),
            a_workload("shop/mail", {"eu-1/a": 1, "us-2/a": 1}),
        ],
    )


def witnesses(*clusters: str) -> list[Witness]:
    return [Witness(f"w-{name}", ClusterName(name), "probes", answers=True) for name in clusters]


def enforced() -> list[Intent]:
    return [failover("shop/all", tolerate={"cluster": 1}, on_loss=Mode.ENFORCE, mode=Mode.ENFORCE)]


def test_a_lost_cluster_is_the_round_of_a_snapshot_edited_by_hand() -> None:
    fleet = a_world()
    snapshot = a_snapshot(fleet, enforced(), witnesses=witnesses(*CLUSTERS))
    found = simulate(snapshot, [place(fleet, "eu-1")])
    clusters = tuple(
        replace(cluster, reach=Reach.UNKNOWN, silent=True, evidence="by hand", since=MONDAY)
        if cluster.name == "eu-1"
        else cluster
        for cluster in fleet.clusters
    )
    by_hand = replace(
        snapshot,
        fleet=replace(fleet, clusters=clusters),
        witnesses=tuple(replace(w, answers=w.cluster != "eu-1") for w in snapshot.witnesses),
    )
    expected = conclude(by_hand)
    assert [effect.action for effect in found.round.effects] == [effect.action for effect in expected.effects]
    assert found.round.effects
    assert [(loss.cluster, loss.ended) for loss in found.round.losses] == [("eu-1", 0)]
    assert found.doubts == (), "its evidence is enough, so archgov would declare it by itself"


def test_the_answer_to_a_loss_fills_the_floor_of_the_survivors() -> None:
    fleet = a_world()
    found = simulate(a_snapshot(fleet, enforced()), [place(fleet, "eu-1")])
    impact = {str(impact.workload): impact for impact in found.impacts}
    cart = impact["shop/cart"]
    assert (cart.need, cart.left, cart.floor, cart.after, cart.short) == (6, 2, 6, 6, 0)
    assert impact["shop/mail"].left == 1


def test_a_lost_zone_takes_its_nodes_pods_and_room_along() -> None:
    fleet = a_world()
    after = fail(a_snapshot(fleet), [place(fleet, "eu-1/a")]).fleet
    row = after.workloads.key.find("shop/Deployment/cart")
    assert row is not None
    assert after.ready_replicas(row) == {0: 2, 1: 0, 2: 2, 3: 0}
    assert after.spec_replicas(row) == fleet.spec_replicas(row), "what is asked for stays"
    dark = fleet.domains.index(place_of(fleet, "eu-1/a"))
    assert not after.nodes.ready[after.nodes.domain == dark].any()
    assert (after.fit[:, dark] == 0).all()
    assert np.array_equal(after.fit, fit(after.nodes, after.node_classes, after.shapes, len(after.domains)))
    assert all(cluster.reach is Reach.YES for cluster in after.clusters)


def place_of(fleet: Fleet, name: str) -> object:
    return fleet.domains[place(fleet, name).domains[0]]


def test_all_zones_of_a_cluster_are_the_cluster() -> None:
    fleet = a_world()
    snapshot = a_snapshot(fleet, witnesses=witnesses(*CLUSTERS))
    by_zone = fail(snapshot, [place(fleet, f"eu-1/{zone}") for zone in "abc"])
    assert by_zone.digest == fail(snapshot, [place(fleet, "eu-1")]).digest


@pytest.mark.parametrize(
    ("failed", "told", "why"),
    [
        ("eu-1", (), "no witness speaks for it"),
        ("region/eu", CLUSTERS, "2 of 4 members are silent"),
    ],
)
def test_a_loss_on_thin_evidence_is_said_to_be_held_not_answered(failed: str, told: tuple[str, ...], why: str) -> None:
    fleet = a_world()
    found = simulate(a_snapshot(fleet, witnesses=witnesses(*told)), [place(fleet, failed)])
    assert why in found.doubts[0]
    assert "would stay unknown" in found.doubts[0]


def test_a_loss_that_was_known_already_is_no_doubt() -> None:
    fleet = a_world()
    known = a_snapshot(fleet, losses=[Loss(ClusterName("eu-1"), since=MONDAY - 60)])
    assert simulate(known, [place(fleet, "eu-1")]).doubts == ()


def test_demand_grows_wherever_it_is_declared_and_nowhere_else() -> None:
    fleet = a_world()
    fixed = capacity("shop/fixed", demand=10, names=["cart"])
    seen = capacity("shop/seen", series="history", names=["mail"])
    snapshot = a_snapshot(fleet, [fixed, seen, placement("shop/here")], series=[a_series("shop/history", [3, 5])])
    more = with_demand(snapshot, 130)
    grown = next(intent for intent in more.intents if intent.common.ref.name == "fixed")
    assert isinstance(grown, CapacityIntent)
    assert [point.amount for point in grown.demand] == [13_000]
    assert [sample.amount for sample in more.series[0].samples] == [3_900, 6_500]
    assert with_demand(snapshot, 100).digest == snapshot.digest
    assert simulate(snapshot, [], 130).undeclared == 0


def test_who_declares_no_demand_is_counted() -> None:
    fleet = a_world()
    found = simulate(
        a_snapshot(fleet, [capacity("shop/fixed", demand=10, names=["cart"]), placement("shop/here")]), [], 130
    )
    assert found.undeclared == 1


def test_a_cluster_left_out_is_a_fleet_that_never_had_it() -> None:
    clusters = [a_cluster(name, region=name[:2]) for name in CLUSTERS]
    at = {"eu-1/a": 2, "eu-2/b": 1, "us-1/c": 3}
    whole = a_fleet(clusters, [a_workload("shop/cart", at)])
    rest = {place: count for place, count in at.items() if not place.startswith("eu-1")}
    never = a_fleet([cluster for cluster in clusters if cluster.name != "eu-1"], [a_workload("shop/cart", rest)])
    left = without(a_snapshot(whole), {"eu-1"}).fleet
    assert [cluster.name for cluster in left.clusters] == [cluster.name for cluster in never.clusters]
    assert left.domains == never.domains
    assert left.spec_replicas(0) == never.spec_replicas(0)
    assert left.standing_replicas(0) == never.standing_replicas(0)
    assert np.array_equal(left.fit, never.fit)
    assert np.array_equal(left.nodes.used, never.nodes.used)


@settings(max_examples=25)
@given(st.sets(st.sampled_from(CLUSTERS), max_size=3), st.permutations(CLUSTERS))
def test_leaving_out_at_once_or_one_by_one_is_the_same(gone: set[str], order: list[str]) -> None:
    snapshot = a_snapshot(a_world(), witnesses=witnesses(*CLUSTERS))
    step: Snapshot = snapshot
    for name in order:
        step = without(step, {name} & gone)
    assert step.digest == without(snapshot, gone).digest


@pytest.mark.parametrize(
    ("text", "domains"),
    [
        ("eu-1", ["eu-1/a", "eu-1/b", "eu-1/c"]),
        ("eu-1/b", ["eu-1/b"]),
        ("cluster/us-1", ["us-1/a", "us-1/b", "us-1/c"]),
        ("zone/eu/a", ["eu-1/a", "eu-2/a"]),
        ("region/us", ["us-1/a", "us-1/b", "us-1/c", "us-2/a", "us-2/b", "us-2/c"]),
    ],
)
def test_places_go_by_the_names_that_people_use(text: str, domains: list[str]) -> None:
    fleet = a_world()
    assert [fleet.domains[j].key for j in place(fleet, text).domains] == domains


@pytest.mark.parametrize("text", ["eu-9", "region/mars", "eu-1/z", "", "/", "zone/a"])
def test_a_place_that_is_not_there_is_refused_with_those_that_are(text: str) -> None:
    with pytest.raises(UnknownPlace, match=r"is no place of this fleet; (is .* meant|known are eu-1)"):
        place(a_world(), text)


def test_a_daemonset_lacks_nothing_where_its_nodes_are_gone() -> None:
    agents = a_workload("ops/agent", {"eu-1/a": 1, "us-1/a": 1}, kind="DaemonSet", fixed=Fixed.DAEMON)
    fleet = a_fleet(
        [a_cluster(name, region=name[:2]) for name in CLUSTERS], [agents, a_workload("ops/db", {"eu-1/a": 1})]
    )
    found = simulate(a_snapshot(fleet, [], witnesses=witnesses(*CLUSTERS)), [place(fleet, "eu-1")])
    assert [impact.workload.name for impact in found.impacts] == ["db"]
