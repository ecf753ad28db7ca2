"""Intents that fit a fleet: some describe what is good today, some mend the worst loss it would not survive."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np

from archgov.decide.compose import frame
from archgov.decide.explain import Change, changes
from archgov.decide.need import Need, recorded_needs
from archgov.decide.round import Round, conclude
from archgov.decide.survive import Loss, floor
from archgov.model.fleet import REGION_LABEL, Fixed, Int64, Level, Scope
from archgov.model.intent import Common, FailoverIntent, Intent, Load, PlacementIntent, Spread, Target, Tolerate
from archgov.model.ref import IntentRef, WorkloadRef
from archgov.model.selector import Expression, Operator, Selector
from archgov.model.snapshot import Snapshot
from archgov.optimize.placement import judge
from archgov.optimize.placement.problem import Problem

# A target names at most as many workloads.
MOST_NAMES = 100
# The worst is mended first, in portions that a person can judge; who declares these may ask again.
MOST_MENDED = 20
MOST_MENDS = 5
MOST_TRIES = 12
# Shares are tried from the best; whoever keeps less than a quarter does not survive in any useful sense.
SHARES = (100, 90, 80, 75, 66, 60, 50, 40, 33, 25)
# What a mended workload keeps: half by standing by, a third by spreading what it has.
MENDED_SHARE, MENDED_SPREAD = 50, 67
WIDEST_FIRST = (Level.PROVIDER, Level.REGION, Level.CLUSTER, Level.ZONE)
LIKELIEST_FIRST = (Level.ZONE, Level.CLUSTER, Level.REGION, Level.PROVIDER)


@dataclass(frozen=True, slots=True)
class Suggestion:
    """An intent worth declaring. mends: the loss that its workloads do not survive today; None where it describes today."""

    intent: Intent
    why: str
    mends: Scope | None = None


@dataclass(frozen=True, slots=True)
class Suggestions:
    """What could be declared. left: fragile workloads that no intent mends, with what would."""

    describing: tuple[Suggestion, ...]
    mending: tuple[Suggestion, ...]
    left: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class _Ground:
    """What all suggestions look at: workloads that may be acted on and have replicas. s: their places in the problem, by row."""

    snapshot: Snapshot
    problem: Problem
    s: Mapping[int, int]
    needs: Mapping[int, Need]


def suggest(snapshot: Snapshot) -> Suggestions:
    """Intents for what nobody declared yet, each planned before it is suggested.

    Planning the describing ones changes nothing. Planning a mending one, alone or with all others, changes something; the loss
    that it names is survived then.
    """
    fleet = snapshot.fleet
    spec = np.bincount(fleet.deployed.workload, weights=fleet.deployed.replicas, minlength=len(fleet.workloads.key))
    rows = tuple(np.flatnonzero((fleet.workloads.fixed == Fixed.FREE) & (spec > 0)).tolist())
    needs = recorded_needs(snapshot, snapshot.records, rows)
    ground = _Ground(snapshot, frame(snapshot, rows).problem, {row: s for s, row in enumerate(rows)}, needs)
    today = conclude(snapshot)
    if today.acting is None:
        return Suggestions((), (), ("a loss is being answered; today's state is none to describe",))
    mending, left = _mends(ground)
    placed, protected = ({row for one in today.stage.of(kind) for row in one.rows} for kind in _KINDS)
    spread = {row for one in mending if isinstance(one.intent, PlacementIntent) for row in _rows_of(ground, one.intent)}
    leaving = {row for one in mending for row in _rows_of(ground, one.intent)}
    describing = [*_placements(ground, placed | spread, leaving), *_failovers(ground, protected)]
    kept = _beside(snapshot, _verified(snapshot, describing), mending)
    return Suggestions(tuple(kept), tuple(mending), tuple(left))


_KINDS = (PlacementIntent, FailoverIntent)


# --------------------------------------------------------------------------------------------- what is good today


def _placements(ground: _Ground, taken: Collection[int], leaving: Collection[int]) -> Iterator[Suggestion]:
    """Residency as it is, with the widest spread that there is; who is mended may have to leave its region."""
    fleet = ground.snapshot.fleet
    regions = {cluster.region for cluster in fleet.clusters}
    groups: dict[tuple[str, tuple[str, ...], Level | None], list[int]] = defaultdict(list)
    for row in ground.s.keys() - taken:
        n = ground.problem.now[ground.s[row]]
        lived = {fleet.clusters[k].region for k in np.flatnonzero(n).tolist()}
        allowed = tuple(sorted(lived)) if lived < regions and row not in leaving else ()
        level = _spread_over(ground, row)
        if allowed or level:
            groups[fleet.ref(row).namespace, allowed, level].append(row)
    number: Counter[str] = Counter()
    for (namespace, allowed, level), rows in sorted(groups.items(), key=_by_names):
        for part in _parts(sorted(rows)):
            number[namespace] += 1
            yield Suggestion(
                PlacementIntent(
                    common=_common(ground, "PlacementIntent", namespace, f"today-{number[namespace]}", part),
                    load=Load.PER_DOMAIN,
                    allow=_in_regions(allowed) if allowed else None,
                    spread=(Spread(level, min_domains=2),) if level else (),
                ),
                " and ".join(
                    [f"stays in {', '.join(allowed)}"] * bool(allowed)
                    + [f"stands in two {level}s or more"] * bool(level)
                ),
            )


def _failovers(ground: _Ground, taken: Collection[int]) -> Iterator[Suggestion]:
    """The widest loss that is survived already, with the share that is left."""
    groups: dict[tuple[str, Level], dict[int, int]] = defaultdict(dict)
    for row in ground.s.keys() - taken:
        if survived := _survived(ground, row):
            level, share = survived
            groups[ground.snapshot.fleet.ref(row).namespace, level][row] = share
    number: Counter[str] = Counter()
    for (namespace, level), shares in sorted(groups.items()):
        for part in _parts(sorted(shares)):
            number[namespace] += 1
            share = min(shares[row] for row in part)
            yield Suggestion(
                FailoverIntent(
                    common=_common(ground, "FailoverIntent", namespace, f"today-{number[namespace]}", part),
                    tolerate=(Tolerate(level),),
                    share=share,
                ),
                f"survives the loss of any {level} with {share}% of its replicas or more",
            )


def _spread_over(ground: _Ground, row: int) -> Level | None:
    """The widest level of which replicas surely stand in two scopes."""
    fleet, s = ground.snapshot.fleet, ground.s[row]
    for level in WIDEST_FIRST:
        scopes = fleet.scopes(level).values()
        if sum(1 for lost in scopes if judge.at_least(ground.problem, s, lost, ground.problem.now[s]) > 0) > 1:
            return level
    return None


def _survived(ground: _Ground, row: int) -> tuple[Level, int] | None:
    """The widest level of which every single loss leaves a useful share, with the largest such share."""
    fleet = ground.snapshot.fleet
    for level in WIDEST_FIRST:
        losses = [Loss("", (scope,), lost) for scope, lost in fleet.scopes(level).items()]
        for share in SHARES if len(losses) > 1 else ():
            if all(_keeps(ground, row, share, loss, ground.problem.now[ground.s[row]]) for loss in losses):
                return level, share
    return None


def _keeps(ground: _Ground, row: int, share: int, loss: Loss, n: Int64) -> bool:
    """Whether a loss leaves a share of the need, in all and wherever demand stays where it arrives."""
    fleet, s, need = ground.snapshot.fleet, ground.s[row], ground.needs[row]
    left = int(n.sum()) - judge.at_most(ground.problem, s, loss.domains, n)
    if left < max(1, -(-share * need.total // 100)):
        return False
    intent = FailoverIntent(Common(IntentRef("FailoverIntent", "", "")), share=share)
    for k, replicas in floor(fleet, intent, need, Load.PER_DOMAIN, loss).by_cluster:
        here = tuple(j for j in loss.domains if int(fleet.domain_cluster[j]) == k)
        if int(n[k]) - judge.at_most(ground.problem, s, here, n) < replicas:
            return False
    return True


def _verified(snapshot: Snapshot, found: list[Suggestion]) -> list[Suggestion]:
    """Those that, declared together, change nothing and collide with nothing."""
    while found:
        concluded = _with(snapshot, found)
        wanted = {ref for change in changes(concluded) for ref in change.intents}
        wanted |= _stalled(concluded)
        kept = [one for one in found if one.intent.common.ref not in wanted]
        if len(kept) == len(found):
            return found
        found = kept
    return []


def _beside(snapshot: Snapshot, describing: list[Suggestion], mending: list[Suggestion]) -> list[Suggestion]:
    """The describing ones that let every mending one do what it does alone."""
    alone = {change.workload: change.after for one in mending for change in changes(_with(snapshot, [one]))}
    while describing and mending:
        concluded = _with(snapshot, [*describing, *mending])
        wrong = {ref for ref in _stalled(concluded) if ref in {one.intent.common.ref for one in describing}}
        together = {change.workload: change.after for change in changes(concluded)}
        lost = {ref.namespace for ref, after in alone.items() if together.get(ref) != after}
        kept = [
            one
            for one in describing
            if one.intent.common.ref not in wrong and one.intent.common.ref.namespace not in lost
        ]
        if len(kept) == len(describing):
            break
        describing = kept
    return describing


# ----------------------------------------------------------------------------------------------- what is bad today


def _mends(ground: _Ground) -> tuple[list[Suggestion], list[str]]:
    """Intents against the loss of the scope that most workloads of a level do not survive, for the likeliest level first."""
    found: list[Suggestion] = []
    fragile: list[tuple[int, Scope]] = []
    mended: set[int] = set()
    tries = MOST_TRIES
    for namespace, scope, rows in _exposed(ground):
        fragile += [(row, scope) for row in rows]
        waiting = [row for row in rows if row not in mended][:MOST_MENDED]
        for candidate in _candidates(ground, namespace, scope, waiting) if waiting else ():
            if tries == 0 or len(found) == MOST_MENDS:
                break
            tries -= 1
            if (proven := _proven(ground, candidate, scope)) is not None:
                found.append(proven)
                mended.update(_rows_of(ground, proven.intent))
                break
    left = [_unmended(ground, row, scope) for row, scope in fragile if row not in mended]
    return found, list(dict.fromkeys(left))


def _exposed(ground: _Ground) -> Iterator[tuple[str, Scope, list[int]]]:
    """The worst scope of each level with the workloads that stand nowhere else, a namespace at a time, the most exposed first."""
    for level in LIKELIEST_FIRST:
        scope, rows = _worst(ground, level)
        by_namespace: dict[str, list[int]] = defaultdict(list)
        for row in rows:
            by_namespace[ground.snapshot.fleet.ref(row).namespace].append(row)
        for namespace, some in sorted(by_namespace.items(), key=lambda pair: (-len(pair[1]), pair[0])):
            if scope is not None:
                yield namespace, scope, some


def _worst(ground: _Ground, level: Level) -> tuple[Scope | None, list[int]]:
    """The scope with most workloads that stand nowhere else, and these; no scope where there is but one."""
    fleet = ground.snapshot.fleet
    scopes = fleet.scopes(level)
    homes: dict[Scope, list[int]] = defaultdict(list)
    for row in ground.s if len(scopes) > 1 else ():
        stands = {fleet.scope(level, j) for j, count in fleet.standing_replicas(row).items() if count}
        if len(stands) == 1:
            homes[stands.pop()].append(row)
    if not homes:
        return None, []
    worst = min(homes, key=lambda scope: (-len(homes[scope]), scope))
    return worst, homes[worst]


def _candidates(ground: _Ground, namespace: str, scope: Scope, rows: list[int]) -> Iterator[Suggestion]:
    """More replicas, for whom that can help; then a spread. Who can be helped by neither costs no solve."""
    name = f"mend-{scope.level}-{scope.name}".replace("/", "-").lower()
    if growing := [row for row in rows if _may_grow(ground, row, scope)]:
        common = _common(ground, "FailoverIntent", namespace, name, growing)
        yield Suggestion(
            FailoverIntent(common=common, tolerate=(Tolerate(scope.level),), share=MENDED_SHARE),
            f"does not survive the loss of {scope} today; more replicas elsewhere would",
            scope,
        )
    if moving := [row for row in rows if _elsewhere(ground, row, scope)]:
        common = _common(ground, "PlacementIntent", namespace, name, moving)
        spread = Spread(scope.level, MENDED_SPREAD, min_domains=2)
        yield Suggestion(
            PlacementIntent(common=common, load=Load.FOLLOWS_REPLICAS, spread=(spread,)),
            f"does not survive the loss of {scope} today; spreading would, if its traffic follows its replicas",
            scope,
        )


def _may_grow(ground: _Ground, row: int, scope: Scope) -> bool:
    """Whether more replicas could survive: in other zones where the template steers them there, else in other clusters."""
    if scope.level is Level.ZONE:
        return int(ground.problem.zone_skew[ground.s[row]]) > 0
    return _elsewhere(ground, row, scope)


def _elsewhere(ground: _Ground, row: int, scope: Scope) -> bool:
    """Whether a workload exists in a cluster that the loss doesn't touch."""
    fleet = ground.snapshot.fleet
    lost = {int(fleet.domain_cluster[j]) for j in fleet.scopes(scope.level)[scope]}
    return any(k not in lost for k in fleet.spec_replicas(row))


def _proven(ground: _Ground, candidate: Suggestion, scope: Scope) -> Suggestion | None:
    """The candidate for those of its workloads that it mends; None where it mends none."""
    rows = _rows_of(ground, candidate.intent)
    lost = ground.snapshot.fleet.scopes(scope.level)[scope]
    for _ in range(2):
        concluded = _with(ground.snapshot, [candidate])
        ref = candidate.intent.common.ref
        mine = {change.workload: change for change in changes(concluded) if ref in change.intents}
        good = [row for row in rows if _is_mended(ground, row, mine, lost)]
        if not good:
            return None
        if good == rows and ref not in _stalled(concluded):
            return candidate
        rows = good
        names = tuple(ground.snapshot.fleet.ref(row).name for row in good)
        common = candidate.intent.common
        common = replace(common, target=replace(common.target, names=names, workloads=Selector()))
        candidate = replace(candidate, intent=replace(candidate.intent, common=common))
    return None


def _is_mended(ground: _Ground, row: int, mine: Mapping[WorkloadRef, Change], lost: tuple[int, ...]) -> bool:
    """Whether a plan changes a workload so that a loss leaves some of it."""
    fleet, s = ground.snapshot.fleet, ground.s[row]
    change = mine.get(fleet.ref(row))
    if change is None:
        return False
    n = np.zeros(len(fleet.clusters), np.int64)
    for cluster, count in change.after:
        n[fleet.cluster_row[cluster]] = count
    return int(n.sum()) > judge.at_most(ground.problem, s, lost, n)


def _unmended(ground: _Ground, row: int, scope: Scope) -> str:
    fleet = ground.snapshot.fleet
    ref = fleet.ref(row)
    if not _elsewhere(ground, row, scope) and scope.level is not Level.ZONE:
        return f"{ref} would be gone with {scope}: deploy it in a cluster elsewhere first, at 0 replicas if need be"
    if scope.level is Level.ZONE and int(ground.problem.zone_skew[ground.s[row]]) == 0:
        return (
            f"{ref} would be gone with {scope}: it needs a topologySpreadConstraint over zones "
            "(whenUnsatisfiable: DoNotSchedule)"
        )
    return f"{ref} would be gone with {scope}: no intent was found that mends it"


# --------------------------------------------------------------------------------------------------------- inside


def _with(snapshot: Snapshot, found: Iterable[Suggestion]) -> Round:
    more = [one.intent for one in found]
    return conclude(
        replace(snapshot, intents=tuple(sorted((*snapshot.intents, *more), key=lambda intent: intent.common.ref)))
    )


def _stalled(concluded: Round) -> set[IntentRef]:
    findings = (*concluded.findings, *(f for item in concluded.advice for f in item.plan.findings))
    return {ref for finding in findings if finding.stalls for ref in finding.about}


def _rows_of(ground: _Ground, intent: Intent) -> list[int]:
    target, fleet = intent.common.target, ground.snapshot.fleet
    return [
        row
        for row in ground.s
        if (ref := fleet.ref(row)).namespace == intent.common.ref.namespace
        and (not target.names or ref.name in target.names)
    ]


Kind = Literal["PlacementIntent", "FailoverIntent"]


def _common(ground: _Ground, kind: Kind, namespace: str, name: str, rows: list[int]) -> Common:
    """What a suggested intent shares with others; it names its workloads unless they are all that can be governed there."""
    fleet = ground.snapshot.fleet
    taken = {intent.common.ref for intent in ground.snapshot.intents}
    ref = IntentRef(kind, namespace, name)
    while ref in taken:
        ref = replace(ref, name=f"{ref.name}-new")
    everybody = [row for row in ground.s if fleet.ref(row).namespace == namespace]
    names = () if rows == everybody else tuple(sorted(fleet.ref(row).name for row in rows))
    return Common(ref=ref, target=Target(names=names))


def _parts(rows: list[int]) -> Iterator[list[int]]:
    return (rows[start : start + MOST_NAMES] for start in range(0, len(rows), MOST_NAMES))


def _by_names(group: tuple[tuple[str, tuple[str, ...], Level | None], list[int]]) -> tuple[str, tuple[str, ...], str]:
    (namespace, allowed, level), _ = group
    return namespace, allowed, level or ""


def _in_regions(regions: tuple[str, ...]) -> Selector:
    return Selector(expressions=(Expression(REGION_LABEL, Operator.IN, regions),))
