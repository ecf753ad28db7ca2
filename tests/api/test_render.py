"""From values to bodies: what is written can be read again, and statuses keep their times."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from archgov.api import render
from archgov.api.capacity_intent import CapacityIntentStatus
from archgov.api.decision import DecisionStatus
from archgov.api.decision import parse as parse_decision
from archgov.api.failover_intent import FailoverIntentStatus
from archgov.api.fault import IntentError
from archgov.api.instant import timestamp
from archgov.api.kind import API_VERSION
from archgov.api.member_cluster import MemberClusterStatus, losses
from archgov.api.render import LastDecision, Report, Room
from archgov.api.workload_record import REMOVALS
from archgov.api.workload_record import parse as parse_record
from archgov.model.condition import Condition, Kind, Reason, Status
from archgov.model.decision import Action, Alternative, Cause, Decision, Finding, OpenDecision, Outcome
from archgov.model.fleet import Reach
from archgov.model.intent import Loss, Mode, Record, Removal
from archgov.model.ref import ClusterName, IntentRef, WorkloadRef

NOW = 1_772_323_200
NAMES = st.from_regex(r"[a-z]([-a-z0-9]{0,10}[a-z0-9])?", fullmatch=True)
TEXTS = st.text(max_size=40)
COUNTS = st.integers(0, 10_000)
MONEY = st.integers(-(10**15), 10**15)
TIMES = st.integers(0, 4_000_000_000)
WORKLOADS = st.builds(WorkloadRef, NAMES, st.sampled_from(["Deployment", "StatefulSet", "DaemonSet"]), NAMES)
INTENTS = st.builds(IntentRef, st.sampled_from(["PlacementIntent", "FailoverIntent"]), NAMES, NAMES)


def some(each: st.SearchStrategy[Any], least: int = 0) -> st.SearchStrategy[tuple[Any, ...]]:
    return st.lists(each, min_size=least, max_size=4).map(tuple)


BY_CLUSTER = st.dictionaries(NAMES.map(ClusterName), COUNTS, max_size=4).map(lambda found: tuple(found.items()))
RECORDS = st.builds(
    Record,
    workload=WORKLOADS,
    need=COUNTS,
    needs=BY_CLUSTER,
    former=BY_CLUSTER,
    written=BY_CLUSTER,
    pending=BY_CLUSTER,
    removals=some(st.builds(Removal, TIMES, st.integers(1, 100))),
    origin=BY_CLUSTER,
    reversals=some(TIMES),
)
DECISIONS = st.builds(
    Decision,
    intents=some(INTENTS, least=1),
    actions=some(
        st.builds(
            Action, st.integers(0, 9), WORKLOADS, NAMES, COUNTS, COUNTS, st.text("0123456789abcdef"),
            st.sampled_from(Cause), TEXTS,
        )
    ),
    outcome=st.sampled_from(Outcome),
    objective=MONEY,
    bound=st.none() | MONEY,
    cost_before=MONEY,
    cost_after=MONEY,
    summary=TEXTS,
    engine=TEXTS,
    seed=COUNTS,
    snapshot=TEXTS,
    findings=some(
        st.builds(
            Finding, st.sampled_from(Reason), TEXTS, some(INTENTS), st.none() | WORKLOADS, some(TEXTS), st.booleans()
        )
    ),
    alternatives=some(st.builds(Alternative, TEXTS, TEXTS, st.none() | MONEY)),
    plan_hash=TEXTS,
    name=NAMES,
    after=some(NAMES),
)  # fmt: skip


@given(RECORDS)
def test_a_record_that_is_written_is_read_as_it_was(record: Record) -> None:
    assert parse_record(render.record_body(record)) == record


@given(DECISIONS, TIMES)
def test_a_decision_that_is_written_is_read_as_it_was(decision: Decision, created: int) -> None:
    body = render.decision_body(decision, "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01")
    body["metadata"]["creationTimestamp"] = timestamp(created)
    body["status"] = render.decision_status({}, decision, (), NOW)
    assert parse_decision(body) == OpenDecision(decision.intents[0].namespace, decision, created)


@given(st.integers(-(10**17), 10**17))
def test_a_rate_is_exact(micro: int) -> None:
    whole, _, decimals = render.rate(micro).lstrip("-").partition(".")
    assert (-1 if micro < 0 else 1) * (int(whole) * 1_000_000 + int(decimals.ljust(6, "0"))) == micro


def test_a_decision_that_nobody_reported_on_is_proposed() -> None:
    decision = Decision((IntentRef("PlacementIntent", "shop", "a"),), (), Outcome.FAILED, 0, None, 0, 0, "", name="a")
    body = {**render.decision_body(decision), "status": {"observedGeneration": -1}}
    assert parse_decision(body).decision.outcome is Outcome.PROPOSED


def test_a_status_of_a_newer_archgov_can_be_read() -> None:
    decision = Decision((IntentRef("PlacementIntent", "shop", "a"),), (), Outcome.FAILED, 0, None, 0, 0, "", name="a")
    body = {**render.decision_body(decision), "status": {"outcome": "Failed", "novelty": 3}}
    assert parse_decision(body).decision.outcome is Outcome.FAILED


def test_removals_beyond_what_fits_are_still_charged() -> None:
    removals = tuple(Removal(at, 1) for at in range(REMOVALS + 100))
    record = Record(WorkloadRef("shop", "Deployment", "a"), need=1, removals=removals)
    kept = parse_record(render.record_body(record)).removals
    assert len(kept) == REMOVALS
    for since in range(0, REMOVALS + 100, 50):
        charged = sum(removal.replicas for removal in kept if removal.at >= since)
        assert charged >= sum(removal.replicas for removal in removals if removal.at >= since)


def test_a_record_of_a_workload_with_a_very_long_name_has_a_name_that_fits() -> None:
    names = {render.record_name(WorkloadRef("shop", "StatefulSet", "a" * 252 + end)) for end in "bc"}
    assert len(names) == 2
    assert max(map(len, names)) <= 253


READY = Condition(Kind.READY, Status.TRUE, Reason.AS_DECLARED, "as declared")
STALLED = Condition(Kind.STALLED, Status.TRUE, Reason.INFEASIBLE, "a person has to choose")


def test_a_time_of_transition_changes_with_the_status_alone() -> None:
    first = render.conditions([], (READY,), 1, NOW)
    told_anew = Condition(Kind.READY, Status.TRUE, Reason.VERIFIED, "verified")
    second = render.conditions(first, (told_anew,), 2, NOW + 60)
    assert (second[0]["reason"], second[0]["observedGeneration"]) == ("Verified", 2)
    assert second[0]["lastTransitionTime"] == first[0]["lastTransitionTime"]
    lost = Condition(Kind.READY, Status.FALSE, Reason.STOPPED, "stopped")
    assert render.conditions(second, (lost,), 2, NOW + 90)[0]["lastTransitionTime"] == timestamp(NOW + 90)


def test_abnormal_conditions_go_when_they_are_not_true() -> None:
    before = render.conditions([], (STALLED, READY), 1, NOW)
    assert [told["type"] for told in before] == ["Ready", "Stalled"]
    over = Condition(Kind.STALLED, Status.FALSE, Reason.AS_DECLARED)
    assert [told["type"] for told in render.conditions(before, (READY, over), 1, NOW)] == ["Ready"]
    assert [told["type"] for told in render.conditions(before, (READY,), 1, NOW)] == ["Ready"]


def test_ready_is_there_from_the_first_visit() -> None:
    (only,) = render.conditions([], (), 1, NOW)
    assert (only["type"], only["status"]) == ("Ready", "Unknown")
    assert render.object_status({}, (), 1, NOW)["ready"] == "Unknown"


def test_conditions_that_make_no_sense_are_written_anew() -> None:
    for stored in ({"conditions": "none"}, {"conditions": [1, {}, {"type": "Ready"}]}, {}):
        status = render.object_status(stored, (READY,), 1, NOW)
        assert status["conditions"][0]["lastTransitionTime"] == timestamp(NOW)


def test_an_unchanged_report_is_an_unchanged_status() -> None:
    report = Report(Mode.ENFORCE, (STALLED, READY), "as declared", workloads=3, moves=0)
    first = render.intent_status({}, report, 1, NOW)
    assert render.intent_status(first, report, 1, NOW + 3600) == first


DECIDED = Decision(
    intents=(IntentRef("CapacityIntent", "shop", "a"),),
    actions=(Action(0, WorkloadRef("shop", "Deployment", "cart"), ClusterName("eu"), 1, 2),),
    outcome=Outcome.VERIFIED,
    objective=12_481_000,
    bound=12_443_557,
    cost_before=328_000,
    cost_after=314_552,
    summary="+1 replica",
    plan_hash="7f3a",
    name="a-7f3a",
)


def test_the_status_of_an_intent_has_the_numbers_that_matter() -> None:
    report = Report(
        mode=Mode.RECOMMEND,
        conditions=(READY,),
        summary="3 moves, cost −4.1%",
        last=LastDecision(DECIDED, NOW, trace_id="4bf92f3577b34da6a3ce929d0e0e4736"),
        workloads=4,
        moves=0,
        cost=(1_000_000, 959_000),
        need=12,
        planned=14,
        forecast_error="4.2%",
        coverage="95.1%",
    )
    status = render.intent_status({}, report, 7, NOW)
    CapacityIntentStatus.model_validate(status)
    assert (status["observedGeneration"], status["ready"], status["mode"]) == (7, "True", "Recommend")
    assert (status["workloads"], status["moves"], status["cost"]) == (4, 0, "−4.1%")
    assert (status["need"], status["planned"], status["coverage"]) == (12, 14, "95.1%")
    assert status["lastDecision"] == {
        "name": "a-7f3a",
        "planHash": "7f3a",
        "time": "2026-03-01T00:00:00Z",
        "outcome": "Verified",
        "objective": "12.481",
        "bound": "12.443557",
        "gap": "0.3%",
        "traceID": "4bf92f3577b34da6a3ce929d0e0e4736",
    }


def test_the_status_of_a_failover_intent_names_what_stands_elsewhere() -> None:
    names = tuple(f"shop/{number}" for number in range(50))
    status = render.intent_status({}, Report(Mode.ENFORCE, (), survivable=(5, 6), failed_over=names), 1, NOW)
    FailoverIntentStatus.model_validate(status)
    assert status["survivable"] == "5/6 losses"
    assert status["failedOver"] == list(names[:20])


def test_the_status_of_a_decision_says_what_became_of_it() -> None:
    status = render.decision_status({}, DECIDED, (READY,), NOW, done=1, verified=NOW, cost=295_200, reason="as planned")
    DecisionStatus.model_validate(status)
    assert (status["outcome"], status["progress"], status["verified"]) == (
        "Verified",
        "1/1 actions",
        "2026-03-01T00:00:00Z",
    )
    assert status["measured"] == {"cost": "0.2952", "change": "−10.0%"}


def test_the_status_of_a_member_cluster_says_what_is_seen() -> None:
    zone = Room(2, (("cpu", 7_500), ("memory", 16 << 30)), (("cpu", 250), ("memory", 100 << 20)))
    status = render.member_status(
        {},
        (READY,),
        1,
        NOW,
        reach=Reach.UNKNOWN,
        evidence="API server does not answer: timeout",
        lag=41,
        room=Room(2, (("cpu", 8_000), ("pods", 220)), ()),
        zones={"b": zone, "a": zone},
        losses=(Loss(ClusterName("eu"), "b", NOW, NOW + 60), Loss(ClusterName("eu"), "", NOW)),
    )
    MemberClusterStatus.model_validate(status)
    assert (status["reach"], status["lag"], status["capacity"]) == ("unknown", 41, {"cpu": "8", "pods": "220"})
    assert [told["name"] for told in status["zones"]] == ["a", "b"]
    assert status["zones"][0]["capacity"] == {"cpu": "7500m", "memory": "16Gi"}
    assert status["zones"][0]["inUse"] == {"cpu": "250m", "memory": "100Mi"}
    assert status["losses"] == [
        {"since": "2026-03-01T00:00:00Z"},
        {"zone": "b", "since": "2026-03-01T00:00:00Z", "ended": "2026-03-01T00:01:00Z"},
    ]


@given(
    some(st.builds(Loss, st.just(ClusterName("eu")), NAMES, TIMES, st.just(0) | st.integers(1, 4_000_000_000))),
)
def test_losses_that_are_written_are_read_as_they_were(lost: tuple[Loss, ...]) -> None:
    nothing = Room(0, (), ())
    status = render.member_status(
        {}, (), 1, NOW, reach=Reach.YES, evidence="", lag=0, room=nothing, zones={}, losses=lost
    )
    metadata = {"name": "eu"}
    body = {"apiVersion": API_VERSION, "kind": "MemberCluster", "metadata": metadata, "spec": {"local": True}}
    assert sorted(losses({**body, "status": status}), key=repr) == sorted(lost, key=repr)
    assert losses(body) == ()


def test_a_loss_that_makes_no_sense_is_refused_by_name() -> None:
    metadata, status = {"name": "eu"}, {"losses": [{"since": "yesterday"}]}
    body = {"apiVersion": API_VERSION, "kind": "MemberCluster", "metadata": metadata, "spec": {"local": True}}
    with pytest.raises(IntentError, match=r'status.losses\[0\].since is "yesterday"; must be a time'):
        losses({**body, "status": status})


def test_a_change_reads_as_people_write_it() -> None:
    assert render.change(1000, 959) == "−4.1%"
    assert render.change(1000, 1120) == "+12.0%"
    assert render.change(1000, 1000) == "0.0%"
    assert render.change(10_000_000, 9_999_999) == "0.0%"
    assert (render.change(0, 0), render.change(0, 5)) == ("0.0%", "new")


def test_a_long_message_is_cut() -> None:
    (told,) = render.conditions([], (Condition(Kind.READY, Status.TRUE, Reason.APPLIED, "x" * 5000),), 1, NOW)
    assert len(told["message"]) == 1024
    assert told["message"].endswith("…")
