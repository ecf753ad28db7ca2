"""The fast path: what a declared loss asks of the survivors, as levels, without a solve."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import numpy as np

from archgov.decide.compose import Frame, fitting
from archgov.decide.need import Need
from archgov.decide.select import Governed
from archgov.decide.survive import Loss, floor
from archgov.model.condition import Reason
from archgov.model.decision import Finding
from archgov.model.fleet import Int64, Level, Reach, Scope
from archgov.model.intent import FailoverIntent, Load, Mode
from archgov.optimize.placement.problem import Allowed


@dataclass(frozen=True, slots=True)
class Answer:
    """What to set after a loss.

    Attributes:
        level: (S, K) replicas; never below today's but for `shed` rows. raised: rows that grow. shed: rows that shrink.
        findings: floors that the survivors have no room for.
    """

    level: Int64
    raised: tuple[int, ...]
    shed: tuple[int, ...]
    findings: tuple[Finding, ...]


@dataclass(frozen=True, slots=True)
class _Claim:
    """A workload's missing replicas in the survivors: `amount` in any of `clusters`, the first with room taken first."""

    tier: int
    s: int
    row: int
    clusters: tuple[int, ...]
    amount: int
    governed: Governed[FailoverIntent]


def answer(
    base: Frame,
    failovers: Iterable[Governed[FailoverIntent]],
    needs: Mapping[int, Need],
    loads: Mapping[int, Load],
    residency: Mapping[int, frozenset[int]],
    lost: frozenset[int],
) -> Answer:
    """Levels for the survivors of the lost domains: max(current, floor), admitted in order of tier as room allows.

    Only intents with onLoss: Enforce are answered, and only where they tolerate a loss that covers what is lost.
    Shedding is the one removal: the lowest tier first, only what floors lack, never below what its own intent allows.
    """
    answered = [one for one in failovers if one.intent.on_loss is Mode.ENFORCE and not one.intent.common.suspend]
    claims = sorted(_claims(base, answered, needs, loads, residency, lost), key=lambda claim: (claim.tier, claim.s))
    level = base.problem.now.copy()
    room = free_room(base)
    fits = {(s, k): _fits(base, s, k) for claim in claims for s, k in ((claim.s, k) for k in claim.clusters)}
    raised: set[int] = set()
    short: list[tuple[_Claim, int]] = []
    for claim in claims:
        left = claim.amount
        for k in claim.clusters:
            granted = min(left, _holds(room[k], base.problem.request[claim.s]), fits[claim.s, k])
            if granted > 0:
                level[claim.s, k] += granted
                room[k] -= granted * base.problem.request[claim.s]
                fits[claim.s, k] -= granted
                left -= granted
                raised.add(claim.row)
        if left:
            short.append((claim, left))
    shed = _shed(base, answered, short, level, room)
    return Answer(
        level, tuple(sorted(raised)), shed, tuple(_lacking(base, claim, left, bool(shed)) for claim, left in short)
    )


def free_room(base: Frame) -> Int64:
    """(K, P) room that neither standing nor asked-for replicas take."""
    taken = np.maximum(base.problem.now, base.problem.stood)
    left: Int64 = np.maximum(base.problem.room - np.einsum("sk,sp->kp", taken, base.problem.request), 0)
    return left


def residency(base: Frame, rules: Iterable[object]) -> dict[int, frozenset[int]]:
    """Clusters that every Allowed rule leaves, by row; residency holds on a loss too."""
    found: dict[int, frozenset[int]] = {}
    for rule in rules:
        if isinstance(rule, Allowed):
            row = base.rows[rule.s]
            found[row] = found.get(row, frozenset(rule.clusters)) & frozenset(rule.clusters)
    return found


def _claims(
    base: Frame,
    failovers: Iterable[Governed[FailoverIntent]],
    needs: Mapping[int, Need],
    loads: Mapping[int, Load],
    residency: Mapping[int, frozenset[int]],
    lost: frozenset[int],
) -> Iterable[_Claim]:
    s_of = {row: s for s, row in enumerate(base.rows)}
    what = _lost_scopes(base, lost)
    for one in failovers:
        intent = one.intent
        if not _is_tolerated(base, intent, lost):
            continue
        for row in one.rows:
            s = s_of[row]
            loss = Loss("spec.tolerate", what, tuple(sorted(lost)))
            wanted = floor(base.fleet, intent, needs[row], loads.get(row, Load.PER_DOMAIN), loss)
            open_to = _survivors(base, s, residency.get(row), lost)
            if wanted.total:
                left = int(sum(_left(base, s, k, lost) for k in range(len(base.fleet.clusters))))
                yield _Claim(intent.tier, s, row, open_to, max(0, wanted.total - left), one)
            for k, replicas in wanted.by_cluster:
                missing = max(0, replicas - _left(base, s, k, lost))
                yield _Claim(intent.tier, s, row, (k,) if k in open_to else (), missing, one)


def _is_tolerated(base: Frame, intent: FailoverIntent, lost: frozenset[int]) -> bool:
    """Whether what is lost lies inside as many scopes as the intent tolerates."""
    for tolerate in intent.tolerate:
        scopes = {base.fleet.scope(tolerate.level, j) for j in lost}
        if lost and len(scopes) <= tolerate.failures:
            return True
    return False


def _lost_scopes(base: Frame, lost: frozenset[int]) -> tuple[Scope, ...]:
    return tuple(sorted({base.fleet.scope(Level.ZONE, j) for j in lost}))


def _left(base: Frame, s: int, k: int, lost: frozenset[int]) -> int:
    """What is left in a cluster: what is asked for, less what stood in lost zones; observed, so no longer a guess."""
    domains = np.flatnonzero(base.problem.cluster == k).tolist()
    if not domains or base.fleet.clusters[k].reach is Reach.UNKNOWN or all(j in lost for j in domains):
        return 0
    gone = sum(int(base.problem.standing[s, j]) for j in domains if j in lost)
    return max(0, int(base.problem.now[s, k]) - gone)


def _survivors(base: Frame, s: int, allowed: frozenset[int] | None, lost: frozenset[int]) -> tuple[int, ...]:
    """Clusters that may take more, the cheapest first, then by name."""
    exists = base.fleet.spec_replicas(base.rows[s])
    able = [
        k
        for k, cluster in enumerate(base.fleet.clusters)
        if k in exists
        and cluster.reach is Reach.YES
        and (allowed is None or k in allowed)
        and any(j not in lost for j in np.flatnonzero(base.problem.cluster == k).tolist())
    ]
    return tuple(sorted(able, key=lambda k: (int(base.problem.price[s, k]), k)))


def _fits(base: Frame, s: int, k: int) -> int:
    pending = max(0, int(base.problem.now[s, k] - base.problem.stood[s, k]))
    return max(0, fitting(base.fleet, int(base.fleet.workloads.shape[base.rows[s]]), k) - pending)


def _holds(room: Int64, request: Int64) -> int:
    asked = request > 0
    return int((room[asked] // request[asked]).min()) if asked.any() else 1 << 20


def _shed(
    base: Frame,
    failovers: list[Governed[FailoverIntent]],
    short: list[tuple[_Claim, int]],
    level: Int64,
    room: Int64,
) -> tuple[int, ...]:
    """Lowers `level` of sheddable workloads where higher tiers lack `room` (K, P); returns their rows."""
    s_of = {row: s for s, row in enumerate(base.rows)}
    lowest_first = sorted(failovers, key=lambda one: (-one.intent.tier, one.name))
    shed: set[int] = set()
    for claim, lacking in short:
        asked, left = base.problem.request[claim.s], lacking
        lower = [
            (s_of[row], row, one.intent.shed)
            for one in lowest_first
            if one.intent.tier > claim.tier
            for row in one.rows
        ]
        for k in claim.clusters:
            # What was shed a moment ago still stands there; its room is counted on, or more would go each round.
            leaving = [
                (s, max(0, int(base.problem.stood[s, k] - base.problem.now[s, k])))
                for s, _, least in lower
                if least is not None
            ]
            coming = sum((count * base.problem.request[s] for s, count in leaving), np.zeros_like(asked))
            left -= min(left, _holds(room[k] + coming, asked)) if coming.any() else 0
            for s, row, least in lower:
                if least is None or left <= 0:
                    continue
                spare = max(0, min(int(level[s, k]), int(level[s].sum()) - least))
                cut = min(spare, _in_the_way(left, asked, room[k], base.problem.request[s]))
                if cut:
                    level[s, k] -= cut
                    shed.add(row)
                    left -= min(left, _holds(room[k] + cut * base.problem.request[s], asked))
    return tuple(sorted(shed))


def _in_the_way(count: int, asked: Int64, room: Int64, request: Int64) -> int:
    """Replicas of `request` each that must go so that `count` of `asked` each find room."""
    lacking = count * asked - np.maximum(room, 0)
    # Where there is room in all but no node has enough of it, the pieces that are asked for have to come free.
    lacking = np.where((lacking > 0).any(), lacking, count * asked)
    useful = (lacking > 0) & (request > 0)
    return int((-(-lacking[useful] // request[useful])).max(initial=0))


def _lacking(base: Frame, claim: _Claim, left: int, shedding: bool) -> Finding:
    ref = base.fleet.ref(claim.row)
    return Finding(
        Reason.INFEASIBLE,
        f"{ref}: the survivors have no room for {left} of the replicas that its floor needs"
        + ("; lower tiers are being shed" if shedding else ""),
        (claim.governed.intent.common.ref,),
        ref,
        remedies=("add capacity to the survivors", "let lower tiers be shed (spec.shed)", "lower spec.share"),
        stalls=not shedding,
    )
