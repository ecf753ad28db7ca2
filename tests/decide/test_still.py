"""What keeps an intent from more, told where nothing moves."""

from __future__ import annotations

import pytest

from archgov.decide.explain import why_not
from archgov.decide.place import place
from archgov.decide.round import Round, conclude
from archgov.decide.still import need_of, why_still
from archgov.model.fleet import REGION_LABEL, Cluster, Fixed, Reach
from archgov.model.intent import Failback, Intent, Load, Loss, Mode, Record
from archgov.model.ref import ClusterName, WorkloadRef
from tests.build import MONDAY, a_cluster, a_fleet, a_snapshot, a_workload, capacity, failover, placement, spread

EU, US = ClusterName("eu"), ClusterName("us")
UNSEEN = a_cluster("us", region="us", reach=Reach.UNKNOWN, evidence="timeout", silent=True)
CART = WorkloadRef("shop", "Deployment", "cart")


def a_round(*intents: Intent, us: Cluster | None = None, losses: tuple[Loss, ...] = (), failed: bool = False) -> Round:
    """Two clusters with shop/cart in both; failed: it carries replicas of a loss that is over or not."""
    record = Record(
        CART,
        need=4,
        needs=((EU, 2), (US, 2)),
        former=((EU, 2), (US, 2)),
        written=((EU, 2), (US, 2)),
        origin=((EU, 2), (US, 2)) if failed else (),
    )
    clusters = [a_cluster("eu", region="eu"), us or a_cluster("us", region="us")]
    workloads = [
        a_workload("shop/cart", {"eu/a": 2, "us/a": 2}),
        a_workload("shop/cart-2", {"eu/a": 1}, spec={"us": 0}),
    ]
    return conclude(a_snapshot(a_fleet(clusters, workloads), intents, losses=losses, records=[record]))


def still(concluded: Round, name: str, workload: str = "cart") -> tuple[str, ...]:
    one = next(one for one in concluded.stage.selection.governed if one.intent.common.ref.name == name)
    fleet = concluded.stage.snapshot.fleet
    row = next(row for row, key in enumerate(fleet.workloads.key) if key.endswith(f"/{workload}"))
    return why_still(concluded, one, row)


def test_where_nothing_keeps_it_nothing_is_said() -> None:
    assert still(a_round(placement("shop/here", load=Load.PER_DOMAIN)), "here") == ()


def test_what_collides_is_said_of_the_workload_that_it_concerns() -> None:
    wide = placement("shop/wide", spread=[spread("region", min_domains=3)], names=["cart"], mode=Mode.ENFORCE)
    concluded = a_round(wide, placement("shop/here", load=Load.PER_DOMAIN))
    [why] = still(concluded, "wide")
    assert "requirements collide" in why
    assert still(concluded, "here", "cart-2") == (), "a name that begins alike is another"


def test_a_workload_in_a_cluster_that_is_not_seen_is_held() -> None:
    concluded = a_round(placement("shop/x"), us=UNSEEN)
    assert still(concluded, "x") == ("held: us isn't seen, so nothing of it is taken away",)
    assert still(concluded, "x", "cart-2") == ()


def test_while_a_loss_is_answered_every_plan_stands_still() -> None:
    survivor = failover("shop/f", tolerate={"cluster": 1}, on_loss=Mode.ENFORCE, names=["cart"], mode=Mode.ENFORCE)
    concluded = a_round(survivor, placement("shop/x"), us=UNSEEN, losses=(Loss(US, since=MONDAY - 60),))
    assert concluded.acting is None
    assert still(concluded, "x", "cart-2") == ("the loss of us is being answered; the plan stands still until then",)


@pytest.mark.parametrize(
    ("ended", "words"),
    [
        (0, "failed over; it returns once us is back and all has been well for 5m"),
        (MONDAY - 60, "failed over; it returns in 4m if all stays well (spec.failback.soak 5m)"),
        (MONDAY - 600, "failing back to where it was: eu 2 · us 2"),
    ],
)
def test_failing_back_is_told_by_its_stage(ended: int, words: str) -> None:
    survivor = failover("shop/f", tolerate={"zone": 1}, names=["cart"])
    lost = Loss(US, since=MONDAY - 900, ended=ended)
    concluded = a_round(survivor, us=None if ended else UNSEEN, losses=(lost,), failed=True)
    assert words in still(concluded, "f")


def test_a_failback_by_hand_is_told_once() -> None:
    survivor = failover("shop/f", tolerate={"cluster": 1}, share=50, failback=Failback.MANUAL, names=["cart"])
    concluded = a_round(survivor, losses=(Loss(US, since=MONDAY - 900, ended=MONDAY - 600),), failed=True)
    assert still(concluded, "f") == ("shop/cart stays failed over: spec.failback.mode is Manual",)


def test_a_suspended_intent_says_so() -> None:
    assert still(a_round(placement("shop/x", suspend=True)), "x") == ("the intent is suspended by spec.suspend",)


def test_load_that_is_never_moved_says_why() -> None:
    db = a_workload("shop/db", {"eu/a": 1}, kind="StatefulSet", fixed=Fixed.STATEFUL)
    concluded = conclude(a_snapshot(a_fleet([a_cluster("eu")], [db]), [placement("shop/x")]))
    [why] = still(concluded, "x", "db")
    assert "it is stateful" in why


@pytest.mark.parametrize("mode", [Mode.ENFORCE, Mode.RECOMMEND])
def test_the_need_that_counts_is_the_declared_one(mode: Mode) -> None:
    concluded = a_round(capacity("shop/c", demand=16, names=["cart"], mode=mode))
    need = need_of(concluded, concluded.stage.governed[0], concluded.stage.governed[0].rows[0])
    assert (need.total, need.source) == (16, "spec.demand")


def test_a_collision_is_told_once_by_why_not() -> None:
    swiss = placement("shop/swiss", allow={REGION_LABEL: "ch"}, names=["cart"], mode=Mode.ENFORCE)
    concluded = a_round(swiss)
    one = concluded.stage.governed[0]
    found = why_not(concluded, one, one.rows[0], place(concluded.stage.snapshot.fleet, "eu"))
    assert len(found.conflict) == len(set(found.conflict)) == 1
