"""What people said of plans: which ones are carried out, which are not proposed again, which are taken back."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from functools import partial

from archgov.decide.clause import clause
from archgov.decide.compose import Asked, Frame, cells, compose
from archgov.decide.need import Need
from archgov.decide.select import Governed
from archgov.model.approval import Approval, Ruling
from archgov.model.condition import Reason
from archgov.model.decision import Action, Decision, Outcome
from archgov.model.fleet import Int64, Reach
from archgov.model.intent import CapacityIntent, Intent, Mode
from archgov.model.quantity import counted, instant
from archgov.model.ref import IntentRef, WorkloadRef
from archgov.model.snapshot import Snapshot
from archgov.optimize.placement.judge import Violation, violated
from archgov.optimize.placement.problem import Allowed

# Why nobody can approve what is over, and what to do instead.
_OVER = {
    Outcome.VERIFIED: "what was taken back comes again once its Rollback is deleted or over",
    Outcome.REJECTED: "it is proposed again once the rejection is deleted or over",
    Outcome.SUPERSEDED: "look at what is proposed now",
    Outcome.FAILED: "look at what is proposed now",
}
Owners = Mapping[IntentRef, Governed[Intent]]


@dataclass(frozen=True, slots=True)
class Heard:
    """An Approval with what comes of it. counts: it holds now."""

    approval: Approval
    counts: bool
    reason: Reason
    message: str


@dataclass(frozen=True, slots=True)
class Grant:
    """A plan that a person released, or had taken back.

    Attributes:
        decision: as it was proposed. owner: the intent it is filed under, as it governs now.
        actions: those that may happen now: from what stood there to what shall; of a rollback, the other way round.
        waits: actions of later waves, which nobody has released yet.
    """

    approval: Approval
    decision: Decision
    owner: Governed[Intent]
    actions: tuple[Action, ...]
    waits: tuple[Action, ...] = ()

    @property
    def takes_back(self) -> bool:
        return self.approval.ruling is Ruling.ROLLBACK

    @property
    def workloads(self) -> frozenset[WorkloadRef]:
        return frozenset(action.workload for action in (*self.actions, *self.waits))


def hear(
    snapshot: Snapshot, governed: Iterable[Governed[Intent]], waits: str
) -> tuple[tuple[Heard, ...], tuple[Grant, ...]]:
    """Every Approval, then the plans that follow from those that count, the oldest first; nobody has asked yet if they hold.

    Args:
        waits: why no plan may begin now; empty where plans may.
    """
    owners = {one.intent.common.ref: one for one in governed}
    ordered = sorted(snapshot.approvals, key=lambda one: (one.created, one.namespace, one.name))
    doubts = {approval: _doubt(snapshot, approval, owners) for approval in ordered}
    # Of several words on one decision the last one stands, of those that could.
    last = {(one.namespace, one.decision): one for one in ordered if doubts[one] is None}
    heard, grants = [], []
    for approval in ordered:
        word = doubts[approval] or _accepted(approval)
        if doubts[approval] is None and last[approval.namespace, approval.decision] is not approval:
            newer = f"{approval.decision} has a newer word"
            word = Heard(approval, counts=False, reason=Reason.SUPERSEDED, message=newer)
        elif doubts[approval] is None and approval.ruling is not Ruling.REJECT:
            granted = _grants(snapshot, approval, owners, waits)
            if isinstance(granted, Heard):
                word = granted
            else:
                grants += granted
                if any(grant.waits for grant in granted):
                    word = replace(word, message=f"the first {counted(approval.waves, 'wave')} of it; the others wait")
        heard.append(word)
    return tuple(heard), tuple(grants)


def rejected(heard: Iterable[Heard]) -> dict[tuple[str, str], Approval]:
    """Rejections that count, by namespace and the hash of the plan that is not proposed again."""
    return {
        (one.approval.namespace, one.approval.about.decision.plan_hash): one.approval
        for one in heard
        if one.counts and one.approval.ruling is Ruling.REJECT and one.approval.about is not None
    }


def rejection(no: Approval) -> str:
    """Who rejected a plan, until when, and why."""
    return f"rejected by {no.author} until {instant(no.until)}" + (f": {no.reason}" if no.reason else "")


def on_top(base: Frame, grants: Iterable[Grant]) -> Frame:
    """The same frame as if granted plans were carried out already: others plan around them."""
    target, held = base.problem.now.copy(), base.held.copy()
    for grant in grants:
        for s, k, action in cells(base.fleet, base.rows, grant.actions):
            target[s, k] = held[s, k] = action.after
    return replace(base, problem=replace(base.problem, now=target), held=held)


def broken_by(
    base: Frame, asked: Asked, governed: tuple[Governed[Intent], ...], grant: Grant, needs: dict[int, Need]
) -> str:
    """What a granted plan would break that holds now, in words; empty where it still holds.

    Args:
        base: with everything granted before. needs: what its owner declares for its workloads.
    """
    if doubt := _changed(base, grant):
        return doubt
    after = on_top(base, (grant,)).problem.now
    rows = {row for row in base.rows if base.fleet.ref(row) in grant.workloads}
    s_of = {row: s for s, row in enumerate(base.rows)}
    enforced = {name: some for name, some in asked.full.items() if some & rows}
    own = {} if grant.takes_back else {grant.owner.name: asked.full.get(grant.owner.name, frozenset()) | rows}
    question = replace(
        asked,
        free=frozenset(rows),
        full={**enforced, **own},
        moves=frozenset(rows),
        growing=frozenset(rows),
        held=frozenset(),
        returning={},
        places={},
        needs={
            **asked.needs,
            **{row: _need(grant, asked.needs[row], needs.get(row), after[s_of[row]]) for row in rows},
        },
    )
    problem = compose(base, question, governed)
    before = {one.rule for one in violated(problem, base.problem.now)}
    fresh = [one for one in violated(problem, after) if one.rule not in before and _matters(grant, one)]
    return "; ".join(dict.fromkeys(clause(one.rule).told for one in fresh))


def granted_need(grant: Grant, total: int) -> int | None:
    """The need that a workload has once a granted plan is carried out, where that plan changes it. total: its replicas then."""
    return total if grant.takes_back or isinstance(grant.owner.intent, CapacityIntent) else None


def _need(grant: Grant, today: Need, declared: Need | None, after: Int64) -> Need:
    if grant.takes_back:
        return Need(int(after.sum()), source="rollback")
    return declared or today


def _matters(grant: Grant, violation: Violation) -> bool:
    """Whoever takes a plan back doesn't ask its own intent, unless it says where the workload may be at all."""
    if not grant.takes_back or violation.kind == Allowed.__name__:
        return True
    return clause(violation.rule).owner != grant.owner.name


def _changed(base: Frame, grant: Grant) -> str:
    """What is no longer as the plan expects it: replicas that somebody else set, objects that are gone or made anew."""
    fleet = base.fleet
    for action in (*grant.actions, *grant.waits):
        row, k = fleet.row(action.workload), fleet.cluster_row.get(action.cluster)
        if row is None or row not in base.rows or k is None or k not in fleet.spec_replicas(row):
            return f"{action.workload} isn't there to be set in {action.cluster}"
        if fleet.clusters[k].reach is not Reach.YES:
            return f"{action.cluster} isn't seen"
        if not grant.takes_back and action.uid != fleet.uid(row, k):
            return f"{action.workload} in {action.cluster} was made anew since"
        low, high = sorted((action.before, action.after))
        now = fleet.spec_replicas(row)[k]
        if not low <= now <= high:
            return f"{action.workload} has {now} replicas in {action.cluster}; the plan is about {action.before} and {action.after}"
    return ""


def _doubt(snapshot: Snapshot, approval: Approval, owners: Owners) -> Heard | None:
    """Why an Approval can't count by itself, if so."""
    no = partial(Heard, approval, False)
    if not approval.author:
        return no(
            Reason.AUTHOR_UNVERIFIED,
            "the API server doesn't stamp who made it, so nobody can be held to it; "
            "apply admission/approval-author.yaml, then make it again",
        )
    if approval.about is None:
        return no(Reason.NO_SUCH_DECISION, f"there is no Decision {approval.decision} in {approval.namespace}")
    about, made = approval.about.decision, approval.about.created
    if about.key != approval.about.key:
        return no(
            Reason.NO_SUCH_DECISION, f"{about.name} is about {about.intents[0]}, which is not in {approval.namespace}"
        )
    if approval.created < made:
        return no(
            Reason.OTHER_PLAN, f"{about.name} was proposed anew at {instant(made)}, after this was said: say it again"
        )
    if not about.plan_hash.startswith(approval.plan_hash):
        return no(
            Reason.OTHER_PLAN,
            f"the plan of {approval.decision} is {about.plan_hash[:12]}, not {approval.plan_hash[:12]}: look at it again",
        )
    if approval.ruling is Ruling.APPROVE and about.outcome in _OVER:
        if approval.accepted and about.outcome is Outcome.VERIFIED:
            return Heard(approval, counts=True, reason=Reason.VERIFIED, message="carried out as approved")
        told = f"{about.name} is {about.outcome.value}: there is nothing to approve"
        return no(Reason.NOT_AWAITED, f"{told}; {_OVER[about.outcome]}")
    begun = approval.ruling is Ruling.APPROVE and about.outcome is Outcome.APPLYING and approval.accepted
    if approval.until < snapshot.seconds and not begun:
        return no(Reason.EXPIRED, f"it counted until {instant(approval.until)}")
    owner = owners.get(about.intents[0])
    if approval.ruling is Ruling.REJECT and owner is not None and owner.enforced:
        return no(
            Reason.NOT_AWAITED,
            f"{about.intents[0]} has mode Enforce, which asks nobody: suspend it (spec.suspend), or roll the plan back",
        )
    return None


def _accepted(approval: Approval) -> Heard:
    until = instant(approval.until)
    match approval.ruling:
        case Ruling.REJECT:
            return Heard(approval, counts=True, reason=Reason.REJECTED, message=f"not proposed again before {until}")
        case Ruling.ROLLBACK:
            return Heard(
                approval, counts=True, reason=Reason.ROLLED_BACK, message=f"what was there before is kept until {until}"
            )
        case _:
            return Heard(approval, counts=True, reason=Reason.APPROVED, message="the plan is being carried out")


def _grants(snapshot: Snapshot, approval: Approval, owners: Owners, waits: str) -> list[Grant] | Heard:
    """The parts of the plan that an Approval is about; a plan of many actions is several Decisions of one hash."""
    assert approval.about is not None  # noqa: S101 hear has asked
    about = approval.about.decision
    owner = owners.get(about.intents[0])
    no = partial(Heard, approval, False)
    if owner is None:
        return no(Reason.NOT_AWAITED, f"{about.intents[0]} is gone, suspended or refused")
    if strangers := _not_governed(snapshot, about, owner):
        return no(Reason.NOT_AWAITED, f"{about.intents[0]} doesn't govern {strangers[0]}, which the plan is about")
    if approval.ruling is Ruling.ROLLBACK:
        if not (approval.accepted or _is_begun(snapshot, about)):
            return no(Reason.NOT_AWAITED, f"{about.name} is {about.outcome.value}: there is nothing to take back")
        return [Grant(approval, about, owner, tuple(_reversed(action) for action in about.actions))]
    if owner.intent.common.mode is not Mode.APPROVE:
        mode = owner.intent.common.mode.value
        return no(
            Reason.NOT_AWAITED,
            f"{about.intents[0]} has mode {mode}; set spec.mode to Approve, and its plans wait for a word",
        )
    parts = [
        one.decision
        for one in snapshot.decisions
        if one.namespace == approval.namespace and one.decision.plan_hash == about.plan_hash
    ]
    if about.generation != owner.intent.common.generation:
        return no(Reason.OTHER_PLAN, f"{about.intents[0]} was changed after {about.name} was made")
    if waits and about.outcome is Outcome.PROPOSED:
        return no(Reason.STOPPED, f"it waits, until {instant(approval.until)} at most: {waits}")
    return [Grant(approval, part, owner, *_released(part, approval.waves)) for part in parts]


def _is_begun(snapshot: Snapshot, decision: Decision) -> bool:
    """Whether anything of a plan was done: all of it, or some before it was stopped."""
    if decision.outcome in (Outcome.VERIFIED, Outcome.APPLYING):
        return True
    fleet = snapshot.fleet
    for action in decision.actions:
        row, k = fleet.row(action.workload), fleet.cluster_row.get(action.cluster)
        if row is not None and k is not None and fleet.spec_replicas(row).get(k, action.before) != action.before:
            return decision.outcome is not Outcome.PROPOSED
    return False


def _not_governed(snapshot: Snapshot, decision: Decision, owner: Governed[Intent]) -> list[WorkloadRef]:
    """Workloads of a plan that its intent has no say over: it was changed since, or archgov never made that plan."""
    rows = {action.workload: snapshot.fleet.row(action.workload) for action in decision.actions}
    return sorted(ref for ref, row in rows.items() if row is not None and row not in owner.rows)


def _released(decision: Decision, waves: int) -> tuple[tuple[Action, ...], tuple[Action, ...]]:
    """(actions of the first waves, the others); 0 waves are all."""
    known = sorted({action.wave for action in decision.actions})
    first = set(known[:waves] if waves else known)
    return (
        tuple(action for action in decision.actions if action.wave in first),
        tuple(action for action in decision.actions if action.wave not in first),
    )


def _reversed(action: Action) -> Action:
    return replace(action, before=action.after, after=action.before)
