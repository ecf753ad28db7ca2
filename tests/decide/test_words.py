"""Rules, amounts, times as people say them."""

from __future__ import annotations

import numpy as np
import pytest

from archgov.decide.clause import Clause, clause
from archgov.decide.words import way_out
from archgov.model.fleet import Fleet
from archgov.optimize.placement.conflict import Relaxation
from archgov.optimize.placement.problem import (
    AtLeast,
    AtMost,
    Capacity,
    Ceiling,
    Fit,
    MaxShare,
    MinDomains,
    Problem,
    Rule,
    Survive,
    Total,
)
from tests.build import a_cluster, a_fleet, a_workload

SWISS = "PlacementIntent/shop/swiss"


def a_small_fleet() -> Fleet:
    return a_fleet([a_cluster("ap-1"), a_cluster("eu-1")], [a_workload("shop/cart", {"eu-1/a": 2}, spec={"ap-1": 0})])


def a_problem(fleet: Fleet, rule: Rule) -> Problem:
    nothing = np.zeros((1, 2), np.int64)
    resources = len(fleet.resources)
    return Problem(
        now=nothing,
        standing=np.zeros((1, len(fleet.domains)), np.int64),
        cluster=fleet.domain_cluster.astype(np.int64),
        request=np.zeros((1, resources), np.int64),
        room=np.zeros((2, resources), np.int64),
        price=nothing,
        move=np.zeros(1, np.int64),
        free=np.ones(1, bool),
        zone_skew=np.zeros(1, np.int64),
        rules=(rule,),
    )


CPU, MEMORY = (a_small_fleet().resources.index(name) for name in ("cpu", "memory"))


@pytest.mark.parametrize(
    ("rule", "before", "to", "words"),
    [
        (Capacity("capacity of eu-1: cpu", 1, CPU), 4000, 5000, "eu-1 had 1 core more"),
        (Capacity("capacity of eu-1: cpu", 1, CPU), 4000, 5500, "eu-1 had 1.5 cores more"),
        (Capacity("capacity of eu-1: memory", 1, MEMORY), 0, 3 << 29, "eu-1 had 1.5 GiB of memory more"),
        (Fit("what fits in eu-1 of pods like x", (0,), 1, 2), 2, 3, "eu-1 had room for 1 more pod of this shape"),
        (AtMost(Clause("ap-1 isn't seen", unless="ap-1 were seen"), 0, 0, 0), 0, 1, "ap-1 were seen"),
        (
            AtLeast("recorded: demand of shop/cart arrives in eu-1", 0, 1, 2),
            2,
            1,
            "demand of shop/cart in eu-1 needed 1 replica instead of 2: recorded",
        ),
        (Total("recorded: shop/cart needs 4", 0, 4), 4, 3, "shop/cart needed 3 replicas instead of 4: recorded"),
        (
            Ceiling(Clause("spec.demand: shop/cart at most 4", owner="CapacityIntent/shop/c"), 0, 4),
            4,
            5,
            "shop/cart were allowed 5 replicas instead of 4: spec.demand (CapacityIntent shop/c)",
        ),
        (
            MaxShare(Clause("spec.spread[0].maxShare=40% by region", owner=SWISS), 0, (0,), 40),
            40,
            50,
            "spec.spread[0].maxShare=40% by region (PlacementIntent shop/swiss) were 50% instead",
        ),
        (
            MinDomains(Clause("spec.spread[0].minDomains=3 regions", owner=SWISS), 0, ((0,),), 3),
            3,
            2,
            "spec.spread[0].minDomains=3 regions (PlacementIntent shop/swiss) were 2 instead",
        ),
        (
            Survive(
                Clause("spec.tolerate[0]: shop/cart survives the loss of zone a", owner="FailoverIntent/shop/f"),
                0,
                (0,),
                3,
            ),
            3,
            2,
            "spec.tolerate[0]: shop/cart survives the loss of zone a (FailoverIntent shop/f) with 2 replicas instead of 3",
        ),
    ],
)
def test_a_way_out_says_what_has_to_be_true(rule: Rule, before: int, to: int, words: str) -> None:
    fleet = a_small_fleet()
    way = Relaxation(rule.name, type(rule).__name__, before, to)
    assert way_out(fleet, (0,), a_problem(fleet, rule), way) == words


@pytest.mark.parametrize(
    ("rule", "words"),
    [
        (Clause("spec.deny (a=b)", owner="PlacementIntent/shop/x"), "spec.deny (a=b) (PlacementIntent shop/x)"),
        (clause("capacity of eu: cpu"), "capacity of eu: cpu"),
        (clause("recorded: shop/cart needs 4"), "recorded: shop/cart needs 4"),
    ],
)
def test_rules_are_told_by_what_is_asked_then_by_whom(rule: Clause, words: str) -> None:
    assert rule.told == words


def test_a_clause_is_a_name_like_any_other() -> None:
    asked = Clause("spec.allow (a=b)", owner="PlacementIntent/shop/x", remedy="allow more")
    assert asked == "PlacementIntent/shop/x spec.allow (a=b)"
    assert hash(asked) == hash("PlacementIntent/shop/x spec.allow (a=b)")
    assert clause(asked).remedy == "allow more"
