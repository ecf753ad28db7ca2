from __future__ import annotations

import numpy as np
import pytest

from archgov.decide.words import in_words, way_out
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
        (AtMost("ap-1 isn't seen", 0, 0, 0), 0, 1, "ap-1 were seen"),
        (AtMost("shop/cart isn't deployed in ap-1", 0, 0, 0), 0, 1, "shop/cart were deployed in ap-1"),
        (
            AtLeast("no intent may move shop/cart", 0, 1, 2),
            2,
            1,
            "an intent let shop/cart move (load: FollowsReplicas)",
        ),
        (
            AtLeast("recorded: demand of shop/cart arrives in eu-1", 0, 1, 2),
            2,
            1,
            "demand of shop/cart in eu-1 needed 1 replica instead of 2: recorded",
        ),
        (Total("recorded: shop/cart needs 4", 0, 4), 4, 3, "shop/cart needed 3 replicas instead of 4: recorded"),
        (
            Ceiling("CapacityIntent/shop/c spec.demand: shop/cart at most 4", 0, 4),
            4,
            5,
            "shop/cart were allowed 5 replicas instead of 4: spec.demand (CapacityIntent shop/c)",
        ),
        (
            MaxShare(f"{SWISS} spec.spread[0].maxShare=40% by region", 0, (0,), 40),
            40,
            50,
            "spec.spread[0].maxShare=40% by region (PlacementIntent shop/swiss) were 50% instead",
        ),
        (
            MinDomains(f"{SWISS} spec.spread[0].minDomains=3 regions", 0, ((0,),), 3),
            3,
            2,
            "spec.spread[0].minDomains=3 regions (PlacementIntent shop/swiss) were 2 instead",
        ),
        (
            Survive("FailoverIntent/shop/f spec.tolerate[0]: shop/cart survives the loss of zone a", 0, (0,), 3),
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
        ("PlacementIntent/shop/x spec.deny (a=b)", "spec.deny (a=b) (PlacementIntent shop/x)"),
        ("capacity of eu: cpu", "capacity of eu: cpu"),
        ("recorded: shop/cart needs 4", "recorded: shop/cart needs 4"),
    ],
)
def test_rules_are_told_by_what_is_asked_then_by_whom(rule: str, words: str) -> None:
    assert in_words(rule) == words
