"""Statuses that several kinds share."""

from __future__ import annotations

from typing import Annotated, ClassVar

from pydantic import Field

from archgov.api.common import AnyMode, Instant, ObjectName, Rate, Sentence, Word, fence
from archgov.api.part import Part, Rule, map_by
from archgov.model.condition import Kind, Status
from archgov.model.decision import Outcome

AnyStatus = Annotated[Status, Field(strict=False)]
AnyOutcome = Annotated[Outcome, Field(strict=False)]


class ConditionStatus(Part):
    """One observed aspect of the object, in the sense of metav1."""

    type: Annotated[Kind, Field(strict=False)] = Field(description="Which aspect.")
    status: AnyStatus = Field(description="True, False or Unknown.")
    reason: Word = Field(
        min_length=1, description="Why, in one word for programs; docs/reference/conditions.md lists them."
    )
    message: Sentence = Field(description="Why, in a sentence for people.")
    last_transition_time: Instant = Field(description="Since when the status is what it is.")
    observed_generation: int = Field(ge=0, description="The generation of the object that this is about.")


class ObjectStatus(Part):
    """What archgov reports about an object."""

    RULES: ClassVar[tuple[Rule, ...]] = (fence(),)

    observed_generation: int = Field(
        default=-1, ge=-1, description="The generation that everything here is about; -1 until the first visit."
    )
    ready: AnyStatus | None = Field(default=None, description="Status of the condition Ready, for field selectors.")
    conditions: list[ConditionStatus] = Field(
        default_factory=list,
        max_length=16,
        description="Aspects, Ready first. Reconciling, Stalled, Degraded and Suspended are there only while true.",
        json_schema_extra=map_by("type"),
    )
    summary: Sentence | None = Field(default=None, description="All of it in a sentence.")
    epoch: int | None = Field(
        default=None, ge=0, description="Of the leadership in which this was written; it only rises."
    )


class LastDecision(Part):
    """The newest decision about an intent."""

    name: ObjectName = Field(description="Name of the Decision in the intent's namespace.")
    plan_hash: Word = Field(description="Identity of its plan.")
    time: Instant = Field(description="When it was made.")
    outcome: AnyOutcome = Field(description="What became of it.")
    objective: Rate = Field(description="What the plan costs, in US dollars an hour.")
    bound: Rate | None = Field(default=None, description="No plan costs less than this, in US dollars an hour.")
    gap: Word | None = Field(default=None, description="Relative distance of the two.")
    trace_id: Word | None = Field(default=None, alias="traceID", description="Trace of the round that made it.")


class IntentStatus(ObjectStatus):
    """What archgov reports about an intent."""

    mode: AnyMode | None = Field(default=None, description="The mode that counts, the fleet's default filled in.")
    last_decision: LastDecision | None = Field(default=None, description="The newest decision about this intent.")
    workloads: int | None = Field(default=None, ge=0, description="Workloads that it governs.")
    moves: int | None = Field(default=None, ge=0, description="Replicas that the newest plan adds or takes away.")
    cost: Word | None = Field(default=None, description="How the newest plan changes the cost of these workloads.")
