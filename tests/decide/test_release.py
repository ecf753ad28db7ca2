"""Which steps may be taken now: nothing goes before what replaces it is Ready, nothing comes where there is no room."""

from __future__ import annotations

import numpy as np
import pytest

from archgov.decide.budget import Allowance, Pot
from archgov.decide.release import Released, Step, release
from archgov.model.condition import Reason
from archgov.model.intent import Budget
from tests.build import a_cluster, a_fleet, a_workload, placement
from tests.optimize.strategies import a_problem

AP, EU = 0, 1


def released(
    spec: list[int],
    target: list[int],
    *,
    ready: list[int] | None = None,
    refused: int = 0,
    room: int = 99,
    budget: int | None = None,
) -> Released:
    """The next steps of one workload in two clusters, whose room is counted in replicas of it."""
    names = ["ap", "eu"]
    standing = ready or spec
    workload = a_workload(
        "shop/web",
        {f"{name}/a": count for name, count in zip(names, standing, strict=True)},
        spec=dict(zip(names, spec, strict=True)),
        refused={"ap": refused} if refused else None,
    )
    fleet = a_fleet([a_cluster(name) for name in names], [workload])
    problem = a_problem(
        now=[spec],
        standing=[[min(s, n) for s, n in zip(standing, spec, strict=True)]],
        price=[[1, 1]],
        request=[[7]],
        room=[[7 * room], [7 * room]],
    )
    pot = Pot(Budget(budget or 0, False, 60), placement("shop/web").common.ref, budget or 0)
    allowances = {} if budget is None else {0: Allowance((pot,))}
    return release(fleet, (0,), problem, np.array([target], np.int64), allowances)


def test_what_comes_comes_at_once_and_what_goes_waits_for_it() -> None:
    found = released([6, 0], [1, 2])
    assert found.steps == (Step(0, EU, 0, 2),)
    assert found.waits == {0}
    assert released([6, 2], [1, 2], ready=[6, 1]).steps == ()
    assert released([6, 2], [1, 2]).steps == (Step(0, AP, 6, 1),)
    assert released([1, 2], [1, 2]) == Released((), (), frozenset())


@pytest.mark.parametrize(
    ("ready", "left"), [([6, 0], 3), ([4, 0], 3), ([3, 0], None), ([0, 0], None)], ids=["all", "some", "just", "none"]
)
def test_no_more_goes_than_is_ready_beyond_what_the_plan_ends_with(ready: list[int], left: int | None) -> None:
    spec = [6, 0]
    found = released(spec, [3, 0], ready=ready).steps
    spare = max(0, ready[0] - 3)
    assert found == ((Step(0, AP, 6, 6 - min(3, spare)),) if spare else ())
    assert (left is None) == (not spare)


def test_ready_pods_beyond_those_asked_for_are_already_leaving() -> None:
    assert released([2, 2], [0, 2], ready=[2, 2]).steps == (Step(0, AP, 2, 0),)
    assert released([2, 2], [0, 3], ready=[5, 2]).steps == (Step(0, EU, 2, 3),)
    assert released([3, 3], [0, 3], ready=[9, 2]).steps == ()


def test_additions_stop_where_the_cluster_has_no_room_beside_what_stands_there() -> None:
    assert released([4, 1], [0, 5], room=4).steps == (Step(0, EU, 1, 4),)
    assert released([4, 4], [0, 5], room=4).steps == ()
    assert released([4, 1], [0, 5], room=9).steps == (Step(0, EU, 1, 5),)


def test_what_has_no_node_goes_at_once_and_costs_no_budget() -> None:
    found = released([5, 3], [1, 3], ready=[3, 3], refused=2, budget=1)
    assert found.steps == (Step(0, AP, 5, 2, idle=2),)
    assert [finding.reason for finding in found.findings] == [Reason.WAITING_FOR_BUDGET]
    alone = released([2, 3], [0, 3], ready=[0, 3], refused=2, budget=0)
    assert alone.steps == (Step(0, AP, 2, 0, idle=2),)
    assert alone.findings == ()


def test_a_budget_that_holds_some_back_says_which_and_one_that_does_not_says_nothing() -> None:
    held = released([5, 3], [1, 3], budget=1)
    assert held.steps == (Step(0, AP, 5, 4),)
    (finding,) = held.findings
    assert (finding.about, "1 in 1m is used up" in finding.message) == ((placement("shop/web").common.ref,), True)
    assert released([5, 3], [1, 3], budget=0).steps == ()
    assert released([5, 3], [1, 3], budget=4).findings == ()
    assert released([5, 3], [1, 3]).findings == ()


def test_each_cluster_gives_what_the_plan_takes_from_it_and_no_more() -> None:
    assert released([4, 4], [3, 2]).steps == (Step(0, AP, 4, 3), Step(0, EU, 4, 2))
    idle = released([5, 3], [4, 1], ready=[4, 3], refused=1)
    assert idle.steps == (Step(0, AP, 5, 4, idle=1), Step(0, EU, 3, 1))
    both = released([3, 0], [1, 0], ready=[2, 0], refused=1)
    assert both.steps == (Step(0, AP, 3, 1, idle=1),)


def test_workloads_that_grow_in_one_cluster_share_its_room_in_order_of_name() -> None:
    workloads = [a_workload(f"shop/{name}", {"ap/a": 1}, spec={"eu": 0}) for name in ("api", "web")]
    fleet = a_fleet([a_cluster("ap"), a_cluster("eu")], workloads)
    problem = a_problem(
        now=[[1, 0], [1, 0]],
        standing=[[1, 0], [1, 0]],
        price=[[1, 1], [1, 1]],
        request=[[2, 0], [3, 1]],
        room=[[99, 99], [7, 1]],
    )
    found = release(fleet, (0, 1), problem, np.array([[0, 2], [0, 2]], np.int64), {})
    assert found.steps == (Step(0, EU, 0, 2), Step(1, EU, 0, 1))
