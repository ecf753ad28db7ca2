"""One round: a Snapshot in, everything that follows from it out."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, replace

import numpy as np

from archgov.decide.advise import Advice, advise, most_autonomy
from archgov.decide.approve import granted_need, on_top, rejected
from archgov.decide.budget import allowances
from archgov.decide.compose import Asked, hourly_prices
from archgov.decide.failover import Answer
from archgov.decide.grounds import cause, why
from archgov.decide.need import first_record
from archgov.decide.open import Closed, Keys, closing, led_by, still_led
from archgov.decide.overview import Overview, overview
from archgov.decide.plan import Plan, plan
from archgov.decide.release import Released, Step, release
from archgov.decide.stage import Stage, acting_question, emergency, set_up
from archgov.decide.tell import actions, decisions
from archgov.decide.verdict import Verdict, verdict
from archgov.decide.withdraw import withdrawn
from archgov.model.decision import Action, Cause, Decision, Finding, Outcome, merged
from archgov.model.fleet import Int64
from archgov.model.intent import CapacityIntent, FailoverIntent, Loss, PlacementIntent, Record, Removal
from archgov.model.ref import ClusterName, WorkloadRef
from archgov.model.snapshot import Snapshot
from archgov.optimize.placement.judge import cost

Stopwatch = Callable[[str], AbstractContextManager[object]]


@dataclass(frozen=True, slots=True)
class Effect:
    """One write that may happen now, under the decision that explains it."""

    namespace: str
    decision: str
    action: Action


@dataclass(frozen=True, slots=True)
class Round:
    """Everything that follows from one snapshot.

    Attributes:
        decisions: to be written before anything else. closed: open ones that are over. records: that changed; written before
        the effects. effects: what may be done now. losses: to be remembered.
        acting, advice: the plans behind it, for those who explain; acting is None while the fast path answers.
    """

    snapshot: str
    decisions: tuple[Decision, ...]
    closed: tuple[Closed, ...]
    records: tuple[Record, ...]
    effects: tuple[Effect, ...]
    losses: tuple[Loss, ...]
    verdicts: tuple[Verdict, ...]
    findings: tuple[Finding, ...]
    overview: Overview
    stage: Stage
    acting: Plan | None
    advice: tuple[Advice, ...]

    @property
    def is_settled(self) -> bool:
        """Nothing is left to do: no effect may happen or waits, no decision is under way."""
        return not self.effects and not any(verdict.waits for verdict in self.verdicts)


def conclude(snapshot: Snapshot, timed: Stopwatch = nullcontext) -> Round:
    """The whole of archgov's judgement: pure, so that the operator, a dry run, a what-if, a replay ask the same question.

    Args:
        timed: entered around each part of the work, with its name, by whoever wants to know how long they take.
    """
    with timed("archgov.compose"):
        stage = set_up(snapshot)
        urgent = emergency(stage)
        if urgent is not None and (urgent.level != stage.base.problem.now).any():
            return _answer_loss(stage, urgent)
    with timed("archgov.forecast"):
        question = acting_question(stage)
    with timed("archgov.optimize"):
        acting, in_vain = _acting_plan(stage, question)
    with timed("archgov.advise"):
        advice = advise(stage, acting)
    with timed("archgov.decide"):
        return _decided(stage, acting, in_vain, advice, urgent)


def saving(found: Round) -> int | None:
    """Micro-USD per hour that letting every intent act would save; no less than none, for a rule may cost what it costs.

    It is a solve of its own, so it is for those who tell, after acting. None while the fast path answers.
    """
    stage, acting = found.stage, found.acting
    if acting is None:
        return None
    if not found.advice:
        return 0
    fleet, free = stage.snapshot.fleet, most_autonomy(stage)
    prices = hourly_prices(fleet)[fleet.workloads.shape[list(stage.base.rows)]]
    return max(0, int((prices * (acting.target - free.target)).sum()))


def _acting_plan(stage: Stage, question: Asked) -> tuple[Plan, frozenset[int]]:
    incumbent = led_by(stage, Outcome.APPLYING)
    planned = plan(
        on_top(stage.base, stage.grants), question, stage.governed, dict(stage.needs), stage.engine, incumbent
    )
    target, in_vain = withdrawn(stage, planned)
    return replace(planned, target=target, objective=sum(cost(planned.problem, target).values())), in_vain


def _decided(
    stage: Stage, acting: Plan, in_vain: frozenset[int], advice: tuple[Advice, ...], urgent: Answer | None
) -> Round:
    released = _released(stage, acting.target)
    kept, over = closing(stage, acting.target, advice)
    fresh = (*_granted_decisions(stage, acting, kept), *_acting_decisions(stage, acting, kept, in_vain))
    # One whose first outcome was never written, and which begins now, isn't over.
    begun = {decision.key for decision in fresh}
    over = tuple(one for one in over if one.key not in begun)
    refused = rejected(stage.heard)
    proposed = tuple(
        decision
        for one in advice
        for decision in one.decisions
        if decision.key not in kept and (decision.intents[0].namespace, decision.plan_hash) not in refused
    )
    return _round(stage, acting.target, acting, advice, released, fresh, proposed, kept, over, urgent)


def _answer_loss(stage: Stage, urgent: Answer) -> Round:
    """The fast path: no solve; raises go ahead, lower tiers shed, everything else stands still."""
    rows = tuple(sorted({*urgent.raised, *urgent.shed}))
    shed = set(urgent.shed) - set(urgent.raised)
    kinds = {row: Cause.SHED if row in shed else Cause.FAILOVER for row in rows}
    what = ", ".join(str(loss) for loss in stage.lost)
    told = dict.fromkeys(rows, f"{what} is lost")
    fresh: list[Decision] = []
    for owner in stage.of(FailoverIntent):
        mine = tuple(row for row in owner.rows if row in kinds and stage.first_of(row, FailoverIntent) is owner)
        found = actions(stage.base, stage.base.problem.now, urgent.level, mine, kinds, told)
        if found:
            fresh += decisions(stage.snapshot, owner, (), found, stage.base, None, Outcome.APPLYING, urgent.findings)
    steps = tuple(
        Step(row, k, int(stage.base.problem.now[s, k]), int(urgent.level[s, k]))
        for s, row in enumerate(stage.base.rows)
        for k in np.flatnonzero(urgent.level[s] != stage.base.problem.now[s]).tolist()
    )
    known = {one.key for one in stage.snapshot.decisions}
    kept = {decision.key for decision in fresh if decision.key in known}
    over = tuple(
        Closed(one.namespace, one.decision.name, Outcome.SUPERSEDED, f"{what} is lost; the running plan stands still")
        for one in stage.snapshot.decisions
        if one.key not in kept and one.decision.outcome is Outcome.APPLYING
    )
    released = Released(steps, (), frozenset(rows))
    new = tuple(decision for decision in fresh if decision.key not in kept)
    return _round(stage, urgent.level, None, (), released, new, (), kept, over, urgent)


def _released(stage: Stage, target: Int64) -> Released:
    if stage.stopped:
        waits = frozenset(
            row for s, row in enumerate(stage.base.rows) if (target[s] != stage.base.problem.now[s]).any()
        )
        return Released((), (), waits)
    granted = allowances(stage.snapshot, stage.governed, stage.records)
    return release(stage.snapshot.fleet, stage.base.rows, stage.base.problem, target, granted)


def _led(stage: Stage, target: Int64, kept: Keys) -> set[tuple[WorkloadRef, ClusterName]]:
    """Workloads, by cluster, that a decision under way leads where a plan wants them."""
    return {
        (action.workload, action.cluster)
        for one in stage.snapshot.decisions
        if one.key in kept and one.decision.outcome is Outcome.APPLYING
        for still in [still_led(stage, one.decision, target)]
        for action in one.decision.actions
        if action.workload in still
    }


def _granted_decisions(stage: Stage, acting: Plan, kept: Keys) -> tuple[Decision, ...]:
    """Decisions that people released just now, and those that take others back."""
    base, now = stage.base, stage.base.problem.now
    led, found = _led(stage, acting.target, kept), []
    for grant in stage.grants:
        by = grant.approval.author
        if not grant.takes_back:
            if grant.decision.outcome is Outcome.PROPOSED:
                found.append(replace(grant.decision, outcome=Outcome.APPLYING, approved_by=by))
            continue
        rows = [row for row in base.rows if base.fleet.ref(row) in grant.workloads]
        told = f"{grant.decision.name} is taken back" + (f": {grant.approval.reason}" if grant.approval.reason else "")
        todo = actions(base, now, acting.target, rows, dict.fromkeys(rows, Cause.ROLLBACK), dict.fromkeys(rows, told))
        if any((action.workload, action.cluster) not in led for action in todo):
            fresh = decisions(stage.snapshot, grant.owner, (), todo, base, None, Outcome.APPLYING)
            found += [replace(decision, approved_by=by) for decision in fresh]
    return tuple(found)


def _acting_decisions(stage: Stage, acting: Plan, kept: Keys, in_vain: frozenset[int]) -> tuple[Decision, ...]:
    """One decision per intent that owns changes which no open decision leads to yet."""
    now, led, granted = stage.base.problem.now, _led(stage, acting.target, kept), stage.granted
    by_owner: dict[str, list[int]] = {}
    for s, row in enumerate(stage.base.rows):
        changed = [] if row in granted else np.flatnonzero(acting.target[s] != now[s]).tolist()
        ref = stage.snapshot.fleet.ref(row)
        if changed and any((ref, stage.snapshot.fleet.clusters[k].name) not in led for k in changed):
            by_owner.setdefault(_owner(stage, acting.asked, row, s, acting.target), []).append(row)
    found: list[Decision] = []
    for owner in stage.governed:
        rows = by_owner.get(owner.name, [])
        if rows:
            kinds = {row: cause(stage, owner, row) for row in rows}
            needs, total = (
                acting.asked.needs,
                dict(zip(stage.base.rows, acting.target.sum(axis=1).tolist(), strict=True)),
            )
            told = {
                row: "found no node" if row in in_vain else why(stage, owner, row, needs[row], total[row])
                for row in rows
            }
            involved = tuple(one for one in stage.governed if set(rows) & acting.asked.full.get(one.name, frozenset()))
            todo = actions(stage.base, now, acting.target, rows, kinds, told)
            about = tuple(f for f in acting.findings if owner.intent.common.ref in f.about)
            found += decisions(stage.snapshot, owner, involved, todo, stage.base, acting, Outcome.APPLYING, about)
    return tuple(found)


def _owner(stage: Stage, asked: Asked, row: int, s: int, target: Int64) -> str:
    """The intent that a change is filed under: the one whose dimension changes, the most important of its kind."""
    grows = int(target[s].sum()) - int(stage.base.problem.now[s].sum())
    homing = row in asked.returning
    owners = {
        "placement": stage.first_of(row, PlacementIntent, enforced=not homing),
        "capacity": stage.first_of(row, CapacityIntent, enforced=not homing),
        "failover": stage.first_of(row, FailoverIntent, enforced=not homing),
    }
    if homing or (grows > 0 and not asked.needs[row].owner):
        order = ("failover", "capacity", "placement")
    elif grows:
        order = ("capacity", "failover", "placement")
    else:
        order = ("placement", "capacity", "failover")
    return next(owner.name for kind in order if (owner := owners[kind]) is not None)


def _round(
    stage: Stage,
    target: Int64,
    acting: Plan | None,
    advice: tuple[Advice, ...],
    released: Released,
    fresh: tuple[Decision, ...],
    proposed: tuple[Decision, ...],
    kept: Keys,
    over: tuple[Closed, ...],
    urgent: Answer | None,
) -> Round:
    findings = (
        *stage.findings,
        *(acting.findings if acting else ()),
        *released.findings,
        *(urgent.findings if urgent else ()),
    )
    # Of two that speak of one workload the later one leads.
    latest = sorted(stage.snapshot.decisions, key=lambda one: -one.created)
    under_way = (*fresh, *(one.decision for one in latest if one.key in kept))
    effects = tuple(_effect(stage, step, under_way) for step in released.steps)
    return Round(
        snapshot=stage.snapshot.digest,
        decisions=(*fresh, *proposed),
        closed=over,
        records=_records(stage, released, urgent, acting),
        effects=effects,
        losses=stage.home.remembered,
        verdicts=tuple(
            verdict(stage, one, acting, advice, target, released, under_way, findings)
            for one in stage.selection.governed
            # The fast path asks nothing of the others, so it says nothing of them.
            if acting is not None or isinstance(one.intent, FailoverIntent)
        ),
        findings=merged(findings),
        overview=overview(stage.snapshot.fleet),
        stage=stage,
        acting=acting,
        advice=advice,
    )


def _effect(stage: Stage, step: Step, under_way: tuple[Decision, ...]) -> Effect:
    """A step as a write, cited from the decision that leads there."""
    fleet = stage.snapshot.fleet
    ref, cluster = fleet.ref(step.row), fleet.clusters[step.cluster].name
    for decision in under_way:
        for action in decision.actions:
            if (action.workload, action.cluster) == (ref, cluster) and decision.outcome is Outcome.APPLYING:
                return Effect(
                    decision.intents[0].namespace,
                    decision.name,
                    replace(action, before=step.before, after=step.after, uid=fleet.uid(step.row, step.cluster)),
                )
    raise AssertionError(f"no decision leads {ref} in {cluster} to {step.after}")


def _is_home(stage: Stage, row: int, acting: Plan | None) -> bool:
    """Whether a workload that returns has again what it had before the failure; nobody is home who is held on the way."""
    home, now = stage.home.returning.get(row), stage.snapshot.fleet.spec_replicas(row)
    if home is None or acting is None or row in stage.contended | stage.unaccounted | acting.asked.held:
        return False
    return all(now.get(k, 0) >= count for k, count in home.items())


def _records(stage: Stage, released: Released, urgent: Answer | None, acting: Plan | None) -> tuple[Record, ...]:
    """Records that must be written before the effects: what changed by itself, what is about to be written."""
    snapshot = stage.snapshot
    before = {record.workload: record for record in snapshot.records}
    now = {record.workload: record for record in stage.records}
    for record in stage.records:
        row = snapshot.fleet.row(record.workload)
        if row is not None and row not in released.waits and _is_home(stage, row, acting):
            now[record.workload] = replace(record, origin=())
    for step in released.steps:
        ref = snapshot.fleet.ref(step.row)
        record = now.get(ref) or first_record(snapshot, step.row, stage.needs[step.row])
        now[ref] = _about_to_write(stage, _as_granted(stage, record, step.row, acting), step, urgent)
    return tuple(record for ref, record in sorted(now.items()) if before.get(ref) != record)


def _as_granted(stage: Stage, record: Record, row: int, acting: Plan | None) -> Record:
    """The record with the need that a person approved, where a granted plan changes it."""
    fleet = stage.snapshot.fleet
    grant = next((one for one in stage.grants if record.workload in one.workloads), None)
    if grant is None or acting is None:
        return record
    then = acting.target[stage.base.rows.index(row)]
    need = granted_need(grant, int(then.sum()))
    if need is None:
        return record
    needs = tuple((fleet.clusters[k].name, int(then[k])) for k in sorted(fleet.spec_replicas(row)))
    return replace(record, need=need, needs=needs)


def _about_to_write(stage: Stage, record: Record, step: Step, urgent: Answer | None) -> Record:
    cluster = stage.snapshot.fleet.clusters[step.cluster].name
    removals = record.removals
    if (gone := step.before - step.after - step.idle) > 0:
        removals = (*removals, Removal(stage.snapshot.seconds, gone))[-MOST_REMOVALS:]
    origin = record.origin
    if urgent is not None and stage.lost and not origin and step.row in {*urgent.raised, *urgent.shed}:
        clusters = stage.snapshot.fleet.clusters
        origin = tuple(
            (clusters[k].name, count) for k, count in sorted(stage.snapshot.fleet.spec_replicas(step.row).items())
        )
    return replace(
        record,
        written=_with(record.written, cluster, step.after),
        pending=_with(record.pending, cluster, step.before),
        removals=removals,
        origin=origin,
    )


ByCluster = tuple[tuple[ClusterName, int], ...]
# Enough for one removal a minute over an hour; older ones matter to no window that is shorter.
MOST_REMOVALS = 60


def _with(pairs: ByCluster, cluster: ClusterName, value: int) -> ByCluster:
    return tuple(sorted({**dict(pairs), cluster: value}.items()))
