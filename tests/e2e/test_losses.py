"""Clusters that fall silent, clusters that are lost, clusters that come back."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.e2e.invariants import Asked
from tests.e2e.stage import collection, everywhere, stage, together
from tests.e2e.test_acting import CART, in_eu, only
from tests.manifests import Manifest, ours

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(240)]

# Fewer than half of the members may be silent at once, or nothing is declared.
CLUSTERS = ("ap", "eu", "us", "za", "zb")


def survives(name: str = "shop/critical", *names: str, **more: Any) -> Manifest:
    spec = {
        "mode": "Enforce",
        "target": only(*names),
        "tolerate": [{"scope": "cluster"}],
        "onLoss": "Enforce",
        "failback": {"soak": "2s"},
        **more,
    }
    return ours("FailoverIntent", name, spec)


def anywhere(*names: str) -> Manifest:
    return ours("PlacementIntent", "shop/anywhere", {"target": only(*names), "load": "FollowsReplicas"})


def test_a_silent_cluster_whose_witness_answers_is_unknown_and_held(tmp_path: Path) -> None:
    with stage(tmp_path, everywhere(CART, {"ap": 2, "eu": 2}, CLUSTERS)) as the:
        the.apply(survives(share="50%", onLoss="Enforce"), anywhere())
        the.until("the intent is Ready", lambda: the.is_ready("FailoverIntent", "shop/critical"))
        before = len(the.effects())
        the.silence("ap")
        the.until("the silence is noticed", lambda: the.reach("ap") == "unknown")
        the.until("it says so", lambda: the.condition("FailoverIntent", "shop/critical", "InputsFresh")[0] == "False")
        the.holds("nothing is done about it", lambda: len(the.effects()) == before and not the.losses(), 2.0)
        the.heal("ap")
        the.until("it is seen again", lambda: the.reach("ap") == "yes")
        assert the.broken() == []


def test_a_lost_cluster_is_answered_and_everything_returns_after_the_soak(tmp_path: Path) -> None:
    asked = Asked(floors={CART: 4})
    with stage(tmp_path, everywhere(CART, {"ap": 2, "eu": 2}, CLUSTERS), asked=asked) as the:
        the.apply(survives(mode="Recommend"), anywhere())
        the.until("the intent is Ready", lambda: the.is_ready("FailoverIntent", "shop/critical"))
        assert not the.effects()
        the.silence("ap", witnesses=True)
        the.until("the loss is declared", lambda: the.losses() == ["ap"])
        the.until("the survivors hold what is needed", lambda: sum(the.ready(CART).values()) == 4)
        the.until("it says so", lambda: the.intent("FailoverIntent", "shop/critical")["status"].get("failedOver"))
        assert the.broken() == []
        the.heal("ap")
        the.until("the loss is over", lambda: the.losses() == [])
        the.until("everything is where it was", lambda: the.ready(CART) == {"ap": 2, "eu": 2})
        the.until("and recorded so", the.settled)
        assert the.broken() == []


def test_shedding_is_the_one_removal_and_makes_room_for_a_higher_tier(tmp_path: Path) -> None:
    # A cluster has 48 cores, and batch fills eu: cart finds room only where batch gives way.
    fleet = together(
        everywhere(CART, {"ap": 4}, ("ap", "eu")),
        everywhere("shop/batch", {"eu": 24}, ("eu",), cpu="2"),
        {name: [] for name in ("us", "za", "zb")},
    )
    asked = Asked(shed={"shop/batch": 10}, floors={CART: 4})
    with stage(tmp_path, fleet, asked=asked) as the:
        the.apply(
            survives("shop/critical", "cart", tier=0, mode="Observe"),
            survives("shop/batch", "batch", tier=9, mode="Observe", shed={"to": 10}),
            anywhere("cart"),
        )
        the.until("both are reported", lambda: the.is_ready("FailoverIntent", "shop/batch"))
        the.silence("ap", witnesses=True)
        the.until("cart stands in eu", lambda: the.ready(CART).get("eu") == 4)
        assert the.replicas("shop/batch") == {"eu": 23}
        assert the.broken() == []


def test_a_zone_is_lost_when_its_nodes_and_its_witness_are_silent(tmp_path: Path) -> None:
    with stage(tmp_path, everywhere(CART, {"ap": 3, "eu": 3}, CLUSTERS, spread=True)) as the:
        the.apply(survives(mode="Recommend", tolerate=[{"scope": "zone"}]), anywhere())
        the.zone_witness("ap", "ap-a")
        the.until("the intent is Ready", lambda: the.is_ready("FailoverIntent", "shop/critical"))
        the.sandbox.fail_zone("ap", "ap-a")
        the.holds("with its witness alive it isn't lost", lambda: not the.losses(), 2.0)
        the.sandbox.silence("ap-a")
        the.until("the loss is declared", lambda: the.losses() == ["ap/ap-a"])
        the.until("what is needed is Ready", lambda: sum(the.ready(CART).values()) >= 6)
        the.sandbox.heal_zone("ap", "ap-a")
        the.sandbox.speak("ap-a")
        the.until("the loss is over", lambda: the.losses() == [])
        the.until("everything is where it was", lambda: the.ready(CART) == {"ap": 3, "eu": 3})
        assert the.broken() == []


def test_a_cluster_that_vanishes_in_the_middle_of_a_plan_stops_its_removals(tmp_path: Path) -> None:
    asked = Asked(allowed={CART: frozenset({"eu"})})
    with stage(tmp_path, everywhere(CART, {"us": 3}, CLUSTERS), asked=asked) as the:
        the.apply(in_eu(disruption={"budgets": [{"limit": "1", "window": "4s"}]}))
        the.until("the plan is under way", lambda: the.replicas(CART).get("us") == 2)
        the.silence("eu")
        the.until("the silence is noticed", lambda: the.reach("eu") == "unknown")
        left = the.replicas(CART)
        the.holds("nothing more is removed", lambda: the.replicas(CART) == left, 5.0)
        the.heal("eu")
        the.until("the plan goes on to its end", lambda: the.ready(CART) == {"eu": 3})
        assert the.broken() == []


def test_a_second_failure_during_the_first_is_answered_too(tmp_path: Path) -> None:
    asked = Asked(floors={CART: 4})
    with stage(tmp_path, everywhere(CART, {"ap": 2, "eu": 2}, CLUSTERS), asked=asked) as the:
        the.apply(survives(mode="Recommend", tolerate=[{"scope": "cluster", "failures": 2}]), anywhere())
        the.until("the intent is Ready", lambda: the.is_ready("FailoverIntent", "shop/critical"))
        the.silence("ap", witnesses=True)
        the.until("the first is declared", lambda: the.losses() == ["ap"])
        the.silence("eu", witnesses=True)
        the.until("the second is declared", lambda: the.losses() == ["ap", "eu"])
        the.until("the survivors hold what is needed", lambda: sum(the.ready(CART).values()) == 4)
        assert the.broken() == []
        the.heal("ap", "eu")
        the.until("everything is where it was", lambda: the.ready(CART) == {"ap": 2, "eu": 2})
        assert the.broken() == []


def test_a_recovery_during_the_failover_ends_where_it_began(tmp_path: Path) -> None:
    with stage(tmp_path, everywhere(CART, {"ap": 4, "eu": 1}, CLUSTERS)) as the:
        the.apply(survives(mode="Recommend"), anywhere())
        the.until("the intent is Ready", lambda: the.is_ready("FailoverIntent", "shop/critical"))
        the.silence("ap", witnesses=True)
        the.until("the loss is declared", lambda: the.losses() == ["ap"])
        the.heal("ap")
        the.until("it is over", lambda: the.losses() == [])
        the.until("everything is where it was", lambda: the.ready(CART) == {"ap": 4, "eu": 1} and the.settled())
        assert the.broken() == []


def test_of_two_clusters_one_is_lost_only_while_a_reference_outside_answers(tmp_path: Path) -> None:
    with stage(tmp_path, everywhere(CART, {"ap": 2, "eu": 2}, ("ap", "eu")), asked=Asked(floors={CART: 4})) as the:
        the.apply(survives(mode="Recommend", tolerate=[{"scope": "cluster"}]), anywhere())
        the.until("the intent is Ready", lambda: the.is_ready("FailoverIntent", "shop/critical"))
        the.silence("ap", witnesses=True)
        the.until("the silence is noticed", lambda: the.reach("ap") == "unknown")
        the.holds("nobody tells it from a broken network", lambda: not the.losses(), 3.0)
        outside = the.sandbox.witness("outside", "outside")
        the.hub.merge(f"{collection('Fleet')}/fleet", {"spec": {"references": [{"name": "outside", "url": outside}]}})
        the.until("the loss is declared", lambda: the.losses() == ["ap"])
        the.until("the survivor holds what is needed", lambda: the.ready(CART).get("eu") == 4)
        assert the.broken() == []
