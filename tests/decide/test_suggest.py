"""Intents for workloads that nobody governs."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from archgov.decide.explain import changes
from archgov.decide.round import Round, conclude
from archgov.decide.suggest import Suggestion, suggest
from archgov.model.fleet import Fixed, Fleet
from archgov.model.intent import FailoverIntent, Load, PlacementIntent
from archgov.model.snapshot import Snapshot
from archgov.optimize.placement import judge
from tests.build import Workload, a_cluster, a_fleet, a_node, a_snapshot, a_workload, placement

CLUSTERS = {"eu-1": "eu", "eu-2": "eu", "us-1": "us"}


def a_world(*workloads: Workload) -> Snapshot:
    clusters = [a_cluster(name, region=region) for name, region in CLUSTERS.items()]
    nodes = [a_node(f"{name}/{zone}", cpu="32") for name in CLUSTERS for zone in "abc"]
    return a_snapshot(a_fleet(clusters, workloads, nodes))


def planned(snapshot: Snapshot, some: list[Suggestion] | tuple[Suggestion, ...]) -> Round:
    return conclude(replace(snapshot, intents=(*snapshot.intents, *(one.intent for one in some))))


def stalls(concluded: Round) -> list[str]:
    found = (*concluded.findings, *(finding for item in concluded.advice for finding in item.plan.findings))
    return [finding.message for finding in found if finding.stalls]


def survives(fleet: Fleet, concluded: Round, one: Suggestion) -> bool:
    """Whether something of every governed workload is left when the named loss comes after the plan was followed."""
    assert one.mends is not None
    item = next(item for item in concluded.advice if item.governed.intent == one.intent)
    lost = fleet.scopes(one.mends.level)[one.mends]
    s_of = {row: s for s, row in enumerate(concluded.stage.base.rows)}
    problem = concluded.stage.base.problem
    return all(
        int(n.sum()) - judge.at_most(problem, s_of[row], lost, n) > 0
        for row in item.governed.rows
        for n in [item.plan.target[s_of[row]]]
    )


def everywhere(name: str, at: dict[str, int], zone_skew: int = 0) -> Workload:
    return a_workload(
        name, at, spec={k: 0 for k in CLUSTERS if not any(p.startswith(k) for p in at)}, zone_skew=zone_skew
    )


places = st.dictionaries(
    st.sampled_from([f"{name}/{zone}" for name in CLUSTERS for zone in "abc"]),
    st.integers(1, 3),
    min_size=1,
    max_size=4,
)


@settings(max_examples=15)
@given(st.lists(st.tuples(places, st.integers(0, 1)), min_size=1, max_size=3))
def test_what_describes_changes_nothing_and_what_mends_mends(standing: list[tuple[dict[str, int], int]]) -> None:
    snapshot = a_world(*(everywhere(f"shop/w{n}", at, skew) for n, (at, skew) in enumerate(standing)))
    found = suggest(snapshot)
    describing = planned(snapshot, found.describing)
    assert changes(describing) == ()
    assert stalls(describing) == []
    for one in found.mending:
        everything = planned(snapshot, [*found.describing, *found.mending])
        assert stalls(everything) == []
        assert survives(snapshot.fleet, everything, one), one
        alone = planned(snapshot, [one])
        assert changes(alone), one
        assert stalls(alone) == [], one
        assert survives(snapshot.fleet, alone, one), one


def test_a_fleet_of_one_place_has_nothing_to_survive() -> None:
    fleet = a_fleet([a_cluster("eu")], [a_workload("shop/cart", {"eu/a": 2})], {"eu/a": 1})
    found = suggest(a_snapshot(fleet))
    assert (found.describing, found.mending, found.left) == ((), (), ())


def test_residency_and_spread_are_described_as_they_are() -> None:
    snapshot = a_world(everywhere("shop/cart", {"eu-1/a": 2, "eu-2/b": 2}))
    [described] = [one for one in suggest(snapshot).describing if isinstance(one.intent, PlacementIntent)]
    assert isinstance(described.intent, PlacementIntent)
    assert described.intent.allow is None, "the loss of the region is mended, so it may have to leave"
    assert described.intent.load is Load.PER_DOMAIN
    assert described.why == "stands in two clusters or more"


def test_who_can_not_leave_a_region_is_described_as_staying_there() -> None:
    snapshot = a_world(a_workload("shop/cart", {"eu-1/a": 2, "eu-2/b": 2}))
    [described] = [one for one in suggest(snapshot).describing if isinstance(one.intent, PlacementIntent)]
    assert isinstance(described.intent, PlacementIntent)
    assert str(described.intent.allow) == "topology.kubernetes.io/region in (eu)"
    assert described.why == "stays in eu and stands in two clusters or more"


def test_a_replica_that_stands_alone_gets_a_second_one_elsewhere() -> None:
    snapshot = a_world(everywhere("shop/single", {"eu-1/a": 1}, zone_skew=1))
    [mend] = suggest(snapshot).mending
    assert isinstance(mend.intent, FailoverIntent)
    assert str(mend.mends) == "zone eu/a"


def test_what_no_intent_can_mend_is_told_with_what_can() -> None:
    snapshot = a_world(a_workload("shop/cart", {"eu-1/a": 3}))
    found = suggest(snapshot)
    assert found.mending == ()
    assert any("deploy it in a cluster elsewhere first" in line for line in found.left)
    assert any("topologySpreadConstraint" in line for line in found.left)


def test_load_that_is_never_moved_is_neither_described_nor_mended() -> None:
    fixed = a_workload("shop/db", {"eu-1/a": 3}, kind="StatefulSet", fixed=Fixed.STATEFUL)
    found = suggest(a_world(fixed))
    assert (found.describing, found.mending) == ((), ())


def test_what_is_governed_already_is_left_to_its_intents() -> None:
    snapshot = a_world(everywhere("shop/cart", {"eu-1/a": 2, "eu-2/b": 2}))
    governed = replace(snapshot, intents=(placement("shop/mine", load=Load.PER_DOMAIN),))
    assert not any(isinstance(one.intent, PlacementIntent) for one in suggest(governed).describing)


def test_names_of_suggestions_never_replace_an_intent() -> None:
    snapshot = a_world(everywhere("shop/cart", {"eu-1/a": 2, "eu-2/b": 2}))
    taken = suggest(snapshot).describing[0].intent
    other = placement(f"{taken.common.ref.namespace}/{taken.common.ref.name}", names=["nothing"])
    refs = [one.intent.common.ref for one in suggest(replace(snapshot, intents=(other,))).describing]
    assert other.common.ref not in refs
    assert len(set(refs)) == len(refs)


def test_the_same_fleet_gets_the_same_suggestions() -> None:
    workloads = [everywhere(f"shop/w{n}", {f"eu-{1 + n % 2}/{'abc'[n % 3]}": 1 + n}) for n in range(5)]
    assert suggest(a_world(*workloads)) == suggest(a_world(*reversed(workloads)))
    assert np.array_equal(a_world(*workloads).fleet.fit, a_world(*reversed(workloads)).fleet.fit)
