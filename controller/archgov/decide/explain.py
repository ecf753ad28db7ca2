"""Why a round changes what it changes, and why not something else."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace

import numpy as np

from archgov.decide.alone import alone
from archgov.decide.clause import clause
from archgov.decide.compose import fitting
from archgov.decide.place import Place
from archgov.decide.plan import Engine, Plan
from archgov.decide.round import Round
from archgov.decide.select import Governed
from archgov.decide.still import plan_of, why_still
from archgov.decide.words import way_out
from archgov.model.decision import Decision, Outcome
from archgov.model.fleet import Fleet, Int64
from archgov.model.intent import Intent, Mode
from archgov.model.quantity import HOURS_A_DAY, usd_a_day
from archgov.model.ref import IntentRef, WorkloadRef
from archgov.optimize.placement.conflict import explain_infeasible
from archgov.optimize.placement.judge import violated
from archgov.optimize.placement.problem import AtLeast, Capacity, Fit, Problem, Quota, Solution, Status
from archgov.optimize.placement.solve import solve

Replicas = tuple[tuple[str, int], ...]
# Rules of machines; the others were declared by somebody, and are reasons.
_PHYSICAL = ("OverCapacity", "Fit", "Quota", "AtMost")
HOMING = "failback: the loss is over"


@dataclass(frozen=True, slots=True)
class Change:
    """What one plan does with one workload.

    Attributes:
        intents: that want it, the one it is filed under first. mode: what archgov may do about it.
        before, after: replicas by cluster, without zeros. cost_before, cost_after: micro-USD per hour.
        reasons: requirements that do not hold before; or what is gained. guarded: a PodDisruptionBudget selects its pods.
    """

    workload: WorkloadRef
    intents: tuple[IntentRef, ...]
    mode: Mode
    before: Replicas
    after: Replicas
    cost_before: int
    cost_after: int
    reasons: tuple[str, ...]
    guarded: bool

    @property
    def adds(self) -> int:
        then = dict(self.after)
        return sum(max(0, count - dict(self.before).get(cluster, 0)) for cluster, count in then.items())

    @property
    def removes(self) -> int:
        then = dict(self.after)
        return sum(max(0, count - then.get(cluster, 0)) for cluster, count in self.before)


@dataclass(frozen=True, slots=True)
class WhyNot:
    """Why a plan puts no more of a workload in a place.

    Attributes:
        there: replicas that the plan puts into its clusters. counted_in: what they are counted in: the place, or the clusters
            that it is only a part of. cluster: where one more was tried, the cheapest way.
        chosen: (cluster, price) where the plan puts replicas; price: of the tried cluster. Micro-USD per replica-hour.
        fits: pods of this shape that its real nodes still take. free: thousandths of cores that are free there, in pieces.
        extra: micro-USD per hour that one more there adds to the whole plan; None where it can't be.
        in_all: replicas of the workload that this adds in all; 0 when one only changes places.
        displaced: what would have to leave. conflict: requirements that stand against it. when: what would make it the choice.
    """

    workload: WorkloadRef
    place: str
    there: int
    counted_in: str
    cluster: str
    price: int
    chosen: Replicas
    fits: int
    free: int
    extra: int | None
    in_all: int
    displaced: tuple[str, ...]
    conflict: tuple[str, ...]
    when: tuple[str, ...]


def changes(concluded: Round) -> tuple[Change, ...]:
    """Everything that the acting plan and every advisory plan change; acting first, then by workload."""
    found = [*_acting_changes(concluded), *_advised_changes(concluded)]
    return tuple(sorted(found, key=lambda change: (change.mode is not Mode.ENFORCE, change.workload, change.intents)))


def followed(concluded: Round) -> Int64:
    """(S, K) replicas once everything that is planned is followed; of several plans for a workload the first counts."""
    stage = concluded.stage
    if concluded.acting is None:
        return levels(concluded)
    n = concluded.acting.target.copy()
    for item in concluded.advice:
        for s in np.flatnonzero((item.plan.target != concluded.acting.target).any(axis=1)).tolist():
            if stage.base.rows[s] in item.governed.rows and (n[s] == concluded.acting.target[s]).all():
                n[s] = item.plan.target[s]
    return n


def levels(concluded: Round) -> Int64:
    """(S, K) what spec.replicas becomes: the acting plan's target, or the levels of the fast path."""
    stage, fleet = concluded.stage, concluded.stage.snapshot.fleet
    if concluded.acting is not None:
        return concluded.acting.target
    n = stage.base.problem.now.copy()
    s_of = {fleet.ref(row): s for s, row in enumerate(stage.base.rows)}
    for ref, decision in _decisions(concluded).items():
        for action in decision.actions:
            if action.workload == ref and ref in s_of:
                n[s_of[ref], fleet.cluster_row[action.cluster]] = action.after
    return n


def why_not(concluded: Round, one: Governed[Intent], row: int, place: Place) -> WhyNot:
    """What one more replica of a workload in a place would take, found by solving again with one forced there."""
    stage, fleet = concluded.stage, concluded.stage.snapshot.fleet
    plan = plan_of(concluded, one)
    k_of = place.clusters(fleet)
    if plan is None or row not in stage.base.rows or row not in plan.asked.free:
        return _held(concluded, one, row, place, plan)
    s = stage.base.rows.index(row)
    tried = [(k, _forced(fleet, plan, stage.engine, s, k)) for k in k_of]
    possible = [(k, found) for k, found in tried if found.status in (Status.OPTIMAL, Status.FEASIBLE)]
    k, best = min(possible or tried, key=lambda pair: (pair[1].objective, pair[0]))
    blank = _blank(concluded, plan, s, place, k)
    if not possible:
        conflict, when = _conflict(fleet, plan, _with_one_more(fleet, plan, s, k), stage.engine)
        return replace(blank, conflict=conflict, when=when)
    extra = best.objective - plan.objective
    return replace(
        blank,
        extra=extra,
        in_all=int(best.n[s].sum() - plan.target[s].sum()),
        displaced=tuple(_displaced(fleet, stage.base.rows, plan.target, best.n, s, k)),
        when=tuple(_when(fleet, plan, stage.engine, s, k, best, one)),
    )


def named(fleet: Fleet, n: Int64) -> Replicas:
    """Replicas of one workload by name of cluster, without zeros."""
    return tuple((fleet.clusters[k].name, int(n[k])) for k in np.flatnonzero(n).tolist())


def _acting_changes(concluded: Round) -> Iterator[Change]:
    stage, plan = concluded.stage, concluded.acting
    decision_of = _decisions(concluded)
    if plan is None:
        yield from _emergency_changes(concluded, decision_of)
        return
    for s, row in enumerate(stage.base.rows):
        now = stage.base.problem.now
        if (now[s] == plan.target[s]).all():
            continue
        decision = decision_of.get(stage.snapshot.fleet.ref(row))
        refs = (
            decision.intents
            if decision
            else tuple(one.intent.common.ref for one in stage.governed if one.enforced and row in one.rows)
        )
        mode = Mode.APPROVE if row in stage.granted else Mode.ENFORCE
        yield _change(concluded, plan, s, now, plan.target, refs, mode)


def _advised_changes(concluded: Round) -> Iterator[Change]:
    """What each advisory plan changes on top of the acting one; there is none while a loss is answered."""
    for item in concluded.advice if concluded.acting is not None else ():
        before, then, common = item.plan.problem.now, item.plan.target, item.governed.intent.common
        for s, row in enumerate(concluded.stage.base.rows):
            if row in item.governed.rows and (before[s] != then[s]).any():
                yield _change(concluded, item.plan, s, before, then, (common.ref,), common.mode)


def _emergency_changes(concluded: Round, decision_of: Mapping[WorkloadRef, Decision]) -> Iterator[Change]:
    """What the fast path raises or sheds."""
    stage, fleet = concluded.stage, concluded.stage.snapshot.fleet
    then = levels(concluded)
    for s, row in enumerate(stage.base.rows):
        decision = decision_of.get(fleet.ref(row))
        if decision is None:
            continue
        now, price = stage.base.problem.now[s], stage.base.problem.price[s]
        why = [f"{action.cause}: {action.why}" for action in decision.actions if action.workload == fleet.ref(row)]
        yield Change(
            workload=fleet.ref(row),
            intents=decision.intents,
            mode=Mode.ENFORCE,
            before=named(fleet, now),
            after=named(fleet, then[s]),
            cost_before=int(price @ now),
            cost_after=int(price @ then[s]),
            reasons=tuple(dict.fromkeys(why)),
            guarded=bool(fleet.workloads.guarded[row]),
        )


def _decisions(concluded: Round) -> dict[WorkloadRef, Decision]:
    """The decision under way for each workload, new ones before those that were open already."""
    closed = {(one.namespace, one.name) for one in concluded.closed}
    still = (
        one.decision
        for one in concluded.stage.snapshot.decisions
        if (one.namespace, one.decision.name) not in closed and one.decision.outcome is Outcome.APPLYING
    )
    fresh = (decision for decision in concluded.decisions if decision.outcome is Outcome.APPLYING)
    found: dict[WorkloadRef, Decision] = {}
    for decision in (*fresh, *still):
        for action in decision.actions:
            found.setdefault(action.workload, decision)
    return found


def _change(
    concluded: Round, plan: Plan, s: int, before: Int64, after: Int64, intents: tuple[IntentRef, ...], mode: Mode
) -> Change:
    stage, fleet = concluded.stage, concluded.stage.snapshot.fleet
    row = stage.base.rows[s]
    price = plan.problem.price[s]
    cost_before, cost_after = int(price @ before[s]), int(price @ after[s])
    return Change(
        workload=fleet.ref(row),
        intents=intents,
        mode=mode,
        before=named(fleet, before[s]),
        after=named(fleet, after[s]),
        cost_before=cost_before,
        cost_after=cost_after,
        reasons=(HOMING,)
        if mode is Mode.ENFORCE and row in stage.home.returning
        else ("no node takes them",)
        if _in_vain(fleet, row, before[s] - after[s])
        else _reasons(fleet.ref(row), plan.problem, s, before, cost_after - cost_before),
        guarded=bool(fleet.workloads.guarded[row]),
    )


def _in_vain(fleet: Fleet, row: int, less: Int64) -> bool:
    """Whether all that goes (K,) is replicas without a node."""
    refused = fleet.refused_replicas(row)
    return bool((less >= 0).all()) and all(count <= refused.get(k, 0) for k, count in enumerate(less.tolist()))


def _reasons(ref: WorkloadRef, problem: Problem, s: int, before: Int64, more: int) -> tuple[str, ...]:
    """Declared requirements that the former placement breaks; without any, what is gained."""
    wrong = [v for v in violated(alone(problem, s), before[s : s + 1]) if v.kind not in _PHYSICAL]
    found = tuple(dict.fromkeys(_of_itself(clause(v.rule).told, str(ref)) for v in wrong))
    if found:
        return found
    return (f"saves {usd_a_day(-more)}",) if more < 0 else ("makes room for others",)


def _of_itself(rule: str, ref: str) -> str:
    """A rule that a workload breaks, told beside its name."""
    shorter = {
        f"{ref} survives": "would not survive",
        f"{ref} needs": "needs",
        f"{ref} at most": "at most",
        f"demand of {ref} arrives": "demand arrives",
    }
    return next((rule.replace(long, short) for long, short in shorter.items() if long in rule), rule)


def _with_one_more(fleet: Fleet, plan: Plan, s: int, k: int) -> Problem:
    ref, cluster = fleet.ref(_row(plan, s)), fleet.clusters[k].name
    wanted = AtLeast(f"one more of {ref} in {cluster}", s, k, int(plan.target[s, k]) + 1)
    return replace(plan.problem, rules=(*plan.problem.rules, wanted))


def _row(plan: Plan, s: int) -> int:
    return plan.asked.rows[s]


def _forced(fleet: Fleet, plan: Plan, engine: Engine, s: int, k: int) -> Solution:
    return solve(_with_one_more(fleet, plan, s, k), limits=engine.limits, seed=engine.seed)


def _blank(concluded: Round, plan: Plan | None, s: int, place: Place, k: int) -> WhyNot:
    """What is known of a place before anything is tried."""
    stage, fleet = concluded.stage, concluded.stage.snapshot.fleet
    target = plan.target if plan else stage.base.problem.now
    price = stage.base.problem.price[s]
    return WhyNot(
        workload=fleet.ref(stage.base.rows[s]),
        place=place.name,
        there=int(sum(target[s, other] for other in place.clusters(fleet))),
        counted_in=_counted_in(fleet, place),
        cluster=fleet.clusters[k].name,
        price=int(price[k]),
        chosen=tuple((fleet.clusters[j].name, int(price[j])) for j in np.flatnonzero(target[s]).tolist()),
        fits=_fits(fleet, stage.base.rows[s], place),
        free=_free_cores(fleet, place),
        extra=None,
        in_all=0,
        displaced=(),
        conflict=(),
        when=(),
    )


def _held(concluded: Round, one: Governed[Intent], row: int, place: Place, plan: Plan | None) -> WhyNot:
    """The answer for a workload that no plan may touch now."""
    stage, fleet = concluded.stage, concluded.stage.snapshot.fleet
    ref = fleet.ref(row)
    why = why_still(concluded, one, row) or (f"{ref} is held as it is in this round",)
    if row in stage.base.rows:
        blank = _blank(concluded, plan, stage.base.rows.index(row), place, place.clusters(fleet)[0])
        return replace(blank, conflict=why)
    spec = fleet.spec_replicas(row)
    there = sum(spec.get(k, 0) for k in place.clusters(fleet))
    return WhyNot(
        ref,
        place.name,
        there,
        _counted_in(fleet, place),
        fleet.clusters[place.clusters(fleet)[0]].name,
        0,
        (),
        _fits(fleet, row, place),
        _free_cores(fleet, place),
        None,
        0,
        (),
        why,
        (),
    )


def _counted_in(fleet: Fleet, place: Place) -> str:
    """Where a plan's replicas can be counted: a place, or the clusters that it is a part of; it says nothing of zones."""
    clusters = place.clusters(fleet)
    whole = np.flatnonzero(np.isin(fleet.domain_cluster, clusters)).tolist()
    return place.name if whole == sorted(place.domains) else ", ".join(fleet.clusters[k].name for k in clusters)


def _fits(fleet: Fleet, row: int, place: Place) -> int:
    """Pods of the workload's shape that real nodes of a place still take."""
    shape = int(fleet.workloads.shape[row])
    found = 0
    for k in place.clusters(fleet):
        here = np.flatnonzero(fleet.domain_cluster == k).tolist()
        inside = [j for j in here if j in place.domains]
        found += fitting(fleet, shape, k) if inside == here else int(fleet.fit[shape, inside].sum())
    return found


def _free_cores(fleet: Fleet, place: Place) -> int:
    there = np.isin(fleet.nodes.domain, place.domains) & (fleet.nodes.ready > 0)
    p = fleet.resources.index("cpu") if "cpu" in fleet.resources else None
    return 0 if p is None else int(np.maximum(fleet.nodes.allocatable - fleet.nodes.used, 0)[there, p].sum())


def _conflict(fleet: Fleet, plan: Plan, problem: Problem, engine: Engine) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """What stands against the last rule of a problem, then what would end that."""
    asked = problem.rules[-1].name
    for conflict in explain_infeasible(problem, limits=engine.limits, seed=engine.seed):
        against = dict.fromkeys(clause(rule).told for rule in conflict.rules if rule != asked)
        ways = (way_out(fleet, plan.asked.rows, problem, way) for way in conflict.relaxations if way.rule != asked)
        return tuple(against), tuple(dict.fromkeys(ways))
    return ("the optimiser ran out of work before it knew",), ("raise Fleet.spec.optimizer.maxNodes",)


def _displaced(fleet: Fleet, rows: tuple[int, ...], plan: Int64, forced: Int64, s: int, k: int) -> Iterator[str]:
    """Other workloads that have fewer replicas in a cluster than the plan gives them."""
    for other in np.flatnonzero(forced[:, k] < plan[:, k]).tolist():
        if other != s:
            yield f"{fleet.ref(rows[other])} −{int(plan[other, k] - forced[other, k])}"


def _when(
    fleet: Fleet, plan: Plan, engine: Engine, s: int, k: int, forced: Solution, one: Governed[Intent]
) -> Iterator[str]:
    """What would make the place the choice; each found by solving again, so that it is true."""
    cluster, problem = fleet.clusters[k].name, plan.problem
    extra = forced.objective - plan.objective
    wanted = int(plan.target[s, k]) + 1
    if extra <= 0:
        least = one.intent.common.disruption.min_improvement
        yield f"spec.disruption.minImprovement asked for less than {least}% (it would save {usd_a_day(-extra)})"
        return
    step = -(-extra // max(1, int(forced.n[s, k] - plan.target[s, k]))) + 1
    cheaper = int(problem.price[s, k]) - step
    if cheaper >= 0 and _chooses(_repriced(problem, s, k, cheaper), engine, s, k, wanted):
        yield f"a replica in {cluster} cost less than {usd(cheaper + 1)} $/hour (now {usd(int(problem.price[s, k]))})"
    for other in np.flatnonzero(plan.target[s] > forced.n[s]).tolist():
        today, name = int(problem.price[s, other]), fleet.clusters[other].name
        if _chooses(_repriced(problem, s, other, today + step), engine, s, k, wanted):
            yield f"a replica in {name} cost {usd(today + step)} $/hour or more (now {usd(today)})"
    roomy = tuple(r for r in problem.rules if not (isinstance(r, Capacity | Fit | Quota) and r.k == k))
    if _chooses(replace(problem, rules=roomy), engine, s, k, wanted):
        yield f"{cluster} had more room for pods of this shape"


def _repriced(problem: Problem, s: int, k: int, price: int) -> Problem:
    prices = problem.price.copy()
    prices[s, k] = price
    return replace(problem, price=prices)


def _chooses(problem: Problem, engine: Engine, s: int, k: int, wanted: int) -> bool:
    found = solve(problem, limits=engine.limits, seed=engine.seed)
    return found.status is Status.OPTIMAL and bool(found.n[s, k] >= wanted)


def usd(micro: int) -> str:
    """Micro-USD as dollars with as many digits as matter: 31000 is `0.031`."""
    return f"{micro / 1_000_000:.6f}".rstrip("0").rstrip(".") or "0"


def a_day(rate: int) -> str:
    """An hourly difference in micro-USD as people read it: `+0.70 $/day`."""
    return f"{rate * HOURS_A_DAY / 1_000_000:+,.2f} $/day".replace("-", "−")


def few(texts: Iterable[str], most: int = 2) -> str:
    """Some of many, with how many more there are."""
    told = list(texts)
    return "; ".join(told[:most]) + (f"; {len(told) - most} more" if len(told) > most else "")
