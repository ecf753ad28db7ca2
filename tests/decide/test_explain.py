"""Why a plan is as it is, against what the plan does."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from archgov.decide.explain import HOMING, WhyNot, changes, followed, why_not
from archgov.decide.place import place
from archgov.decide.round import Round, conclude
from archgov.model.fleet import REGION_LABEL, Fixed, Fleet
from archgov.model.intent import Intent, Load, Loss, Mode, Record
from archgov.model.ref import ClusterName, WorkloadRef
from archgov.optimize.placement.judge import cost, violated
from archgov.optimize.placement.problem import AtLeast
from archgov.optimize.placement.solve import solve
from tests.build import MONDAY, a_cluster, a_fleet, a_node, a_snapshot, a_workload, capacity, failover, placement

PRICES = {"ap": "0.02", "eu": "0.03", "us": "0.04"}


def a_round(*intents: Intent) -> Round:
    """Three clusters, the dear one in use."""
    workload = a_workload("shop/cart", {"us/a": 4}, spec={"ap": 0, "eu": 0})
    clusters = [a_cluster(name, region=name, price=price) for name, price in PRICES.items()]
    return conclude(a_snapshot(a_fleet(clusters, [workload]), intents))


def asked(concluded: Round, where: str, name: str = "cart") -> WhyNot:
    one = concluded.stage.selection.governed[0]
    fleet = concluded.stage.snapshot.fleet
    row = next(row for row, key in enumerate(fleet.workloads.key) if key.endswith(f"/{name}"))
    return why_not(concluded, one, row, place(fleet, where))


@pytest.mark.parametrize("mode", [Mode.RECOMMEND, Mode.ENFORCE])
@pytest.mark.parametrize("where", ["eu", "us"])
def test_the_price_of_one_elsewhere_is_the_difference_of_two_optima(mode: Mode, where: str) -> None:
    concluded = a_round(placement("shop/cheap", mode=mode))
    plan = concluded.acting if mode is Mode.ENFORCE else concluded.advice[0].plan
    assert plan is not None
    k = concluded.stage.snapshot.fleet.cluster_row[where]
    rules = (*plan.problem.rules, AtLeast("forced", 0, k, int(plan.target[0, k]) + 1))
    forced = solve(replace(plan.problem, rules=rules), limits=concluded.stage.engine.limits, seed=1)
    found = asked(concluded, where)
    assert found.extra == forced.objective - sum(cost(plan.problem, plan.target).values())
    assert found.extra is not None
    assert found.extra > 0
    assert (found.there, found.chosen) == (0, (("ap", 10_000),))


def test_a_region_is_tried_where_it_is_cheapest() -> None:
    clusters = [a_cluster("ap", region="ap", price="0.02"), *(a_cluster(f"eu-{n}", price=f"0.0{n}") for n in (5, 4, 3))]
    workload = a_workload("shop/cart", {"ap/a": 4}, spec={"eu-3": 0, "eu-4": 0, "eu-5": 0})
    found = asked(conclude(a_snapshot(a_fleet(clusters, [workload]), [placement("shop/x")])), "region/eu")
    assert (found.cluster, found.place) == ("eu-3", "region eu")


def test_what_stands_against_a_place_is_told_in_the_words_of_who_declared_it() -> None:
    concluded = a_round(placement("shop/eu-only", allow={REGION_LABEL: "eu"}, mode=Mode.ENFORCE))
    found = asked(concluded, "ap")
    assert found.extra is None
    assert found.conflict == (f"spec.allow ({REGION_LABEL}=eu) (PlacementIntent shop/eu-only)",)
    assert found.when == (f"ap were allowed: spec.allow ({REGION_LABEL}=eu) (PlacementIntent shop/eu-only)",)


def test_a_place_without_the_workload_says_that_it_is_not_deployed_there() -> None:
    clusters = [a_cluster("ap", price="0.02"), a_cluster("eu")]
    snapshot = a_snapshot(a_fleet(clusters, [a_workload("shop/cart", {"eu/a": 2})]), [placement("shop/x")])
    assert asked(conclude(snapshot), "ap").conflict == ("shop/cart isn't deployed in ap",)


def test_what_would_make_it_the_choice_makes_it_the_choice() -> None:
    concluded = a_round(placement("shop/cheap", mode=Mode.ENFORCE))
    found = asked(concluded, "eu")
    assert any(way.startswith("a replica in eu cost less than ") for way in found.when)
    threshold = float(next(way.split(" less than ")[1].split(" ")[0] for way in found.when if " less than " in way))
    assert threshold == 0.01, "the price of the chosen cluster, since a move costs the same either way"
    # A replica asks for half a core, so its price is half of a core's.
    cheaper = replace(concluded.stage.snapshot, fleet=_priced(concluded, "eu", int(threshold * 1_000_000) * 2 - 2))
    then = conclude(cheaper).acting
    assert then is not None
    assert then.solution.n[0, 1] > 0


def _priced(concluded: Round, cluster: str, cpu: int) -> Fleet:
    fleet = concluded.stage.snapshot.fleet
    clusters = tuple(
        replace(one, price=replace(one.price, cpu=cpu)) if one.name == cluster else one for one in fleet.clusters
    )
    return replace(fleet, clusters=clusters)


def test_what_would_be_pushed_out_is_named() -> None:
    clusters = [a_cluster("ap", price="0.02"), a_cluster("eu", price="0.03")]
    nodes = [a_node("ap/a", cpu="4"), *(a_node("eu/a", name=f"n{n}") for n in range(2))]
    workloads = [
        a_workload("shop/big", {"ap/a": 2}, spec={"eu": 0}, cpu="2"),
        a_workload("shop/cart", {"eu/a": 2}, spec={"ap": 0}, cpu="1", memory="8Gi"),
    ]
    concluded = conclude(a_snapshot(a_fleet(clusters, workloads, nodes), [placement("shop/x", mode=Mode.ENFORCE)]))
    found = asked(concluded, "ap")
    assert found.extra is not None or any("capacity of ap" in name or "what fits" in name for name in found.conflict)
    assert found.displaced == ("shop/big −1",) or found.conflict


def test_what_fits_and_what_is_free_are_two_things() -> None:
    workload = a_workload("shop/cart", {"eu/a": 1}, spec={"ap": 0}, cpu="3")
    nodes = [a_node("eu/a", cpu="4"), *(a_node("ap/a", name=f"n{n}", cpu="2") for n in range(8))]
    fleet = a_fleet([a_cluster("ap", price="0.001"), a_cluster("eu")], [workload], nodes)
    found = asked(conclude(a_snapshot(fleet, [placement("shop/x")])), "ap")
    assert (found.fits, found.free) == (0, 16_000)
    assert found.extra is None


def test_load_that_is_never_moved_says_why() -> None:
    clusters = [a_cluster("ap"), a_cluster("eu")]
    db = a_workload("shop/db", {"eu/a": 1}, kind="StatefulSet", fixed=Fixed.STATEFUL)
    concluded = conclude(a_snapshot(a_fleet(clusters, [db]), [placement("shop/x")]))
    assert "it is stateful" in asked(concluded, "ap", "db").conflict[0]


def test_traffic_that_stays_makes_one_elsewhere_an_additional_one() -> None:
    found = asked(a_round(placement("shop/here", load=Load.PER_DOMAIN)), "ap")
    assert found.in_all == 1
    assert found.extra == 10_000


def test_changes_are_what_the_plans_change_with_the_requirements_that_do_not_hold() -> None:
    only_eu = placement("shop/eu-only", allow={REGION_LABEL: "eu"}, mode=Mode.ENFORCE)
    [enforced] = changes(a_round(only_eu))
    assert (enforced.before, enforced.after, enforced.mode) == ((("us", 4),), (("eu", 4),), Mode.ENFORCE)
    assert enforced.reasons == (f"spec.allow ({REGION_LABEL}=eu) (PlacementIntent shop/eu-only)",)
    assert (enforced.adds, enforced.removes) == (4, 4)


def test_nothing_changes_where_everything_is_as_declared() -> None:
    concluded = a_round(placement("shop/here", load=Load.PER_DOMAIN), failover("shop/f", tolerate={"zone": 1}, share=1))
    assert changes(concluded) == ()
    assert np.array_equal(followed(concluded), concluded.stage.base.problem.now)


def test_what_is_followed_keeps_every_rule_of_the_plan_it_follows() -> None:
    concluded = a_round(placement("shop/cheap"))
    assert violated(concluded.advice[0].plan.problem, followed(concluded)) == ()
    assert followed(concluded).tolist() == [[4, 0, 0]]


def test_demand_that_is_not_met_is_told_beside_the_workload_s_name() -> None:
    workload = a_workload("shop/cart", {"eu-1/a": 2, "eu-2/a": 2})
    wanted = capacity("shop/c", demand={"eu-1": 5, "eu-2": 2}, mode=Mode.ENFORCE)
    fleet = a_fleet([a_cluster("eu-1"), a_cluster("eu-2")], [workload])
    [change] = changes(conclude(a_snapshot(fleet, [wanted])))
    assert any("demand arrives in eu-1" in reason for reason in change.reasons), change.reasons
    assert not any("demand of arrives" in reason for reason in change.reasons)


def test_a_failback_is_the_reason_of_its_change() -> None:
    eu, us = ClusterName("eu"), ClusterName("us")
    before = ((eu, 2), (us, 2))
    record = Record(
        WorkloadRef("shop", "Deployment", "cart"), 4, before, former=before, written=((eu, 4), (us, 2)), origin=before
    )
    snapshot = a_snapshot(
        a_fleet([a_cluster("eu"), a_cluster("us")], [a_workload("shop/cart", {"eu/a": 4, "us/a": 2})]),
        [failover("shop/f", tolerate={"cluster": 1}, share=50, mode=Mode.ENFORCE)],
        records=[record],
        losses=[Loss(us, since=MONDAY - 900, ended=MONDAY - 600)],
    )
    [change] = changes(conclude(snapshot))
    assert (change.after, change.reasons) == (before, (HOMING,))


def test_a_zone_is_counted_in_its_cluster() -> None:
    concluded = a_round(placement("shop/cheap", mode=Mode.ENFORCE))
    zone, cluster = asked(concluded, "ap/a"), asked(concluded, "ap")
    assert (zone.place, zone.there, zone.counted_in) == ("ap/a", 4, "ap")
    assert (cluster.place, cluster.counted_in) == ("ap", "ap")
