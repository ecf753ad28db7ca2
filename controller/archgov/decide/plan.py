"""The best placement that can be trusted: solved, judged, kept from flapping; conflicts named instead of hidden."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace

import numpy as np

from archgov.decide.alone import alone, shares
from archgov.decide.clause import clause
from archgov.decide.compose import Asked, Frame, compose
from archgov.decide.need import Need
from archgov.decide.select import Governed
from archgov.model.condition import Reason
from archgov.model.decision import Finding, merged
from archgov.model.fleet import Int64
from archgov.model.intent import Intent
from archgov.model.ref import IntentRef
from archgov.optimize.placement.conflict import Conflict, Relaxation, explain_infeasible
from archgov.optimize.placement.judge import broken, cost, violated
from archgov.optimize.placement.problem import (
    Allowed,
    AtLeast,
    Capacity,
    Limits,
    Problem,
    Rule,
    Solution,
    Status,
    Survive,
    concerns,
)
from archgov.optimize.placement.solve import is_possible, solve

# Conflicts that are explained in full in one round; an explanation takes dozens of solves.
EXPLAINED = 10
SHOWN = 5


@dataclass(frozen=True, slots=True)
class Plan:
    """A placement with its proof.

    Attributes:
        asked: what was asked in the end, without what had to give way. target: (S, K).
        objective, bound: micro-USD per hour of `target`, and what no plan can be below.
        dropped: (intent's name, row) whose rules gave way. findings: why.
    """

    asked: Asked
    problem: Problem
    solution: Solution
    target: Int64
    objective: int
    findings: tuple[Finding, ...]

    @property
    def bound(self) -> int | None:
        return self.solution.bound


@dataclass(frozen=True, slots=True)
class Engine:
    """How much work a solve may take, and where its ties fall."""

    limits: Limits
    seed: int


def plan(
    base: Frame,
    asked: Asked,
    governed: tuple[Governed[Intent], ...],
    today: dict[int, Need],
    engine: Engine,
    incumbent: Int64,
) -> Plan:
    """The best placement of what can be had; what can't gives way by priority, with a finding, and the rest is still governed.

    Args:
        today: needs to fall back to where a declared one gives way.
        incumbent: (S, K) where open decisions lead; kept unless it fails or is beaten by more than minImprovement.
    """
    findings: list[Finding] = []
    asked, alone_findings = _possible_alone(base, asked, governed, today, engine)
    findings += alone_findings
    while True:
        problem = compose(base, asked, governed)
        solution = solve(problem, limits=engine.limits, seed=engine.seed)
        if solution.status is not Status.INFEASIBLE:
            break
        conflicts = explain_infeasible(problem, limits=engine.limits, seed=engine.seed)
        for conflict in conflicts:
            asked, finding = _give_way(base, problem, asked, governed, today, conflict)
            findings.append(finding)
        if not conflicts:
            asked = replace(asked, free=frozenset())
            findings.append(_unexplained(governed))
    target = _trusted(problem, solution, findings, governed)
    target = _steady(problem, target, incumbent, base.rows, governed, asked.homing)
    objective = sum(cost(problem, target).values())
    return Plan(asked, problem, solution, target, objective, merged(findings))


def _possible_alone(
    base: Frame, asked: Asked, governed: tuple[Governed[Intent], ...], today: dict[int, Need], engine: Engine
) -> tuple[Asked, list[Finding]]:
    """Workloads whose own requirements collide give way before they can spoil the joint problem."""
    findings: list[Finding] = []
    left: list[int] = []
    pending = {s for s, row in enumerate(base.rows) if row in asked.free}
    while pending:
        problem = compose(base, asked, governed)
        stuck, share = set(), shares(problem)
        for s in sorted(pending):
            single = alone(problem, s, share[s])
            if not violated(single, single.now):
                continue
            if is_possible(single, limits=engine.limits, seed=engine.seed):
                continue
            if len(findings) >= EXPLAINED:
                asked = _let_go(asked, base.rows[s], today)
                left.append(base.rows[s])
                continue
            conflict = explain_infeasible(single, limits=engine.limits, seed=engine.seed)
            if conflict:
                asked, finding = _give_way(base, problem, asked, governed, today, conflict[0], only=s)
                findings.append(finding)
                stuck.add(s)
        pending = {s for s in stuck if base.rows[s] in asked.free}
    return asked, findings + ([_many_more(base, governed, left)] if left else [])


def _let_go(asked: Asked, row: int, today: Mapping[int, Need]) -> Asked:
    """The same question without anybody's say over one row."""
    return replace(
        asked,
        full={name: rows - {row} for name, rows in asked.full.items()},
        free=asked.free - {row},
        moves=asked.moves - {row},
        needs={**asked.needs, row: today[row]},
    )


def _many_more(base: Frame, governed: tuple[Governed[Intent], ...], rows: list[int]) -> Finding:
    refs = [str(base.fleet.ref(row)) for row in rows]
    more = f" and {len(refs) - SHOWN} more" if len(refs) > SHOWN else ""
    return Finding(
        Reason.INFEASIBLE,
        f"requirements of {len(refs)} more workloads collide: {', '.join(refs[:SHOWN])}{more}; they are held as they are",
        tuple(one.intent.common.ref for one in governed if set(rows) & set(one.rows)),
        remedies=("ask `archgov explain KIND/NAME --workload NAME` for each",),
        stalls=True,
    )


def _give_way(
    base: Frame,
    problem: Problem,
    asked: Asked,
    governed: tuple[Governed[Intent], ...],
    today: dict[int, Need],
    conflict: Conflict,
    only: int | None = None,
) -> tuple[Asked, Finding]:
    """Takes the least important intent of a conflict back for the workloads concerned; where none is, holds them as they are."""
    names = set(conflict.rules)
    concerned = {
        base.rows[s]
        for rule in problem.rules
        if rule.name in names
        for s in (_everybody(problem, rule) if only is None else (only,))
    } & set(asked.free)
    owners = {clause(rule).owner for rule in conflict.rules}
    involved = [one for one in governed if one.name in owners]
    # Where only machines stand against a recorded need, it concerns whoever asks for something there.
    asking = [one for one in governed if concerned & asked.full.get(one.name, frozenset())]
    finding = _collision(base, conflict, involved or asking, concerned, problem)
    for one in _least_first(asked, involved, concerned):
        rows = concerned & set(one.rows)
        in_full = bool(rows & asked.full.get(one.name, frozenset()))
        asked = _without(asked, one, rows, today) if in_full else _overruled(asked, one, conflict, rows)
        # Who wins by its priority has nothing to mend; equals have to be told apart by somebody.
        if all(other is one or other.priority > one.priority or not in_full for other in involved):
            finding = replace(finding, about=(one.intent.common.ref,))
        return asked, finding
    return replace(asked, free=asked.free - (concerned or asked.free)), finding


def _least_first(asked: Asked, involved: list[Governed[Intent]], concerned: set[int]) -> list[Governed[Intent]]:
    """Intents that can give way for some of the workloads, the least important first.

    What holds today is broken only for an intent of a higher priority: equals may not take from each other what they have.
    """
    full = [one for one in reversed(involved) if concerned & asked.full.get(one.name, frozenset())]
    highest = max((one.priority for one in full), default=0)
    modest = [
        one for one in reversed(involved) if one not in full and concerned & set(one.rows) and one.priority < highest
    ]
    return sorted([*modest, *full], key=lambda one: one.priority)


def _overruled(asked: Asked, one: Governed[Intent], conflict: Conflict, rows: set[int]) -> Asked:
    """The same question, in which one rule of an intent doesn't count for some rows; where they may stand at all goes last."""
    mine = [rule for rule in map(clause, conflict.rules) if rule.owner == one.name]
    least = min(mine, key=lambda rule: (rule.what.startswith(("spec.allow", "spec.deny")), rule))
    known = asked.overruled.get(least, frozenset())
    return replace(asked, overruled={**asked.overruled, least: known | rows})


def _everybody(problem: Problem, rule: Rule) -> tuple[int, ...]:
    """Workloads that a rule is about: those it names, or all that use the cluster whose capacity it is."""
    if isinstance(rule, Capacity):
        return tuple(np.flatnonzero(problem.now[:, rule.k]).tolist())
    return concerns(rule)


def _without(asked: Asked, one: Governed[Intent], rows: set[int], today: dict[int, Need]) -> Asked:
    """The same question without an intent's say over some rows; what nobody else governs stays where it is."""
    full = {**asked.full, one.name: asked.full[one.name] - rows}
    governed = {row for some in full.values() for row in some} | set(asked.returning)
    placed = {row for name, some in full.items() if name.startswith("PlacementIntent/") for row in some}
    declared = {row: today[row] for row in rows if asked.needs[row].owner == one.name}
    return replace(
        asked,
        full=full,
        free=frozenset(asked.free & governed),
        moves=frozenset(asked.moves & placed),
        needs={**asked.needs, **declared},
    )


def _collision(
    base: Frame, conflict: Conflict, involved: list[Governed[Intent]], concerned: set[int], problem: Problem
) -> Finding:
    refs = [base.fleet.ref(row) for row in sorted(concerned)]
    who = ", ".join(map(str, refs[:3])) + (f" and {len(refs) - 3} more" if len(refs) > 3 else "")
    rules_told = [clause(rule) for rule in conflict.rules]
    told = "; ".join(rule.what if len(involved) == 1 else rule.told for rule in rules_told)
    many = len(conflict.rules) > 1
    what = f"{len(conflict.rules)} requirements collide" if many else "one requirement can't hold"
    message = f"{who}: {what}: {told}"
    rules = [rule for rule in problem.rules if rule.name in conflict.rules]
    found = [_remedy(base, relaxation, is_clear=len(involved) == 1) for relaxation in conflict.relaxations]
    remedies = list(dict.fromkeys(found))
    if len({one.priority for one in involved}) < len(involved):
        remedies.append("raise spec.priority of the one that matters more")
    if any(isinstance(rule, AtLeast) for rule in rules) and any(isinstance(rule, Allowed) for rule in rules):
        remedies.append("declare load: FollowsReplicas, move its traffic, or allow the domain")
    cut = [rule for rule in rules if isinstance(rule, Survive) and _cuts_a_cluster(problem, rule)]
    if any(problem.zone_skew[rule.s] == 0 for rule in cut):
        remedies.append("it needs a topologySpreadConstraint over zones (whenUnsatisfiable: DoNotSchedule)")
    return Finding(
        Reason.INFEASIBLE,
        message,
        tuple(one.intent.common.ref for one in involved),
        refs[0] if len(refs) == 1 else None,
        remedies=tuple(remedies),
        stalls=True,
    )


def _remedy(base: Frame, relaxation: Relaxation, *, is_clear: bool) -> str:
    """A way out in the words of those who declared the rule; whose it is, unless that is clear."""
    rule = clause(relaxation.rule)
    if rule.remedy:
        return rule.remedy
    field = rule.what.partition("=")[0].partition(" ")[0]
    of = "" if is_clear or not rule.owner else f" in {IntentRef.parse(rule.owner)}"
    match relaxation.kind:
        case "MinDomains":
            return f"{field}={relaxation.to}{of} would hold"
        case "MaxShare":
            return f"{field}={relaxation.to}%{of} would hold"
        case "Allowed":
            return f"allow {base.fleet.clusters[relaxation.to].name} too{of}"
        case "Capacity" | "Quota" | "Fit" | "AtMost":
            return f"{rule.told}: {relaxation.to - relaxation.before} more would do"
        case _:
            return f"{rule.what}{of}: {relaxation.to} instead of {relaxation.before} would hold"


def _cuts_a_cluster(problem: Problem, rule: Survive) -> bool:
    clusters = {int(problem.cluster[j]) for j in rule.lost}
    return any(int(problem.cluster[j]) in clusters for j in range(len(problem.cluster)) if j not in rule.lost)


def _unexplained(governed: tuple[Governed[Intent], ...]) -> Finding:
    return Finding(
        Reason.INFEASIBLE,
        "the requirements can't all hold, and no smaller set that collides was found within the work limit; everything is held",
        tuple(one.intent.common.ref for one in governed),
        remedies=("raise Fleet.spec.optimizer.maxNodes",),
        stalls=True,
    )


def _trusted(
    problem: Problem, solution: Solution, findings: list[Finding], governed: tuple[Governed[Intent], ...]
) -> Int64:
    """The solver's placement if an independent judge finds nothing wrong with it, today's otherwise."""
    refs = tuple(one.intent.common.ref for one in governed)
    if solution.status is Status.UNKNOWN:
        findings.append(
            Finding(
                Reason.UNKNOWN_OUTCOME,
                "the optimiser ran out of work before it found a plan; everything is held",
                refs,
                remedies=("raise Fleet.spec.optimizer.maxNodes",),
                stalls=True,
            )
        )
        return problem.now
    wrong = broken(problem, solution)
    if wrong:
        findings.append(
            Finding(
                Reason.BROKEN_PLAN,
                f"the judge refused the optimiser's plan, nothing was changed: {wrong[0]}",
                refs,
                remedies=("report it with `archgov snapshot`",),
                stalls=True,
            )
        )
        return problem.now
    return solution.n


def _steady(
    problem: Problem,
    best: Int64,
    incumbent: Int64,
    rows: tuple[int, ...],
    governed: Iterable[Governed[Intent]],
    homing: frozenset[int],
) -> Int64:
    """Keeps the plan that is under way unless it fails or is beaten; moves that don't earn minImprovement are not made."""
    least = _least_improvement(governed)
    # What may not move now stays where it is, whatever was under way.
    incumbent = np.where(problem.free[:, None], incumbent, problem.now)
    if (incumbent != problem.now).any() and not violated(problem, incumbent):
        ours, theirs = sum(cost(problem, best).values()), sum(cost(problem, incumbent).values())
        if (theirs - ours) * 100 <= min(least.values(), default=0) * theirs:
            return incumbent
    # Whoever comes home has nothing to earn by it.
    return _worthwhile(problem, best, [-math.inf if row in homing else least.get(row, 0) for row in rows])


def _least_improvement(governed: Iterable[Governed[Intent]]) -> dict[int, int]:
    found: dict[int, int] = {}
    for one in governed:
        for row in one.rows:
            found[row] = max(found.get(row, 0), one.intent.common.disruption.min_improvement)
    return found


def _worthwhile(problem: Problem, best: Int64, least: list[float]) -> Int64:
    """Takes back changes of single workloads that nothing requires and that save less than minImprovement percent of their cost."""
    n, share = best.copy(), shares(problem)
    for s in range(len(n)):
        now, then = problem.now[s], n[s]
        if (now == then).all():
            continue
        single = alone(problem, s, share[s])
        before = int(problem.price[s] @ now)
        gain = before - sum(cost(single, n[s : s + 1]).values())
        if least[s] == -math.inf or (gain * 100 >= least[s] * before and gain > 0):
            continue
        trial = n.copy()
        trial[s] = now
        if not violated(single, now[None, :]) and not _overfull(problem, trial, n):
            n = trial
    return n


def _overfull(problem: Problem, trial: Int64, n: Int64) -> bool:
    """Whether a placement needs more room somewhere than there is, and more than the other one does."""
    used = np.einsum("sk,sp->kp", trial, problem.request)
    return bool(((used > problem.room) & (used > np.einsum("sk,sp->kp", n, problem.request))).any())
