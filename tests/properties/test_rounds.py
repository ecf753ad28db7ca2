"""What holds for every fleet while its rounds are carried out one after the other."""

from __future__ import annotations

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from archgov.decide.round import Round
from archgov.model.fleet import Fixed
from archgov.model.intent import Budget, Intent, Load, Mode
from archgov.optimize.placement.judge import violated
from tests.build import Workload, a_cluster, a_workload, capacity, failover, placement, spread
from tests.world import World

CLUSTERS = ("ap", "eu", "us")
ZONES = "abc"
EU = {"archgov.io/jurisdiction": "eu"}


@st.composite
def workloads(draw: st.DrawFn, name: str) -> Workload:
    at = {f"{cluster}/{zone}": count for cluster in CLUSTERS for zone in ZONES if (count := draw(st.integers(0, 2)))}
    spec = {cluster: sum(n for place, n in at.items() if place.startswith(cluster)) for cluster in CLUSTERS}
    fixed = draw(st.sampled_from([Fixed.FREE, Fixed.FREE, Fixed.FREE, Fixed.STATEFUL]))
    return a_workload(
        f"shop/{name}",
        at,
        spec=spec,
        cpu=draw(st.sampled_from(["500m", "1", "2"])),
        zone_skew=draw(st.sampled_from([0, 1])),
        fixed=fixed,
    )


@st.composite
def intents(draw: st.DrawFn, name: str) -> Intent:
    mode = draw(st.sampled_from([Mode.ENFORCE, Mode.ENFORCE, Mode.RECOMMEND]))
    budgets = [Budget(draw(st.integers(1, 3)), is_percent=False, window=60)] if draw(st.booleans()) else []
    match draw(st.integers(0, 2)):
        case 0:
            return placement(
                f"shop/p-{name}",
                names=[name],
                mode=mode,
                load=draw(st.sampled_from(list(Load))),
                allow=draw(st.sampled_from([None, EU])),
                spread=draw(
                    st.sampled_from([[], [spread("cluster", max_share=60)], [spread("region", min_domains=2)]])
                ),
                budgets=budgets,
            )
        case 1:
            amount = draw(st.integers(0, 8))
            return capacity(f"shop/c-{name}", names=[name], mode=mode, demand=str(amount), budgets=budgets)
        case _:
            level = draw(st.sampled_from(["zone", "cluster"]))
            share = draw(st.sampled_from([50, 100]))
            return failover(
                f"shop/f-{name}", names=[name], mode=mode, tolerate={level: 1}, share=share, budgets=budgets
            )


@st.composite
def worlds(draw: st.DrawFn) -> World:
    names = ("cart", "search", "queue")[: draw(st.integers(1, 3))]
    return World(
        clusters=[
            a_cluster("ap", region="ap-south", price="0.02"),
            a_cluster("eu", region="eu-west", labels=EU, price="0.03"),
            a_cluster("us", region="us-east", price="0.04"),
        ],
        nodes={f"{cluster}/{zone}": 1 for cluster in CLUSTERS for zone in ZONES},
        workloads=[draw(workloads(name)) for name in names],
        intents=[draw(intents(f"{name}")) for name in names] + ([draw(intents("cart"))] if draw(st.booleans()) else []),
    )


def distinct(world: World) -> bool:
    refs = [intent.common.ref for intent in world.intents]
    return len(refs) == len(set(refs))


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much])
@given(worlds().filter(distinct))
def test_every_round_is_safe_until_nothing_is_left_to_do(world: World) -> None:
    total = {w.ref.name: sum(w.spec.values()) for w in world.workloads}
    needs = dict(total)
    for _ in range(40):
        before = {w.ref.name: dict(w.spec) for w in world.workloads}
        round_ = world.step()
        if round_.acting is not None:
            rows = round_.stage.base.rows
            needs |= {
                round_.stage.snapshot.fleet.ref(row).name: round_.acting.asked.needs[row].total
                for row in rows
                if row in round_.acting.asked.needs
            }
        for workload in world.workloads:
            name = workload.ref.name
            assert sum(workload.spec.values()) >= min(needs[name], sum(before[name].values())), (
                "Ready fell below the need"
            )
            if workload.fixed is not Fixed.FREE:
                assert workload.spec == before[name], "a workload that is never acted on was"
        assert_sound(round_)
        if round_.is_settled and not round_.closed and not round_.decisions:
            return
    raise AssertionError("no fixed point")


def assert_sound(round_: Round) -> None:
    if round_.acting is None:
        return
    assert (
        violated(round_.acting.problem, round_.acting.target) == ()
        or (round_.acting.target == round_.acting.problem.now).all()
    ), "the judge finds fault with the plan"
    decided = {d.name for d in round_.decisions} | {o.decision.name for o in round_.stage.snapshot.decisions}
    assert all(effect.decision in decided for effect in round_.effects), "an effect without a decision"
