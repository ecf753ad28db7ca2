"""CapacityIntent: how much must be there."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Annotated, Any, ClassVar, Final, Literal

from pydantic import Field, StringConstraints

from archgov.api.body import read
from archgov.api.common import (
    Amount,
    Duration,
    IntentSpec,
    Markup,
    Name,
    ObjectName,
    Place,
    PositiveAmount,
    Quantile,
    Word,
    common,
)
from archgov.api.kind import AGE, INTENT_SELECTABLE, MODE, READY, REASON, SUMMARY, Column, Kind
from archgov.api.part import Part, Rule
from archgov.api.status import IntentStatus
from archgov.model.intent import CapacityIntent, Governance, Mode, Point, SeriesRef
from archgov.model.quantity import milli, percent, seconds

NAME: Final = "CapacityIntent"


class PointSpec(Part):
    """Demand that arrives at one place."""

    cluster: Name = Field(description="Name of the MemberCluster.")
    zone: Place | None = Field(default=None, description="A zone of it. Left out: the cluster as a whole.")
    value: Amount = Field(description="Demand there, in units of demand such as requests a second.")


class SeriesSpec(Part):
    """A ConfigMap that holds the history of demand as CSV with the columns time, place, amount."""

    config_map: ObjectName = Field(description="Name of the ConfigMap, in the namespace of the intent.")
    key: Annotated[str, StringConstraints(min_length=1, max_length=253)] = Field(description="Key in its data.")


class DemandSpec(Part):
    """How much is demanded."""

    RULES: ClassVar = (
        Rule(
            "(has(self.static) ? 1 : 0) + (has(self.points) ? 1 : 0) + (has(self.series) ? 1 : 0) == 1",
            "exactly one of static, points and series must be set",
            lambda demand: [demand.static, demand.points, demand.series].count(None) == 2,
        ),
        Rule(
            "!has(self.points) || self.points.all(p, self.points.exists_one(q, q.cluster == p.cluster && "
            "(has(q.zone) ? q.zone : '') == (has(p.zone) ? p.zone : '')))",
            "points names a place twice; add up what arrives there",
            lambda demand: len({(p.cluster, p.zone) for p in demand.points or ()}) == len(demand.points or ()),
        ),
    )

    static: Amount | None = Field(default=None, description="One figure for everything, such as 300 requests a second.")
    points: list[PointSpec] | None = Field(
        default=None, min_length=1, max_length=200, description="A figure for each place where demand arrives."
    )
    series: SeriesSpec | None = Field(default=None, description="History from which demand is forecast.")


class ServiceLevelSpec(Part):
    """How sure it must be that demand is met."""

    quantile: Quantile = Field(default="95%", description="How often capacity has to suffice.")


class BoundsSpec(Part):
    """Limits of the number of replicas in all."""

    RULES: ClassVar = (
        Rule(
            "!has(self.max) || !has(self.min) || self.min <= self.max",
            "min is more than max",
            lambda bounds: bounds.max is None or bounds.min <= bounds.max,
        ),
    )

    min: int = Field(default=0, ge=0, le=1_000_000, description="Never fewer replicas than this.")
    max: int | None = Field(default=None, ge=1, le=1_000_000, description="Never more. Left out: no limit.")


class CapacityIntentSpec(IntentSpec):
    """How much must be there."""

    demand: DemandSpec = Field(description="How much is demanded.")
    per_replica: PositiveAmount = Field(description="How many units of demand one replica serves.")
    service_level: ServiceLevelSpec | None = Field(
        default=None, description="How sure it must be. Left out: its defaults."
    )
    horizon: Duration = Field(default="1h", description="How far ahead demand has to be covered.")
    headroom: Markup = Field(default="0%", description="How much more than the forecast is provided.")
    bounds: BoundsSpec | None = Field(default=None, description="Limits of the number of replicas in all.")
    actuate: Literal["Replicas", "None"] = Field(
        default="Replicas",
        description="What is set: spec.replicas of the workloads. None reports only, as mode Observe does.",
    )


class CapacityIntentStatus(IntentStatus):
    """What archgov reports about a CapacityIntent."""

    need: int | None = Field(default=None, ge=0, description="Replicas that its workloads must have in all.")
    planned: int | None = Field(default=None, ge=0, description="Replicas that the newest plan gives them.")
    forecast_error: Word | None = Field(default=None, description="How far off the forecast was lately, on average.")
    coverage: Word | None = Field(default=None, description="How often demand stayed within the forecast lately.")


def parse(body: Mapping[str, Any], governance: Governance) -> CapacityIntent:
    """The intent that a body declares.

    Raises:
        IntentError: with everything that is wrong.
    """
    meta, spec = read(body, NAME, CapacityIntentSpec, namespaced=True)
    shared = common(NAME, meta, spec, governance)
    bounds = spec.bounds or BoundsSpec()
    return CapacityIntent(
        common=replace(shared, mode=Mode.OBSERVE) if spec.actuate == "None" else shared,
        demand=_points(spec.demand),
        series=SeriesRef(spec.demand.series.config_map, spec.demand.series.key) if spec.demand.series else None,
        per_replica=milli(spec.per_replica),
        quantile=percent((spec.service_level or ServiceLevelSpec()).quantile),
        headroom=percent(spec.headroom),
        horizon=seconds(spec.horizon),
        minimum=bounds.min,
        maximum=bounds.max or 0,
    )


def _points(demand: DemandSpec) -> tuple[Point, ...]:
    if demand.static is not None:
        return (Point("", milli(demand.static)),)
    return tuple(Point(_place(point), milli(point.value)) for point in demand.points or ())


def _place(point: PointSpec) -> str:
    return f"{point.cluster}/{point.zone}" if point.zone else point.cluster


KIND: Final = Kind(
    name=NAME,
    plural="capacityintents",
    short="ci",
    scope="Namespaced",
    about="How many replicas workloads must have to meet their demand.",
    spec=CapacityIntentSpec,
    status=CapacityIntentStatus,
    columns=(
        MODE,
        READY,
        Column("Workloads", ".status.workloads", "integer"),
        Column("Need", ".status.need", "integer"),
        Column("Planned", ".status.planned", "integer"),
        Column("Cost", ".status.cost"),
        SUMMARY,
        Column("Error", ".status.forecastError", wide=True),
        Column("Coverage", ".status.coverage", wide=True),
        REASON,
        AGE,
    ),
    parse=parse,
    selectable=INTENT_SELECTABLE,
)
