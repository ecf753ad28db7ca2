"""What changed between two snapshots, in words."""

from __future__ import annotations

from archgov.decide.difference import Difference, differences
from archgov.model.fleet import Reach
from archgov.model.intent import Mode
from tests.build import a_cluster, a_fleet, a_snapshot, a_workload, placement


def test_nothing_differs_from_itself() -> None:
    one = a_snapshot(a_fleet([a_cluster("eu")], [a_workload("shop/cart", {"eu/a": 2})]), [placement("shop/x")])
    assert differences(one, one) == ()


def test_what_differs_is_told_as_people_read_it() -> None:
    before = a_snapshot(
        a_fleet(
            [a_cluster("eu"), a_cluster("us")],
            [a_workload("shop/cart", {"eu/a": 2}), a_workload("shop/old", {"eu/a": 1})],
        ),
        [placement("shop/x"), placement("shop/gone")],
    )
    after = a_snapshot(
        a_fleet(
            [a_cluster("eu"), a_cluster("us", reach=Reach.UNKNOWN)],
            [a_workload("shop/cart", {"eu/a": 3}), a_workload("shop/new", {"us/a": 3})],
        ),
        [placement("shop/x", mode=Mode.ENFORCE), placement("shop/new")],
    )
    found = {one.what: one for one in differences(before, after)}
    assert found["replicas"] == Difference("replicas", "3", "6")
    assert found["clusters that changed"].after == "us seen → not seen"
    assert found["services, gone and new"] == Difference("services, gone and new", "shop/old", "shop/new")
    assert found["services that changed"].after == "shop/cart 2 → 3"
    assert found["intents, gone and new"].after == "PlacementIntent shop/new"
    assert found["intents that changed"].after == "PlacementIntent shop/x"


def test_of_many_names_a_few_are_told() -> None:
    before = a_snapshot(a_fleet([a_cluster("eu")], []))
    after = a_snapshot(a_fleet([a_cluster("eu")], [a_workload(f"shop/w{i}", {"eu/a": 1}) for i in range(9)]))
    found = next(one for one in differences(before, after) if one.what == "services, gone and new")
    assert found.after == "shop/w0, shop/w1, shop/w2, shop/w3, shop/w4 and 4 more"
