"""Statuses of all our objects, rendered from one round."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Final

import numpy as np

from archgov.api import render
from archgov.decide.round import Round
from archgov.decide.verdict import Verdict
from archgov.edge.echo import Key
from archgov.edge.observe import Hub, Rejected
from archgov.edge.rows import Malformed
from archgov.edge.tree import Json
from archgov.model.condition import Condition, Kind, Reason, Status
from archgov.model.decision import Action, Decision, Outcome
from archgov.model.fleet import Fleet, Reach
from archgov.model.ref import ClusterName, WorkloadRef
from archgov.model.snapshot import Snapshot

Statuses = dict[Key, dict[str, Any]]
LONGEST: Final = 200
NAMED: Final = 3


@dataclass(frozen=True, slots=True)
class Trouble:
    """What went wrong outside of the round.

    Attributes:
        refused: why effects were refused, by workload. unreadable: objects that make no sense, by cluster.
        governors: who governs each cluster, in words. ledger: why the ledger lacks something. head: its rows, the last one's hash.
    """

    refused: Mapping[WorkloadRef, str] = field(default_factory=dict)
    unreadable: Mapping[ClusterName, tuple[Malformed, ...]] = field(default_factory=dict)
    governors: Mapping[ClusterName, str] = field(default_factory=dict)
    ledger: str = ""
    head: tuple[int, str] | None = None


def statuses(
    hub: Hub,
    found: Round,
    snapshot: Snapshot,
    bodies: Mapping[Key, Json],
    trace: str,
    trouble: Trouble,
    saving: int | None = None,
) -> Statuses:
    """The status of every object of ours, by kind, namespace and name. saving: what more autonomy would save, if it is known."""
    told: Statuses = {}
    for verdict in found.verdicts:
        key = (verdict.intent.kind, verdict.intent.namespace, verdict.intent.name)
        told[key] = _intent(_troubled(verdict, trouble), bodies.get(key, {}), snapshot, trace)
    told |= _members(found, snapshot, bodies, trouble) | _records(snapshot, bodies)
    told |= _decisions(found, snapshot, bodies) | _approvals(found, snapshot, bodies)
    told["Fleet", "", "fleet"] = _fleet(found, snapshot, bodies.get(("Fleet", "", "fleet"), {}), trouble, saving)
    for rejected in hub.rejected:
        # What else is known of it stays told, a loss that it remembers above all.
        for where, status in _rejected(rejected, snapshot.seconds).items():
            told[where] = told.get(where, {}) | status
    return told


def _troubled(verdict: Verdict, trouble: Trouble) -> Verdict:
    """A refused effect degrades the intent whose decision it belongs to."""
    actions = verdict.decision.actions if verdict.decision else ()
    why = next((trouble.refused[action.workload] for action in actions if action.workload in trouble.refused), "")
    if not why:
        return verdict
    degraded = Condition(Kind.DEGRADED, Status.TRUE, Reason.PERMISSION_MISSING, why)
    return replace(verdict, conditions=(*verdict.conditions, degraded))


def _decisions(found: Round, snapshot: Snapshot, bodies: Mapping[Key, Json]) -> Statuses:
    """How far the decisions are that go on."""
    over, told = {closed.key for closed in found.closed}, {}
    for one in snapshot.decisions:
        key = ("Decision", *one.key)
        if one.key in over or one.decision.outcome is not Outcome.APPLYING:
            continue
        done = carried_out(snapshot.fleet, one.decision)
        grant = found.stage.grant_of(one)
        told_so = "it is being carried out" if grant is None or not grant.waits else "its next wave waits for a word"
        condition = Condition(Kind.READY, Status.FALSE, Reason.APPLYING, told_so)
        stored = bodies.get(key, {}).get("status", {})
        told[key] = render.decision_status(stored, one.decision, (condition,), snapshot.seconds, done=done)
    return told


def _approvals(found: Round, snapshot: Snapshot, bodies: Mapping[Key, Json]) -> Statuses:
    """What came of everything that people said."""
    told = {}
    for one in found.stage.heard:
        key = ("Approval", one.approval.namespace, one.approval.name)
        status = Status.TRUE if one.counts else Status.FALSE
        said = tuple(Condition(kind, status, one.reason, one.message) for kind in (Kind.ACCEPTED, Kind.READY))
        stored = bodies.get(key, {}).get("status", {})
        told[key] = render.object_status(stored, said, one.approval.generation, snapshot.seconds, one.message)
    return told


def carried_out(fleet: Fleet, decision: Decision) -> int:
    """How many actions of a plan are done."""
    return sum(_is_done(fleet, action) for action in decision.actions)


def _is_done(fleet: Fleet, action: Action) -> bool:
    """Written, and every replica Ready."""
    row, k = fleet.row(action.workload), fleet.cluster_row.get(action.cluster)
    if row is None or k is None or fleet.spec_replicas(row).get(k) != action.after:
        return False
    return fleet.ready_replicas(row).get(k, 0) >= action.after


def _intent(verdict: Verdict, body: Json, snapshot: Snapshot, trace: str) -> dict[str, Any]:
    stored = body.get("status", {})
    last = None
    if verdict.decision is not None:
        known = stored.get("lastDecision", {})
        same = known.get("name") == verdict.decision.name
        last = render.LastDecision(
            verdict.decision,
            next((o.created for o in snapshot.decisions if o.decision.name == verdict.decision.name), snapshot.seconds),
            str(known.get("traceID", trace)) if same else trace,
        )
    report = render.Report(
        mode=verdict.mode,
        conditions=verdict.conditions,
        summary=verdict.summary,
        last=last,
        workloads=verdict.workloads,
        moves=verdict.moves,
        cost=(verdict.cost_before, verdict.cost_after),
        need=verdict.need,
        planned=verdict.planned,
        forecast_error=verdict.forecast_error,
        coverage=verdict.coverage,
        survivable=verdict.survivable,
        failed_over=verdict.failed_over,
    )
    status = render.intent_status(stored, report, verdict.generation, snapshot.seconds)
    if "lastDecision" not in status and "lastDecision" in stored:
        status["lastDecision"] = stored["lastDecision"]
    return _fitting(verdict.intent.kind, status)


# What only one kind of intent reports.
_ONLY: Final = {
    "need": "CapacityIntent",
    "planned": "CapacityIntent",
    "forecastError": "CapacityIntent",
    "coverage": "CapacityIntent",
    "survivable": "FailoverIntent",
    "failedOver": "FailoverIntent",
}


def _fitting(kind: str, status: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in status.items() if _ONLY.get(name, kind) == kind}


def _rejected(rejected: Rejected, now: int) -> Statuses:
    """An object that can't be understood says so itself; nothing of it is acted on."""
    metadata = rejected.body.get("metadata", {})
    message = str(rejected.error)
    conditions = (
        Condition(Kind.ACCEPTED, Status.FALSE, Reason.INVALID, message),
        Condition(Kind.STALLED, Status.TRUE, Reason.INVALID, f"correct it: {rejected.error.path} {rejected.error.fix}"),
        Condition(Kind.READY, Status.FALSE, Reason.INVALID, message),
    )
    status = render.object_status(
        rejected.body.get("status", {}),
        conditions,
        int(metadata.get("generation", 1)),
        now,
        f"invalid: {message}"[:LONGEST],
    )
    return {(str(rejected.body.get("kind")), metadata.get("namespace", ""), metadata.get("name", "")): status}


def _records(snapshot: Snapshot, bodies: Mapping[Key, Json]) -> Statuses:
    """A record is Ready as soon as it is read: it only remembers."""
    remembered = (Condition(Kind.READY, Status.TRUE, Reason.AS_DECLARED, "remembered"),)
    return {
        key: render.object_status(
            body.get("status", {}), remembered, int(body["metadata"].get("generation", 1)), snapshot.seconds
        )
        for key, body in bodies.items()
        if key[0] == "WorkloadRecord"
    }


def _members(found: Round, snapshot: Snapshot, bodies: Mapping[Key, Json], trouble: Trouble) -> Statuses:
    fleet, told = snapshot.fleet, {}
    lag = dict(snapshot.lag)
    for k, cluster in enumerate(fleet.clusters):
        key = ("MemberCluster", "", str(cluster.name))
        body = bodies.get(key)
        if body is None:
            continue
        losses = [loss for loss in found.losses if loss.cluster == cluster.name]
        lost = any(not loss.ended and not loss.zone for loss in losses)
        seen = cluster.reach is Reach.YES
        ready = Condition(
            Kind.READY,
            Status.TRUE if seen else Status.FALSE if lost else Status.UNKNOWN,
            Reason.AS_DECLARED if seen else Reason.CLUSTER_LOST if lost else Reason.CLUSTER_UNKNOWN,
            "seen" if seen else f"lost: {cluster.evidence}" if lost else f"not seen: {cluster.evidence}; held as it is",
        )
        domains = np.flatnonzero(fleet.domain_cluster == k).tolist()
        told[key] = render.member_status(
            body.get("status", {}),
            (ready, *_unreadable(trouble.unreadable.get(cluster.name, ()))),
            int(body["metadata"].get("generation", 1)),
            snapshot.seconds,
            reach=cluster.reach,
            evidence=cluster.evidence,
            governor=trouble.governors.get(cluster.name, ""),
            # Whole multiples of ten seconds: the exact lag would be a write a second.
            lag=lag.get(str(cluster.name), 0) // 10_000 * 10,
            room=_room(fleet, domains),
            zones={fleet.domains[j].zone: _room(fleet, [j]) for j in domains},
            losses=losses,
        )
    return told


def _unreadable(found: tuple[Malformed, ...]) -> tuple[Condition, ...]:
    if not found:
        return ()
    few = "; ".join(f"{one.kind} {one.namespace}/{one.name}: {one.why}" for one in sorted(found)[:NAMED])
    message = f"{len(found)} objects can't be read and are left out: {few}"
    return (Condition(Kind.DEGRADED, Status.TRUE, Reason.INVALID, message),)


def _room(fleet: Fleet, domains: list[int]) -> render.Room:
    inside = np.isin(fleet.nodes.domain, domains)
    offered, used = fleet.nodes.allocatable[inside].sum(axis=0), fleet.nodes.used[inside].sum(axis=0)
    return render.Room(
        int(inside.sum()),
        tuple(zip(fleet.resources, offered.tolist(), strict=True)),
        tuple(zip(fleet.resources, used.tolist(), strict=True)),
    )


def _fleet(found: Round, snapshot: Snapshot, body: Json, trouble: Trouble, saving: int | None) -> dict[str, Any]:
    seen = found.overview
    unseen = [cluster.name for cluster in snapshot.fleet.clusters if cluster.reach is Reach.UNKNOWN]
    stopped = found.stage.stopped
    summary = stopped or (f"{len(unseen)} clusters aren't seen" if unseen else "every cluster is seen")
    ready = Condition(
        Kind.READY,
        Status.FALSE if stopped else Status.TRUE,
        Reason.STOPPED if stopped else Reason.AS_DECLARED,
        summary,
    )
    report = render.FleetReport(
        workloads=seen.workloads,
        replicas=seen.replicas,
        nodes=seen.nodes,
        allocated=seen.allocated,
        bill=seen.bill,
        saving=saving,
        fragile=tuple((level.value, count) for level, count in seen.fragile),
        snapshot=found.snapshot,
        ledger=trouble.head,
    )
    generation = int(body.get("metadata", {}).get("generation", 1))
    lacking = Condition(Kind.DEGRADED, Status.TRUE, Reason.LEDGER_LAGS, trouble.ledger)
    said = (ready, lacking) if trouble.ledger else (ready,)
    return render.fleet_status(body.get("status", {}), said, generation, snapshot.seconds, report, summary)
