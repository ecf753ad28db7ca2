"""Advisory plans: per intent that doesn't act, its workloads free, on top of the acting plan."""

from __future__ import annotations

from dataclasses import dataclass, replace

from archgov.decide.compose import Asked
from archgov.decide.grounds import cause, why
from archgov.decide.open import led_by
from archgov.decide.plan import Plan, plan
from archgov.decide.select import Governed, of_kind
from archgov.decide.stage import Stage, acting_question, declared_needs, growing, movable, places
from archgov.decide.tell import actions, decisions
from archgov.model.decision import Decision, Outcome
from archgov.model.intent import FailoverIntent, Intent, Mode


@dataclass(frozen=True, slots=True)
class Advice:
    """What one intent alone would change, if it were let. decisions: Proposed ones, none for an intent that only observes."""

    governed: Governed[Intent]
    plan: Plan
    decisions: tuple[Decision, ...]


def advise(stage: Stage, acting: Plan) -> tuple[Advice, ...]:
    """One recommendation per intent that doesn't act by itself; each stands alone, so it can be followed without the others."""
    return tuple(_advice(stage, acting, one) for one in stage.governed if not one.enforced)


def most_autonomy(stage: Stage) -> Plan:
    """The optimum if every intent were let: what more autonomy would gain."""
    asked = acting_question(stage)
    rows = frozenset(row for one in stage.governed for row in one.rows) - stage.contended - stage.granted
    everything = replace(
        asked,
        free=rows,
        full={one.name: frozenset(one.rows) & rows for one in stage.governed},
        moves=movable(stage, stage.governed) & rows,
        needs={**stage.needs, **declared_needs(stage, stage.governed)},
        growing=growing(stage.of(FailoverIntent)),
        places=places(stage.governed),
    )
    return plan(stage.base, everything, stage.governed, dict(stage.needs), stage.engine, stage.base.problem.now)


def _advice(stage: Stage, acting: Plan, one: Governed[Intent]) -> Advice:
    base = replace(stage.base, problem=replace(stage.base.problem, now=acting.target), held=acting.target)
    rows = frozenset(one.rows) - stage.contended - stage.granted
    asked = Asked(
        rows=base.rows,
        free=rows,
        # While something is lost the next loss can't be asked for: what is left has just taken over.
        full={} if stage.lost and isinstance(one.intent, FailoverIntent) else {one.name: rows},
        moves=movable(stage, (one,)),
        needs={**acting.asked.needs, **declared_needs(stage, (one,))},
        loads=stage.loads,
        lost=stage.lost_domains,
        held=acting.asked.held | (rows if stage.lost else frozenset()),
        growing=growing(of_kind((one,), FailoverIntent)),
        places=places((one,)),
    )
    incumbent = led_by(stage, Outcome.PROPOSED, one.intent.common.ref, acting.target)
    found = plan(base, asked, stage.governed, dict(acting.asked.needs), stage.engine, incumbent)
    if one.intent.common.mode is Mode.OBSERVE:
        return Advice(one, found, ())
    needs, total = found.asked.needs, dict(zip(base.rows, found.target.sum(axis=1).tolist(), strict=True))
    kinds = {row: cause(stage, one, row, advised=True) for row in rows}
    told = {row: why(stage, one, row, needs[row], total[row], advised=True) for row in rows}
    todo = actions(base, acting.target, found.target, sorted(rows), kinds, told)
    about = tuple(finding for finding in found.findings if one.intent.common.ref in finding.about)
    return Advice(
        one, found, decisions(stage.snapshot, one, (), todo, base, found, Outcome.PROPOSED, about) if todo else ()
    )
