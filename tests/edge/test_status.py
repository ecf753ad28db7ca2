"""Every object of ours is told what a round found about it."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from archgov.api.registry import KINDS
from archgov.decide.round import conclude
from archgov.edge.echo import key
from archgov.edge.observe import Hub, understood
from archgov.edge.rows import Malformed
from archgov.edge.status import Statuses, Trouble, statuses
from archgov.model.ref import ClusterName, WorkloadRef
from tests.manifests import Manifest, ours
from tests.scenarios import given

SCENARIOS = Path(__file__).parents[1] / "scenarios"
EU_ONLY = ("PlacementIntent", "shop", "eu-only")


def told(name: str, more: Sequence[Manifest] = (), trouble: Trouble | None = None) -> Statuses:
    """Statuses after a scenario's round, with more objects in the hub."""
    there = given.read(SCENARIOS / name / "given")
    bodies = [body for body in there.hub if body["kind"] != "ConfigMap"]
    snapshot = given.snapshot(there)
    hub: Hub = understood([*bodies, *more])
    every = {key(body): body for body in (*bodies, *more)}
    return statuses(hub, conclude(snapshot), snapshot, every, "trace", trouble or Trouble())


def condition(status: dict[str, Any], kind: str) -> tuple[str, str, str]:
    one = next(each for each in status["conditions"] if each["type"] == kind)
    return one["status"], one["reason"], one["message"]


@pytest.mark.parametrize("name", sorted(folder.parent.name for folder in SCENARIOS.glob("*/given")))
def test_every_status_is_one_that_its_kind_may_have(name: str) -> None:
    found = told(name)
    assert {kind for kind, _, _ in found} >= {"Fleet", "MemberCluster"}
    for (kind, _, _), status in found.items():
        KINDS[kind].status.model_validate(status)


def test_a_rejected_intent_says_so_itself_and_the_others_are_told_as_ever() -> None:
    bad = ours("PlacementIntent", "shop/bad", {"target": {"workloads": {}}, "allow": 3}, generation=7)
    found = told("residency-moves-abroad", [bad])
    status = found["PlacementIntent", "shop", "bad"]
    assert (status["ready"], status["observedGeneration"]) == ("False", 7)
    assert condition(status, "Stalled")[:2] == ("True", "Invalid")
    assert "allow" in condition(status, "Ready")[2]
    assert condition(found[EU_ONLY], "Ready")[:2] == ("False", "Applying")


def test_malformed_objects_degrade_their_cluster_and_three_of_them_are_named() -> None:
    odd = tuple(Malformed("Pod", "shop", f"odd-{number}", "cpu is no quantity") for number in range(4))
    found = told("residency-moves-abroad", trouble=Trouble(unreadable={ClusterName("eu-1"): odd}))
    status, reason, message = condition(found["MemberCluster", "", "eu-1"], "Degraded")
    assert (status, reason) == ("True", "Invalid")
    assert message.startswith("4 objects")
    assert [f"shop/odd-{number}" in message for number in range(4)] == [True, True, True, False]
    assert found["MemberCluster", "", "eu-1"]["ready"] == "True"
    assert "Degraded" not in {each["type"] for each in found["MemberCluster", "", "eu-2"]["conditions"]}


def test_a_refused_effect_degrades_the_intent_that_it_belongs_to() -> None:
    trouble = Trouble(refused={WorkloadRef("shop", "Deployment", "cart"): "403 Forbidden"})
    found = told("residency-moves-abroad", trouble=trouble)
    assert condition(found[EU_ONLY], "Degraded") == ("True", "PermissionMissing", "403 Forbidden")


def test_silence_is_unknown_and_a_declared_loss_is_not_ready() -> None:
    unknown = told("cluster-unknown-holds")["MemberCluster", "", "ap-1"]
    assert (unknown["ready"], unknown["reach"], condition(unknown, "Ready")[1]) == (
        "Unknown",
        "unknown",
        "ClusterUnknown",
    )
    lost = told("region-lost-fast-path")["MemberCluster", "", "ap-1"]
    assert (lost["ready"], condition(lost, "Ready")[1]) == ("False", "ClusterLost")
    assert lost["losses"] == [{"since": "2026-03-02T09:00:00Z"}]


def test_a_record_is_ready_because_it_only_remembers() -> None:
    assert told("budget-holds-back-a-wave")["WorkloadRecord", "shop", "deployment-cart"]["ready"] == "True"


def test_a_rejected_record_says_so_itself() -> None:
    record = ours("WorkloadRecord", "shop/deployment-web", {"need": -1})
    status = told("residency-moves-abroad", [record])["WorkloadRecord", "shop", "deployment-web"]
    assert (status["ready"], condition(status, "Ready")[1]) == ("False", "Invalid")
    assert "need" in condition(status, "Ready")[2]


def test_a_rejected_fleet_says_so_itself_and_still_counts_what_there_is() -> None:
    status = told("residency-moves-abroad", [ours("Fleet", "fleet", {"stoped": {}}, generation=3)])[
        "Fleet", "", "fleet"
    ]
    assert (status["ready"], status["observedGeneration"], condition(status, "Ready")[1]) == ("False", 3, "Invalid")
    assert "spec.stoped" in condition(status, "Ready")[2]
    assert status["nodes"] > 0


def test_a_rejected_member_says_so_itself_and_keeps_its_losses() -> None:
    bad = ours("MemberCluster", "ap-1", {"local": True, "reserves": "10%"})
    status = told("region-lost-fast-path", [bad])["MemberCluster", "", "ap-1"]
    assert (status["ready"], status["reach"], condition(status, "Ready")[1]) == ("False", "unknown", "Invalid")
    assert status["losses"] == [{"since": "2026-03-02T09:00:00Z"}]
