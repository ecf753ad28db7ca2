"""From bodies to values: defaults, several faults at once, and anything that is no object."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from archgov.api.fault import SHOWN, IntentError
from archgov.api.kind import API_VERSION
from archgov.api.registry import KINDS, UNDECLARED, parse_any
from archgov.model.intent import CapacityIntent, Disruption, FailoverIntent, Governance, Mode, PlacementIntent, Target


def body(kind: str = "PlacementIntent", /, **spec: Any) -> dict[str, Any]:
    metadata = {"name": "x", "namespace": "shop", "uid": "u-1", "generation": 3}
    return {"apiVersion": API_VERSION, "kind": kind, "metadata": metadata, "spec": spec}


def fault_of(wrong: dict[str, Any]) -> IntentError:
    with pytest.raises(IntentError) as refused:
        parse_any(wrong)
    return refused.value


EVERYTHING: dict[str, Any] = {"workloads": {}}


def test_what_is_left_out_has_the_defaults_of_the_model() -> None:
    placement = parse_any(body(target=EVERYTHING))
    assert isinstance(placement, PlacementIntent)
    assert placement == PlacementIntent(common=placement.common)
    assert (placement.common.uid, placement.common.generation) == ("u-1", 3)
    assert (placement.common.target, placement.common.disruption) == (Target(), Disruption())
    capacity = parse_any(body("CapacityIntent", target=EVERYTHING, demand={"static": 0}, perReplica=1))
    assert isinstance(capacity, CapacityIntent)
    assert capacity == CapacityIntent(common=capacity.common, demand=capacity.demand)
    failover = parse_any(body("FailoverIntent", target=EVERYTHING, tolerate=[{"scope": "zone"}]))
    assert isinstance(failover, FailoverIntent)
    assert failover == FailoverIntent(common=failover.common, tolerate=failover.tolerate)
    fleet = {"apiVersion": API_VERSION, "kind": "Fleet", "metadata": {"name": "fleet"}, "spec": {}}
    assert parse_any(fleet) == UNDECLARED


@pytest.mark.parametrize(
    ("own", "counts"), [(None, Mode.ENFORCE), ("Observe", Mode.OBSERVE), ("Recommend", Mode.RECOMMEND)]
)
def test_a_mode_that_is_not_named_is_the_one_of_the_fleet(own: str | None, counts: Mode) -> None:
    spec: dict[str, Any] = {"target": EVERYTHING, "mode": own}
    intent = parse_any(body(**spec), Governance(default_mode=Mode.ENFORCE))
    assert isinstance(intent, PlacementIntent)
    assert intent.common.mode is counts


def test_a_blank_field_counts_as_not_written() -> None:
    intent = parse_any(body(target={"workloads": {}, "clusters": None}, allow=None, suspend=None))
    assert isinstance(intent, PlacementIntent)
    assert (intent.allow, intent.common.suspend) == (None, False)


def test_a_traceparent_that_makes_no_sense_is_left_out() -> None:
    wrong = body(target=EVERYTHING)
    wrong["metadata"]["annotations"] = {"archgov.io/traceparent": "00-xyz"}
    intent = parse_any(wrong)
    assert isinstance(intent, PlacementIntent)
    assert intent.common.traceparent == ""


def test_a_misspelt_field_is_answered_with_the_one_that_was_meant() -> None:
    assert str(fault_of(body(target=EVERYTHING, spraed=[]))) == "spec.spraed is unknown; is spread meant?"


def test_an_unknown_field_is_answered_with_the_known_ones() -> None:
    error = fault_of(body(target={"workloads": {}, "pods": {}}))
    assert str(error) == "spec.target.pods is unknown; known here: clusters, workloads, namespaces"
    assert (error.path, error.problem) == ("spec.target.pods", "is unknown")


def test_all_faults_are_told_at_once() -> None:
    error = fault_of(body(target={}, mode="Auto", spread=[{"topologyKey": "archgov.io/cluster", "maxShare": "7"}]))
    assert {fault.path for fault in error.faults} == {"spec.mode", "spec.target.workloads", "spec.spread[0].maxShare"}
    assert all(fault.path in str(error) for fault in error.faults)


def test_very_many_faults_are_counted() -> None:
    error = fault_of(body(target=EVERYTHING, **dict.fromkeys((f"field{number}" for number in range(20)), 1)))
    assert len(error.faults) == 20
    assert str(error).endswith(f"{20 - SHOWN} more")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"apiVersion": "archgov.io/v1"}, 'apiVersion is "archgov.io/v1"; must be "archgov.io/v1alpha1"'),
        ({"kind": "TrafficIntent"}, 'kind is "TrafficIntent"; archgov.io/v1alpha1 has Fleet, MemberCluster'),
        ({"metadata": None}, "metadata is missing; add it with a name"),
        ({"metadata": {"name": "x"}}, "metadata.namespace is missing; add it"),
        (
            {"metadata": {"name": "Eu_Only", "namespace": "shop"}},
            'metadata.name is "Eu_Only"; must be lower-case letters',
        ),
        ({"metadata": {"name": "a..b", "namespace": "shop"}}, 'metadata.name is "a..b"; must be lower-case letters'),
        (
            {"metadata": {"name": "x" * 254, "namespace": "shop"}},
            "must be lower-case letters, digits, dashes, dots, at most 253",
        ),
        ({"metadata": {"name": "x", "namespace": "a.b"}}, 'metadata.namespace is "a.b"; must be lower-case letters'),
        ({"metadata": {"name": 7, "namespace": "shop"}}, "metadata.name is 7; must be text"),
        ({"metadata": {"name": "x", "namespace": "a", "labels": {"a": 1}}}, "metadata.labels.a is 1; must be text"),
        ({"spec": None}, "spec.target is missing; add it: What is governed."),
        ({"spec": []}, "spec is a list; must be an object with fields"),
        ({"data": {}}, "data is unknown; known here: apiVersion, kind, metadata, spec, status"),
    ],
)
def test_what_is_around_the_spec_is_checked_too(change: dict[str, Any], message: str) -> None:
    assert message in str(fault_of(body(target=EVERYTHING) | change))


@pytest.mark.parametrize("schedule", ["61 9 * * *", "0 9 31 2 x"])
def test_a_schedule_that_never_comes_is_refused(schedule: str) -> None:
    budget = {"limit": "0", "schedule": schedule, "duration": "1h"}
    assert "must be a cron expression" in str(fault_of(body(target=EVERYTHING, disruption={"budgets": [budget]})))


def test_a_time_zone_that_nobody_knows_is_refused() -> None:
    budget = {"limit": "0", "schedule": "0 9 * * *", "duration": "1h", "timeZone": "Europe/Atlantis"}
    assert "must be an IANA time zone" in str(fault_of(body(target=EVERYTHING, disruption={"budgets": [budget]})))


ANYTHING = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(max_size=20)
    | st.sampled_from(["10%", "5m", "1"]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
    max_leaves=12,
)
FIELDS = sorted({field.alias or name for kind in KINDS.values() for name, field in kind.spec.model_fields.items()})


@given(
    kind=st.sampled_from(sorted(KINDS)),
    metadata=ANYTHING | st.just({"name": "fleet", "namespace": "shop"}),
    spec=st.dictionaries(st.sampled_from(FIELDS), ANYTHING, max_size=6) | ANYTHING,
    status=ANYTHING,
)
def test_nothing_crashes_on_a_malformed_object(kind: str, metadata: Any, spec: Any, status: Any) -> None:
    wrong = {"apiVersion": API_VERSION, "kind": kind, "metadata": metadata, "spec": spec, "status": status}
    try:
        parse_any(wrong)
    except IntentError as error:
        assert all(fault.path and fault.problem and fault.fix for fault in error.faults)  # noqa: PT017


def test_endless_nesting_is_refused() -> None:
    endless: dict[str, Any] = {}
    endless["matchLabels"] = endless
    assert "is nested too deeply" in str(fault_of(body(target=EVERYTHING, allow=endless)))
