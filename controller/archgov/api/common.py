"""Field types that several kinds share, with what they mean to the model."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from typing import Annotated, ClassVar, Final, Literal
from zoneinfo import ZoneInfo

from cronsim import CronSim, CronSimError
from pydantic import Field, StringConstraints

from archgov.api.body import LABEL, Meta
from archgov.api.instant import unix
from archgov.api.part import Part, Rule, Shape, set_of_texts
from archgov.model.fleet import CLUSTER_LABEL, PROVIDER_LABEL, REGION_LABEL, ZONE_LABEL, Level
from archgov.model.intent import Budget, Common, Disruption, Governance, Mode, Target
from archgov.model.quantity import percent, seconds
from archgov.model.ref import IntentRef
from archgov.model.selector import Expression, Operator, Selector

TRACE_ANNOTATION: Final = "archgov.io/traceparent"
LEVEL_OF: Final = {
    ZONE_LABEL: Level.ZONE,
    REGION_LABEL: Level.REGION,
    CLUSTER_LABEL: Level.CLUSTER,
    PROVIDER_LABEL: Level.PROVIDER,
}
_TRACEPARENT: Final = re.compile("00-[0-9a-f]{32}-[0-9a-f]{16}-[0-9a-f]{2}")


def _zone_known(name: str) -> None:
    try:
        ZoneInfo(name)
    except (OSError, ValueError, KeyError) as error:
        raise ValueError(name) from error


def _cron(text: str) -> None:
    try:
        CronSim(text, datetime(2000, 1, 1, tzinfo=UTC))
    except CronSimError as error:
        raise ValueError(text) from error


Name = Annotated[str, Shape(LABEL, "a name of lower-case letters, digits or dashes, at most 63", 63)]
ObjectName = Annotated[
    str, Shape(rf"{LABEL}(\.{LABEL})*", "the name of an object, such as cart or cart.v2, at most 253", 253)
]
LabelValue = Annotated[
    str, Shape("([A-Za-z0-9]([-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?)?", "a label value of at most 63 characters", 63, 0)
]
Place = Annotated[str, Shape("[A-Za-z0-9]([-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?", "a name such as eu-west-1", 63)]
Limit = Annotated[
    str, Shape("0|[1-9][0-9]{0,6}|([1-9]?[0-9]|100)%", 'replicas or percent of them, in quotes: "3" or "10%"', 16)
]
Percent = Annotated[str, Shape("([1-9]?[0-9]|100)%", 'a percentage such as "60%"', 16)]
Share = Annotated[str, Shape("([1-9][0-9]?|100)%", 'a percentage such as "60%"', 16)]
Quantile = Annotated[str, Shape("[5-9][0-9]%", 'a percentage from "50%" to "99%"', 16)]
Markup = Annotated[str, Shape("(0|[1-9][0-9]{0,2})%", 'a percentage such as "15%"', 16)]
Duration = Annotated[
    str,
    Shape(
        "([0-9]{1,3}d)?([0-9]{1,4}h)?([0-9]{1,5}m)?([0-9]{1,6}s)?",
        "a duration such as 45s, 10m or 1h30m",
        24,
        reads=seconds,
    ),
]
Amount = Annotated[
    int | str,
    Shape("[0-9]{1,9}(\\.[0-9]{1,3})?[mkM]?", "a quantity such as 300, 250m or 1.5k", 16, numbers=(0, 999_999_999)),
]
PositiveAmount = Annotated[
    int | str,
    Shape(
        "([1-9][0-9]{0,8}(\\.[0-9]{1,3})?|0\\.[0-9]{0,2}[1-9][0-9]{0,2})[mkM]?",
        "a quantity above 0, such as 25, 250m or 1.5k",
        16,
        numbers=(1, 999_999_999),
    ),
]
Url = Annotated[str, Shape("https?://[^ /?#]+[^ ]*", "a URL such as https://probe.example/healthz", 512)]
Money = Annotated[
    str, Shape("[0-9]{1,6}(\\.[0-9]{1,6})?", 'a sum of money in US dollars, in quotes, such as "0.031"', 16)
]
Rate = Annotated[str, Shape("-?[0-9]{1,12}(\\.[0-9]{1,6})?", "US dollars an hour with at most 6 decimals", 20)]
Instant = Annotated[
    str,
    Shape(
        "[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}(\\.[0-9]{1,9})?(Z|[+-][0-9]{2}:[0-9]{2})",
        "a time such as 2026-03-01T09:00:00Z",
        40,
        format="date-time",
        reads=unix,
    ),
]
Cron = Annotated[
    str,
    Shape(
        "[-0-9A-Za-z*/,#?]+( [-0-9A-Za-z*/,#?]+){4}", 'a cron expression such as "0 9 * * mon-fri"', 100, reads=_cron
    ),
]
TimeZone = Annotated[
    str, Shape("[A-Za-z][A-Za-z0-9_+/-]*", "an IANA time zone such as Europe/Paris or UTC", 64, reads=_zone_known)
]
Trace = Annotated[str, Shape("00-[0-9a-f]{32}-[0-9a-f]{16}-[0-9a-f]{2}", "a W3C traceparent", 55)]
Sentence = Annotated[str, StringConstraints(max_length=1024)]
Word = Annotated[str, StringConstraints(max_length=64)]
WorkloadKind = Literal["Deployment", "StatefulSet", "DaemonSet"]
AnyMode = Annotated[Mode, Field(strict=False)]


class Requirement(Part):
    """One requirement on one label."""

    RULES: ClassVar = (
        Rule(
            "self.operator in ['In', 'NotIn'] ? has(self.values) && size(self.values) > 0 : "
            "!has(self.values) || size(self.values) == 0",
            "In and NotIn need values; Exists and DoesNotExist take none",
            lambda wanted: (wanted.operator in (Operator.IN, Operator.NOT_IN)) == bool(wanted.values),
        ),
    )

    key: str = Field(min_length=1, max_length=317, description="The label's key.")
    operator: Annotated[Operator, Field(strict=False)] = Field(description="How the label is compared with `values`.")
    values: list[LabelValue] = Field(
        default_factory=list,
        max_length=64,
        description="What In and NotIn compare with.",
        json_schema_extra=set_of_texts(),
    )


class LabelSelector(Part):
    """Requirements on labels that must all hold, with the semantics of Kubernetes; none at all selects everything."""

    match_labels: dict[str, LabelValue] = Field(
        default_factory=dict, max_length=32, description="Labels that must have exactly these values."
    )
    match_expressions: list[Requirement] = Field(
        default_factory=list, max_length=16, description="Requirements that must hold beside `matchLabels`."
    )


class TargetWorkloads(LabelSelector):
    """Which workloads; what is left out doesn't restrict, so `{}` is all of the namespace."""

    kinds: list[WorkloadKind] = Field(
        default_factory=list,
        max_length=3,
        description="Kinds of workloads. StatefulSets and DaemonSets count as load; they are never moved.",
        json_schema_extra=set_of_texts(),
    )
    names: list[ObjectName] = Field(
        default_factory=list, max_length=100, description="Names of workloads.", json_schema_extra=set_of_texts()
    )


class TargetSpec(Part):
    """What an intent governs."""

    clusters: LabelSelector | None = Field(
        default=None, description="Clusters, by the labels of their MemberClusters. Left out: all of them."
    )
    workloads: TargetWorkloads = Field(description="Workloads of the intent's own namespace; `{}` is all of them.")
    namespaces: list[Name] = Field(
        default_factory=list,
        max_length=100,
        description="Other namespaces whose workloads are meant; honoured only in the governing namespaces of Fleet.",
        json_schema_extra=set_of_texts(),
    )


class BudgetSpec(Part):
    """How many replicas may be removed or moved within a window."""

    RULES: ClassVar = (
        Rule(
            "!has(self.schedule) || has(self.duration)",
            "schedule needs a duration (when does the window that opens at {schedule} close?)",
            lambda budget: budget.schedule is None or budget.duration is not None,
        ),
        Rule(
            "!has(self.duration) || has(self.schedule)",
            "duration needs a schedule (when does the window that lasts {duration} open?)",
            lambda budget: budget.duration is None or budget.schedule is not None,
        ),
        Rule(
            "self.window.matches('[1-9]')",
            "window must be longer than nothing",
            lambda budget: seconds(budget.window) > 0,
        ),
    )

    limit: Limit = Field(description='How many of the target\'s replicas. "0" with a schedule is a freeze.')
    window: Duration = Field(default="10m", description="Over what time removals are counted.")
    schedule: Cron | None = Field(
        default=None, description="Cron expression at which a binding period begins. Left out: the budget always binds."
    )
    duration: Duration | None = Field(default=None, description="How long such a period lasts.")
    time_zone: TimeZone = Field(default="UTC", description="IANA time zone in which the schedule is read.")


class DisruptionSpec(Part):
    """What moves may cost the users of a workload."""

    budgets: list[BudgetSpec] = Field(
        default_factory=list,
        max_length=10,
        description="The tightest of all that bind applies. Failovers are charged to budgets, never blocked by them.",
    )
    min_improvement: Percent = Field(
        default="2%", description="How much cheaper a plan must be before replicas move for money alone."
    )


class IntentSpec(Part):
    """What all intents share."""

    mode: AnyMode | None = Field(
        default=None,
        description="How far archgov may go by itself: report, propose a plan, propose it and wait for an Approval, or carry it "
        "out. Left out: defaultMode of Fleet; status.mode says which one counts.",
    )
    suspend: bool = Field(default=False, description="Stops acting on this intent, visibly; reports go on.")
    target: TargetSpec = Field(description="What is governed.")
    priority: int = Field(
        default=0,
        ge=-1000,
        le=1000,
        description="Who wins when intents disagree. The ceiling of a namespace is set in Fleet; elsewhere it is 0.",
    )
    disruption: DisruptionSpec | None = Field(default=None, description="What moves may cost. Left out: its defaults.")


class ClusterReplicas(Part):
    """Replicas in one cluster."""

    cluster: Name = Field(description="Name of the MemberCluster.")
    replicas: int = Field(ge=0, le=2147483647, description="Replicas there.")


def selector(spec: LabelSelector) -> Selector:
    """What the selector means to the model."""
    return Selector(
        labels=tuple(sorted(spec.match_labels.items())),
        expressions=tuple(
            Expression(wanted.key, wanted.operator, tuple(wanted.values)) for wanted in spec.match_expressions
        ),
    )


def common(kind: str, meta: Meta, spec: IntentSpec, governance: Governance) -> Common:
    """What an intent shares with all others, defaults of the fleet filled in."""
    return Common(
        ref=IntentRef(kind, meta.namespace, meta.name),
        uid=meta.uid,
        generation=meta.generation,
        mode=spec.mode or governance.default_mode,
        suspend=spec.suspend,
        target=_target(spec.target),
        priority=spec.priority,
        disruption=_disruption(spec.disruption or DisruptionSpec()),
        traceparent=traceparent(meta),
    )


def traceparent(meta: Meta) -> str:
    """The trace context that an annotation carries; empty when there is none, or one that makes no sense."""
    text = meta.annotation(TRACE_ANNOTATION)
    return text if _TRACEPARENT.fullmatch(text) else ""


def _target(spec: TargetSpec) -> Target:
    return Target(
        clusters=selector(spec.clusters) if spec.clusters else Selector(),
        kinds=tuple(spec.workloads.kinds),
        names=tuple(spec.workloads.names),
        workloads=selector(spec.workloads),
        namespaces=tuple(spec.namespaces),
    )


def _disruption(spec: DisruptionSpec) -> Disruption:
    return Disruption(tuple(_budget(budget) for budget in spec.budgets), percent(spec.min_improvement))


def _budget(spec: BudgetSpec) -> Budget:
    is_percent = spec.limit.endswith("%")
    return Budget(
        limit=percent(spec.limit) if is_percent else int(spec.limit),
        is_percent=is_percent,
        window=seconds(spec.window),
        schedule=spec.schedule or "",
        duration=seconds(spec.duration) if spec.duration else 0,
        time_zone=spec.time_zone,
    )


def fence() -> Rule:
    """Refuses the late write of a former leader, once a newer one has written."""
    return Rule(
        "!has(oldSelf.epoch) || (has(self.epoch) && self.epoch >= oldSelf.epoch)",
        "a newer leader of archgov has written this; the former one's write comes too late",
    )
