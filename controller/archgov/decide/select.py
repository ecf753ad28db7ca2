"""Which workloads each intent governs, in which clusters."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Generic, TypeVar, cast

import numpy as np

from archgov.model.condition import Reason
from archgov.model.decision import Finding
from archgov.model.fleet import Fixed, Fleet, Int32
from archgov.model.intent import Intent, Mode
from archgov.model.quantity import counted
from archgov.model.ref import WorkloadRef
from archgov.model.snapshot import Snapshot

FIXED_BECAUSE = {
    Fixed.STATEFUL: "it is stateful (a StatefulSet, or it has volumes)",
    Fixed.DAEMON: "a DaemonSet runs wherever its nodes are",
    Fixed.AUTOSCALED: "an HPA owns its replicas",
    Fixed.CONTROLLED: "another controller owns it",
    Fixed.OPTED_OUT: 'its label or annotation archgov.io/governed is "false"',
    Fixed.PINNED: "it is pinned by archgov.io/pin",
    Fixed.HALF_UNDERSTOOD: "it has hard scheduling rules that plans can't express yet",
    Fixed.UNREMEMBERED: "its WorkloadRecord can't be understood: mend it, or delete it to begin anew",
}


I = TypeVar("I", bound=Intent)
I_co = TypeVar("I_co", bound=Intent, covariant=True)


@dataclass(frozen=True, slots=True)
class Governed(Generic[I_co]):
    """An intent with what it governs.

    Attributes:
        rows: workloads, rising. clusters: rows of clusters its target names, rising.
        priority: as it counts, the namespace's ceiling applied.
    """

    intent: I_co
    rows: tuple[int, ...]
    clusters: tuple[int, ...]
    priority: int

    @property
    def enforced(self) -> bool:
        return self.intent.common.mode is Mode.ENFORCE and not self.intent.common.suspend

    @property
    def name(self) -> str:
        return self.intent.common.ref.key


@dataclass(frozen=True, slots=True)
class Selection:
    """Every intent with its workloads, the most important first; then what was odd about it."""

    governed: tuple[Governed[Intent], ...]
    findings: tuple[Finding, ...]


def of_kind(governed: Iterable[Governed[Intent]], kind: type[I]) -> tuple[Governed[I], ...]:
    """Those whose intent is of a kind, in the same order."""
    return tuple(cast("Governed[I]", one) for one in governed if isinstance(one.intent, kind))


def select(snapshot: Snapshot) -> Selection:
    """What each intent of the snapshot governs; higher priority first, then by name, so that order never depends on arrival."""
    found = [_governed(snapshot, intent) for intent in snapshot.intents]
    order = sorted(found, key=lambda pair: (-pair[0].priority, pair[0].intent.common.ref))
    return Selection(
        tuple(governed for governed, _ in order), tuple(finding for _, findings in order for finding in findings)
    )


def _governed(snapshot: Snapshot, intent: Intent) -> tuple[Governed[Intent], tuple[Finding, ...]]:
    fleet, common = snapshot.fleet, intent.common
    clusters = tuple(
        row for row in range(len(fleet.clusters)) if common.target.clusters.matches(fleet.cluster_labels(row))
    )
    chosen = _chosen(snapshot, intent)
    rows = tuple(row for row in chosen if fleet.workloads.fixed[row] == Fixed.FREE)
    findings = [*_tenancy(snapshot, intent), *_fixed(fleet, intent, chosen)]
    if not chosen:
        findings.append(_nothing_selected(intent))
    if not clusters:
        findings.append(
            Finding(
                Reason.NOTHING_SELECTED,
                f"spec.target.clusters ({common.target.clusters}) matches none of {counted(len(fleet.clusters), 'MemberCluster')}",
                (common.ref,),
                remedies=("correct the selector", "label a MemberCluster"),
                stalls=True,
            )
        )
    ceiling = dict(snapshot.governance.ceilings).get(common.ref.namespace, 0)
    if common.priority > ceiling:
        findings.append(
            Finding(
                Reason.PRIORITY_CAPPED,
                f"spec.priority {common.priority} counts as {ceiling}, the ceiling of namespace {common.ref.namespace}",
                (common.ref,),
                remedies=("raise Fleet.spec.priorityCeilings for the namespace",),
            )
        )
    return Governed(intent, rows, clusters, min(common.priority, ceiling)), tuple(findings)


def _chosen(snapshot: Snapshot, intent: Intent) -> tuple[int, ...]:
    fleet, target = snapshot.fleet, intent.common.target
    label_set_matches = np.array([target.workloads.matches(dict(labels)) for labels in fleet.label_sets], bool)
    chosen = []
    for namespace in _namespaces(snapshot, intent):
        rows = fleet.workloads.key.prefixed(f"{namespace}/")
        labels: Int32 = fleet.workloads.labels[rows.start : rows.stop]
        for row in (np.flatnonzero(label_set_matches[labels]) + rows.start).tolist() if len(labels) else ():
            ref = fleet.ref(row)
            if (not target.kinds or ref.kind in target.kinds) and (not target.names or ref.name in target.names):
                chosen.append(row)
    return tuple(sorted(chosen))


def _namespaces(snapshot: Snapshot, intent: Intent) -> tuple[str, ...]:
    common = intent.common
    if common.target.namespaces and common.ref.namespace in snapshot.governance.governing:
        return tuple(sorted(set(common.target.namespaces)))
    return (common.ref.namespace,)


def _tenancy(snapshot: Snapshot, intent: Intent) -> tuple[Finding, ...]:
    common = intent.common
    if not common.target.namespaces or common.ref.namespace in snapshot.governance.governing:
        return ()
    message = (
        f"spec.target.namespaces is honoured in governing namespaces only ({', '.join(snapshot.governance.governing) or 'none'}); "
        f"this intent governs {common.ref.namespace}"
    )
    remedies = (f"add {common.ref.namespace} to Fleet.spec.governingNamespaces", "leave spec.target.namespaces out")
    return (Finding(Reason.NOT_GOVERNING, message, (common.ref,), remedies=remedies, stalls=True),)


def _fixed(fleet: Fleet, intent: Intent, chosen: tuple[int, ...]) -> list[Finding]:
    """One line a reason, with its count, for workloads that are selected and never acted on."""
    by_reason: dict[Fixed, list[WorkloadRef]] = {}
    for row in chosen:
        if (why := Fixed(int(fleet.workloads.fixed[row]))) is not Fixed.FREE:
            by_reason.setdefault(why, []).append(fleet.ref(row))
    return [
        Finding(
            Reason.NOT_ACTED_ON,
            f"{len(refs)} selected but counted as load only, because {FIXED_BECAUSE[why]}: {_few(refs)}",
            (intent.common.ref,),
        )
        for why, refs in sorted(by_reason.items())
    ]


def _few(refs: list[WorkloadRef], most: int = 5) -> str:
    return ", ".join(str(ref) for ref in refs[:most]) + (f" and {len(refs) - most} more" if len(refs) > most else "")


def _nothing_selected(intent: Intent) -> Finding:
    target = intent.common.target
    asked = ", ".join(
        part
        for part in (
            f"kinds {'/'.join(target.kinds)}" if target.kinds else "",
            f"names {'/'.join(target.names)}" if target.names else "",
            f"labels {target.workloads}" if str(target.workloads) != "all" else "",
        )
        if part
    )
    return Finding(
        Reason.NOTHING_SELECTED,
        f"no workload of namespace {intent.common.ref.namespace} is selected by spec.target ({asked or 'all'})",
        (intent.common.ref,),
        remedies=("correct spec.target.workloads", "deploy the workload first, at 0 replicas if need be"),
        stalls=True,
    )
