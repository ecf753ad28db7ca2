"""How many replicas each workload must have: recorded, declared, or adopted at first sight."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace

from archgov.decide.select import Governed
from archgov.forecast.demand import Forecast, forecast
from archgov.forecast.history import BadHistory, History
from archgov.forecast.series import histories
from archgov.model.condition import Reason
from archgov.model.decision import Finding
from archgov.model.fleet import Reach
from archgov.model.intent import CapacityIntent, Load, PlacementIntent, Record
from archgov.model.quantity import counted
from archgov.model.ref import ClusterName, DomainRef
from archgov.model.snapshot import Series, Snapshot

# Two reversals within this many seconds end the attempt: archgov does not fight another writer.
CONTENTION_WINDOW = 3600
REVERSALS = 2
# A history that ended longer ago than this says nothing about now.
STALE_AFTER = 24 * 3600
STALE_STEPS = 3


@dataclass(frozen=True, slots=True)
class Need:
    """What a workload must have.

    Attributes:
        total: replicas in all.
        by_cluster: (row of cluster, replicas) that must be where demand arrives; empty when only the total matters.
        source: where the number comes from, in words. owner: key of the intent that declares it, "" where none does.
        cap: replicas at most, 0 for no bound. capped_by: key of the intent that says so.
    """

    total: int
    by_cluster: tuple[tuple[int, int], ...] = ()
    source: str = "recorded"
    owner: str = ""
    cap: int = 0
    capped_by: str = ""


@dataclass(frozen=True, slots=True)
class Outlook:
    """What a CapacityIntent's demand looks like; missing says why there is none."""

    place: str
    amount: int  # thousandths of a demand unit, at the quantile, peak over the horizon
    forecast: Forecast | None = None


def records(snapshot: Snapshot) -> tuple[tuple[Record, ...], tuple[Finding, ...]]:
    """The records with what others changed since: a foreign change of spec.replicas changes the need by the difference.

    A value that went back to what it was before archgov wrote it is a reversal: the need stays and the reversal is remembered.
    """
    kept, findings = [], []
    for record in snapshot.records:
        updated = _after_foreign_changes(snapshot, record)
        kept.append(updated)
        if is_contended(updated, snapshot.seconds):
            findings.append(
                Finding(
                    Reason.CONTENDED,
                    f"{record.workload}: somebody took back {counted(len(updated.reversals), 'value')} "
                    "within an hour; archgov lets go of it",
                    workload=record.workload,
                    remedies=(
                        "leave spec.replicas out of Git",
                        'label the workload archgov.io/governed: "false"',
                    ),
                    stalls=True,
                )
            )
    return tuple(kept), tuple(findings)


def is_contended(record: Record, now: int) -> bool:
    """Whether values of this workload were taken back too often lately."""
    return sum(1 for at in record.reversals if now - at < CONTENTION_WINDOW) >= REVERSALS


def loads(placements: Iterable[Governed[PlacementIntent]]) -> Mapping[int, Load]:
    """What demand does when replicas move, by row of workload, as intents say it; PerDomain where none does.

    It is a fact, so whoever may act is asked first, then the more important one; among equals the safer PerDomain counts.
    """
    found: dict[int, tuple[tuple[bool, int], Load]] = {}
    for governed in placements:
        if (load := governed.intent.load) is not None:
            weight = (governed.enforced, governed.priority)
            for row in governed.rows:
                known, said = found.get(row, (weight, load))
                if weight > known or (weight == known and said is not Load.PER_DOMAIN):
                    found[row] = (weight, load)
                else:
                    found.setdefault(row, (known, said))
    return {row: load for row, (_, load) in found.items()}


def recorded_needs(snapshot: Snapshot, kept: tuple[Record, ...], rows: tuple[int, ...]) -> dict[int, Need]:
    """The need of each workload as recorded, or the sum of spec.replicas at first sight; never counted pods."""
    by_row = {row: record for record in kept if (row := snapshot.fleet.row(record.workload)) is not None}
    return {row: _recorded(snapshot, row, by_row.get(row)) for row in rows}


def demanded_need(snapshot: Snapshot, governed: Governed[CapacityIntent], row: int, today: Need) -> Need | Finding:
    """What a CapacityIntent asks for one workload; a Finding where its inputs say nothing, and then the need of today stays."""
    intent = governed.intent
    outlook = outlooks(snapshot, intent)
    if isinstance(outlook, Finding):
        return outlook
    places: dict[str, int] = {}
    for look in outlook:
        places[look.place] = places.get(look.place, 0) + _replicas(intent, look.amount)
    total = sum(places.values())
    unknown = [place for place in places if place and _cluster_of(snapshot, place) is None]
    if unknown:
        return Finding(
            Reason.INPUTS_STALE,
            f"spec.demand names {', '.join(unknown)}; no such cluster or zone is a member. "
            f"Holding at {counted(today.total, 'replica')}",
            (intent.common.ref,),
            remedies=("correct the place", "add its MemberCluster"),
            stalls=True,
        )
    # No forecast is sure enough to take the last copy away.
    clamped = max(total, intent.minimum, min(1, today.total))
    if intent.maximum and clamped > intent.maximum:
        return Finding(
            Reason.CONFLICT,
            f"{snapshot.fleet.ref(row)}: demand needs {counted(clamped, 'replica')}, spec.bounds.max allows {intent.maximum}",
            (intent.common.ref,),
            snapshot.fleet.ref(row),
            remedies=(
                f"raise spec.bounds.max to {clamped} or more",
                "raise spec.perReplica",
                *(("lower spec.headroom",) if intent.headroom else ()),
            ),
            stalls=True,
        )
    by_cluster: dict[int, int] = {}
    for place, replicas in places.items():
        if place and (cluster := _cluster_of(snapshot, place)) is not None:
            by_cluster[cluster] = by_cluster.get(cluster, 0) + replicas
    return Need(
        total=clamped,
        by_cluster=tuple(sorted(by_cluster.items())),
        source="spec.demand",
        owner=governed.name,
        cap=intent.maximum,
        capped_by=governed.name if intent.maximum else "",
    )


def larger(one: Need, other: Need) -> Need:
    """What meets both of two needs that count alike; the tighter cap stays."""
    first = max(one, other, key=lambda need: (need.total, need is one))
    places = dict(one.by_cluster)
    for k, replicas in other.by_cluster:
        places[k] = max(places.get(k, 0), replicas)
    capped = min((need for need in (one, other) if need.cap), key=lambda need: need.cap, default=first)
    return replace(
        first,
        total=max(first.total, sum(places.values())),
        by_cluster=tuple(sorted(places.items())),
        cap=capped.cap,
        capped_by=capped.capped_by,
    )


def series_of(snapshot: Snapshot, intent: CapacityIntent) -> Series | None:
    """The series that an intent names, where it names one that is there."""
    if intent.series is None:
        return None
    wanted = (intent.common.ref.namespace, intent.series.config_map, intent.series.key)
    return next((one for one in snapshot.series if (one.namespace, one.config_map, one.key) == wanted), None)


def outlooks(snapshot: Snapshot, intent: CapacityIntent) -> tuple[Outlook, ...] | Finding:
    """Demand by place, at the quantile where it is forecast, or why there is none."""
    if intent.series is None:
        return tuple(Outlook(point.place, point.amount) for point in intent.demand)
    series = series_of(snapshot, intent)
    if series is None or not series.samples:
        return _no_input(intent, f'holds no samples under "{intent.series.key}"')
    last = max(sample.at for sample in series.samples)
    if snapshot.seconds - last > max(STALE_STEPS * series.step, STALE_AFTER):
        return _no_input(intent, f"ended {counted((snapshot.seconds - last) // 3600, 'hour')} ago")
    known = min(snapshot.seconds, last)
    try:
        found = [
            Outlook(place, seen.peak, seen)
            for place, history in histories(series, known).items()
            for seen in [_ahead(history, intent, series.step, snapshot.seconds - known)]
        ]
    except BadHistory as error:
        return _no_input(intent, f"can't be used: {error}")
    return tuple(found)


def _ahead(history: History, intent: CapacityIntent, step: int, late: int) -> Forecast:
    """The horizon from now on; late: seconds since the history ended, which have to be forecast too."""
    past = late // step
    ahead = max(1, -(-(late + intent.horizon) // step) - past)
    whole = forecast(history, steps=past + ahead, quantile=intent.quantile / 100, step=step)
    return replace(whole, values=whole.values[past:])


def _no_input(intent: CapacityIntent, why: str) -> Finding:
    named = intent.series.config_map if intent.series else ""
    return Finding(
        Reason.INPUTS_STALE,
        f"ConfigMap {intent.common.ref.namespace}/{named} {why}; nothing shrinks until it says more",
        (intent.common.ref,),
        remedies=("fill it with lines of time,place,amount", "use spec.demand.static"),
        stalls=True,
    )


def first_record(snapshot: Snapshot, row: int, need: Need) -> Record:
    """The record that is written before archgov acts on a workload for the first time."""
    fleet = snapshot.fleet
    spec = fleet.spec_replicas(row)
    return Record(
        workload=fleet.ref(row),
        need=need.total,
        needs=_named(snapshot, dict(need.by_cluster) or spec),
        former=_named(snapshot, spec),
        uids=tuple((snapshot.fleet.clusters[k].name, fleet.uid(row, k)) for k in sorted(spec)),
    )


def _named(snapshot: Snapshot, by_row: Mapping[int, int]) -> tuple[tuple[ClusterName, int], ...]:
    return tuple((snapshot.fleet.clusters[row].name, count) for row, count in sorted(by_row.items()))


def _recorded(snapshot: Snapshot, row: int, record: Record | None) -> Need:
    if record is None:
        spec = snapshot.fleet.spec_replicas(row)
        return Need(sum(spec.values()), tuple(sorted(spec.items())), "spec.replicas at first sight")
    cluster_row = snapshot.fleet.cluster_row
    by_cluster = tuple(sorted((cluster_row[name], n) for name, n in record.needs if name in cluster_row))
    return Need(record.need, by_cluster, "recorded")


def _replicas(intent: CapacityIntent, amount: int) -> int:
    """ceil(amount * (1 + headroom) / per_replica), in integers."""
    return -(-amount * (100 + intent.headroom) // (100 * intent.per_replica))


def _cluster_of(snapshot: Snapshot, place: str) -> int | None:
    if "/" in place:
        domain = DomainRef.parse(place)
        return snapshot.fleet.cluster_row.get(domain.cluster) if domain in snapshot.fleet.domains else None
    return snapshot.fleet.cluster_row.get(place)


def _after_foreign_changes(snapshot: Snapshot, record: Record) -> Record:
    row = snapshot.fleet.row(record.workload)
    if row is None:
        return record
    uids = {snapshot.fleet.clusters[k].name: snapshot.fleet.uid(row, k) for k in snapshot.fleet.spec_replicas(row)}
    renewed = {cluster for cluster, uid in record.uids if uids.get(cluster, uid) != uid and _is_seen(snapshot, cluster)}
    if renewed and all(cluster in renewed or cluster not in uids for cluster, _ in record.uids):
        return _begun_anew(snapshot, row, record)
    now = {snapshot.fleet.clusters[cluster].name: n for cluster, n in snapshot.fleet.spec_replicas(row).items()}
    former, pending, written, needs = map(dict, (record.former, record.pending, record.written, record.needs))
    need, reversals = record.need, list(record.reversals)
    # A cluster that archgov never wrote to has what it had before; one that is new has nothing.
    expected = {**dict.fromkeys(now, 0), **former, **written}
    for cluster, value in sorted(expected.items()):
        seen = now.get(cluster)
        if seen is not None and cluster in renewed and seen <= value:
            # Whoever makes an object anew with fewer replicas doesn't say that fewer are needed.
            pending.pop(cluster, None)
            (written if cluster in written else former)[cluster] = seen
            continue
        if seen is None or not _is_seen(snapshot, cluster) or seen == pending.get(cluster, value):
            if seen == value:
                pending.pop(cluster, None)
            continue
        pending.pop(cluster, None)
        if seen == value:
            continue
        if cluster in written:
            written[cluster] = seen
            if seen == former.get(cluster):
                reversals.append(snapshot.seconds)
                continue
        else:
            former[cluster] = seen
        need += seen - value
        needs[cluster] = max(0, needs.get(cluster, 0) + seen - value)
    return replace(
        record,
        need=max(0, need),
        needs=tuple(sorted(needs.items())),
        former=tuple(sorted(former.items())),
        written=tuple(sorted(written.items())),
        pending=tuple(sorted(pending.items())),
        reversals=tuple(at for at in reversals if snapshot.seconds - at < CONTENTION_WINDOW),
        uids=tuple(sorted({**dict(record.uids), **uids}.items())),
    )


def _begun_anew(snapshot: Snapshot, row: int, record: Record) -> Record:
    """The record of a workload of which nothing that was known is left: it is another one of the same name."""
    fresh = first_record(snapshot, row, _recorded(snapshot, row, None))
    return replace(fresh, removals=record.removals)


def _is_seen(snapshot: Snapshot, cluster: ClusterName) -> bool:
    row = snapshot.fleet.cluster_row.get(cluster)
    return row is not None and snapshot.fleet.clusters[row].reach is Reach.YES
