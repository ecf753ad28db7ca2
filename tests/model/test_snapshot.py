"""Snapshot files: the same digest after a round trip, a message for anything else."""

from __future__ import annotations

import json
import zipfile
from collections.abc import Callable
from dataclasses import replace
from io import BytesIO
from random import Random
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from archgov.model.canonical import canonical
from archgov.model.decision import Decision, OpenDecision, Outcome
from archgov.model.fleet import Fixed, Fleet, Quota, Reach
from archgov.model.intent import Governance, Intent, Loss, Mode, Record, Witness
from archgov.model.names import Names
from archgov.model.ref import ClusterName, IntentRef, WorkloadRef
from archgov.model.snapshot import FORMAT, BadSnapshot, Snapshot, load, save
from archgov.model.sound import first_flaw
from tests.build import (
    MONDAY,
    a_cluster,
    a_fleet,
    a_node,
    a_series,
    a_snapshot,
    a_workload,
    capacity,
    failover,
    placement,
)
from tests.strategies import intents, raw_fleets

EU = ClusterName("eu-1")
CART = WorkloadRef("shop", "Deployment", "cart")


def a_full_snapshot() -> Snapshot:
    """One of everything."""
    fleet = a_fleet(
        ["eu-1", a_cluster("us-1", region="us", labels={"tier": "gold"})],
        [a_workload("shop/cart", {"eu-1/a": 3, "us-1/b": 1}, spec={"eu-1": 4}, ready={"eu-1/a": 2})],
        quotas=[Quota("shop", EU, (("cpu", 4000),))],
    )
    decision = Decision((), (), Outcome.PROPOSED, 10, None, 5, 4, "moves nothing", name="even-1")
    return a_snapshot(
        fleet,
        [placement("shop/even"), capacity("shop/cart", demand=10), failover("shop/n-1", tolerate={"zone": 1})],
        governance=Governance(governing=("platform",), ceilings=(("shop", 5),)),
        series=[a_series("shop/demand", {"eu-1": [1, 2, None, 4]})],
        records=[Record(CART, 4, former=((EU, 4),))],
        witnesses=[Witness("dns", EU, "net", answers=True)],
        losses=[Loss(EU, "a", 5)],
        decisions=[OpenDecision("shop", decision, 7)],
        notes=["prices are assumed"],
        lag={"eu-1": 20},
    )


def saved(snapshot: Snapshot) -> bytes:
    file = BytesIO()
    save(snapshot, file)
    return file.getvalue()


def loaded(content: bytes) -> Snapshot:
    return load(BytesIO(content))


# ------------------------------------------------------------------------------------------------------ round trip


def test_a_snapshot_comes_back_with_all_that_it_held() -> None:
    snapshot = a_full_snapshot()
    back = loaded(saved(snapshot))
    for name in ("intents", "governance", "series", "records", "witnesses", "losses", "decisions", "notes"):
        assert getattr(back, name) == getattr(snapshot, name)
        assert getattr(back, name) != getattr(Snapshot(snapshot.fleet), name)
    assert (back.now, back.seed, back.lag, back.digest) == (snapshot.now, snapshot.seed, snapshot.lag, snapshot.digest)
    assert back.fleet.clusters == snapshot.fleet.clusters
    assert back.fleet.quotas == snapshot.fleet.quotas
    assert back.fleet.spec_replicas(0) == {0: 4, 1: 1}
    assert back.fleet.uid(0, 0) == snapshot.fleet.uid(0, 0)


@settings(max_examples=40)
@given(raw_fleets(), st.lists(intents, max_size=3), st.integers(0, 2**40), st.integers(0, 2**31))
def test_any_snapshot_comes_back(raw: Fleet, asked: list[Intent], now: int, seed: int) -> None:
    snapshot = a_snapshot(canonical(raw), asked, now=now, seed=seed)
    back = loaded(saved(snapshot))
    assert (back.digest, back.intents, back.now, back.seed) == (snapshot.digest, snapshot.intents, now * 1000, seed)
    assert back.fleet.shapes == snapshot.fleet.shapes
    assert list(back.fleet.workloads.key) == list(snapshot.fleet.workloads.key)


def test_equal_snapshots_make_equal_files_whenever_they_are_saved() -> None:
    first = saved(a_full_snapshot())
    assert saved(loaded(first)) == first
    with zipfile.ZipFile(BytesIO(first)) as archive:
        assert {member.date_time for member in archive.infolist()} == {(1980, 1, 1, 0, 0, 0)}


def test_what_was_loaded_can_not_be_written_to() -> None:
    fleet = loaded(saved(a_full_snapshot())).fleet
    for array in (fleet.nodes.used, fleet.deployed.replicas, fleet.standing.ready, fleet.workloads.key.text, fleet.fit):
        with pytest.raises(ValueError, match="read-only"):
            array[...] = 0


# ---------------------------------------------------------------------------------------------------------- digest


@pytest.mark.parametrize("beside", [{"now": 5}, {"seed": 9}, {"lag": (("eu-1", 900),)}])
def test_time_seed_and_lag_are_no_content(beside: dict[str, Any]) -> None:
    snapshot = a_full_snapshot()
    assert replace(snapshot, **beside).digest == snapshot.digest


@pytest.mark.parametrize(
    "change",
    [
        {"intents": ()},
        {"intents": (capacity("shop/cart", demand=10, mode=Mode.ENFORCE),)},
        {"governance": Governance(governing=("platform",), ceilings=(("shop", 6),))},
        {"series": (a_series("shop/demand", {"eu-1": [1, 2, 3, 4]}),)},
        {"records": (Record(CART, 5, former=((EU, 4),)),)},
        {"witnesses": (Witness("dns", EU, "net"),)},
        {"losses": (Loss(EU, "a", 5, 9),)},
        {"decisions": ()},
        {"notes": ()},
    ],
    ids=str,
)
def test_whatever_changes_beside_the_fleet_changes_the_digest(change: dict[str, Any]) -> None:
    snapshot = a_full_snapshot()
    assert replace(snapshot, **change).digest != snapshot.digest


def a_variant(
    cluster: dict[str, Any] | None = None, workload: dict[str, Any] | None = None, node: dict[str, Any] | None = None
) -> str:
    """The digest of a small fleet in which one thing may be different."""
    members = [a_cluster("eu-1", **(cluster or {}))]
    asked = [a_workload("shop/cart", **({"at": {"eu-1/a": 2}} | (workload or {})))]
    return a_snapshot(a_fleet(members, asked, [a_node("eu-1/a", "n", **(node or {})), a_node("eu-1/b", "m")])).digest


@pytest.mark.parametrize(
    ("part", "change"),
    [
        ("cluster", {"region": "us"}),
        ("cluster", {"provider": "other"}),
        ("cluster", {"labels": {"tier": "gold"}}),
        ("cluster", {"price": "0.04"}),
        ("cluster", {"reach": Reach.UNKNOWN}),
        ("cluster", {"reserve": 5}),
        ("workload", {"at": {"eu-1/a": 3}}),
        ("workload", {"at": {"eu-1/b": 2}}),
        ("workload", {"ready": {"eu-1/a": 1}}),
        ("workload", {"spec": {"eu-1": 5}}),
        ("workload", {"cpu": "501m"}),
        ("workload", {"labels": {"app": "other"}}),
        ("workload", {"kind": "StatefulSet"}),
        ("workload", {"fixed": Fixed.DAEMON}),
        ("workload", {"guarded": True}),
        ("workload", {"zone_skew": 1}),
        ("workload", {"one_a_node": True, "at": {"eu-1/a": 1}}),
        ("workload", {"extended": {"nvidia.com/gpu": 0}}),
        ("node", {"cpu": "17"}),
        ("node", {"used": {"cpu": "1m"}}),
        ("node", {"labels": {"disk": "ssd"}}),
        ("node", {"price": "1"}),
    ],
)
def test_whatever_changes_in_the_fleet_changes_the_digest(part: str, change: dict[str, Any]) -> None:
    assert a_variant(**{part: change}) != a_variant()


def test_a_node_that_is_not_ready_is_another_fleet() -> None:
    cluster, ready = "eu-1", a_node("eu-1/a", "n")
    unready = a_node("eu-1/a", "n", ready=False)
    assert (
        a_snapshot(a_fleet([cluster], nodes=[ready])).digest != a_snapshot(a_fleet([cluster], nodes=[unready])).digest
    )


@settings(max_examples=30)
@given(st.lists(intents, max_size=4, unique_by=lambda intent: intent.common.ref), st.randoms(use_true_random=False))
def test_intents_are_in_the_same_order_however_they_were_observed(asked: list[Intent], dice: Random) -> None:
    fleet = a_fleet(["eu-1"])
    mixed = list(asked)
    dice.shuffle(mixed)
    one, other = a_snapshot(fleet, asked), a_snapshot(fleet, mixed)
    assert one.intents == other.intents
    assert one.digest == other.digest


def test_everything_else_is_in_order_too() -> None:
    snapshot = a_full_snapshot()
    parts: dict[str, Any] = {
        "series": (a_series("a/b", [1]), a_series("a/b", [1], key="other.csv"), a_series("b/a", [1])),
        "records": (Record(CART, 4), Record(WorkloadRef("web", "Deployment", "a"), 1)),
        "witnesses": (Witness("dns", EU, "net"), Witness("lease", EU, "node"), Witness("a", EU, "x", zone="b")),
        "losses": (Loss(EU), Loss(EU, "a")),
        "lag": (("eu-1", 3), ("us-1", 5)),
    }
    for name, values in parts.items():
        mixed: dict[str, Any] = {name: values[::-1]}
        assert getattr(replace(snapshot, **mixed), name) == values


def test_seconds_are_whole_and_begin_on_a_monday() -> None:
    assert a_snapshot(a_fleet([])).seconds == MONDAY


# --------------------------------------------------------------------------------------------------------- damaged


def rewritten(content: bytes, change: Callable[[dict[str, Any]], Any]) -> bytes:
    """The same file, checksums and all, with other small values."""
    file = BytesIO()
    with zipfile.ZipFile(BytesIO(content)) as old, zipfile.ZipFile(file, "w") as new:
        for name in old.namelist():
            body = old.read(name)
            new.writestr(name, json.dumps(change(json.loads(body))) if name == "content.json" else body)
    return file.getvalue()


def with_array(content: bytes, name: str, array: Any) -> bytes:
    """The same file with another column."""
    file, column = BytesIO(), BytesIO()
    np.save(column, array, allow_pickle=True)
    with zipfile.ZipFile(BytesIO(content)) as old, zipfile.ZipFile(file, "w") as new:
        for member in old.namelist():
            new.writestr(member, column.getvalue() if member == f"{name}.npy" else old.read(member))
    return file.getvalue()


FULL = saved(a_full_snapshot())


@pytest.mark.parametrize(
    "content",
    [b"", b"hello", b"PK\x03\x04", FULL[:100], FULL[:-30], FULL[200:]],
    ids=["empty", "text", "magic", "head", "no end", "no head"],
)
def test_a_file_that_is_no_snapshot_is_refused(content: bytes) -> None:
    with pytest.raises(BadSnapshot, match=f"this file holds no snapshot of format {FORMAT}"):
        loaded(content)


@settings(max_examples=150)
@given(st.integers(0, len(FULL) - 1), st.integers(1, 255))
def test_a_flipped_byte_is_noticed_or_harmless(at: int, flip: int) -> None:
    damaged = FULL[:at] + bytes([FULL[at] ^ flip]) + FULL[at + 1 :]
    try:
        snapshot = loaded(damaged)
    except BadSnapshot:
        return
    assert snapshot.digest == a_full_snapshot().digest


@settings(max_examples=50)
@given(st.integers(0, len(FULL) - 1))
def test_a_file_cut_short_is_refused(length: int) -> None:
    with pytest.raises(BadSnapshot):
        loaded(FULL[:length])


def test_another_format_is_refused_by_its_number() -> None:
    with pytest.raises(BadSnapshot, match="its format is 1; save it again"):
        loaded(rewritten(FULL, lambda content: content | {"format": 1}))


@pytest.mark.parametrize("content", [[], None, 7, {}, {"format": FORMAT}])
def test_small_values_that_are_missing_are_refused(content: Any) -> None:
    with pytest.raises(BadSnapshot):
        loaded(rewritten(FULL, lambda _: content))


@pytest.mark.parametrize(
    "change",
    [
        {"clusters": 7},
        {"clusters": []},
        {"clusters": [["Cluster", "eu-1"]]},
        {"domains": [["DomainRef", "eu-9", "a"]] * 6},
        {"shapes": []},
        {"label_sets": []},
        {"label_sets": [[["app", 7]]]},
        {"label_sets": [["app"]]},
        {"resources": ["cpu"]},
        {"resources": "cpu"},
        {"intents": [["Nonsense"]]},
        {"now": "yesterday"},
        {"lag": [["eu-1"]]},
        {"governance": None},
    ],
    ids=str,
)
def test_small_values_of_another_sort_are_refused(change: dict[str, Any]) -> None:
    with pytest.raises(BadSnapshot):
        loaded(rewritten(FULL, lambda content: content | change))


@pytest.mark.parametrize(
    ("name", "array", "flaw"),
    [
        ("nodes.domain", np.full(6, 99, np.int32), "nodes.domain names a row that is not there; there are 6"),
        ("nodes.kind", np.full(6, -1, np.int32), "nodes.kind names a row that is not there"),
        ("nodes.price", np.zeros(5, np.int64), "columns of nodes have 5 and 6 rows"),
        ("nodes.price", np.zeros(6), "nodes.price holds float64, not int64"),
        ("nodes.used", np.zeros((6, 2), np.int64), r"nodes.used has the shape \(6, 2\)"),
        ("nodes.used", np.full((6, 3), -1, np.int64), "nodes.used has an amount below 0"),
        ("fit", np.zeros((9, 9), np.int64), r"fit has the shape \(9, 9\)"),
        ("deployed.cluster", np.array([1, 0], np.int32), "rows of deployed are not in order"),
        ("deployed.cluster", np.array([0, 0], np.int32), "or one comes twice"),
        ("deployed.replicas", np.array([1, -1], np.int32), "deployed.replicas has an amount below 0"),
        ("workloads.fixed", np.array([50], np.int32), "workloads.fixed names a row that is not there"),
        ("workloads.key.text", np.frombuffer(b"shop/Deployment/carts", np.uint8), "begin where they should not"),
        ("workloads.key.start", np.array([5, 20], np.int64), "begin where they should not"),
        ("workloads.key.text", np.frombuffer(b"shop-Deployment/cart", np.uint8)[:20], "is no key of a workload"),
        ("standing.ready", np.array(["a", "b"], dtype=object), "Object arrays cannot be loaded"),
    ],
)
def test_columns_that_contradict_each_other_are_refused_with_what_is_wrong(name: str, array: Any, flaw: str) -> None:
    with pytest.raises(BadSnapshot, match=flaw):
        loaded(with_array(FULL, name, array))


def test_workloads_out_of_order_are_refused() -> None:
    fleet = a_fleet(["eu-1"], [a_workload("shop/a"), a_workload("shop/b")])
    assert first_flaw(fleet) is None
    swapped = replace(fleet.workloads, key=Names.of(list(fleet.workloads.key)[::-1]))
    assert first_flaw(replace(fleet, workloads=swapped)) == "workloads are not in the order of their keys"


def test_a_domain_needs_its_cluster() -> None:
    fleet = a_fleet(["eu-1", "us-1"])
    assert first_flaw(replace(fleet, clusters=fleet.clusters[:1])) == "there are domains of us-1, which is no cluster"


def test_a_reference_is_written_and_read_the_same_way() -> None:
    for ref in (IntentRef("PlacementIntent", "shop", "even"), CART):
        assert type(ref).parse(ref.key) == ref
