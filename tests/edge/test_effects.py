"""The last look before a write, and what is remembered of it."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Any, cast

import pytest
from hypothesis import given
from hypothesis import strategies as st

from archgov.decide.round import Effect
from archgov.edge import rows
from archgov.edge.claim import Claims
from archgov.edge.client import MERGE_PATCH, Api, ApiError, NoAnswer
from archgov.edge.effects import Effects, Result, without
from archgov.edge.elect import Terms
from archgov.edge.observe import uid_bytes
from archgov.edge.rows import DeploymentRow
from archgov.edge.tree import Json
from archgov.model.decision import Action
from archgov.model.intent import Record, Removal
from archgov.model.ref import ClusterName, WorkloadRef
from tests.manifests import deployment

CART = WorkloadRef("shop", "Deployment", "cart")
EU, US = ClusterName("eu"), ClusterName("us")


class Fleet:
    """Clusters with one Deployment each; `answers` are given instead of the right ones, first come first."""

    def __init__(self, **replicas: int) -> None:
        self.rows = {ClusterName(name): row(name, count) for name, count in replicas.items()}
        self.answers: list[ApiError] = []
        self.writes: list[tuple[str, int, str]] = []
        self.remembered: list[tuple[ClusterName, str]] = []
        self.alarm = asyncio.Event()
        self.leading, self.silent, self.governor = True, False, ""
        self.effects = Effects(self, Claims(cast("Api", Hub())), self.alarm, self)

    @property
    def terms(self) -> Terms:
        return Terms(lease=0.4, renew=0.3, retry=0.1)

    def leads(self, seconds: float = 0.0) -> bool:
        return self.leading and seconds < self.terms.renew

    def api(self, cluster: ClusterName) -> Api | None:
        return cast("Api", Server(self, cluster)) if cluster in self.rows else None

    def deployments(self, workload: WorkloadRef) -> Mapping[ClusterName, DeploymentRow]:
        return self.rows if workload == CART else {}

    def wrote(self, cluster: ClusterName, uid: str, scale: Json) -> None:
        assert scale["spec"]
        self.remembered.append((cluster, uid))

    async def carry_out(self, *effects: Effect, counted: int = 0) -> list[Result]:
        told: list[Result] = []
        found = await self.effects.carry_out(effects, {CART: counted}, lambda _, result: told.append(result))
        assert sorted(told) == sorted(result for _, result in found)
        return [result for _, result in found]


class Hub:
    async def get(self, _: str) -> Json:
        return {"metadata": {"uid": "me"}}


class Server:
    def __init__(self, fleet: Fleet, cluster: ClusterName) -> None:
        self.fleet, self.cluster = fleet, cluster

    async def get(self, path: str) -> Json:
        assert path == "/api/v1/namespaces/kube-public/configmaps/archgov-governor"
        if not self.fleet.governor:
            raise ApiError(404, "NotFound", "no claim")
        return {"data": {"governor": self.fleet.governor}}

    async def post(self, _: str, body: Json) -> Json:
        self.fleet.governor = body["data"]["governor"]
        return body

    async def patch(self, path: str, body: Json, content_type: str) -> Json:
        assert path.endswith("/namespaces/shop/deployments/cart/scale")
        assert content_type == MERGE_PATCH
        if self.fleet.silent:
            await asyncio.sleep(10)
        if self.fleet.answers:
            raise self.fleet.answers.pop(0)
        self.fleet.writes.append((self.cluster, body["spec"]["replicas"], body["metadata"]["resourceVersion"]))
        return {**body, "metadata": {"resourceVersion": "8"}}


def row(cluster: str, replicas: int) -> DeploymentRow:
    body = deployment("shop/cart", replicas, cluster=cluster)
    body["metadata"]["resourceVersion"] = "7"
    body["status"] = {"readyReplicas": replicas}
    found = rows.deployment_row(body)
    assert isinstance(found, DeploymentRow)
    return found


def effect(fleet: Fleet, cluster: ClusterName, before: int, after: int, **more: Any) -> Effect:
    uid = uid_bytes(fleet.rows[cluster].uid).hex() if cluster in fleet.rows else ""
    return Effect("shop", "d1", Action(0, CART, cluster, before, after, **{"uid": uid, **more}))


async def test_what_holds_is_written_with_the_version_that_was_looked_at() -> None:
    fleet = Fleet(eu=1)
    assert await fleet.carry_out(effect(fleet, EU, 1, 4)) == [Result.DONE]
    assert fleet.writes == [("eu", 4, "7")]
    assert fleet.remembered == [(EU, fleet.rows[EU].uid)]


async def test_what_somebody_else_wrote_or_made_anew_is_left_alone() -> None:
    fleet = Fleet(eu=2)
    assert await fleet.carry_out(effect(fleet, EU, 1, 4)) == [Result.CHANGED]
    assert await fleet.carry_out(effect(fleet, EU, 2, 4, uid="0" * 32)) == [Result.CHANGED]
    assert await fleet.carry_out(effect(fleet, US, 0, 4)) == [Result.GONE]
    assert fleet.writes == []


async def test_an_alarm_holds_removals_and_lets_additions_go_on() -> None:
    fleet = Fleet(eu=1, us=3)
    fleet.alarm.set()
    assert await fleet.carry_out(effect(fleet, EU, 1, 4)) == [Result.DONE]
    assert await fleet.carry_out(effect(fleet, US, 3, 0)) == [Result.HELD]


async def test_a_removal_is_held_when_fewer_are_ready_than_it_counted_on() -> None:
    fleet = Fleet(eu=3, us=3)
    fleet.rows[EU] = fleet.rows[EU]._replace(ready=2)
    assert await fleet.carry_out(effect(fleet, US, 3, 0), counted=6) == [Result.HELD]
    fleet.rows[EU] = fleet.rows[EU]._replace(ready=3)
    assert await fleet.carry_out(effect(fleet, US, 3, 0), counted=6) == [Result.DONE]


async def test_additions_come_before_removals_of_the_same_cluster() -> None:
    fleet = Fleet(eu=3)
    await fleet.carry_out(effect(fleet, EU, 3, 1), effect(fleet, EU, 3, 5))
    assert [replicas for _, replicas, _ in fleet.writes] == [5, 1]


@pytest.mark.parametrize(
    ("answer", "result", "told"),
    [
        (ApiError(409, "Conflict", "somebody was faster"), Result.REFUSED, False),
        (ApiError(403, "Forbidden", "deployments/scale may not be patched"), Result.REFUSED, True),
        (NoAnswer("Timeout", "no answer within 5 s"), Result.UNANSWERED, False),
    ],
)
async def test_a_race_is_no_trouble_and_a_refusal_is(answer: ApiError, result: Result, told: bool) -> None:
    fleet = Fleet(eu=1)
    fleet.answers = [answer]
    assert await fleet.carry_out(effect(fleet, EU, 1, 4)) == [result]
    assert (CART in fleet.effects.refused) is told
    assert await fleet.carry_out(effect(fleet, EU, 1, 4)) == [Result.DONE]
    assert fleet.effects.refused == {}


@given(before=st.integers(0, 9), after=st.integers(0, 9), charged=st.integers(1, 9))
def test_what_did_not_happen_leaves_no_trace_in_the_record(before: int, after: int, charged: int) -> None:
    clean = Record(CART, 5, written=((EU, before), (US, 1)), removals=(Removal(1, charged),))
    action = Action(0, CART, EU, before, after)
    taken = (Removal(2, action.removes),) if action.removes else ()
    foreseen = Record(
        CART, 5, written=((EU, after), (US, 1)), pending=((EU, before),), removals=(*clean.removals, *taken)
    )
    assert without(foreseen, action, 2) == clean


async def test_who_does_not_lead_writes_nothing() -> None:
    fleet = Fleet(eu=1)
    fleet.leading = False
    assert await fleet.carry_out(effect(fleet, EU, 1, 4)) == [Result.HELD]
    assert fleet.writes == []


async def test_an_effect_is_given_up_before_the_next_leader_may_begin() -> None:
    fleet = Fleet(eu=1)
    fleet.silent = True
    assert await fleet.carry_out(effect(fleet, EU, 1, 4)) == [Result.UNANSWERED]
    assert fleet.writes == []


async def test_the_first_effect_claims_a_cluster_and_one_that_another_archgov_governs_is_left_alone() -> None:
    fleet = Fleet(eu=1)
    assert await fleet.carry_out(effect(fleet, EU, 1, 4)) == [Result.DONE]
    assert fleet.governor == "me"
    taken = Fleet(eu=1)
    taken.governor = "somebody else"
    assert await taken.carry_out(effect(taken, EU, 1, 4)) == [Result.REFUSED]
    assert taken.writes == []
    assert "delete ConfigMap kube-public/archgov-governor there" in taken.effects.refused[CART]
    taken.governor = ""
    assert await taken.carry_out(effect(taken, EU, 1, 4)) == [Result.DONE]
