"""Approval: a person's word on one exact plan."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, ClassVar, Final

from pydantic import Field, StringConstraints

from archgov.api.body import read
from archgov.api.common import Instant, ObjectName, Sentence, Word
from archgov.api.instant import unix
from archgov.api.kind import AGE, READY, REASON, Column, Kind
from archgov.api.part import Part, Rule
from archgov.api.status import ObjectStatus
from archgov.model.approval import Approval, Ruling
from archgov.model.condition import Kind as Condition
from archgov.model.condition import Reason, Status

NAME: Final = "Approval"
# How long a word counts that says nothing of it.
LASTS: Final = 24 * 3600


class ApprovalSpec(Part):
    """What somebody says of a plan; the user who made it is stamped in by the API server."""

    RULES: ClassVar = (
        Rule("self == oldSelf", "an Approval is never changed; delete it to take it back, or make another one"),
        Rule(
            "!has(self.waves) || self.verdict == 'Approve'",
            "only Approve takes waves (a rejection or a rollback is about the whole plan)",
            lambda spec: spec.waves is None or spec.verdict is Ruling.APPROVE,
        ),
    )

    decision: ObjectName = Field(description="Name of the Decision, in the same namespace.")
    plan_hash: Annotated[str, StringConstraints(min_length=8, max_length=128)] = Field(
        description="Its spec.planHash, or how that begins (8 characters at least): which exact plan is meant."
    )
    verdict: Annotated[Ruling, Field(strict=False)] = Field(
        description="Approve: carry it out. Reject: don't propose it again before `until`. Rollback: go back to what was "
        "there before it, and keep that until `until`."
    )
    until: Instant | None = Field(
        default=None,
        description="Approve: begin by then, or not at all. Reject, Rollback: how long it holds. Left out: a day after it is made.",
    )
    reason: Sentence = Field(default="", description="Why, for those who read it later.")
    waves: int | None = Field(
        default=None, ge=1, le=1000, description="Release only so many of the plan's waves. Left out: all of them."
    )
    author: Word | None = Field(
        default=None,
        description="The user who made it. Whatever is written here is overwritten at admission with the user of the request.",
    )


def parse(body: Mapping[str, Any]) -> Approval:
    """The word that a body says. `about` is for those who know the Decisions.

    Raises:
        IntentError: with everything that is wrong.
    """
    meta, spec = read(body, NAME, ApprovalSpec, namespaced=True)
    return Approval(
        namespace=meta.namespace,
        name=meta.name,
        decision=spec.decision,
        plan_hash=spec.plan_hash,
        ruling=spec.verdict,
        author=spec.author or "",
        until=unix(spec.until) if spec.until else meta.created + LASTS,
        reason=spec.reason,
        waves=spec.waves or 0,
        generation=meta.generation,
        created=meta.created,
        accepted=_accepted(body),
    )


def _accepted(body: Mapping[str, Any]) -> bool:
    told = (body.get("status") or {}).get("conditions") or []
    one: Mapping[str, Any] = next((one for one in told if one.get("type") == Condition.ACCEPTED), {})
    return one.get("status") == Status.TRUE or one.get("reason") == Reason.NO_LONGER_HOLDS


KIND: Final = Kind(
    name=NAME,
    plural="approvals",
    short="ap",
    scope="Namespaced",
    about="A person's word on one exact plan: carry it out, don't propose it again, or take it back.",
    spec=ApprovalSpec,
    status=ObjectStatus,
    columns=(
        Column("Decision", ".spec.decision"),
        Column("Verdict", ".spec.verdict"),
        READY,
        Column("Author", ".spec.author"),
        Column("Until", ".spec.until", wide=True),
        Column("Summary", ".status.summary"),
        REASON,
        AGE,
    ),
    parse=lambda body, _: parse(body),
    selectable=(".spec.decision", ".spec.verdict"),
)
