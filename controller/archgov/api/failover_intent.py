"""FailoverIntent: which failures must be survived."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Final, Literal

from pydantic import Field

from archgov.api.body import read
from archgov.api.common import Duration, IntentSpec, Sentence, Share, Word, common
from archgov.api.kind import AGE, INTENT_SELECTABLE, MODE, READY, REASON, SUMMARY, Column, Kind
from archgov.api.part import Part, map_by
from archgov.api.status import IntentStatus
from archgov.model.fleet import Level
from archgov.model.intent import Failback, FailoverIntent, Governance, Mode, Tolerate
from archgov.model.quantity import percent, seconds

NAME: Final = "FailoverIntent"


class TolerateSpec(Part):
    """Losses that must be survived."""

    scope: Annotated[Level, Field(strict=False)] = Field(description="What is lost as a whole.")
    failures: int = Field(default=1, ge=1, le=2, description="How many of them at once.")


class FailbackSpec(Part):
    """How replicas return after a failure."""

    mode: Annotated[Failback, Field(strict=False)] = Field(
        default=Failback.AUTOMATIC,
        description="Automatic: by a plan after the soak. Manual: only when a person asks for it.",
    )
    soak: Duration = Field(default="5m", description="How long what was lost must be healthy before.")


class ShedSpec(Part):
    """How far these workloads may be cut down so that more critical ones survive a loss."""

    to: int = Field(ge=0, le=1_000_000, description="Replicas that are never taken, for each workload.")


class FailoverIntentSpec(IntentSpec):
    """Which failures must be survived."""

    tier: int = Field(
        default=1,
        ge=0,
        le=9,
        description="How critical the workloads are; 0 is the most critical. On a loss lower tiers are served first.",
    )
    tolerate: list[TolerateSpec] = Field(
        min_length=1,
        max_length=4,
        description="Losses that must be survived; room for each is kept before anything fails.",
        json_schema_extra=map_by("scope"),
    )
    share: Share = Field(default="100%", description="How much of the demand the survivors must serve.")
    on_loss: Literal["Recommend", "Enforce"] = Field(
        default="Recommend", description="What a declared loss lets archgov do; mode governs normal operation."
    )
    rto: Duration | None = Field(default=None, description="How long a failover may take; reports compare with it.")
    failback: FailbackSpec | None = Field(default=None, description="How replicas return. Left out: its defaults.")
    shed: ShedSpec | None = Field(
        default=None, description="How far these workloads may be cut down. Left out: not at all."
    )


class FailoverIntentStatus(IntentStatus):
    """What archgov reports about a FailoverIntent."""

    survivable: Word | None = Field(default=None, description="How many of the tolerated losses would be survived now.")
    failed_over: list[Sentence] | None = Field(
        default=None,
        max_length=20,
        description="Workloads that stand elsewhere because of a loss; 20 at most are named.",
    )


def parse(body: Mapping[str, Any], governance: Governance) -> FailoverIntent:
    """The intent that a body declares.

    Raises:
        IntentError: with everything that is wrong.
    """
    meta, spec = read(body, NAME, FailoverIntentSpec, namespaced=True)
    failback = spec.failback or FailbackSpec()
    return FailoverIntent(
        common=common(NAME, meta, spec, governance),
        tier=spec.tier,
        tolerate=tuple(Tolerate(tolerated.scope, tolerated.failures) for tolerated in spec.tolerate),
        share=percent(spec.share),
        on_loss=Mode(spec.on_loss),
        rto=seconds(spec.rto) if spec.rto else 0,
        failback=failback.mode,
        soak=seconds(failback.soak),
        shed=spec.shed.to if spec.shed else None,
    )


KIND: Final = Kind(
    name=NAME,
    plural="failoverintents",
    short="fi",
    scope="Namespaced",
    about="Which losses workloads must survive.",
    spec=FailoverIntentSpec,
    status=FailoverIntentStatus,
    columns=(
        MODE,
        READY,
        Column("Tier", ".spec.tier", "integer"),
        Column("Workloads", ".status.workloads", "integer"),
        Column("Survives", ".status.survivable"),
        Column("Cost", ".status.cost"),
        SUMMARY,
        Column("On-Loss", ".spec.onLoss", wide=True),
        REASON,
        AGE,
    ),
    parse=parse,
    selectable=INTENT_SELECTABLE,
)
