"""Whole rounds on small fleets: what is decided, in which order, until nothing is left to do."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from archgov.decide.need import records
from archgov.decide.round import conclude, saving
from archgov.model.condition import Kind, Reason, Status
from archgov.model.decision import OpenDecision, Outcome
from archgov.model.fleet import CLUSTER_LABEL, Reach
from archgov.model.intent import Budget, Governance, Intent, Load, Loss, Mode, Record, Stopped, Witness
from archgov.model.ref import ClusterName
from tests.build import MONDAY, Workload, a_cluster, a_series, a_workload, capacity, failover, placement, spread
from tests.world import World

EU = {"archgov.io/jurisdiction": "eu"}
ZONES = {f"{cluster}/{zone}": 2 for cluster in ("ap", "eu", "us") for zone in "abc"}


def a_world(*workloads: Workload, intents: list[Intent], **more: Any) -> World:
    return World(
        clusters=[
            a_cluster("ap", region="ap-south", price="0.02"),
            a_cluster("eu", region="eu-west", labels=EU, price="0.03"),
            a_cluster("us", region="us-east", price="0.04"),
        ],
        nodes=ZONES,
        workloads=list(workloads),
        intents=intents,
        **more,
    )


def everywhere(at: dict[str, int]) -> dict[str, int]:
    """spec.replicas where something stands, 0 where the workload only exists."""
    spec = {"ap": 0, "eu": 0, "us": 0}
    for place, count in at.items():
        spec[place.split("/")[0]] += count
    return spec


def worker(name: str, at: dict[str, int], **more: Any) -> Workload:
    return a_workload(name, at, spec=everywhere(at), **more)


def ready(world: World, name: str) -> tuple[Status, Reason]:
    verdict = next(v for v in world.rounds[-1].verdicts if v.intent.name == name)
    condition = next(c for c in verdict.conditions if c.kind is Kind.READY)
    return condition.status, condition.reason


def test_residency_is_enforced_by_creating_first_and_removing_after_ready() -> None:
    world = a_world(
        worker("pay/ledger", {"ap/a": 3, "eu/a": 1}),
        intents=[placement("pay/eu-only", allow=EU, mode=Mode.ENFORCE)],
    )
    first = world.step()
    assert [(e.action.cluster, e.action.before, e.action.after) for e in first.effects] == [("eu", 1, 4)]
    second = world.step()
    assert [(e.action.cluster, e.action.before, e.action.after) for e in second.effects] == [("ap", 3, 0)]
    world.settle()
    assert world.replicas("pay/ledger") == {"eu": 4}
    assert world.outcomes() == [Outcome.VERIFIED]
    assert ready(world, "eu-only") == (Status.TRUE, Reason.AS_DECLARED)


def test_a_recommendation_touches_nothing_and_says_what_it_would_do() -> None:
    world = a_world(worker("media/encode", {"us/a": 4}), intents=[placement("media/cheap")])
    round_ = world.settle()
    assert world.replicas("media/encode") == {"us": 4}
    assert [d.outcome for d in world.rounds[0].decisions] == [Outcome.PROPOSED]
    assert round_.verdicts[0].cost_after < round_.verdicts[0].cost_before
    assert "recommends" in round_.verdicts[0].summary


def test_what_more_autonomy_would_save_is_what_letting_the_intents_act_saves() -> None:
    """The figure of a fleet whose intents recommend, against the same fleet after they were let."""
    workers = (worker("media/encode", {"us/a": 4}), worker("media/thumbs", {"us/a": 2}))
    asking: list[Intent] = [placement("media/encode", names=["encode"]), placement("media/thumbs", names=["thumbs"])]
    recommended = a_world(*workers, intents=asking).step()
    let = a_world(*workers, intents=[replace(one, common=replace(one.common, mode=Mode.ENFORCE)) for one in asking])
    before, after = let.step(), let.settle()
    assert saving(recommended) == before.overview.allocated - after.overview.allocated > 0
    assert saving(after) == 0


def test_load_that_stays_where_it_arrives_is_not_moved_for_money() -> None:
    world = a_world(
        worker("shop/search", {"us/a": 4}),
        intents=[placement("shop/cheap", load=Load.PER_DOMAIN, mode=Mode.ENFORCE)],
    )
    world.settle()
    assert world.replicas("shop/search") == {"us": 4}


def test_residency_against_local_demand_is_a_conflict_with_three_ways_out() -> None:
    world = a_world(
        worker("shop/search", {"us/a": 4}),
        worker("shop/queue", {"us/a": 2}),
        intents=[
            placement("shop/eu-only", load=Load.PER_DOMAIN, allow=EU, mode=Mode.ENFORCE, names=["search"]),
            placement("shop/queue-eu", allow=EU, mode=Mode.ENFORCE, names=["queue"]),
        ],
    )
    round_ = world.settle()
    assert world.replicas("shop/search") == {"us": 4}
    assert world.replicas("shop/queue") == {"eu": 2}, "the rest of the fleet is still governed"
    assert ready(world, "eu-only") == (Status.FALSE, Reason.INFEASIBLE)
    finding = next(f for f in round_.findings if f.reason is Reason.INFEASIBLE)
    assert "FollowsReplicas" in " ".join(finding.remedies)


def test_too_many_domains_asked_for_names_both_requirements() -> None:
    world = a_world(
        worker("media/thumbs", {"eu/a": 3}),
        intents=[placement("media/thumbs", allow=EU, spread=[spread("region", min_domains=2)])],
    )
    round_ = world.settle()
    finding = next(f for f in round_.verdicts[0].findings if f.reason is Reason.INFEASIBLE)
    assert "minDomains=2" in finding.message
    assert "spec.allow" in finding.message
    assert ready(world, "thumbs") == (Status.FALSE, Reason.INFEASIBLE)


def test_a_budget_lets_only_so_many_go_in_a_window() -> None:
    world = a_world(
        worker("media/encode", {"us/a": 4}),
        intents=[placement("media/cheap", mode=Mode.ENFORCE, budgets=[Budget(1, False, 600)])],
    )
    for _ in range(5):
        world.step()
    assert world.replicas("media/encode") == {"ap": 4, "us": 3}
    world.seconds_a_step = 700
    world.settle()
    assert world.replicas("media/encode") == {"ap": 4}


def test_a_stopped_fleet_acts_on_nothing() -> None:
    world = a_world(
        worker("pay/ledger", {"ap/a": 3}),
        intents=[placement("pay/eu-only", allow=EU, mode=Mode.ENFORCE)],
        governance=Governance(stopped=Stopped("ann", "incident 7")),
    )
    for _ in range(3):
        assert not world.step().effects
    assert ready(world, "eu-only") == (Status.FALSE, Reason.STOPPED)


def test_a_suspended_intent_is_left_alone() -> None:
    world = a_world(
        worker("pay/ledger", {"ap/a": 3}),
        intents=[placement("pay/eu-only", allow=EU, mode=Mode.ENFORCE, suspend=True)],
    )
    world.settle()
    assert world.replicas("pay/ledger") == {"ap": 3}
    assert ready(world, "eu-only") == (Status.TRUE, Reason.SUSPENDED)


def test_demand_grows_a_workload_where_it_arrives() -> None:
    world = a_world(
        worker("shop/cart", {"eu/a": 2, "us/a": 2}),
        intents=[capacity("shop/cart", demand={"eu": 100, "us": 50}, per_replica=20, headroom=20, mode=Mode.ENFORCE)],
    )
    world.settle()
    assert world.replicas("shop/cart") == {"eu": 6, "us": 3}


def test_a_zone_can_be_lost_once_the_floor_is_reached() -> None:
    world = a_world(
        worker("shop/cart", {"eu/a": 2, "eu/b": 2, "eu/c": 2}, zone_skew=1),
        intents=[failover("shop/critical", tolerate={"zone": 1}, mode=Mode.ENFORCE)],
    )
    round_ = world.settle()
    assert world.replicas("shop/cart") == {"eu": 9}
    assert round_.verdicts[0].survivable == (9, 9)


def test_a_zone_floor_without_a_spread_says_what_is_missing() -> None:
    world = a_world(
        worker("shop/cart", {"eu/a": 6}),
        intents=[failover("shop/critical", tolerate={"zone": 1}, mode=Mode.ENFORCE)],
    )
    round_ = world.settle()
    finding = next(f for f in round_.findings if f.reason is Reason.INFEASIBLE)
    assert "topologySpreadConstraint" in " ".join(finding.remedies)


def test_silence_alone_holds_and_silence_with_a_witness_acts() -> None:
    witness = Witness("probe", ClusterName("eu"), "edge", answers=True)
    world = a_world(
        worker("shop/cart", {"eu/a": 2, "us/a": 2}),
        intents=[failover("shop/critical", tolerate={"region": 1}, on_loss=Mode.ENFORCE, soak="2m")],
        witnesses=(witness,),
    )
    world.settle()
    world.clusters[1] = a_cluster("eu", region="eu-west", labels=EU, reach=Reach.UNKNOWN, silent=True)
    assert not world.step().effects
    world.witnesses = (Witness("probe", ClusterName("eu"), "edge", answers=False),)
    assert world.step().losses
    assert world.replicas("shop/cart")["us"] == 4
    world.step()
    world.clusters[1] = a_cluster("eu", region="eu-west", labels=EU)
    world.witnesses = (witness,)
    world.step()
    assert world.replicas("shop/cart")["us"] == 4, "nothing returns before the soak is over"
    world.now += 120
    world.settle()
    assert world.replicas("shop/cart") == {"eu": 2, "us": 2}
    assert not world.losses


def test_somebody_elses_scaling_changes_the_need() -> None:
    world = a_world(
        worker("media/encode", {"us/a": 4}),
        intents=[placement("media/cheap", mode=Mode.ENFORCE)],
    )
    world.settle()
    world.scale("media/encode", "ap", 6)
    world.settle()
    assert world.replicas("media/encode") == {"ap": 6}


def test_two_reversals_within_an_hour_end_the_attempt() -> None:
    world = a_world(
        worker("media/encode", {"us/a": 4}),
        intents=[placement("media/cheap", mode=Mode.ENFORCE)],
    )
    for _ in range(2):
        for _ in range(4):
            world.step()
        world.scale("media/encode", "us", 4)
        world.step()
    for _ in range(3):
        assert not world.step().effects
    assert ready(world, "cheap") == (Status.FALSE, Reason.CONTENDED)


def a_tenant_against_the_platform(mode: Mode, priority: int) -> World:
    """The platform wants everything in eu; a tenant's own intent says us, where its replicas stand."""
    return a_world(
        worker("shop/cart", {"us/a": 3, "eu/a": 1}),
        intents=[
            placement(
                "platform/eu-only",
                allow=EU,
                mode=Mode.ENFORCE,
                priority=priority,
                namespaces=("shop",),
                load=Load.FOLLOWS_REPLICAS,
            ),
            placement("shop/us-only", allow={CLUSTER_LABEL: "us"}, mode=mode, load=Load.FOLLOWS_REPLICAS),
        ],
        governance=Governance(governing=("platform",), ceilings=(("platform", 100),)),
    )


@pytest.mark.parametrize("mode", list(Mode))
def test_an_intent_of_higher_priority_is_not_held_back_by_what_others_have(mode: Mode) -> None:
    world = a_tenant_against_the_platform(mode, priority=100)
    world.settle()
    assert world.replicas("shop/cart") == {"eu": 4}
    assert ready(world, "eu-only") == (Status.TRUE, Reason.AS_DECLARED)
    assert ready(world, "us-only") == (Status.FALSE, Reason.INFEASIBLE)
    assert all(one.decision.intents[0].name == "eu-only" for one in world.history)


def test_among_equals_nobody_takes_what_the_other_has() -> None:
    world = a_tenant_against_the_platform(Mode.RECOMMEND, priority=0)
    world.settle()
    assert world.replicas("shop/cart") == {"us": 3, "eu": 1}
    assert ready(world, "eu-only") == (Status.FALSE, Reason.INFEASIBLE)


@pytest.mark.parametrize("enforced", [[], ["failover"], ["failover", "capacity"]], ids=str)
def test_failback_returns_whoever_is_enforced_beside_it(enforced: list[str]) -> None:
    mode = {kind: Mode.ENFORCE if kind in enforced else Mode.RECOMMEND for kind in ("failover", "capacity")}
    world = a_world(
        worker("shop/web", {"ap/a": 3, "eu/a": 6}),
        intents=[
            failover("shop/region", tolerate={"region": 1}, share=50, on_loss=Mode.ENFORCE, mode=mode["failover"]),
            capacity("shop/demand", demand="6", minimum=2, mode=mode["capacity"]),
            placement("shop/anywhere", load=Load.FOLLOWS_REPLICAS, mode=Mode.RECOMMEND),
        ],
    )
    ref = world.workloads[0].ref
    ap, eu = ClusterName("ap"), ClusterName("eu")
    home = ((ap, 3), (eu, 3))
    now = ((ap, 3), (eu, 6))
    world.records[ref] = Record(ref, need=6, needs=home, former=home, written=now, origin=home)
    world.losses = (Loss(ClusterName("us"), "", MONDAY - 900, MONDAY - 800),)
    world.settle()
    assert world.replicas("shop/web") == {"ap": 3, "eu": 3}
    assert world.records[ref].origin == ()


def test_a_forecast_covers_the_horizon_from_now_on_though_its_history_ended_hours_ago() -> None:
    daily = [60 if 10 <= hour < 14 else 10 for hour in range(24)]
    world = a_world(
        worker("shop/web", {"eu/a": 6}),
        intents=[capacity("shop/demand", series="history", per_replica=10, horizon="2h", mode=Mode.ENFORCE)],
        series=(a_series("shop/history", daily * 14, key="demand.csv", start=MONDAY - 14 * 86400),),
        now=MONDAY + 11 * 3600,
    )
    world.settle()
    assert world.replicas("shop/web") == {"eu": 6}


def test_replicas_that_nobody_has_seen_since_the_start_are_not_replaced() -> None:
    world = a_world(
        a_workload("shop/web", {"eu/a": 3}, spec={"eu": 3, "us": 0}),
        intents=[placement("shop/anywhere", load=Load.FOLLOWS_REPLICAS, mode=Mode.ENFORCE)],
    )
    ap, eu = ClusterName("ap"), ClusterName("eu")
    ref = world.workloads[0].ref
    world.records[ref] = Record(ref, need=6, needs=((ap, 3), (eu, 3)), former=((ap, 3), (eu, 3)))
    world.clusters[0] = replace(world.clusters[0], reach=Reach.UNKNOWN, silent=True)
    world.settle()
    assert world.replicas("shop/web") == {"eu": 3}


def test_a_decision_is_verified_for_what_no_other_plan_took_over() -> None:
    world = a_world(
        worker("pay/ledger", {"ap/a": 2}),
        worker("pay/fraud", {"ap/a": 2}),
        intents=[placement("pay/eu-only", allow=EU, mode=Mode.ENFORCE)],
    )
    world.step()
    # While both move, somebody wants the ledger larger: its part of the plan is another one now.
    world.intents.append(capacity("pay/demand", demand="4", names=["ledger"], mode=Mode.ENFORCE))
    world.settle()
    first = world.history[0].decision
    ended = next(one for round_ in world.rounds for one in round_.closed if one.name == first.name)
    assert {action.workload.name for action in first.actions} == {"ledger", "fraud"}
    assert ended.outcome is Outcome.VERIFIED
    assert ended.reason == "observed as planned, every replica Ready; 1 workload overtaken by another plan"
    assert world.replicas("pay/ledger") == {"eu": 4}
    assert set(world.outcomes()) == {Outcome.VERIFIED}


def test_a_decision_whose_outcome_was_never_written_begins_and_is_not_closed() -> None:
    """Its object was created, then the API server failed: it reads as a proposal of an intent that asks nobody."""
    world = a_world(worker("pay/ledger", {"ap/a": 3}), intents=[placement("pay/eu-only", allow=EU, mode=Mode.ENFORCE)])
    (decision,) = conclude(world.snapshot()).decisions
    unwritten = OpenDecision("pay", replace(decision, outcome=Outcome.PROPOSED), world.now)
    world.decisions = [unwritten]
    first = world.step()
    assert [(one.name, one.outcome) for one in first.decisions] == [(decision.name, Outcome.APPLYING)]
    assert first.closed == ()
    assert first.effects


def test_demand_at_a_place_that_nobody_knows_is_told() -> None:
    world = a_world(
        worker("shop/web", {"eu/a": 3}),
        intents=[capacity("shop/demand", demand={"mars": "10"}, mode=Mode.ENFORCE)],
    )
    last = world.settle()
    assert ready(world, "demand") == (Status.FALSE, Reason.INPUTS_STALE)
    assert any("names mars" in finding.message for finding in last.findings)


def test_a_target_that_selects_nothing_is_not_ready() -> None:
    world = a_world(
        worker("shop/web", {"eu/a": 3}), intents=[placement("shop/eu-only", allow=EU, names=["wbe"], mode=Mode.ENFORCE)]
    )
    world.settle()
    assert ready(world, "eu-only") == (Status.FALSE, Reason.NOTHING_SELECTED)


def test_equals_that_disagree_are_told_once_with_whose_word_would_have_to_give() -> None:
    allows = {"eu-only": EU, "us-only": {CLUSTER_LABEL: "us"}}
    world = a_world(
        worker("shop/cart", {"ap/a": 4}),
        intents=[
            placement(f"shop/{name}", allow=allow, mode=Mode.ENFORCE, load=Load.FOLLOWS_REPLICAS)
            for name, allow in allows.items()
        ],
    )
    last = world.settle()
    [finding] = [finding for finding in last.findings if finding.reason is Reason.INFEASIBLE]
    assert {ref.name for ref in finding.about} == set(allows)
    assert finding.remedies == (
        "allow us too in PlacementIntent shop/eu-only",
        "allow eu too in PlacementIntent shop/us-only",
        "raise spec.priority of the one that matters more",
    )
    assert [(verdict.moves, verdict.cost_before) for verdict in last.verdicts] == [(0, 0), (0, 0)]


def test_replicas_beyond_the_need_name_the_intent_that_they_are_for() -> None:
    workload = worker("shop/web", {"us/a": 9, "eu/a": 9})
    world = a_world(
        workload,
        intents=[
            placement("shop/not-us", deny={CLUSTER_LABEL: "us"}, mode=Mode.ENFORCE, load=Load.FOLLOWS_REPLICAS),
            failover("shop/two", tolerate={"cluster": 1}, mode=Mode.ENFORCE),
        ],
        records={workload.ref: Record(workload.ref, need=9, former=((ClusterName("eu"), 9), (ClusterName("us"), 9)))},
    )
    told = {action.why for decision in world.step().decisions for action in decision.actions}
    assert told == {f"residency: not {CLUSTER_LABEL}=us; more than needed for FailoverIntent shop/two"}
    world.settle()
    assert world.replicas("shop/web") == {"ap": 9, "eu": 9}


@pytest.mark.parametrize("share", [40, 100])
def test_an_intent_that_does_not_act_makes_nobody_add_replicas(share: int) -> None:
    world = a_world(
        worker("shop/web", {"us/a": 3, "eu/a": 3, "ap/a": 3}),
        intents=[
            placement("shop/not-us", deny={CLUSTER_LABEL: "us"}, mode=Mode.ENFORCE, load=Load.FOLLOWS_REPLICAS),
            failover("shop/two", tolerate={"cluster": 1}, share=share, mode=Mode.RECOMMEND),
        ],
    )
    world.settle()
    assert sorted(world.replicas("shop/web").values()) == [4, 5]


@pytest.mark.parametrize("mode", [Mode.OBSERVE, Mode.RECOMMEND])
def test_an_intent_that_says_nothing_of_load_leaves_it_to_those_that_do(mode: Mode) -> None:
    world = a_world(
        worker("pay/ledger", {"ap/a": 3}),
        intents=[
            placement("pay/in-eu", allow=EU, load=Load.FOLLOWS_REPLICAS, mode=Mode.ENFORCE),
            replace(placement("pay/curious", mode=mode), load=None),
        ],
    )
    world.settle()
    assert world.replicas("pay/ledger") == {"eu": 3}


def test_whoever_may_act_is_asked_first_what_demand_does() -> None:
    world = a_world(
        worker("pay/ledger", {"ap/a": 3}),
        intents=[
            placement("pay/in-eu", allow=EU, load=Load.FOLLOWS_REPLICAS, mode=Mode.ENFORCE),
            placement("pay/elsewhere", load=Load.PER_DOMAIN, mode=Mode.OBSERVE),
        ],
    )
    world.settle()
    assert world.replicas("pay/ledger") == {"eu": 3}


def test_replicas_that_stand_twice_in_the_middle_of_a_move_are_not_taken_for_what_is_had() -> None:
    """Old and new ones together survive a loss better than either; that must not become a floor."""
    world = a_world(
        worker("pay/payout", {"eu/a": 3, "us/a": 3}),
        intents=[
            placement(
                "pay/not-ap",
                deny={CLUSTER_LABEL: "ap"},
                spread=[spread("cluster", max_share=60)],
                mode=Mode.ENFORCE,
            ),
            failover("pay/region-loss", tolerate={"region": 1}, mode=Mode.RECOMMEND),
        ],
    )
    world.settle()
    world.scale("pay/payout", "ap", 2)
    world.settle()
    assert world.replicas("pay/payout") == {"eu": 4, "us": 4}
    world.scale("pay/payout", "ap", 2)
    world.settle()
    assert world.replicas("pay/payout") == {"eu": 5, "us": 5}


def test_a_deployment_that_is_made_anew_says_nothing_of_the_need() -> None:
    world = a_world(
        worker("shop/web", {"eu/a": 5, "us/a": 5}),
        intents=[capacity("shop/demand", demand="1", names=["other"], mode=Mode.ENFORCE)],
    )
    ref = world.workloads[0].ref
    eu, us = ClusterName("eu"), ClusterName("us")
    row = world.snapshot().fleet.row(ref)
    assert row is not None
    uid_us = world.snapshot().fleet.uid(row, 2)
    both = ((eu, 5), (us, 5))
    world.workloads = [worker("shop/web", {"us/a": 5})]
    world.records = {ref: Record(ref, need=10, needs=both, former=both, uids=((eu, "0" * 32), (us, uid_us)))}
    (kept,) = records(world.snapshot())[0]
    assert (kept.need, dict(kept.needs)) == (10, {"eu": 5, "us": 5})
    assert dict(kept.uids)[eu] != "0" * 32
    # Somebody who scales the new one is heard again.
    world.records = {ref: kept}
    world.scale("shop/web", "us", 3)
    assert records(world.snapshot())[0][0].need == 8
    # Where nothing is left of what was known, it is another workload of the same name.
    world.records = {ref: Record(ref, need=10, needs=both, former=both, uids=((eu, "0" * 32), (us, "1" * 32)))}
    assert records(world.snapshot())[0][0].need == 3


def test_of_two_equal_demands_the_larger_counts_and_each_tells_its_own() -> None:
    world = a_world(
        worker("shop/images", {"eu/a": 12}),
        intents=[
            capacity("shop/a", demand="10", per_replica="1", mode=Mode.ENFORCE),
            capacity("shop/b", demand="20", per_replica="1", mode=Mode.ENFORCE),
        ],
    )
    last = world.settle()
    assert world.replicas("shop/images") == {"eu": 20}
    assert {v.intent.name: (v.need, v.planned) for v in last.verdicts} == {"a": (10, 20), "b": (20, 20)}


def test_a_demand_that_is_outvoted_is_not_told_to_be_met() -> None:
    world = a_world(
        worker("shop/images", {"eu/a": 12}),
        intents=[
            capacity("shop/a", demand="10", per_replica="1", mode=Mode.ENFORCE, priority=5),
            capacity("shop/b", demand="20", per_replica="1", mode=Mode.ENFORCE),
        ],
        governance=Governance(ceilings=(("shop", 10),)),
    )
    last = world.settle()
    assert world.replicas("shop/images") == {"eu": 10}
    assert ready(world, "a") == (Status.TRUE, Reason.AS_DECLARED)
    assert ready(world, "b") == (Status.FALSE, Reason.CONFLICT)
    (told,) = {f.message for v in last.verdicts for f in v.findings if f.reason is Reason.CONFLICT}
    assert told == "shop/images: CapacityIntent shop/a decides by its priority: 10 replicas, not 20"


def test_demand_where_the_workload_is_not_deployed_stalls_whoever_asks_for_it_with_what_to_do() -> None:
    workload = a_workload("shop/cart", {"us/a": 5, "us/b": 5})
    eu, us = ClusterName("eu"), ClusterName("us")
    record = Record(workload.ref, need=15, needs=((eu, 5), (us, 10)), former=((eu, 5), (us, 10)))
    world = a_world(
        workload,
        intents=[failover("shop/zone-loss", tolerate={"zone": 1}, mode=Mode.ENFORCE)],
        records={workload.ref: record},
    )
    last = world.settle()
    assert ready(world, "zone-loss") == (Status.FALSE, Reason.INFEASIBLE)
    [finding] = [finding for finding in last.findings if finding.reason is Reason.INFEASIBLE]
    assert "deploy shop/cart in eu, at 0 replicas if need be" in finding.remedies
