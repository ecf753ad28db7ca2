"""Tables in one order, whatever order they came in."""

from __future__ import annotations

from dataclasses import fields, replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from archgov.model.canonical import canonical
from archgov.model.fleet import DeployedTable, Fleet, Level, NodeTable, StandingTable, WorkloadTable
from archgov.model.names import Names
from archgov.model.shape import NodeClass, PodShape
from archgov.model.snapshot import Snapshot
from archgov.model.sound import first_flaw
from tests.build import a_cluster, a_fleet, a_node, a_workload, raw_fleet
from tests.strategies import raw_fleets


def shuffled(fleet: Fleet, dice: np.random.Generator) -> Fleet:
    """The same content with every kind of row, and the resources, in another order."""
    new = {name: dice.permutation(len(getattr(fleet, name))) for name in ("resources", "clusters", "domains")}
    new |= {name: dice.permutation(len(getattr(fleet, name))) for name in ("node_classes", "label_sets", "shapes")}
    row = {name: np.argsort(order).astype(np.int32) for name, order in new.items()}
    s = dice.permutation(len(fleet.workloads.key))
    row["workloads"] = np.argsort(s).astype(np.int32)
    columns = new["resources"]
    nodes, deployed, standing = fleet.nodes, fleet.deployed, fleet.standing
    n, d, p = (dice.permutation(len(t)) for t in (nodes.name, deployed.workload, standing.workload))

    def picked(name: str) -> tuple[Any, ...]:
        return tuple(getattr(fleet, name)[old] for old in new[name])

    return replace(
        fleet,
        resources=picked("resources"),
        clusters=picked("clusters"),
        domains=picked("domains"),
        node_classes=picked("node_classes"),
        label_sets=picked("label_sets"),
        shapes=tuple(replace(x, requests=tuple(x.requests[c] for c in columns)) for x in picked("shapes")),
        quotas=tuple(reversed(fleet.quotas)),
        nodes=NodeTable(
            name=Names.of([nodes.name[i] for i in n]),
            domain=row["domains"][nodes.domain[n]],
            kind=row["node_classes"][nodes.kind[n]],
            allocatable=nodes.allocatable[n][:, columns],
            used=nodes.used[n][:, columns],
            ready=nodes.ready[n],
            price=nodes.price[n],
        ),
        workloads=WorkloadTable(
            key=Names.of([fleet.workloads.key[i] for i in s]),
            shape=row["shapes"][fleet.workloads.shape[s]],
            labels=row["label_sets"][fleet.workloads.labels[s]],
            fixed=fleet.workloads.fixed[s],
            guarded=fleet.workloads.guarded[s],
        ),
        deployed=DeployedTable(
            row["workloads"][deployed.workload[d]],
            row["clusters"][deployed.cluster[d]],
            deployed.replicas[d],
            deployed.ready[d],
            deployed.refused[d],
            deployed.uid[d],
        ),
        standing=StandingTable(
            row["workloads"][standing.workload[p]],
            row["domains"][standing.domain[p]],
            standing.replicas[p],
            standing.ready[p],
        ),
    )


@settings(max_examples=40)
@given(raw_fleets(), st.integers(0, 2**32))
def test_content_in_any_order_has_one_digest(raw: Fleet, seed: int) -> None:
    dice = np.random.default_rng(seed)
    digest = Snapshot(canonical(raw)).digest
    assert Snapshot(canonical(shuffled(raw, dice))).digest == digest
    assert Snapshot(canonical(shuffled(canonical(raw), dice))).digest == digest


@settings(max_examples=40)
@given(raw_fleets())
def test_a_canonical_fleet_is_sound_and_stays_as_it_is(raw: Fleet) -> None:
    fleet = canonical(raw)
    assert first_flaw(fleet) is None
    assert Snapshot(canonical(fleet)).digest == Snapshot(fleet).digest


@settings(max_examples=40)
@given(raw_fleets())
def test_every_workload_keeps_what_it_has(raw: Fleet) -> None:
    fleet = canonical(raw)
    for old, ref in enumerate(raw.refs()):
        row = fleet.row(ref)
        assert row is not None
        asked = dict(zip(fleet.resources, fleet.shapes[fleet.workloads.shape[row]].requests, strict=True))
        assert asked == dict(zip(raw.resources, raw.shapes[raw.workloads.shape[old]].requests, strict=True))
        assert fleet.label_sets[fleet.workloads.labels[row]] == raw.label_sets[raw.workloads.labels[old]]
        spec = {fleet.clusters[k].name: n for k, n in fleet.spec_replicas(row).items()}
        mine = raw.deployed.workload == old
        names = [raw.clusters[k].name for k in raw.deployed.cluster[mine]]
        assert spec == dict(zip(names, raw.deployed.replicas[mine].tolist(), strict=True))


def test_rows_go_by_name() -> None:
    fleet = a_fleet(
        ["us-1", "eu-10", "eu-1"],
        [a_workload("web/b"), a_workload("shop/z"), a_workload("shop/a")],
        [a_node("us-1/b"), a_node("eu-10/a"), a_node("eu-1/a"), a_node("us-1/a")],
    )
    assert [cluster.name for cluster in fleet.clusters] == ["eu-1", "eu-10", "us-1"]
    assert [str(domain) for domain in fleet.domains] == ["eu-1/a", "eu-10/a", "us-1/a", "us-1/b"]
    assert [str(ref) for ref in fleet.refs()] == ["shop/a", "shop/z", "web/b"]
    assert fleet.resources == ("cpu", "memory", "pods")


def test_equal_small_values_are_kept_once_and_unused_ones_not_at_all() -> None:
    raw = raw_fleet(["eu-1"], [a_workload("shop/a", labels={}), a_workload("shop/b", labels={})])
    raw = replace(
        raw,
        shapes=(*raw.shapes, PodShape((9, 9, 9))),
        label_sets=(*raw.label_sets, (("left", "over"),)),
        node_classes=(*raw.node_classes, NodeClass((("left", "over"),))),
    )
    fleet = canonical(raw)
    assert (len(fleet.shapes), len(fleet.label_sets), len(fleet.node_classes)) == (1, 1, 3)


def test_places_without_replicas_are_no_content_but_objects_without_replicas_are() -> None:
    fleet = a_fleet(["eu-1"], [a_workload("shop/a", {"eu-1/a": 0})])
    assert len(fleet.standing.workload) == 0
    assert fleet.spec_replicas(0) == {0: 0}


def test_a_canonical_fleet_can_not_be_written_to() -> None:
    fleet = a_fleet(["eu-1"], [a_workload("shop/a", {"eu-1/a": 2})])
    for table in (fleet.nodes, fleet.workloads, fleet.deployed, fleet.standing):
        for field in fields(table):
            column = getattr(table, field.name)
            for array in (column.text, column.start) if isinstance(column, Names) else (column,):
                with pytest.raises(ValueError, match="read-only"):
                    array[...] = 0
    with pytest.raises(ValueError, match="read-only"):
        fleet.fit[...] = 0


def test_a_fleet_without_anything_is_canonical_too() -> None:
    fleet = a_fleet([])
    assert (fleet.fit.shape, fleet.requests.shape, fleet.domain_cluster.shape) == ((0, 0), (0, 3), (0,))
    assert first_flaw(fleet) is None


def test_scopes_hold_the_domains_that_fail_together() -> None:
    fleet = a_fleet([a_cluster("eu-1", region="eu"), a_cluster("eu-2", region="eu"), a_cluster("us-1", region="us")])
    scopes = {str(scope): len(rows) for level in Level for scope, rows in fleet.scopes(level).items()}
    assert scopes["zone eu/a"] == 2
    assert scopes["zone us/a"] == 1
    assert (scopes["cluster eu-1"], scopes["region eu"], scopes["provider acme"]) == (3, 6, 9)
