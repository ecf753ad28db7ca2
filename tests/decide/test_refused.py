"""Replicas that the scheduler finds no node for: they go where there is room, and nobody is harmed by their going."""

from __future__ import annotations

from typing import Any

import pytest

from archgov.decide.round import Round, conclude
from archgov.model.condition import Reason
from archgov.model.intent import Load, Mode, Record
from archgov.model.ref import ClusterName
from tests.build import a_cluster, a_fleet, a_node, a_snapshot, a_workload, capacity, placement


def a_round(cpu_of_eu: str, **more: Any) -> Round:
    """Two replicas run in eu, two more found no node there; ap has room."""
    workload = a_workload("pay/ledger", {"eu/a": 2}, spec={"eu": 4, "ap": 0}, refused={"eu": 2}, cpu="2", **more)
    fleet = a_fleet(
        [a_cluster("ap", price="0.09"), a_cluster("eu", price="0.03")],
        [workload],
        [a_node("eu/a", cpu=cpu_of_eu), a_node("ap/a")],
    )
    intent = placement("pay/anywhere", load=Load.FOLLOWS_REPLICAS, mode=Mode.ENFORCE)
    return conclude(a_snapshot(fleet, [intent]))


def writes(round_: Round) -> list[tuple[str, int, int]]:
    return [(effect.action.cluster, effect.action.before, effect.action.after) for effect in round_.effects]


def test_what_found_no_node_goes_where_there_is_room() -> None:
    found = a_round(cpu_of_eu="5")
    assert ("ap", 0, 2) in writes(found)


def test_pods_without_a_node_may_go_at_once_since_they_serve_nobody() -> None:
    assert ("eu", 4, 2) in writes(a_round(cpu_of_eu="5"))


def test_the_intent_says_that_replicas_are_without_a_node() -> None:
    found = [finding for finding in a_round(cpu_of_eu="5").findings if finding.reason is Reason.NOT_SCHEDULED]
    assert "2 replicas without a node in eu" in found[0].message


def test_where_nodes_do_have_room_the_scheduler_is_waited_for() -> None:
    assert writes(a_round(cpu_of_eu="16")) == []


@pytest.mark.parametrize(("written", "left"), [(4, 2), (2, 4)], ids=["archgov added them", "somebody else did"])
def test_what_was_added_in_vain_is_taken_back_by_who_added_it(written: int, left: int) -> None:
    workload = a_workload("pay/ledger", {"eu/a": 2}, spec={"eu": 4}, refused={"eu": 2}, cpu="2")
    fleet = a_fleet([a_cluster("eu")], [workload], [a_node("eu/a", cpu="5")])
    eu = ClusterName("eu")
    record = Record(workload.ref, need=2, former=((eu, 2),), written=((eu, written),))
    intent = capacity("pay/demand", demand="4", per_replica="1", mode=Mode.ENFORCE)
    found = conclude(a_snapshot(fleet, [intent], records=[record]))
    assert writes(found) == ([("eu", 4, left)] if left != 4 else [])
