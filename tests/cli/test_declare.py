"""What `declare` writes, `parse` reads as the same intent."""

from __future__ import annotations

from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from archgov.api.registry import parse_any
from archgov.cli.declare import body
from archgov.cli.hashed import hashed
from archgov.decide.round import conclude
from archgov.model.fleet import Level
from archgov.model.intent import Budget, Failback, Intent, Load, Mode
from archgov.model.selector import Expression, Operator, Selector
from tests.build import a_snapshot, capacity, failover, placement, spread
from tests.cli.conftest import JURISDICTION, a_small_fleet

selectors = st.one_of(
    st.just(Selector()),
    st.dictionaries(st.sampled_from(["a", "b/c"]), st.sampled_from(["x", "y.z"]), min_size=1).map(
        lambda labels: Selector(tuple(sorted(labels.items())))
    ),
    st.sampled_from(
        [
            Selector(expressions=(Expression("a", Operator.IN, ("x", "y")),)),
            Selector((("k", "v"),), (Expression("b", Operator.DOES_NOT_EXIST),)),
        ]
    ),
)
OFFICE = Budget(0, is_percent=False, window=60, schedule="0 9 * * mon-fri", duration=3600, time_zone="Europe/Paris")
budgets = st.lists(st.sampled_from([Budget(10, is_percent=True, window=600), OFFICE]), max_size=2, unique=True)
common = st.fixed_dictionaries(
    {
        "workloads": selectors,
        "clusters": selectors,
        "names": st.lists(st.sampled_from(["cart", "mail"]), unique=True),
        "kinds": st.sampled_from([(), ("Deployment",)]),
        "mode": st.sampled_from(Mode),
        "suspend": st.booleans(),
        "priority": st.integers(-1000, 1000),
        "min_improvement": st.integers(0, 100),
        "budgets": budgets,
    }
)
spreads = st.lists(
    st.builds(spread, st.sampled_from(Level), max_share=st.integers(1, 100), min_domains=st.integers(0, 9)),
    max_size=3,
    unique_by=lambda one: one.level,
)
placements = st.builds(
    lambda given, **own: placement("shop/x", **own, **given),
    common,
    load=st.sampled_from(Load),
    allow=st.none() | selectors,
    deny=st.none() | selectors,
    spread=spreads,
)
demands = st.one_of(
    st.integers(0, 999),
    st.sampled_from(["250m", "1500m"]),
    st.dictionaries(st.sampled_from(["eu-1", "eu-1/a", "us-1"]), st.integers(0, 99), min_size=1),
)
capacities = st.builds(
    lambda given, bounds, **own: capacity("shop/x", minimum=min(bounds), maximum=max(bounds), **own, **given),
    common,
    st.tuples(st.integers(0, 9), st.integers(1, 9)),
    demand=demands,
    per_replica=st.integers(1, 100),
    quantile=st.integers(50, 99),
    headroom=st.integers(0, 50),
    horizon=st.sampled_from(["30m", "1h", "7d"]),
)
failovers = st.builds(
    lambda given, **own: failover("shop/x", **own, **given),
    common,
    tolerate=st.dictionaries(st.sampled_from([*Level]), st.integers(1, 2), min_size=1),
    tier=st.integers(0, 9),
    share=st.integers(1, 100),
    on_loss=st.sampled_from([Mode.RECOMMEND, Mode.ENFORCE]),
    rto=st.sampled_from(["", "90s"]),
    failback=st.sampled_from(Failback),
    soak=st.sampled_from(["5m", "1h"]),
    shed=st.none() | st.integers(0, 9),
)


@given(st.one_of(placements, capacities, failovers))
def test_an_intent_survives_being_declared(intent: Intent) -> None:
    read = parse_any(body(intent))
    assert isinstance(read, Intent)
    assert replace(read, common=replace(read.common, uid=intent.common.uid)) == intent


def test_defaults_are_left_unsaid() -> None:
    declared = body(failover("shop/x", tolerate={"zone": 1}))
    assert declared["spec"] == {
        "mode": "Recommend",
        "target": {"workloads": {}},
        "tolerate": [{"scope": "zone", "failures": 1}],
    }


def test_hashed_names_change_names_alone() -> None:
    asked: list[Intent] = [
        placement("media/cheap"),
        placement("pay/eu", allow={JURISDICTION: "eu"}, mode=Mode.ENFORCE),
        failover("shop/crit", tolerate={"cluster": 1}, share=60, names=["cart"]),
    ]
    plain = a_snapshot(a_small_fleet(), asked)
    secret = hashed(plain, b"salt")
    before, after = conclude(plain), conclude(secret)
    assert before.overview.allocated == after.overview.allocated
    assert sorted(d.cost_after for d in before.decisions) == sorted(d.cost_after for d in after.decisions)
    assert sorted(len(d.actions) for d in before.decisions) == sorted(len(d.actions) for d in after.decisions)
    assert not {"shop", "cart", "eu-1", "acme"} & {
        part for key in secret.fleet.workloads.key for part in key.split("/")
    }
    assert hashed(plain, b"salt").digest == secret.digest
    assert hashed(plain, b"pepper").digest != secret.digest
