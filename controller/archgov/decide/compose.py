"""All intents and what the fleet can hold as one placement problem."""

from __future__ import annotations

from bisect import bisect_left
from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace

import numpy as np

from archgov.decide.clause import Clause
from archgov.decide.need import Need
from archgov.decide.select import Governed
from archgov.decide.survive import Floor, floor, tolerated
from archgov.model.decision import Action, Outcome
from archgov.model.fleet import Fleet, Int64, Level, Reach
from archgov.model.intent import FailoverIntent, Intent, Load, PlacementIntent
from archgov.model.quantity import GIB
from archgov.model.snapshot import Snapshot
from archgov.optimize.placement import judge
from archgov.optimize.placement.problem import (
    Allowed,
    AtLeast,
    AtMost,
    Capacity,
    Ceiling,
    Fit,
    MaxShare,
    MinDomains,
    Problem,
    Quota,
    Rule,
    Survive,
    Total,
)

# A move must pay for its disruption within this many hours.
PAYBACK_HOURS = 24


@dataclass(frozen=True, slots=True)
class Asked:
    """What a round asks of the optimiser, said in rows of the fleet.

    Attributes:
        rows: workloads in the problem, rising: those that an intent governs. free: those that may move.
        full: names of intents whose rules hold in full on their free workloads; all others only ask not to get worse.
        moves: rows whose replicas may change clusters; other free ones only grow or shrink.
        needs, loads: by row. lost: domains that are lost now. held: rows that nothing may be taken from.
        returning: replicas by cluster that rows go back to after a failover.
        growing: rows whose survivor floors may ask for more than today.
        homing: rows on their way back, however they are governed.
        overruled: by name of a rule, rows of which it may not even ask that nothing gets worse.
        places: rows of clusters in which a free workload may change; all of them where nothing is said.
    """

    rows: tuple[int, ...]
    free: frozenset[int]
    full: Mapping[str, frozenset[int]]
    moves: frozenset[int]
    needs: Mapping[int, Need]
    loads: Mapping[int, Load]
    lost: frozenset[int] = frozenset()
    held: frozenset[int] = frozenset()
    returning: Mapping[int, Mapping[int, int]] = field(default_factory=dict)
    growing: frozenset[int] = frozenset()
    homing: frozenset[int] = frozenset()
    overruled: Mapping[str, frozenset[int]] = field(default_factory=dict)
    places: Mapping[int, frozenset[int]] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Frame:
    """The arrays that every problem of a round shares, since only rules and freedom differ between them.

    Attributes:
        held: (S, K) replicas that count as what is had today: in the middle of a move, those from before it.
    """

    fleet: Fleet
    rows: tuple[int, ...]
    problem: Problem
    held: Int64


def frame(snapshot: Snapshot, rows: tuple[int, ...]) -> Frame:
    """Arrays over the governed workloads; everything else in the clusters only takes room away."""
    fleet = snapshot.fleet
    K, J = len(fleet.clusters), len(fleet.domains)
    now, standing = np.zeros((len(rows), K), np.int64), np.zeros((len(rows), J), np.int64)
    for s, row in enumerate(rows):
        for k, replicas in fleet.spec_replicas(row).items():
            now[s, k] = replicas
        for j, replicas in fleet.standing_replicas(row).items():
            standing[s, j] = replicas
    shapes = fleet.workloads.shape[list(rows)] if rows else np.zeros(0, np.int32)
    request = fleet.requests[shapes].reshape(len(rows), len(fleet.resources))
    price = hourly_prices(fleet)[shapes].reshape(len(rows), K)
    problem = Problem(
        now=now,
        standing=standing,
        cluster=fleet.domain_cluster.astype(np.int64),
        request=request,
        room=_room(fleet, standing, request),
        price=price,
        move=np.full(len(rows), snapshot.governance.move_price // PAYBACK_HOURS, np.int64),
        free=np.zeros(len(rows), bool),
        zone_skew=np.array([fleet.shapes[shape].zone_skew for shape in shapes], np.int64),
        rules=(),
    )
    return Frame(fleet, rows, problem, _before_moves(snapshot, rows, now))


def _before_moves(snapshot: Snapshot, rows: tuple[int, ...], now: Int64) -> Int64:
    """(S, K) replicas before what open decisions are changing.

    Old and new replicas stand together in the middle of a move; who took that for what is had would never let the old ones go.
    """
    held = now.copy()
    for one in sorted(snapshot.decisions, key=lambda one: -one.created):  # the oldest begins
        if one.decision.outcome is Outcome.APPLYING:
            for s, k, action in cells(snapshot.fleet, rows, one.decision.actions):
                low, high = sorted((action.before, action.after))
                if low <= now[s, k] <= high:
                    held[s, k] = action.before
    return held


def cells(fleet: Fleet, rows: tuple[int, ...], actions: Iterable[Action]) -> Iterable[tuple[int, int, Action]]:
    """(s, k, action) of each; those of vanished workloads or clusters are left out. rows: rising."""
    for action in actions:
        row, k = fleet.row(action.workload), fleet.cluster_row.get(action.cluster)
        if row is None or k is None:
            continue
        s = bisect_left(rows, row)
        if s < len(rows) and rows[s] == row:
            yield s, k, action


def hourly_prices(fleet: Fleet) -> Int64:
    """(H, K) micro-USD per hour of one pod of each shape in each cluster, rounded up."""
    found = np.zeros((len(fleet.shapes), len(fleet.clusters)), np.int64)
    for k, cluster in enumerate(fleet.clusters):
        extended = dict(cluster.price.extended)
        for p, resource in enumerate(fleet.resources):
            rate, unit = {
                "cpu": (cluster.price.cpu, 1000),
                "memory": (cluster.price.memory, GIB),
            }.get(resource, (extended.get(resource, 0), 1000))
            found[:, k] += -(-fleet.requests[:, p] * rate // unit)
    return found


def _room(fleet: Fleet, standing: Int64, request: Int64) -> Int64:
    """(K, P) what the governed workloads may use: allocatable on ready nodes, less the reserve, less what others use there."""
    K, P = len(fleet.clusters), len(fleet.resources)
    cluster_of_node = fleet.domain_cluster[fleet.nodes.domain]
    room = np.zeros((K, P), np.int64)
    np.add.at(room, cluster_of_node, fleet.nodes.allocatable * fleet.nodes.ready[:, None])
    reserve = np.array([cluster.reserve for cluster in fleet.clusters], np.int64)
    used = np.zeros((K, P), np.int64)
    np.add.at(used, cluster_of_node, fleet.nodes.used * fleet.nodes.ready[:, None])
    ours = np.zeros((K, P), np.int64)
    for j, k in enumerate(fleet.domain_cluster):
        ours[k] += standing[:, j] @ request
    left: Int64 = room * (100 - reserve[:, None]) // 100 - np.maximum(used - ours, 0)
    return np.maximum(left, 0)


def compose(base: Frame, asked: Asked, governed: Iterable[Governed[Intent]]) -> Problem:
    """The joint problem: every intent's rules as far as its mode lets them bind, and what the clusters can hold."""
    s_of = {row: s for s, row in enumerate(base.rows)}
    free = np.array([row in asked.free for row in base.rows], bool)
    problem = replace(base.problem, free=free)
    rules: list[Rule] = list(_physical(base, free))
    for row in sorted(asked.free):
        rules += _needs(base, asked, s_of[row], row)
        rules += _standing_rules(base, asked, s_of[row], row)
    for one in governed:
        in_full = asked.full.get(one.name, frozenset())
        for row in one.rows:
            if row in asked.free:
                found = _declared(base, asked, one, s_of[row], row)
                if row in in_full:
                    rules += found
                elif not (row in asked.homing and isinstance(one.intent, FailoverIntent)):
                    # On the way home "no worse than now" would keep what only the failure made good.
                    heard = tuple(rule for rule in found if row not in asked.overruled.get(rule.name, frozenset()))
                    latitude = _latitude(base, asked, governed, s_of[row], row) if _follows(asked, row) else None
                    rules += _none_worse(problem, base.held, heard, latitude)
    return replace(problem, rules=tuple(rules))


def _physical(base: Frame, free: np.ndarray[tuple[int], np.dtype[np.bool_]]) -> Iterable[Rule]:
    """Capacity per cluster and resource, and what fits on real nodes per pod shape; a cluster that isn't seen is left as it is."""
    fleet, problem = base.fleet, base.problem
    for k, cluster in enumerate(fleet.clusters):
        if cluster.reach is Reach.UNKNOWN:
            continue
        for p, resource in enumerate(fleet.resources):
            yield Capacity(f"capacity of {cluster.name}: {resource}", k, p)
    stood = problem.stood
    by_shape: dict[int, list[int]] = defaultdict(list)
    for s, row in enumerate(base.rows):
        if free[s]:
            by_shape[int(fleet.workloads.shape[row])].append(s)
    for shape, members in sorted(by_shape.items()):
        for k, cluster in enumerate(fleet.clusters):
            pending = int(np.maximum(problem.now[members, k] - stood[members, k], 0).sum())
            # What was added lately may still find a node; what the scheduler refused has to go elsewhere.
            refused = sum(fleet.idle_replicas(base.rows[s]).get(k, 0) for s in members)
            limit = max(fitting(fleet, shape, k), pending - refused)
            yield Fit(
                f"what fits in {cluster.name} of pods like {fleet.ref(base.rows[members[0]])}", tuple(members), k, limit
            )
    yield from _quotas(base, free)


def fitting(fleet: Fleet, shape: int, k: int) -> int:
    """Pods of a shape that a cluster still takes; a hard spread over zones is only as good as its fullest zone."""
    by_zone = fleet.fit[shape, fleet.domain_cluster == k]
    if not len(by_zone):
        return 0
    skew = fleet.shapes[shape].zone_skew
    return int(np.minimum(by_zone, by_zone.min() + skew).sum() if skew else by_zone.sum())


def _quotas(base: Frame, free: np.ndarray[tuple[int], np.dtype[np.bool_]]) -> Iterable[Rule]:
    fleet = base.fleet
    for quota in fleet.quotas:
        members = tuple(s for s, row in enumerate(base.rows) if free[s] and fleet.ref(row).namespace == quota.namespace)
        k = fleet.cluster_row.get(quota.cluster)
        if not members or k is None:
            continue
        for resource, left in quota.left:
            if resource in fleet.resources:
                name = f"ResourceQuota of {quota.namespace} in {quota.cluster}: {resource}"
                yield Quota(name, members, k, fleet.resources.index(resource), max(0, left))


def _needs(base: Frame, asked: Asked, s: int, row: int) -> Iterable[Rule]:
    need = asked.needs[row]
    ref = base.fleet.ref(row)
    yield Total(Clause(f"{need.source}: {ref} needs {need.total}", owner=need.owner), s, need.total)
    if need.cap:
        yield Ceiling(Clause(f"spec.bounds.max: {ref} at most {need.cap}", owner=need.capped_by), s, need.cap)
    if asked.loads.get(row, Load.PER_DOMAIN) is Load.PER_DOMAIN:
        for k, replicas in need.by_cluster:
            if _is_open(base.fleet, asked, k):
                name = f"{need.source}: demand of {ref} arrives in {base.fleet.clusters[k].name}"
                yield AtLeast(Clause(name, owner=need.owner), s, k, replicas)


def _standing_rules(base: Frame, asked: Asked, s: int, row: int) -> Iterable[Rule]:
    """Where a workload may grow or shrink at all: never where it doesn't exist or isn't seen, never out of place without leave."""
    fleet, problem = base.fleet, base.problem
    exists = fleet.spec_replicas(row)
    ref = fleet.ref(row)
    need, now = asked.needs[row], int(problem.now[s].sum())
    for k, cluster in enumerate(fleet.clusters):
        today = int(problem.now[s, k])
        if k not in exists:
            absent = Clause(
                f"{ref} isn't deployed in {cluster.name}",
                unless=f"{ref} were deployed in {cluster.name}",
                remedy=f"deploy {ref} in {cluster.name}, at 0 replicas if need be",
            )
            yield AtMost(absent, s, k, 0)
        elif not _is_open(fleet, asked, k):
            unseen = Clause(
                f"{cluster.name} isn't seen",
                unless=f"{cluster.name} were seen",
                remedy=f"restore the connection to {cluster.name}",
            )
            yield AtMost(unseen, s, k, today)
            yield AtLeast(unseen, s, k, today)
        elif k not in asked.places.get(row, frozenset(range(len(fleet.clusters)))):
            alone = Clause(
                f"spec.target.clusters leaves {ref} in {cluster.name} alone",
                unless=f"spec.target.clusters named {cluster.name}",
                remedy=f"name {cluster.name} in spec.target.clusters",
            )
            yield AtMost(alone, s, k, today)
            yield AtLeast(alone, s, k, today)
        elif row in asked.held:
            held = f"nothing of {ref} shrinks while a cluster of it isn't seen"
            yield AtLeast(Clause(held, unless=f"every cluster of {ref} were seen"), s, k, today)
        elif row in asked.returning:
            home = asked.returning[row].get(k, 0)
            failback = Clause(f"failback of {ref}", unless=f"the failback of {ref} were over")
            yield AtLeast(failback, s, k, home)
            # An enforced intent may need more by now than stood there before the failure.
            if not any(row in rows for rows in asked.full.values()):
                yield AtMost(failback, s, k, home)
        elif row not in asked.moves and _follows(asked, row):
            fixed = Clause(
                f"no intent may move {ref}",
                unless=f"an intent let {ref} move (load: FollowsReplicas)",
                remedy=f"let an intent with load: FollowsReplicas govern {ref}",
            )
            if need.total >= now or row in asked.growing:
                yield AtLeast(fixed, s, k, today)
            else:
                yield AtMost(fixed, s, k, today)


def _is_open(fleet: Fleet, asked: Asked, k: int) -> bool:
    """A cluster that can be acted on: it is seen, and something of it isn't lost."""
    domains = np.flatnonzero(fleet.domain_cluster == k).tolist()
    gone = bool(domains) and all(j in asked.lost for j in domains)
    return fleet.clusters[k].reach is Reach.YES and not gone


def _follows(asked: Asked, row: int) -> bool:
    """Only the total of such load matters; other load needs its replicas where it arrives."""
    return asked.loads.get(row, Load.PER_DOMAIN) is Load.FOLLOWS_REPLICAS or not asked.needs[row].by_cluster


def _declared(base: Frame, asked: Asked, governed: Governed[Intent], s: int, row: int) -> tuple[Rule, ...]:
    intent = governed.intent
    if isinstance(intent, PlacementIntent):
        return tuple(_placement(base, governed, intent, s))
    if isinstance(intent, FailoverIntent):
        load = asked.loads.get(row, Load.PER_DOMAIN)
        ref = base.fleet.ref(row)
        return tuple(
            rule
            for loss in tolerated(base.fleet, intent, governed.clusters)
            for rule in _floor(
                base,
                floor(base.fleet, intent, asked.needs[row], load, loss),
                s,
                Clause(f"{loss.path}: {ref} survives the loss of {loss.what}", owner=governed.name),
            )
        )
    return ()


def _placement(base: Frame, governed: Governed[Intent], intent: PlacementIntent, s: int) -> Iterable[Rule]:
    fleet = base.fleet
    for word, selector, wanted in (("allow", intent.allow, True), ("deny", intent.deny, False)):
        if selector is not None:
            # Which zone a pod goes to is not ours to say, so a cluster is allowed when all its zones are.
            bad = {
                int(fleet.domain_cluster[j])
                for j in range(len(fleet.domains))
                if selector.matches(fleet.domain_labels(j)) is not wanted
            }
            allowed = tuple(k for k in range(len(fleet.clusters)) if k not in bad)
            yield Allowed(Clause(f"spec.{word} ({selector})", owner=governed.name), s, allowed)
    for number, spread in enumerate(intent.spread):
        scopes = _scopes(fleet, spread.level, governed)
        if spread.max_share < 100:
            share = f"spec.spread[{number}].maxShare={spread.max_share}% by {spread.level}"
            name = Clause(share, owner=governed.name)
            yield from (MaxShare(name, s, domains, spread.max_share) for domains in scopes)
        if spread.min_domains:
            least = f"spec.spread[{number}].minDomains={spread.min_domains} {spread.level}s"
            yield MinDomains(Clause(least, owner=governed.name), s, scopes, spread.min_domains)


def _scopes(fleet: Fleet, level: Level, governed: Governed[Intent]) -> tuple[tuple[int, ...], ...]:
    return tuple(
        inside
        for domains in fleet.scopes(level).values()
        if (inside := tuple(j for j in domains if int(fleet.domain_cluster[j]) in governed.clusters))
    )


def _floor(base: Frame, floor: Floor, s: int, name: str) -> Iterable[Rule]:
    if floor.total:
        yield Survive(name, s, floor.loss.domains, floor.total)
    for k, replicas in floor.by_cluster:
        inside = set(np.flatnonzero(base.problem.cluster == k).tolist())
        lost = inside.intersection(floor.loss.domains)
        if lost:
            # Only this cluster's survivors serve its demand: whatever stands elsewhere counts as lost.
            elsewhere = set(range(len(base.problem.cluster))) - inside
            yield Survive(name, s, tuple(sorted(elsewhere | lost)), replicas)
        else:
            yield AtLeast(name, s, k, replicas)


@dataclass(frozen=True, slots=True)
class Latitude:
    """Where a workload whose load follows it may stand, and how many replicas there are to be placed."""

    clusters: frozenset[int]
    replicas: int

    def best(self, problem: Problem, losses: list[Survive]) -> int:
        """No placement leaves more than this after the worst of some losses of whole clusters.

        The worst loss takes at least the average one: replicas · (losses that a cluster is part of) / losses.
        """
        taken = [self.clusters.intersection(problem.cluster[list(rule.lost)].tolist()) for rule in losses]
        struck = [some for some in taken if some]
        least = min((sum(k in some for some in struck) for k in self.clusters), default=0)
        return self.replicas - -(-self.replicas * least // len(struck)) if struck else self.replicas


def _latitude(base: Frame, asked: Asked, governed: Iterable[Governed[Intent]], s: int, row: int) -> Latitude:
    fleet = base.fleet
    clusters = {k for k in fleet.spec_replicas(row) if _is_open(fleet, asked, k)}
    for one in governed:
        if isinstance(one.intent, PlacementIntent) and row in asked.full.get(one.name, frozenset()):
            for rule in _placement(base, one, one.intent, s):
                if isinstance(rule, Allowed):
                    clusters &= set(rule.clusters)
    return Latitude(frozenset(clusters), max(asked.needs[row].total, int(base.held[s].sum())))


def _none_worse(problem: Problem, n: Int64, rules: tuple[Rule, ...], latitude: Latitude | None) -> Iterable[Rule]:
    """Rules of one intent about one workload as far as they hold today. n: (S, K) replicas that count as today's.

    Where load follows replicas, survival counts by the worst loss, not loss by loss: else a workload that stands in one wrong
    place, and so survives the loss of every right one, would have to be doubled to move. Nor does it count beyond what as many
    replicas can reach where the workload may stand: an intent that doesn't act must not make others add replicas for it.

    Args:
        latitude: where load follows replicas; None elsewhere.
    """
    survivors = [rule for rule in rules if isinstance(rule, Survive)]
    left = {rule: int(n[rule.s].sum()) - judge.at_most(problem, rule.s, rule.lost, n[rule.s]) for rule in survivors}
    worst = min(left.values(), default=0)
    whole = [rule for rule in survivors if _takes_whole_clusters(problem, rule)]
    best = latitude.best(problem, whole) if latitude else 0
    for rule in rules:
        if isinstance(rule, Survive):
            if latitude is None:
                yield replace(rule, floor=min(rule.floor, left[rule]))
            else:
                yield replace(rule, floor=max(0, min(rule.floor, worst, best if rule in whole else worst)))
        else:
            yield from _no_worse(problem, n, rule)


def _takes_whole_clusters(problem: Problem, rule: Survive) -> bool:
    lost = set(rule.lost)
    struck = {int(problem.cluster[j]) for j in lost}
    return all(j in lost for j, k in enumerate(problem.cluster.tolist()) if k in struck)


def _no_worse(problem: Problem, n: Int64, rule: Rule) -> tuple[Rule, ...]:
    """A rule that may not be mended here: it only asks that nothing gets worse than today."""
    match rule:
        case Allowed(s=s, clusters=clusters):
            astray = int(sum(n[s, k] for k in range(n.shape[1]) if k not in clusters))
            outside = tuple(j for j, k in enumerate(problem.cluster.tolist()) if k not in clusters)
            # No more astray than today, and nowhere else than today.
            taken = tuple(k for k in range(n.shape[1]) if k in clusters or n[s, k] > 0)
            share = MaxShare(rule.name, s, outside, 0, astray)
            return (share, replace(rule, clusters=taken)) if astray else (rule,)
        case MaxShare(s=s, domains=domains):
            return (replace(rule, tolerated=max(rule.tolerated, judge.at_most(problem, s, domains, n[s]))),)
        case MinDomains(s=s, scopes=scopes):
            present = sum(1 for domains in scopes if judge.at_least(problem, s, domains, n[s]) >= 1)
            return (replace(rule, floor=min(rule.floor, present)),)
        case AtLeast(s=s, k=k):
            return (replace(rule, floor=min(rule.floor, int(n[s, k]))),)
        case _:
            return (rule,)
