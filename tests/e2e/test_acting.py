"""Intents from YAML to acted, verified, recorded decisions."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.invariants import Asked, Budget
from tests.e2e.stage import ROOT, collection, everywhere, stage, together
from tests.manifests import Manifest, ours

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(240)]

CLUSTERS = ("ap", "eu", "us")
CART = "shop/cart"
EU = {"matchLabels": {"archgov.io/jurisdiction": "eu"}}
ONLY_EU = Asked(allowed={CART: frozenset({"eu"})})


def only(*names: str) -> Manifest:
    return {"workloads": {"names": list(names)}} if names else {"workloads": {}}


def in_eu(name: str = "shop/in-eu", *names: str, **more: Any) -> Manifest:
    spec = {"mode": "Enforce", "target": only(*names), "load": "FollowsReplicas", "allow": EU, **more}
    return ours("PlacementIntent", name, spec)


def test_residency_is_carried_out_to_a_fixed_point(tmp_path: Path) -> None:
    with stage(tmp_path, everywhere(CART, {"ap": 3, "eu": 1}, CLUSTERS), asked=ONLY_EU) as the:
        the.apply(in_eu())
        the.until("all replicas are Ready in eu", lambda: the.ready(CART) == {"eu": 4})
        the.until("the decision is verified", lambda: the.decisions("Verified") and the.settled())
        the.until("the intent is Ready", lambda: the.is_ready("PlacementIntent", "shop/in-eu"))
        assert the.condition("PlacementIntent", "shop/in-eu", "Verified")[0] == "True"
        (record,) = the.hub.items(f"{ROOT}/workloadrecords")
        assert record["spec"]["need"] == 4
        done = len(the.effects())
        the.holds("nothing is left to do", lambda: len(the.effects()) == done, 2.0)
        assert the.broken() == []
        assert the.stop() == 0
    assert len(the.decisions_in_log()) == 1


def test_a_recommendation_is_written_down_and_touches_nothing(tmp_path: Path) -> None:
    with stage(tmp_path, everywhere(CART, {"us": 3}, CLUSTERS)) as the:
        the.apply(in_eu(mode="Recommend"))
        the.until("it is proposed", lambda: the.decisions("Proposed"))
        the.until("the intent is Ready", lambda: the.is_ready("PlacementIntent", "shop/in-eu"))
        (proposed,) = the.decisions("Proposed")
        actions = [(a["cluster"], a["before"], a["after"]) for a in proposed["spec"]["actions"]]
        assert actions == [("eu", 0, 3), ("us", 3, 0)]
        last = the.intent("PlacementIntent", "shop/in-eu")["status"]["lastDecision"]
        assert last["name"] == proposed["metadata"]["name"]
        the.holds("nothing is touched", lambda: not the.effects(), 2.0)
        assert the.broken() == []


def test_an_observing_intent_reports_and_proposes_nothing(tmp_path: Path) -> None:
    with stage(tmp_path, everywhere(CART, {"us": 3}, CLUSTERS)) as the:
        the.apply(in_eu(mode="Observe"))
        the.until("the intent is Ready", lambda: the.is_ready("PlacementIntent", "shop/in-eu"))
        assert (
            the.intent("PlacementIntent", "shop/in-eu")["status"]["moves"] == 3
        )  # a move is one, though one comes and one goes
        the.holds("nothing is proposed", lambda: not the.decisions() and not the.effects(), 1.5)


def test_what_cannot_be_met_is_explained_while_another_intent_is_carried_out(tmp_path: Path) -> None:
    fleet = together(everywhere(CART, {"us": 2}, CLUSTERS), everywhere("shop/web", {"us": 2}, CLUSTERS))
    with stage(tmp_path, fleet, asked=ONLY_EU) as the:
        nowhere = {"matchLabels": {"archgov.io/jurisdiction": "moon"}}
        the.apply(in_eu("shop/in-eu", "cart"), in_eu("shop/on-the-moon", "web", allow=nowhere))
        the.until("cart has moved", lambda: the.ready(CART) == {"eu": 2})
        the.until("the other is stalled", lambda: the.condition("PlacementIntent", "shop/on-the-moon", "Stalled")[0])
        status, reason, message = the.condition("PlacementIntent", "shop/on-the-moon")
        assert (status, reason) == ("False", "Infeasible")
        assert "spec.allow (archgov.io/jurisdiction=moon)" in message
        assert the.replicas("shop/web") == {"us": 2}
        the.until("cart's intent is Ready", lambda: the.is_ready("PlacementIntent", "shop/in-eu"))
        assert the.broken() == []


def test_a_disruption_budget_is_never_exceeded(tmp_path: Path) -> None:
    budget = Budget(frozenset({CART}), 1, 3.0)
    asked = replace(ONLY_EU, budgets=(budget,))
    with stage(tmp_path, everywhere(CART, {"us": 3}, CLUSTERS), asked=asked) as the:
        the.apply(in_eu(disruption={"budgets": [{"limit": "1", "window": "3s"}]}))
        the.until("the first is gone", lambda: the.replicas(CART).get("us") == 2)
        the.until(
            "it says what it waits for",
            lambda: the.condition("PlacementIntent", "shop/in-eu")[1] == "WaitingForBudget",
        )
        the.until("all have moved", lambda: the.ready(CART) == {"eu": 3})
        the.until("the intent is Ready", lambda: the.is_ready("PlacementIntent", "shop/in-eu"))
        assert the.broken() == []


def test_a_suspended_intent_is_left_alone_until_it_is_resumed(tmp_path: Path) -> None:
    with stage(tmp_path, everywhere(CART, {"us": 2}, CLUSTERS), asked=ONLY_EU) as the:
        the.apply(in_eu(suspend=True))
        the.until("it says so", lambda: the.condition("PlacementIntent", "shop/in-eu", "Suspended")[0] == "True")
        the.holds("nothing is touched", lambda: not the.effects() and not the.decisions(), 1.5)
        the.apply(in_eu(suspend=False))
        the.until("it is carried out", lambda: the.ready(CART) == {"eu": 2})
        assert the.broken() == []


def test_a_stopped_fleet_acts_on_nothing_until_it_is_resumed(tmp_path: Path) -> None:
    stopped = {"stopped": {"by": "somebody", "reason": "an audit"}}
    fleet = f"{collection('Fleet')}/fleet"
    with stage(tmp_path, everywhere(CART, {"us": 2}, CLUSTERS), asked=ONLY_EU) as the:
        the.until("the fleet object is there", lambda: the.hub.get(fleet))
        the.hub.merge(fleet, {"spec": stopped})
        the.apply(in_eu())
        the.until("it says so", lambda: the.condition("PlacementIntent", "shop/in-eu")[1] == "Stopped")
        assert "an audit" in the.condition("PlacementIntent", "shop/in-eu")[2]
        the.holds("nothing is touched", lambda: not the.effects(), 1.5)
        the.hub.merge(fleet, {"spec": {"stopped": None}})
        the.until("it is carried out", lambda: the.ready(CART) == {"eu": 2})
        assert the.broken() == []


def test_demand_that_grows_is_met_and_demand_that_shrinks_frees_replicas(tmp_path: Path) -> None:
    def demand(amount: int) -> Manifest:
        spec = {"mode": "Enforce", "target": only("cart"), "demand": {"static": amount}, "perReplica": 10}
        return ours("CapacityIntent", "shop/cart", spec)

    with stage(tmp_path, everywhere(CART, {"eu": 2}, CLUSTERS), asked=Asked(needs={CART: 2})) as the:
        the.apply(demand(50))
        the.until("five are Ready", lambda: sum(the.ready(CART).values()) == 5)
        the.until("the intent is Ready", lambda: the.is_ready("CapacityIntent", "shop/cart"))
        assert the.intent("CapacityIntent", "shop/cart")["status"]["need"] == 5
        the.apply(demand(20))
        the.until("two are left", lambda: sum(the.replicas(CART).values()) == 2)
        assert the.broken() == []


def test_what_somebody_else_scales_up_stays_and_changes_the_need(tmp_path: Path) -> None:
    with stage(tmp_path, everywhere(CART, {"ap": 2, "eu": 1}, CLUSTERS), asked=ONLY_EU) as the:
        the.apply(in_eu())
        the.until("all have moved", lambda: the.ready(CART) == {"eu": 3} and the.decisions("Verified"))
        the.scale("eu", CART, 5)
        the.until(
            "the need has grown", lambda: [r["spec"]["need"] for r in the.hub.items(f"{ROOT}/workloadrecords")] == [5]
        )
        the.scale("us", CART, 2)
        the.until("the newcomers have moved too", lambda: the.ready(CART) == {"eu": 7})
        the.holds("they stay", lambda: the.replicas(CART) == {"eu": 7}, 1.5)
        assert the.broken() == []


def test_every_round_leaves_a_trace_that_its_decision_can_be_found_by(tmp_path: Path) -> None:
    with stage(tmp_path, everywhere(CART, {"us": 1}, CLUSTERS)) as the:
        the.apply(in_eu())
        the.until("it is verified", lambda: the.decisions("Verified"))
        (decision,) = the.decisions("Verified")
        assert the.stop() == 0
    spans = [json.loads(line) for line in the.traces.read_text().splitlines()]
    trace = decision["spec"]["traceparent"].split("-")[1]
    names = {span["name"] for span in spans if span["context"]["trace_id"] == f"0x{trace}"}
    assert names >= {"archgov.round", "archgov.observe", "archgov.decide", "archgov.act"}
