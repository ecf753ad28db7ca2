"""Values to plain lists with nothing lost on the way back."""

from __future__ import annotations

import inspect
import json
from dataclasses import is_dataclass
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from archgov.model import condition, decision, fleet, intent, ref, selector, shape, snapshot
from archgov.model.intent import Intent, Loss, Mode, PlacementIntent, Target
from archgov.model.plain import from_plain, to_plain
from archgov.model.ref import ClusterName, IntentRef
from tests.build import placement
from tests.strategies import values_of

TABLES = {"Fleet", "NodeTable", "WorkloadTable", "DeployedTable", "StandingTable", "Snapshot"}
RECORDS = [
    kind
    for module in (condition, decision, fleet, intent, ref, selector, shape, snapshot)
    for _, kind in inspect.getmembers(module, is_dataclass)
    if isinstance(kind, type) and kind.__module__ == module.__name__ and kind.__name__ not in TABLES
]


def test_there_are_records_to_write() -> None:
    assert {kind.__name__ for kind in RECORDS} >= {"PlacementIntent", "OpenDecision", "Finding", "Quota", "Series"}


@pytest.mark.parametrize("kind", RECORDS, ids=lambda kind: kind.__name__)
@settings(max_examples=15)
@given(data=st.data())
def test_every_record_survives_being_written_as_json(kind: type, data: st.DataObject) -> None:
    value = data.draw(values_of(kind))
    assert from_plain(kind, json.loads(json.dumps(to_plain(value)))) == value


def test_a_union_is_told_apart_by_the_names_of_its_records() -> None:
    written = to_plain((placement("shop/even"),))
    assert isinstance(from_plain(tuple[Intent, ...], written)[0], PlacementIntent)


@pytest.mark.parametrize(
    ("kind", "plain"),
    [
        (Target, ["Loss", "eu-1", "", 0, 0]),
        (Loss, ["Loss", "eu-1", ""]),
        (Loss, ["Loss", "eu-1", "", "soon", 0]),
        (Loss, ["Loss", "eu-1", "", True, 0]),
        (Loss, ["Loss", 7, "", 0, 0]),
        (Loss, []),
        (Loss, 7),
        (Loss, None),
        (Mode, "Rule"),
        (Intent, ["Loss", "eu-1", "", 0, 0]),
        (Intent, [["PlacementIntent"]]),
        (tuple[str, int], ["a"]),
        (tuple[int, ...], ["a"]),
    ],
)
def test_what_describes_another_type_is_refused(kind: Any, plain: Any) -> None:
    with pytest.raises(ValueError):
        from_plain(kind, plain)


def test_a_name_is_read_as_the_text_that_it_is() -> None:
    assert from_plain(Loss, ["Loss", "eu-1", "a", 5, 0]) == Loss(ClusterName("eu-1"), "a", 5)
    assert from_plain(IntentRef, to_plain(IntentRef("PlacementIntent", "shop", "a"))).key == "PlacementIntent/shop/a"
