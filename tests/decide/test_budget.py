"""How many replicas may be taken away, against the words of each budget."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from archgov.decide.budget import Allowance, Pot, allowances, binds
from archgov.decide.select import Governed
from archgov.model.intent import Budget, Intent, Load, Mode, Record, Removal
from tests.build import MONDAY, a_cluster, a_fleet, a_snapshot, a_workload, placement

HOUR = 3600
# Weekdays from 9 to 11 in Berlin; MONDAY is a Monday at midnight UTC, one o'clock there.
OFFICE = Budget(1, False, HOUR, "0 9 * * 1-5", 2 * HOUR, "Europe/Berlin")


@pytest.mark.parametrize(
    ("hours", "held"),
    [(7.99, False), (8, True), (9, True), (9.99, True), (10, False), (5 * 24 + 9, False), (4 * 24 + 9, True)],
    ids=["before", "it opens", "inside", "its last minute", "it is over", "a Saturday", "a Friday"],
)
def test_a_budget_with_a_schedule_binds_while_that_is_open(hours: float, held: bool) -> None:
    assert binds(OFFICE, MONDAY + int(hours * HOUR)) is held


def test_a_budget_without_one_always_binds() -> None:
    assert all(binds(Budget(1, False, 60), MONDAY + hour * HOUR) for hour in range(48))


@given(st.lists(st.integers(0, 9), max_size=3), st.integers(0, 12))
def test_what_is_taken_is_charged_to_every_budget_and_the_tightest_decides(lefts: list[int], wanted: int) -> None:
    pots = tuple(Pot(Budget(left, False, 60), placement(f"shop/{i}").common.ref, left) for i, left in enumerate(lefts))
    allowance = Allowance(pots)
    tightest = min(enumerate(lefts), key=lambda one: (one[1], one[0]), default=None)
    told = (placement(f"shop/{tightest[0]}").common.ref, f"{tightest[1]} in 1m") if tightest else (None, "none")
    assert (allowance.intent, allowance.binding) == told
    granted = allowance.take(wanted)
    assert granted == min([wanted, *lefts])
    assert [pot.left for pot in pots] == [left - granted for left in lefts]


def left(budget: Budget, *removals: Removal, replicas: int = 10, suspend: bool = False) -> int | None:
    """What one budget leaves of two workloads, of which the first had replicas taken away; None where it doesn't bind."""
    workloads = [a_workload("shop/web", {"eu/a": replicas - 3}), a_workload("shop/api", {"eu/a": 3})]
    intent: Intent = placement("shop/both", mode=Mode.ENFORCE, load=Load.FOLLOWS_REPLICAS, budgets=[budget])
    intent = replace(intent, common=replace(intent.common, suspend=suspend))
    snapshot = a_snapshot(a_fleet([a_cluster("eu")], workloads), [intent], now=MONDAY)
    rows = tuple(sorted(row for one in workloads if (row := snapshot.fleet.row(one.ref)) is not None))
    record = Record(workloads[0].ref, need=replicas - 3, removals=removals)
    found = allowances(snapshot, [Governed(intent, rows, (0,), 0)], (record,))
    assert {one.pots[0].left for one in found.values()} == ({found[rows[0]].pots[0].left} if found else set())
    return found[rows[0]].pots[0].left if found else None


@pytest.mark.parametrize(
    ("budget", "replicas", "expected"),
    [
        (Budget(4, False, 60), 10, 4),
        (Budget(25, True, 60), 10, 2),
        (Budget(5, True, 60), 10, 1),
        (Budget(0, True, 60), 10, 0),
        (Budget(0, False, 60), 10, 0),
        (Budget(100, True, 60), 10, 10),
    ],
    ids=["a number", "a share, rounded down", "a small share grants one", "a freeze", "another", "everything"],
)
def test_a_budget_grants_what_it_says(budget: Budget, replicas: int, expected: int) -> None:
    assert left(budget, replicas=replicas) == expected


def test_what_was_removed_within_the_window_is_charged_the_rest_is_forgotten() -> None:
    removals = (Removal(MONDAY - 601, 7), Removal(MONDAY - 600, 2), Removal(MONDAY, 1))
    assert left(Budget(4, False, 600), *removals) == 1
    assert left(Budget(4, False, 599), *removals) == 3
    assert left(Budget(2, False, 600), *removals) == 0


def test_a_budget_of_a_suspended_intent_or_outside_its_schedule_binds_nobody() -> None:
    assert left(Budget(4, False, 600), suspend=True) is None
    assert left(OFFICE) is None


def test_one_budget_that_is_closed_does_not_open_the_others() -> None:
    intent = placement("shop/both", mode=Mode.ENFORCE, budgets=[OFFICE, Budget(3, False, 60)])
    snapshot = a_snapshot(a_fleet([a_cluster("eu")], [a_workload("shop/web", {"eu/a": 5})]), [intent], now=MONDAY)
    found = allowances(snapshot, [Governed(intent, (0,), (0,), 0)], ())
    assert [pot.left for pot in found[0].pots] == [3]
