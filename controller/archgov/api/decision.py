"""Decision: one plan with its grounds, written down before anything is acted on."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, ClassVar, Final

from pydantic import ConfigDict, Field, ValidationError, WithJsonSchema

from archgov.api.body import read, without_nulls
from archgov.api.common import Instant, Name, ObjectName, Rate, Sentence, Trace, Word, WorkloadKind
from archgov.api.fault import IntentError, faults_of
from archgov.api.kind import AGE, READY, REASON, Column, Kind
from archgov.api.part import Part, Rule
from archgov.api.status import AnyOutcome, ObjectStatus
from archgov.model.condition import Reason
from archgov.model.decision import Action, Alternative, Cause, Decision, Finding, OpenDecision, Outcome
from archgov.model.quantity import exact
from archgov.model.ref import ClusterName, IntentRef, WorkloadRef

NAME: Final = "Decision"
ACTIONS: Final = 100
INTENTS: Final = 50
NAMED: Final = 20  # findings, alternatives, remedies: the same top ones each time; the rest is in the ledger

# Older CRDs have to take the reasons of a newer archgov, so that the list isn't part of the schema.
AnyReason = Annotated[
    Reason, Field(strict=False), WithJsonSchema({"type": "string", "pattern": "^[A-Z][A-Za-z]*$", "maxLength": 64})
]


class IntentRefSpec(Part):
    """One intent."""

    kind: Word = Field(description="Its kind.")
    namespace: Name = Field(description="Its namespace.")
    name: ObjectName = Field(description="Its name.")


class WorkloadRefSpec(Part):
    """One workload, wherever it runs."""

    namespace: Name = Field(description="Its namespace.")
    kind: WorkloadKind = Field(description="Its kind.")
    name: ObjectName = Field(description="Its name.")


class ActionSpec(Part):
    """Set the replicas of a workload in one cluster."""

    wave: int = Field(ge=0, le=1000, description="Actions of a wave start together, once every earlier wave is done.")
    workload: WorkloadRefSpec = Field(description="Whose replicas are set.")
    cluster: Name = Field(description="Where.")
    before: int = Field(ge=0, le=2147483647, description="spec.replicas that is expected there.")
    after: int = Field(ge=0, le=2147483647, description="spec.replicas that is written.")
    uid: Word = Field(default="", description="uid of the object that is acted on, as hexadecimal digits.")
    cause: Annotated[Cause, Field(strict=False)] = Field(description="What it is for.")
    why: Sentence = Field(default="", description="The same in a sentence.")


class FindingSpec(Part):
    """Something worth knowing, with what would help."""

    reason: AnyReason = Field(description="What was found, in one word for programs.")
    message: Sentence = Field(description="What was found, in a sentence for people.")
    about: list[IntentRefSpec] = Field(default_factory=list, max_length=NAMED, description="Intents that it concerns.")
    workload: WorkloadRefSpec | None = Field(default=None, description="The workload that it concerns.")
    remedies: list[Sentence] = Field(
        default_factory=list, max_length=NAMED, description="What would help; each one alone is enough."
    )
    stalls: bool = Field(default=False, description="A person has to act before it goes away.")


class AlternativeSpec(Part):
    """A way that was not chosen."""

    what: Sentence = Field(description="The other way.")
    reason: Sentence = Field(description="Why it was not chosen.")
    extra: Rate | None = Field(default=None, description="What it would cost more, in US dollars an hour.")


class DecisionSpec(Part):
    """One plan with its grounds; archgov writes it once, nobody changes it."""

    RULES: ClassVar = (Rule("self == oldSelf", "a Decision is never changed; the next plan is another Decision"),)

    intents: list[IntentRefSpec] = Field(
        min_length=1,
        max_length=INTENTS,
        description="Intents whose requirements the plan answers; the one that it is filed under first.",
    )
    actions: list[ActionSpec] = Field(default_factory=list, max_length=ACTIONS, description="What the plan sets.")
    objective: Rate = Field(description="Cost of the plan, in US dollars an hour.")
    bound: Rate | None = Field(
        default=None, description="No plan costs less than this; left out where none was proved."
    )
    cost_before: Rate = Field(description="Cost of the workloads it touches before, in US dollars an hour.")
    cost_after: Rate = Field(description="Cost of the workloads it touches afterwards, in US dollars an hour.")
    summary: Sentence = Field(description="The plan in a sentence.")
    engine: Word = Field(default="", description="Which optimiser made it, with its version.")
    seed: int = Field(default=0, description="Seed of the round.")
    snapshot: Annotated[str, Field(max_length=128)] = Field(default="", description="Digest of what was observed.")
    findings: list[FindingSpec] = Field(
        default_factory=list, max_length=NAMED, description="What was found on the way."
    )
    alternatives: list[AlternativeSpec] = Field(
        default_factory=list, max_length=NAMED, description="Ways that were not chosen, each with its reason."
    )
    plan_hash: Annotated[str, Field(max_length=128)] = Field(default="", description="Identity of the plan.")
    after: list[ObjectName] = Field(
        default_factory=list,
        max_length=ACTIONS,
        description="Decisions that have to be verified before this one starts.",
    )
    traceparent: Trace | None = Field(default=None, description="Trace context of the round that made it.")
    generation: int = Field(
        default=1,
        ge=1,
        description="Generation of the first intent when it was made: a plan is about what was asked then.",
    )
    epoch: int = Field(default=0, ge=0, description="Of the leadership in which it was made.")


class MeasuredStatus(Part):
    """What the plan achieved."""

    cost: Rate = Field(description="Cost of the workloads it touched when it was verified, in US dollars an hour.")
    change: Word = Field(description="The same compared with before.")


class DecisionStatus(ObjectStatus):
    """What became of a plan."""

    outcome: AnyOutcome = Field(default=Outcome.PROPOSED, description="What became of the plan.")
    progress: Word | None = Field(default=None, description="How far it is carried out, such as 3/5 actions.")
    verified: Instant | None = Field(default=None, description="When its effect was observed.")
    approved_by: Word | None = Field(default=None, description="The user who approved it, where somebody had to.")
    overtaken: list[Annotated[str, Field(max_length=512)]] = Field(
        default_factory=list,
        max_length=ACTIONS,
        description="Workloads, as namespace/name, that another plan led elsewhere; nothing of them was verified.",
    )
    measured: MeasuredStatus | None = Field(default=None, description="What it achieved.")


class _Outcome(Part):
    """What parse needs of a status; an archgov that knew more fields may have written the rest."""

    model_config = ConfigDict(extra="ignore")

    outcome: AnyOutcome = Outcome.PROPOSED
    approved_by: str = ""


def parse(body: Mapping[str, Any]) -> OpenDecision:
    """The decision that a body holds, with what became of it.

    Raises:
        IntentError: with everything that is wrong.
    """
    meta, spec = read(body, NAME, DecisionSpec, namespaced=True)
    return OpenDecision(
        namespace=meta.namespace,
        decision=_decision(meta.name, spec, _status(without_nulls(body).get("status", {}))),
        created=meta.created,
    )


def _status(status: Any) -> _Outcome:
    try:
        return _Outcome.model_validate(status)
    except ValidationError as error:
        raise IntentError.of(faults_of(error, _Outcome, "status")) from None


def _decision(name: str, spec: DecisionSpec, status: _Outcome) -> Decision:
    return Decision(
        intents=tuple(_intent(ref) for ref in spec.intents),
        actions=tuple(_action(action) for action in spec.actions),
        outcome=status.outcome,
        approved_by=status.approved_by,
        objective=_micro(spec.objective),
        bound=None if spec.bound is None else _micro(spec.bound),
        cost_before=_micro(spec.cost_before),
        cost_after=_micro(spec.cost_after),
        summary=spec.summary,
        engine=spec.engine,
        seed=spec.seed,
        snapshot=spec.snapshot,
        findings=tuple(_finding(finding) for finding in spec.findings),
        alternatives=tuple(_alternative(other) for other in spec.alternatives),
        plan_hash=spec.plan_hash,
        name=name,
        after=tuple(spec.after),
        generation=spec.generation,
    )


def _intent(spec: IntentRefSpec) -> IntentRef:
    return IntentRef(spec.kind, spec.namespace, spec.name)


def _workload(spec: WorkloadRefSpec) -> WorkloadRef:
    return WorkloadRef(spec.namespace, spec.kind, spec.name)


def _action(spec: ActionSpec) -> Action:
    return Action(
        wave=spec.wave,
        workload=_workload(spec.workload),
        cluster=ClusterName(spec.cluster),
        before=spec.before,
        after=spec.after,
        uid=spec.uid,
        cause=spec.cause,
        why=spec.why,
    )


def _finding(spec: FindingSpec) -> Finding:
    return Finding(
        reason=spec.reason,
        message=spec.message,
        about=tuple(_intent(ref) for ref in spec.about),
        workload=_workload(spec.workload) if spec.workload else None,
        remedies=tuple(spec.remedies),
        stalls=spec.stalls,
    )


def _alternative(spec: AlternativeSpec) -> Alternative:
    return Alternative(spec.what, spec.reason, None if spec.extra is None else _micro(spec.extra))


def _micro(rate: str) -> int:
    """Micro-USD per hour; a rate has six decimals at most, so nothing is rounded."""
    return int(exact(rate) * 1_000_000)


KIND: Final = Kind(
    name=NAME,
    plural="decisions",
    short="dec",
    scope="Namespaced",
    about="One plan with its grounds, written down before anything is acted on. Written by archgov.",
    spec=DecisionSpec,
    status=DecisionStatus,
    columns=(
        Column("Outcome", ".status.outcome"),
        READY,
        Column("Progress", ".status.progress"),
        Column("Summary", ".spec.summary"),
        Column("Plan", ".spec.planHash", wide=True),
        Column("Verified", ".status.verified", "date", wide=True),
        REASON,
        AGE,
    ),
    parse=lambda body, _: parse(body),
    selectable=(".status.outcome", ".spec.planHash"),
)
