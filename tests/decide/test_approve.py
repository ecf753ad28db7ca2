"""People in the loop: nothing moves before somebody says so, then exactly that plan does."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from archgov.decide.round import Round
from archgov.model.approval import Ruling
from archgov.model.condition import Condition, Kind, Reason, Status
from archgov.model.decision import Cause, Decision, OpenDecision, Outcome
from archgov.model.fleet import CLUSTER_LABEL
from archgov.model.intent import Governance, Intent, Load, Loss, Mode, Stopped, Witness
from archgov.model.ref import ClusterName
from tests.build import capacity, placement
from tests.decide.test_round import EU, a_world, worker
from tests.world import World


def cheap(**more: Any) -> Intent:
    return placement("media/cheap", mode=Mode.APPROVE, load=Load.FOLLOWS_REPLICAS, **more)


def waiting(*more: Intent, at: dict[str, int] | None = None) -> tuple[World, Decision]:
    """A plan to move three workers to where they are cheaper, which waits for a person."""
    world = a_world(worker("media/encode", at or {"us/a": 3}), intents=[cheap(), *more])
    world.step()
    world.step()
    (one,) = [one for one in world.decisions if one.decision.intents[0].name == "cheap"]
    return world, one.decision


def condition(round_: Round, kind: Kind, name: str = "cheap") -> Condition | None:
    verdict = next(v for v in round_.verdicts if v.intent.name == name)
    return next((c for c in verdict.conditions if c.kind is kind), None)


def word(world: World) -> tuple[bool, Reason]:
    heard = world.rounds[-1].stage.heard[-1]
    return heard.counts, heard.reason


def test_a_plan_waits_and_says_how_to_release_it() -> None:
    world, decision = waiting()
    last = world.step()
    assert world.replicas("media/encode") == {"us": 3}
    approved = condition(last, Kind.APPROVED)
    assert approved is not None
    assert (approved.status, approved.reason) == (Status.FALSE, Reason.WAITING_FOR_APPROVAL)
    assert f"archgov approve {decision.name} -n media" in approved.message
    ready = condition(last, Kind.READY)
    assert ready is not None
    assert (ready.status, ready.reason) == (Status.TRUE, Reason.WAITING_FOR_APPROVAL)
    assert last.is_settled
    assert last.verdicts[0].summary.startswith("waits for approval: 3 replicas, cost −50.0%")


def test_an_approved_plan_is_carried_out_as_it_was_shown_and_verified() -> None:
    world, decision = waiting()
    world.say(Ruling.APPROVE, decision)
    first = world.step()
    assert [(d.name, d.outcome, d.approved_by) for d in first.decisions] == [(decision.name, Outcome.APPLYING, "ada")]
    assert {e.decision for e in first.effects} == {decision.name}
    assert first.effects[0].action.wave == 0
    last = world.settle()
    assert world.replicas("media/encode") == {"ap": 3}
    assert world.outcomes() == [Outcome.VERIFIED]
    assert word(world) == (True, Reason.VERIFIED)
    assert condition(last, Kind.APPROVED) is None


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"author": ""}, Reason.AUTHOR_UNVERIFIED),
        ({"decision": "somebody-elses"}, Reason.NO_SUCH_DECISION),
        ({"plan_hash": "0" * 64}, Reason.OTHER_PLAN),
        ({"until": 1}, Reason.EXPIRED),
        ({"namespace": "shop"}, Reason.NO_SUCH_DECISION),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_a_word_that_does_not_fit_releases_nothing(change: dict[str, Any], reason: Reason) -> None:
    world, decision = waiting()
    world.approvals.append(replace(world.say(Ruling.APPROVE, decision), **change))
    del world.approvals[0]
    world.settle()
    assert word(world) == (False, reason)
    assert world.replicas("media/encode") == {"us": 3}


def test_the_beginning_of_a_hash_is_enough() -> None:
    world, decision = waiting()
    world.say(Ruling.APPROVE, decision, plan_hash=decision.plan_hash[:8])
    world.settle()
    assert world.replicas("media/encode") == {"ap": 3}


def test_a_recommendation_is_not_released_by_anybody() -> None:
    world = a_world(worker("media/encode", {"us/a": 3}), intents=[replace_mode(cheap(), Mode.RECOMMEND)])
    world.step()
    world.say(Ruling.APPROVE, world.decisions[0].decision)
    world.settle()
    assert word(world) == (False, Reason.NOT_AWAITED)
    assert world.replicas("media/encode") == {"us": 3}


def replace_mode(intent: Intent, mode: Mode) -> Intent:
    return replace(intent, common=replace(intent.common, mode=mode))


def test_a_plan_of_an_intent_that_was_changed_since_is_another_plan() -> None:
    world, decision = waiting()
    world.say(Ruling.APPROVE, decision)
    world.intents = [replace(world.intents[0], common=replace(world.intents[0].common, generation=2))]
    world.settle()
    assert [round_.stage.heard[0].reason for round_ in world.rounds[2:4]] == [Reason.OTHER_PLAN, Reason.NOT_AWAITED]
    assert world.replicas("media/encode") == {"us": 3}


def test_waves_are_released_one_by_one() -> None:
    world, decision = waiting()
    world.say(Ruling.APPROVE, decision, waves=1)
    last = [world.step() for _ in range(4)][-1]
    assert world.replicas("media/encode") == {"us": 3, "ap": 3}
    assert "the waves after it wait" in str(condition(last, Kind.APPROVED))
    assert world.outcomes() == [Outcome.APPLYING]
    world.say(Ruling.APPROVE, decision)
    world.settle()
    assert world.replicas("media/encode") == {"ap": 3}
    assert world.outcomes() == [Outcome.VERIFIED]


def test_a_rejected_plan_is_not_proposed_again_until_then() -> None:
    world, decision = waiting()
    world.say(Ruling.REJECT, decision, reason="after the sale", until=world.now + 600)
    last = world.step()
    assert [(one.outcome, one.reason.partition(" until")[0]) for one in last.closed] == [
        (Outcome.REJECTED, "rejected by ada")
    ]
    last = world.settle()
    assert world.decisions == []
    rejected = condition(last, Kind.APPROVED)
    assert rejected is not None
    assert (rejected.reason, "after the sale" in rejected.message) == (Reason.REJECTED, True)
    world.now += 700
    again = world.step()
    assert [(d.name, d.outcome) for d in again.decisions] == [(decision.name, Outcome.PROPOSED)]


def test_a_word_that_is_taken_back_stops_the_plan_where_it_is_safe() -> None:
    world, decision = waiting()
    world.say(Ruling.APPROVE, decision)
    world.step()
    world.approvals.clear()
    world.settle()
    assert sum(world.replicas("media/encode").values()) == 6
    assert world.history[0].decision.name == decision.name
    assert world.outcomes()[0] is Outcome.SUPERSEDED


@pytest.mark.parametrize(
    ("others", "told"),
    [
        ([placement("media/not-ap", deny={CLUSTER_LABEL: "ap"}, mode=Mode.ENFORCE)], "spec.deny"),
        ([capacity("media/more", demand="9", per_replica="1", mode=Mode.ENFORCE)], ""),
    ],
    ids=["it would break residency by now", "it breaks nothing new"],
)
def test_an_approved_plan_is_asked_again_of_the_fleet_as_it_is(others: list[Intent], told: str) -> None:
    world, decision = waiting()
    world.intents += others
    world.say(Ruling.APPROVE, decision)
    world.step()
    heard = world.rounds[-1].stage.heard[-1]
    if told:
        assert (heard.counts, heard.reason) == (False, Reason.NO_LONGER_HOLDS)
        assert told in heard.message
        world.settle()
        assert "ap" not in world.replicas("media/encode")
    else:
        assert heard.counts


def test_replicas_that_somebody_else_set_meanwhile_are_not_overwritten() -> None:
    world, decision = waiting()
    world.scale("media/encode", "us", 5)
    world.say(Ruling.APPROVE, decision)
    world.step()
    heard = world.rounds[-1].stage.heard[-1]
    assert (heard.counts, heard.reason) == (False, Reason.NO_LONGER_HOLDS)
    assert "has 5 replicas in us" in heard.message


def test_while_something_is_lost_approved_plans_wait() -> None:
    world, decision = waiting()
    world.say(Ruling.APPROVE, decision)
    world.losses = (Loss(ClusterName("eu"), since=world.now),)
    world.clusters[1] = replace(world.clusters[1], reach=type(world.clusters[1].reach).UNKNOWN, silent=True)
    world.witnesses = (Witness("w", ClusterName("eu"), "g", answers=False),)
    assert world.step().effects == ()


def test_approved_capacity_becomes_the_need() -> None:
    world = a_world(
        worker("shop/web", {"eu/a": 3}),
        intents=[capacity("shop/demand", demand="7", per_replica="1", mode=Mode.APPROVE)],
    )
    world.step()
    world.say(Ruling.APPROVE, world.decisions[0].decision)
    world.settle()
    assert world.replicas("shop/web") == {"eu": 7}
    assert world.records[world.workloads[0].ref].need == 7
    # Taken back, what was there is the need again: whoever asked for more isn't asked.
    world.say(Ruling.ROLLBACK, world.history[0].decision)
    world.settle()
    assert world.replicas("shop/web") == {"eu": 3}
    assert world.records[world.workloads[0].ref].need == 3
    assert word(world) == (True, Reason.ROLLED_BACK)


def test_a_rollback_goes_back_in_waves_and_keeps_it_until_then() -> None:
    world, decision = waiting()
    world.say(Ruling.APPROVE, decision)
    world.settle()
    world.say(Ruling.ROLLBACK, decision, author="eve", reason="latency", until=world.now + 3600)
    first = world.step()
    (back,) = first.decisions
    assert (back.outcome, back.approved_by, {a.cause for a in back.actions}) == (
        Outcome.APPLYING,
        "eve",
        {Cause.ROLLBACK},
    )
    assert back.actions[0].why == f"{decision.name} is taken back: latency"
    world.settle()
    assert world.replicas("media/encode") == {"us": 3}
    assert world.outcomes() == [Outcome.VERIFIED, Outcome.VERIFIED]
    assert world.decisions == []  # what was taken back is not proposed again
    world.now += 4000
    world.settle()
    assert [one.decision.outcome for one in world.decisions] == [Outcome.PROPOSED]
    # The same plan under the same name: the approval of the first is none of the second.
    assert world.decisions[0].decision.name == decision.name
    assert [one.reason for one in world.rounds[-1].stage.heard] == [Reason.OTHER_PLAN] * 2
    assert world.replicas("media/encode") == {"us": 3}
    world.say(Ruling.APPROVE, decision)
    world.settle()
    assert world.replicas("media/encode") == {"ap": 3}


def test_even_what_is_enforced_can_be_taken_back_but_never_residency() -> None:
    world = a_world(worker("media/encode", {"us/a": 3}), intents=[replace_mode(cheap(), Mode.ENFORCE)])
    world.settle()
    decision = world.history[0].decision
    world.say(Ruling.ROLLBACK, decision)
    world.settle()
    assert world.replicas("media/encode") == {"us": 3}
    strict = a_world(worker("media/encode", {"us/a": 3}), intents=[replace_mode(cheap(allow=EU), Mode.ENFORCE)])
    strict.settle()
    strict.say(Ruling.ROLLBACK, strict.history[0].decision)
    strict.settle()
    assert strict.replicas("media/encode") == {"eu": 3}
    heard = strict.rounds[-1].stage.heard[-1]
    assert (heard.counts, heard.reason) == (False, Reason.NO_LONGER_HOLDS)
    assert "spec.allow" in heard.message


@pytest.mark.parametrize("outcome", [Outcome.PROPOSED, Outcome.VERIFIED])
@pytest.mark.parametrize(
    ("namespace", "workload", "reason"),
    [
        ("evil", "media/encode", Reason.NO_SUCH_DECISION),
        ("media", "pay/ledger", Reason.NOT_AWAITED),
    ],
    ids=["filed elsewhere", "about a workload that its intent doesn't govern"],
)
def test_a_plan_that_archgov_never_made_is_not_carried_out(
    outcome: Outcome, namespace: str, workload: str, reason: Reason
) -> None:
    world = a_world(worker("media/encode", {"us/a": 3}), worker("pay/ledger", {"us/a": 3}), intents=[cheap()])
    world.step()
    (real,) = world.decisions
    target = next(one.ref for one in world.workloads if f"{one.ref.namespace}/{one.ref.name}" == workload)
    actions = tuple(replace(action, workload=target, after=9) for action in real.decision.actions)
    forged = replace(real.decision, actions=actions, name="forged", plan_hash="f" * 64, outcome=outcome)
    opened = OpenDecision(namespace, forged, world.now)
    world.history.append(opened)
    if outcome is Outcome.PROPOSED:
        world.decisions.append(opened)
    said = world.say(Ruling.APPROVE if outcome is Outcome.PROPOSED else Ruling.ROLLBACK, forged, until=world.now + 600)
    world.approvals = [replace(said, namespace=namespace)]
    first = world.step()
    assert (first.stage.heard[0].counts, first.stage.heard[0].reason) == (False, reason)
    world.settle()
    assert (world.replicas("media/encode"), world.replicas("pay/ledger")) == ({"us": 3}, {"us": 3})


def test_rejecting_what_asks_nobody_says_what_to_do_instead() -> None:
    world = a_world(worker("media/encode", {"us/a": 3}), intents=[replace_mode(cheap(), Mode.ENFORCE)])
    world.step()
    world.say(Ruling.REJECT, world.decisions[0].decision)
    world.settle()
    heard = world.rounds[-1].stage.heard[-1]
    assert (heard.counts, heard.reason) == (False, Reason.NOT_AWAITED)
    assert "spec.suspend" in heard.message


def test_the_last_word_stands_of_those_that_could() -> None:
    world, decision = waiting()
    world.say(Ruling.REJECT, decision)
    world.now += 1
    world.say(Ruling.APPROVE, decision, plan_hash="0" * 64)
    world.step()
    assert [one.reason for one in world.rounds[-1].stage.heard] == [Reason.REJECTED, Reason.OTHER_PLAN]
    world.now += 1
    world.say(Ruling.REJECT, decision, author="eve")
    world.step()
    assert [one.reason for one in world.rounds[-1].stage.heard][::2] == [Reason.SUPERSEDED, Reason.REJECTED]


@pytest.mark.parametrize("until", [1, 86_400 * 365 * 100], ids=["long over", "counting"])
@pytest.mark.parametrize("mode", [Mode.ENFORCE, Mode.APPROVE])
def test_approving_what_is_over_ends_no_rollback(mode: Mode, until: int) -> None:
    world = a_world(worker("media/encode", {"us/a": 3}), intents=[replace_mode(cheap(), mode)])
    world.step()
    decision = world.history[0].decision
    if mode is Mode.APPROVE:
        world.say(Ruling.APPROVE, decision)
    world.settle()
    world.say(Ruling.ROLLBACK, decision, until=world.now + 36_000)
    world.settle()
    world.say(Ruling.APPROVE, decision, until=until)
    world.settle()
    heard = world.rounds[-1].stage.heard[-1]
    assert (heard.counts, heard.reason) == (False, Reason.NOT_AWAITED)
    assert "there is nothing to approve" in heard.message
    assert world.replicas("media/encode") == {"us": 3}
    assert world.decisions == []


def test_approving_what_was_rejected_brings_it_back_neither_now_nor_in_turns() -> None:
    world, decision = waiting()
    world.say(Ruling.REJECT, decision, until=world.now + 36_000)
    world.settle()
    world.say(Ruling.APPROVE, decision, until=1)
    last = [world.step() for _ in range(4)]
    assert all(not round_.decisions and not round_.closed for round_ in last)
    assert [one.reason for one in last[-1].stage.heard] == [Reason.REJECTED, Reason.NOT_AWAITED]


def test_while_all_acting_is_stopped_nothing_begins_and_a_word_runs_out() -> None:
    world, decision = waiting()
    world.governance = Governance(stopped=Stopped("ada", "freeze"))
    world.say(Ruling.APPROVE, decision, until=world.now + 100)
    world.step()
    assert word(world) == (False, Reason.STOPPED)
    assert [one.decision.outcome for one in world.decisions] == [Outcome.PROPOSED]
    world.now += 200
    world.governance = Governance()
    world.settle()
    assert word(world) == (False, Reason.EXPIRED)
    assert world.replicas("media/encode") == {"us": 3}


def test_a_plan_that_is_begun_in_time_goes_on_when_the_word_runs_out() -> None:
    world, decision = waiting()
    world.say(Ruling.APPROVE, decision, until=world.now + 30)
    world.step()
    world.now += 100
    world.settle()
    assert world.replicas("media/encode") == {"ap": 3}
    assert world.outcomes() == [Outcome.VERIFIED]


def test_a_word_that_came_too_late_for_a_running_plan_releases_no_more_of_it() -> None:
    world, decision = waiting()
    world.say(Ruling.APPROVE, decision, waves=1)
    [world.step() for _ in range(4)]
    world.say(Ruling.APPROVE, decision, until=1)
    world.settle()
    assert word(world) == (False, Reason.EXPIRED)
    assert world.replicas("media/encode") == {"us": 3, "ap": 3}
    assert world.rounds[-1].verdicts[0].summary == "waits for approval of the next wave: 1 action"
    assert world.rounds[-1].stage.heard[0].message == "the first 1 wave of it; the others wait"


def test_a_plan_that_is_rejected_halfway_stops_there_and_can_be_taken_back() -> None:
    world, decision = waiting()
    world.say(Ruling.APPROVE, decision, waves=1)
    [world.step() for _ in range(4)]
    world.say(Ruling.REJECT, decision, author="eve")
    last = world.step()
    assert [one.outcome for one in last.closed] == [Outcome.REJECTED]
    assert f"archgov rollback {decision.name}" in last.closed[0].reason
    world.say(Ruling.ROLLBACK, decision)
    world.settle()
    assert world.replicas("media/encode") == {"us": 3}
    assert word(world) == (True, Reason.ROLLED_BACK)
    world.settle()
    assert world.replicas("media/encode") == {"us": 3}


@pytest.mark.parametrize("ruling", [Ruling.APPROVE, Ruling.ROLLBACK])
def test_without_its_intent_a_plan_is_nobodys(ruling: Ruling) -> None:
    world, decision = waiting()
    if ruling is Ruling.ROLLBACK:
        world.say(Ruling.APPROVE, decision)
        world.settle()
    before = world.replicas("media/encode")
    world.intents = []
    world.say(ruling, decision)
    heard = world.step().stage.heard[-1]
    assert (heard.counts, heard.reason) == (False, Reason.NOT_AWAITED)
    assert "is gone, suspended or refused" in heard.message
    assert world.replicas("media/encode") == before


def test_what_never_began_can_not_be_taken_back() -> None:
    world, decision = waiting()
    world.say(Ruling.ROLLBACK, decision)
    world.settle()
    assert word(world) == (False, Reason.NOT_AWAITED)
    assert [one.decision.outcome for one in world.decisions] == [Outcome.PROPOSED]
