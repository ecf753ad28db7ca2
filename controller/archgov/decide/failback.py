"""When replicas return after a failure: all well again, then a soak, then a plan."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from archgov.decide.select import Governed
from archgov.model.condition import Reason
from archgov.model.decision import Finding
from archgov.model.intent import Failback, FailoverIntent, Loss, Record
from archgov.model.snapshot import Snapshot

DEFAULT_SOAK = 300


@dataclass(frozen=True, slots=True)
class Homecoming:
    """Where failed-over workloads stand on their way back.

    Attributes:
        soaking: rows that wait for health to last, or for a person.
        returning: row to its replicas by row of cluster before the failure.
        remembered: losses that still matter.
    """

    soaking: frozenset[int]
    returning: Mapping[int, Mapping[int, int]]
    remembered: tuple[Loss, ...]
    findings: tuple[Finding, ...]


def homecoming(
    snapshot: Snapshot,
    failovers: Iterable[Governed[FailoverIntent]],
    kept: tuple[Record, ...],
    all_losses: tuple[Loss, ...],
) -> Homecoming:
    """Decides for every failed-over workload whether it soaks or returns; nothing returns while anything is lost."""
    intents = _intents(failovers)
    longest = max((one.soak for one in intents.values()), default=DEFAULT_SOAK)
    is_lost = any(not loss.ended for loss in all_losses)
    well_since = max((loss.ended for loss in all_losses), default=0)
    soaking, returning, findings = set(), {}, []
    for record in kept:
        row = snapshot.fleet.row(record.workload)
        if row is None or not record.origin:
            continue
        intent = intents.get(row)
        soak = intent.soak if intent else DEFAULT_SOAK
        by_hand = intent is not None and intent.failback is Failback.MANUAL
        if is_lost or by_hand or snapshot.seconds < well_since + soak:
            soaking.add(row)
        else:
            rows = snapshot.fleet.cluster_row
            returning[row] = {rows[name]: count for name, count in record.origin if name in rows}
        if by_hand and not is_lost and intent is not None:
            findings.append(
                Finding(
                    Reason.FAILED_OVER,
                    f"{record.workload} stays failed over: spec.failback.mode is Manual",
                    (intent.common.ref,),
                    record.workload,
                    remedies=("set spec.failback.mode to Automatic",),
                )
            )
    matters = bool(soaking or returning)
    remembered = tuple(
        loss for loss in all_losses if not loss.ended or matters or snapshot.seconds < loss.ended + longest
    )
    return Homecoming(frozenset(soaking), returning, remembered, tuple(findings))


def _intents(failovers: Iterable[Governed[FailoverIntent]]) -> dict[int, FailoverIntent]:
    found: dict[int, FailoverIntent] = {}
    for one in failovers:
        for row in one.rows:
            found.setdefault(row, one.intent)
    return found
