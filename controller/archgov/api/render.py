"""From values of the model to what the API keeps: statuses, Decisions, WorkloadRecords.

Equal values give equal bodies, so that an unchanged object is an unchanged write.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, Final

from archgov.api import decision as decision_kind
from archgov.api import workload_record as record_kind
from archgov.api.instant import timestamp
from archgov.api.kind import API_VERSION
from archgov.model.condition import Condition, Kind, Reason, Status
from archgov.model.decision import Action, Alternative, Decision, Finding
from archgov.model.fleet import Reach
from archgov.model.intent import Loss, Mode, Record, Removal
from archgov.model.quantity import GIB, milli_text, usd_a_day
from archgov.model.ref import ClusterName, IntentRef, WorkloadRef

LONGEST: Final = 1024
NAMED: Final = 20
ZONES: Final = 64
LONGEST_NAME: Final = 253
# Present only while true; the others are always worth reading.
ABNORMAL: Final = frozenset({Kind.RECONCILING, Kind.STALLED, Kind.DEGRADED, Kind.SUSPENDED})
_ORDER: Final = {kind: number for number, kind in enumerate(Kind)}
_NOT_SEEN: Final = Condition(Kind.READY, Status.UNKNOWN, Reason.INPUTS_STALE, "not evaluated yet")

Body = dict[str, Any]


@dataclass(frozen=True, slots=True)
class LastDecision:
    """The newest decision about an intent. time: Unix seconds."""

    decision: Decision
    time: int
    trace_id: str = ""


@dataclass(frozen=True, slots=True)
class Report:
    """What there is to say about an intent.

    Attributes:
        workloads, moves: counts. cost: micro-USD per hour of its workloads, before with after.
        need, planned: replicas. forecast_error, coverage: for people, such as 4.2% (CapacityIntent).
        survivable: losses that would be survived now, of how many tolerated ones.
        failed_over: workloads that stand elsewhere because of a loss (FailoverIntent).
    """

    mode: Mode
    conditions: tuple[Condition, ...]
    summary: str = ""
    last: LastDecision | None = None
    workloads: int | None = None
    moves: int | None = None
    cost: tuple[int, int] | None = None
    need: int | None = None
    planned: int | None = None
    forecast_error: str = ""
    coverage: str = ""
    survivable: tuple[int, int] | None = None
    failed_over: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Room:
    """What nodes offer with what pods request of it. Units of resources as in Fleet."""

    nodes: int
    capacity: tuple[tuple[str, int], ...]
    in_use: tuple[tuple[str, int], ...]


def conditions(
    current: Sequence[Mapping[str, Any]], wanted: Iterable[Condition], generation: int, now: int
) -> list[Body]:
    """The conditions of an object, Ready first.

    Args:
        current: those that are stored; of them only the times count. now: Unix seconds.

    Returns:
        A time of transition is kept while the status stays the same. Abnormal ones are left out unless true.
    """
    told = {condition.kind: condition for condition in (_NOT_SEEN, *wanted)}
    since = {(old.get("type"), old.get("status")): old.get("lastTransitionTime") for old in current}
    return [
        {
            "type": condition.kind.value,
            "status": condition.status.value,
            "reason": condition.reason.value,
            "message": cut(condition.message),
            "lastTransitionTime": since.get((condition.kind.value, condition.status.value)) or timestamp(now),
            "observedGeneration": generation,
        }
        for condition in sorted(told.values(), key=lambda condition: _ORDER[condition.kind])
        if condition.kind not in ABNORMAL or condition.status is Status.TRUE
    ]


def object_status(
    current: Mapping[str, Any], wanted: Iterable[Condition], generation: int, now: int, summary: str = ""
) -> Body:
    """What the statuses of all kinds share. current: the stored status."""
    told = conditions(_stored(current), wanted, generation, now)
    return _without_blanks(
        {
            "observedGeneration": generation,
            "ready": told[0]["status"],
            "conditions": told,
            "summary": cut(summary) or None,
        }
    )


def intent_status(current: Mapping[str, Any], report: Report, generation: int, now: int) -> Body:
    """The status of an intent. current: the stored one."""
    return object_status(current, report.conditions, generation, now, report.summary) | _without_blanks(
        {
            "mode": report.mode.value,
            "lastDecision": _last(report.last) if report.last else None,
            "workloads": report.workloads,
            "moves": report.moves,
            "cost": change(*report.cost) if report.cost else None,
            "need": report.need,
            "planned": report.planned,
            "forecastError": report.forecast_error or None,
            "coverage": report.coverage or None,
            "survivable": "{}/{} losses".format(*report.survivable) if report.survivable else None,
            "failedOver": [cut(name) for name in report.failed_over[:NAMED]],
        }
    )


def member_status(
    current: Mapping[str, Any],
    wanted: Iterable[Condition],
    generation: int,
    now: int,
    *,
    reach: Reach,
    evidence: str,
    governor: str = "",
    lag: int,
    room: Room,
    zones: Mapping[str, Room],
    losses: Iterable[Loss] = (),
) -> Body:
    """The status of a MemberCluster. lag: seconds since the cluster was last heard of."""
    return object_status(current, wanted, generation, now) | _without_blanks(
        {
            "reach": reach.value,
            "evidence": cut(evidence),
            "governor": governor or None,
            "lag": lag,
            **_room(room),
            "zones": [{"name": name, **_room(zone)} for name, zone in sorted(zones.items())[:ZONES]],
            "losses": [_loss(loss) for loss in sorted(losses, key=lambda loss: (loss.zone, loss.since, loss.ended))],
        }
    )


@dataclass(frozen=True, slots=True)
class FleetReport:
    """What there is to say about the whole fleet.

    Attributes:
        allocated, bill, saving: micro-USD per hour; saving None where unknown. ledger: its rows, the hash of the last.
    """

    workloads: int
    replicas: int
    nodes: int
    allocated: int
    bill: int
    saving: int | None
    fragile: tuple[tuple[str, int], ...]
    snapshot: str
    ledger: tuple[int, str] | None = None


def fleet_status(
    current: Mapping[str, Any],
    wanted: Iterable[Condition],
    generation: int,
    now: int,
    report: FleetReport,
    summary: str,
) -> Body:
    """The status of the Fleet object. current: the stored one."""
    return object_status(current, wanted, generation, now, summary) | _without_blanks(
        {
            "workloads": report.workloads,
            "replicas": report.replicas,
            "nodes": report.nodes,
            "allocated": usd_a_day(report.allocated),
            "bill": usd_a_day(report.bill),
            "moreAutonomy": None if report.saving is None else usd_a_day(report.saving),
            "fragile": [{"scope": scope, "workloads": count} for scope, count in report.fragile],
            "ledger": None if report.ledger is None else {"rows": report.ledger[0], "head": report.ledger[1]},
            "snapshot": report.snapshot,
        }
    )


def decision_body(decision: Decision, traceparent: str = "", epoch: int = 0) -> Body:
    """A Decision object to create, without its status, in the namespace of the intent it is filed under.

    Args:
        epoch: of the leadership in which it was made.
    """
    spec = {
        "intents": [_intent(ref) for ref in decision.intents[: decision_kind.INTENTS]],
        "actions": [_action(action) for action in decision.actions],
        "objective": rate(decision.objective),
        "bound": None if decision.bound is None else rate(decision.bound),
        "costBefore": rate(decision.cost_before),
        "costAfter": rate(decision.cost_after),
        "summary": cut(decision.summary),
        "engine": decision.engine,
        "seed": decision.seed,
        "snapshot": decision.snapshot,
        "findings": [_finding(finding) for finding in decision.findings[:NAMED]],
        "alternatives": [_alternative(other) for other in decision.alternatives[:NAMED]],
        "planHash": decision.plan_hash,
        "after": list(decision.after),
        "traceparent": traceparent or None,
        "generation": decision.generation,
        "epoch": epoch,
    }
    return _body(decision_kind.NAME, decision.intents[0].namespace, decision.name, _without_blanks(spec))


def decision_status(
    current: Mapping[str, Any],
    decision: Decision,
    wanted: Iterable[Condition],
    now: int,
    *,
    done: int = 0,
    verified: int | None = None,
    cost: int | None = None,
    reason: str = "",
    overtaken: Iterable[WorkloadRef] = (),
) -> Body:
    """The status of a Decision.

    Args:
        done: actions whose effect was observed. verified: Unix seconds at which all of it was.
        cost: micro-USD per hour of the workloads it touched, observed then. reason: why it ended as it did.
    """
    # A Decision's spec never changes, so its generation is always the first.
    return object_status(current, wanted, 1, now, reason) | _without_blanks(
        {
            "outcome": decision.outcome.value,
            "progress": f"{done}/{len(decision.actions)} actions",
            "verified": None if verified is None else timestamp(verified),
            "approvedBy": decision.approved_by or None,
            "overtaken": [str(workload) for workload in overtaken],
            "measured": None if cost is None else {"cost": rate(cost), "change": change(decision.cost_before, cost)},
        }
    )


def record_name(workload: WorkloadRef) -> str:
    """The name of a workload's record; one that would be too long ends in a digest instead."""
    name = f"{workload.kind.lower()}-{workload.name}"
    if len(name) <= LONGEST_NAME:
        return name
    return f"{name[: LONGEST_NAME - 17].rstrip('.-')}-{hashlib.sha256(name.encode()).hexdigest()[:16]}"


def record_body(record: Record, epoch: int = 0) -> Body:
    """A WorkloadRecord object to apply, without its status, in the namespace of its workload. epoch: of the writer's leadership."""
    spec = {
        "workload": {"kind": record.workload.kind, "name": record.workload.name},
        "need": record.need,
        "needs": _by_cluster(record.needs),
        "former": _by_cluster(record.former),
        "written": _by_cluster(record.written),
        "pending": _by_cluster(record.pending),
        "origin": _by_cluster(record.origin),
        "removals": [
            {"at": timestamp(removal.at), "replicas": removal.replicas} for removal in _latest(record.removals)
        ],
        "reversals": [timestamp(at) for at in record.reversals[-record_kind.REVERSALS :]],
        "uids": [{"cluster": cluster, "uid": uid} for cluster, uid in record.uids],
        "epoch": epoch,
    }
    return _body(record_kind.NAME, record.workload.namespace, record_name(record.workload), _without_blanks(spec))


def rate(micro: int) -> str:
    """Micro-USD per hour as US dollars an hour, exactly: 12500000 is `12.5`."""
    return f"{(Decimal(micro) / 1_000_000).normalize():f}"


def change(before: int, after: int) -> str:
    """A relative change as people write it: `−4.1%`, `+12.0%`, `0.0%`."""
    if before == 0:
        return "0.0%" if after == 0 else "new"
    relative = (after - before) / abs(before)
    return f"{relative:+.1%}".replace("-", "−") if round(relative, 3) else "0.0%"


def cut(text: str) -> str:
    """A text that fits where messages are kept."""
    return text if len(text) <= LONGEST else f"{text[: LONGEST - 1]}…"


def amount(resource: str, value: int) -> str:
    """A resource of the model as Kubernetes writes it: memory in Gi where that is exact enough to read."""
    match resource:
        case "memory":
            return f"{value // GIB}Gi" if value >= GIB else f"{value >> 20}Mi"
        case "pods":
            return str(value)
        case _:
            return milli_text(value)


def _latest(removals: tuple[Removal, ...]) -> tuple[Removal, ...]:
    """As many as fit; what doesn't is charged with the oldest that does, so that no budget is forgotten."""
    if len(removals) <= record_kind.REMOVALS:
        return removals
    early, late = removals[: -record_kind.REMOVALS + 1], removals[-record_kind.REMOVALS + 1 :]
    return (Removal(early[-1].at, sum(removal.replicas for removal in early)), *late)


def _last(last: LastDecision) -> Body:
    decision = last.decision
    return _without_blanks(
        {
            "name": decision.name,
            "planHash": decision.plan_hash,
            "time": timestamp(last.time),
            "outcome": decision.outcome.value,
            "objective": rate(decision.objective),
            "bound": None if decision.bound is None else rate(decision.bound),
            "gap": _percent(decision.gap),
            "traceID": last.trace_id or None,
        }
    )


def _percent(fraction: float | None) -> str | None:
    return None if fraction is None else f"{fraction:.1%}"


def _room(room: Room) -> Body:
    return {
        "nodes": room.nodes,
        "capacity": {resource: amount(resource, value) for resource, value in room.capacity},
        "inUse": {resource: amount(resource, value) for resource, value in room.in_use},
    }


def _loss(loss: Loss) -> Body:
    times = {"since": timestamp(loss.since), "ended": timestamp(loss.ended) if loss.ended else None}
    return _without_blanks({"zone": loss.zone or None, **times})


def _intent(ref: IntentRef) -> Body:
    return {"kind": ref.kind, "namespace": ref.namespace, "name": ref.name}


def _workload(ref: WorkloadRef) -> Body:
    return {"namespace": ref.namespace, "kind": ref.kind, "name": ref.name}


def _action(action: Action) -> Body:
    return {
        "wave": action.wave,
        "workload": _workload(action.workload),
        "cluster": action.cluster,
        "before": action.before,
        "after": action.after,
        "uid": action.uid,
        "cause": action.cause.value,
        "why": cut(action.why),
    }


def _finding(finding: Finding) -> Body:
    return _without_blanks(
        {
            "reason": finding.reason.value,
            "message": cut(finding.message),
            "about": [_intent(ref) for ref in finding.about[:NAMED]],
            "workload": _workload(finding.workload) if finding.workload else None,
            "remedies": [cut(remedy) for remedy in finding.remedies[:NAMED]],
            "stalls": finding.stalls,
        }
    )


def _alternative(other: Alternative) -> Body:
    extra = None if other.extra is None else rate(other.extra)
    return _without_blanks({"what": cut(other.what), "reason": cut(other.reason), "extra": extra})


def _by_cluster(entries: tuple[tuple[ClusterName, int], ...]) -> list[Body]:
    return [{"cluster": cluster, "replicas": replicas} for cluster, replicas in entries]


def _body(kind: str, namespace: str, name: str, spec: Body) -> Body:
    metadata = {"name": name, "namespace": namespace}
    return {"apiVersion": API_VERSION, "kind": kind, "metadata": metadata, "spec": spec}


def _without_blanks(body: Body) -> Body:
    """What is not said is left out, and so are empty lists, since they are the default; 0, false, "" are said."""
    return {key: value for key, value in body.items() if value is not None and value != []}


def _stored(current: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    stored = current.get("conditions", [])
    return [old for old in stored if isinstance(old, Mapping)] if isinstance(stored, list) else []
