"""Every sample is taken as it is, and says what it means."""

from __future__ import annotations

from pathlib import Path

import pytest

from archgov.api.load import declared, read
from archgov.api.registry import KINDS
from archgov.model.fleet import Level
from archgov.model.intent import (
    Budget,
    CapacityIntent,
    Failback,
    FailoverIntent,
    Load,
    Mode,
    PlacementIntent,
    Point,
    SeriesRef,
    Spread,
    Stopped,
    Tolerate,
)
from archgov.model.ref import IntentRef
from archgov.model.selector import Expression, Operator, Selector

SAMPLES = Path(__file__).resolve().parents[2] / "crds" / "samples"
FILES = sorted(SAMPLES.glob("*.yaml"))


def intents(name: str) -> dict[str, PlacementIntent | CapacityIntent | FailoverIntent]:
    return {intent.common.ref.name: intent for intent in declared(read(SAMPLES / name)).intents}


def test_every_kind_has_a_minimal_and_a_full_sample() -> None:
    wanted = {f"{kind.singular}-{size}.yaml" for kind in KINDS.values() for size in ("minimal", "full")}
    assert wanted | {"five-lines.yaml"} == {path.name for path in FILES}


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_a_sample_declares_something(path: Path) -> None:
    found = declared(read(path))
    assert found.governance or found.intents or found.members or found.records or found.decisions or found.approvals


def test_a_full_sample_uses_every_field_of_its_spec() -> None:
    for kind in KINDS.values():
        used = {
            field
            for document in read(SAMPLES / f"{kind.singular}-full.yaml")
            if document.body["kind"] == kind.name
            for field in document.body["spec"]
        }
        known = {field.alias for field in kind.spec.model_fields.values()}
        # What the kinds share is shown once, with PlacementIntent; `local` excludes kubeconfigSecret.
        shared = {"mode", "suspend", "priority", "disruption", "local"} if kind.name != "PlacementIntent" else set()
        assert known - shared <= used, kind.name


def test_five_lines_are_complete_intents() -> None:
    found = intents("five-lines.yaml")
    critical, eu_only = found["critical"], found["eu-only"]
    assert isinstance(critical, FailoverIntent)
    assert critical.common.target.workloads == Selector(labels=(("tier", "critical"),))
    assert (critical.tolerate, critical.on_loss, critical.share) == ((Tolerate(Level.ZONE, 1),), Mode.ENFORCE, 100)
    assert isinstance(eu_only, PlacementIntent)
    assert (eu_only.common.mode, eu_only.load) == (Mode.ENFORCE, Load.FOLLOWS_REPLICAS)
    assert eu_only.allow == Selector(labels=(("archgov.io/jurisdiction", "eu"),))
    assert eu_only.common.target.workloads == Selector()


def test_a_placement_intent_says_all_of_it() -> None:
    intent = intents("placementintent-full.yaml")["workers"]
    assert isinstance(intent, PlacementIntent)
    common = intent.common
    assert common.ref == IntentRef("PlacementIntent", "shop", "workers")
    assert common.traceparent == "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"
    assert (common.priority, common.target.names) == (10, ("thumbnails", "mailer"))
    assert (common.target.kinds, common.target.namespaces) == (("Deployment",), ("shop-eu",))
    assert common.target.clusters == Selector(labels=(("stage", "production"),))
    assert common.target.workloads.expressions == (Expression("tier", Operator.IN, ("batch", "background")),)
    assert common.disruption.min_improvement == 3
    assert common.disruption.budgets == (
        Budget(limit=10, is_percent=True, window=600),
        Budget(0, False, 600, schedule="0 9 * * mon-fri", duration=8 * 3600, time_zone="Europe/Paris"),
    )
    assert intent.spread == (Spread(Level.ZONE, 40, 0), Spread(Level.CLUSTER, 60, 2))
    assert intent.deny == Selector(expressions=(Expression("archgov.io/provider", Operator.IN, ("basement",)),))


def test_a_capacity_intent_names_a_series_or_figures() -> None:
    found = declared(read(SAMPLES / "capacityintent-full.yaml"))
    checkout, search = found.intents
    assert isinstance(checkout, CapacityIntent)
    assert checkout.series == SeriesRef("checkout-demand", "requests.csv")
    assert (checkout.per_replica, checkout.quantile, checkout.headroom, checkout.horizon) == (25_000, 99, 15, 7200)
    assert (checkout.minimum, checkout.maximum) == (4, 120)
    assert isinstance(search, CapacityIntent)
    assert search.demand == (Point("eu-west-1", 1_500_000), Point("us-east-1/us-east-1a", 250_000))
    assert search.common.mode is Mode.OBSERVE, "actuate: None only reports"
    assert [(series.config_map, series.step, len(series.samples)) for series in found.series] == [
        ("checkout-demand", 3600, 4)
    ]


def test_a_failover_intent_says_all_of_it() -> None:
    found = intents("failoverintent-full.yaml")
    critical, background = found["critical"], found["background"]
    assert isinstance(critical, FailoverIntent)
    assert isinstance(background, FailoverIntent)
    assert critical.tolerate == (Tolerate(Level.ZONE, 2), Tolerate(Level.REGION, 1))
    assert (critical.tier, critical.share, critical.rto) == (0, 80, 60)
    assert (critical.failback, critical.soak, critical.shed) == (Failback.AUTOMATIC, 600, None)
    assert (background.tier, background.shed) == (9, 1)


def test_a_fleet_says_all_of_it() -> None:
    governance = declared(read(SAMPLES / "fleet-full.yaml")).governance
    assert governance is not None
    assert governance.stopped == Stopped("ada@example.com", "release freeze", until=1_796_104_800)
    assert governance.ceilings == (("platform", 1000), ("shop", 100))
    assert (governance.governing, governance.move_price, governance.max_nodes) == (("platform",), 2000, 50_000)


def test_a_member_cluster_says_all_of_it() -> None:
    (member,) = declared(read(SAMPLES / "membercluster-full.yaml")).members
    assert (member.provider, member.region, member.reserve) == ("aws", "eu-west-1", 10)
    assert member.labels == (("archgov.io/jurisdiction", "eu"), ("stage", "production"))
    assert member.price is not None
    assert (member.price.cpu, member.price.memory) == (31_600, 4_240)
    assert member.price.extended == (("nvidia.com/gpu", 1_212_000),)
    assert member.nodes == (((("node.kubernetes.io/instance-type", "m7i.4xlarge"),), 806_400), ((), 400_000))
    assert [(probe.witness.group, probe.witness.zone) for probe in member.probes] == [
        ("outside", ""),
        ("outside-a", "eu-west-1a"),
    ]
