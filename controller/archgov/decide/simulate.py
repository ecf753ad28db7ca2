"""What if: the same judgement asked of an edited snapshot."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass, fields, replace
from typing import TypeVar

import numpy as np
import numpy.typing as npt

from archgov.decide.explain import levels
from archgov.decide.loss import FEW_MEMBERS, losses
from archgov.decide.need import Need
from archgov.decide.place import Place
from archgov.decide.round import Round, conclude
from archgov.decide.stage import declared_needs
from archgov.decide.survive import Loss as Assumed
from archgov.decide.survive import floor
from archgov.model.fit import fit
from archgov.model.fleet import Fixed, Fleet, Level, Reach, freeze
from archgov.model.intent import CapacityIntent, FailoverIntent, Intent, Load, Loss, Record, Witness
from archgov.model.names import Names
from archgov.model.ref import ClusterName, WorkloadRef
from archgov.model.snapshot import Series, Snapshot

ASSUMED = "assumed by a simulation"

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Impact:
    """What a loss means for one workload, in replicas.

    Attributes:
        need: in all. left: in the survivors at once. after: there once archgov's answer is carried out.
        floor: what a FailoverIntent asks of the survivors; None without one. rto: seconds it allows, 0 without a target.
    """

    workload: WorkloadRef
    need: int
    left: int
    after: int
    floor: int | None
    rto: int

    @property
    def short(self) -> int:
        """Replicas that lack, of the floor where there is one, else of the need."""
        return max(0, (self.need if self.floor is None else self.floor) - self.after)


@dataclass(frozen=True, slots=True)
class Simulation:
    """A what-if with its answer.

    Attributes:
        snapshot: as edited. round: what follows from it. impacts: of every workload with replicas in what fails.
        doubts: why archgov would not declare a loss by itself. undeclared: governed workloads whose demand nobody declares.
    """

    snapshot: Snapshot
    round: Round
    impacts: tuple[Impact, ...]
    doubts: tuple[str, ...]
    undeclared: int


def simulate(snapshot: Snapshot, places: Collection[Place], demand: int = 100) -> Simulation:
    """The answer to the loss of some places while the declared demand is `demand` percent of today's."""
    edited = fail(with_demand(snapshot, demand), places)
    concluded = conclude(edited)
    return Simulation(
        snapshot=edited,
        round=concluded,
        impacts=_impacts(concluded),
        doubts=_doubts(snapshot, edited),
        undeclared=_undeclared(concluded) if demand != 100 else 0,
    )


def fail(snapshot: Snapshot, places: Iterable[Place]) -> Snapshot:
    """The fleet at the moment after a loss: API servers and witnesses silent, nodes of lost zones NotReady, the loss declared."""
    fleet = snapshot.fleet
    lost = frozenset(j for place in places for j in place.domains)
    if not lost:
        return snapshot
    whole = _whole_clusters(fleet, lost)
    zones = frozenset(j for j in lost if int(fleet.domain_cluster[j]) not in whole)
    named = {(fleet.clusters[k].name, "") for k in whole}
    named |= {(fleet.domains[j].cluster, fleet.domains[j].zone) for j in zones}
    known = {(loss.cluster, loss.zone) for loss in snapshot.losses if not loss.ended}
    fresh = {Loss(cluster, zone, snapshot.seconds) for cluster, zone in named if (cluster, zone) not in known}
    kept = {loss for loss in snapshot.losses if (loss.cluster, loss.zone) not in named or not loss.ended}
    return replace(
        snapshot,
        fleet=_darkened(fleet, whole, zones, snapshot.seconds),
        witnesses=tuple(_silenced(witness, named, snapshot.seconds) for witness in snapshot.witnesses),
        losses=tuple(sorted(kept | fresh)),
    )


def with_demand(snapshot: Snapshot, percent: int) -> Snapshot:
    """The same with all declared demand, static or as a series, at `percent` of today's, rounded up."""
    return replace(
        snapshot,
        intents=tuple(_scaled_intent(intent, percent) for intent in snapshot.intents),
        series=tuple(_scaled_series(series, percent) for series in snapshot.series),
    )


def without(snapshot: Snapshot, clusters: Collection[str]) -> Snapshot:
    """The same fleet as if some clusters were no members: nothing stands there, nothing is needed there."""
    if not clusters:
        return snapshot
    gone = frozenset(clusters)
    return replace(
        snapshot,
        fleet=_without(snapshot.fleet, gone),
        records=tuple(_forgotten(record, gone) for record in snapshot.records),
        witnesses=tuple(witness for witness in snapshot.witnesses if witness.cluster not in gone),
        losses=tuple(loss for loss in snapshot.losses if loss.cluster not in gone),
        lag=tuple((cluster, lag) for cluster, lag in snapshot.lag if cluster not in gone),
    )


def _whole_clusters(fleet: Fleet, lost: frozenset[int]) -> frozenset[int]:
    """Clusters of which no domain is left."""
    owners = fleet.domain_cluster.tolist()
    return frozenset(owners[j] for j in lost) - frozenset(k for j, k in enumerate(owners) if j not in lost)


def _darkened(fleet: Fleet, whole: frozenset[int], zones: frozenset[int], now: int) -> Fleet:
    clusters = tuple(
        replace(cluster, reach=Reach.UNKNOWN, silent=True, evidence=ASSUMED, since=now) if k in whole else cluster
        for k, cluster in enumerate(fleet.clusters)
    )
    if not zones:
        return replace(fleet, clusters=clusters)
    dark = np.isin(fleet.nodes.domain, sorted(zones))
    nodes = replace(fleet.nodes, ready=np.where(dark, 0, fleet.nodes.ready).astype(np.int32))
    struck = np.isin(fleet.standing.domain, sorted(zones))
    fallen = np.where(struck, fleet.standing.ready, 0)
    standing = replace(fleet.standing, ready=(fleet.standing.ready - fallen).astype(np.int32))
    deployed = replace(fleet.deployed, ready=_ready_left(fleet, fallen))
    for table in (nodes, standing, deployed):
        freeze(table)
    fits = fit(nodes, fleet.node_classes, fleet.shapes, len(fleet.domains))
    fits.setflags(write=False)
    return replace(fleet, clusters=clusters, nodes=nodes, standing=standing, deployed=deployed, fit=fits)


def _ready_left(fleet: Fleet, fallen: npt.NDArray[np.int32]) -> npt.NDArray[np.int32]:
    """(n,) ready replicas by row of `deployed`, less those that fell, by row of `standing`."""
    K = len(fleet.clusters)
    key = fleet.deployed.workload.astype(np.int64) * K + fleet.deployed.cluster
    struck = fleet.standing.workload.astype(np.int64) * K + fleet.domain_cluster[fleet.standing.domain]
    row = np.minimum(np.searchsorted(key, struck), max(0, len(key) - 1))
    less = np.zeros(len(key), np.int64)
    found = key[row] == struck if len(key) else np.zeros(len(struck), bool)
    np.add.at(less, row[found], fallen[found])
    left: npt.NDArray[np.int32] = np.maximum(fleet.deployed.ready - less, 0).astype(np.int32)
    return left


def _silenced(witness: Witness, named: Collection[tuple[str, str]], now: int) -> Witness:
    falls = (witness.cluster, witness.zone) in named or (witness.cluster, "") in named
    return replace(witness, answers=False, since=now) if falls and witness.cluster else witness


def _scaled_intent(intent: Intent, percent: int) -> Intent:
    if not isinstance(intent, CapacityIntent):
        return intent
    return replace(
        intent, demand=tuple(replace(point, amount=_scaled(point.amount, percent)) for point in intent.demand)
    )


def _scaled_series(series: Series, percent: int) -> Series:
    return replace(
        series, samples=tuple(replace(sample, amount=_scaled(sample.amount, percent)) for sample in series.samples)
    )


def _scaled(amount: int, percent: int) -> int:
    return -(-amount * percent // 100)


def _without(fleet: Fleet, gone: frozenset[str]) -> Fleet:
    """The rows of all other clusters, renumbered; the order stays canonical."""
    unknown = gone - fleet.cluster_row.keys()
    if unknown:
        raise ValueError(f"no cluster {', '.join(sorted(unknown))}; known are {', '.join(fleet.cluster_row)}")
    kept = np.array([cluster.name not in gone for cluster in fleet.clusters], bool)
    domain_kept = kept[fleet.domain_cluster]
    cluster_row, domain_row = np.cumsum(kept) - 1, np.cumsum(domain_kept) - 1
    nodes = _rows(fleet.nodes, domain_kept[fleet.nodes.domain])
    deployed = _rows(fleet.deployed, kept[fleet.deployed.cluster])
    standing = _rows(fleet.standing, domain_kept[fleet.standing.domain])
    nodes = replace(nodes, domain=domain_row[nodes.domain].astype(np.int32))
    deployed = replace(deployed, cluster=cluster_row[deployed.cluster].astype(np.int32))
    standing = replace(standing, domain=domain_row[standing.domain].astype(np.int32))
    for table in (nodes, deployed, standing):
        freeze(table)
    fits = fleet.fit[:, domain_kept]
    fits.setflags(write=False)
    return replace(
        fleet,
        clusters=tuple(cluster for cluster in fleet.clusters if cluster.name not in gone),
        domains=tuple(domain for domain in fleet.domains if domain.cluster not in gone),
        quotas=tuple(quota for quota in fleet.quotas if quota.cluster not in gone),
        nodes=nodes,
        deployed=deployed,
        standing=standing,
        fit=fits,
    )


def _rows(table: T, kept: npt.NDArray[np.bool_]) -> T:
    """Some rows of a table, in their order."""
    columns = {}
    for field in fields(table):  # type: ignore[arg-type]
        value = getattr(table, field.name)
        if isinstance(value, Names):
            columns[field.name] = Names.of(name for name, stays in zip(value, kept.tolist(), strict=True) if stays)
        else:
            columns[field.name] = value[kept]
    return type(table)(**columns)


ByCluster = tuple[tuple[ClusterName, int], ...]


def _forgotten(record: Record, gone: frozenset[str]) -> Record:
    def rest(pairs: ByCluster) -> ByCluster:
        return tuple(pair for pair in pairs if pair[0] not in gone)

    less = sum(count for cluster, count in record.needs if cluster in gone)
    return replace(
        record,
        need=max(0, record.need - less),
        needs=rest(record.needs),
        former=rest(record.former),
        written=rest(record.written),
        pending=rest(record.pending),
        origin=rest(record.origin),
    )


def _impacts(concluded: Round) -> tuple[Impact, ...]:
    """One entry per workload that stands in what is lost; a DaemonSet lacks nothing where its nodes are gone."""
    stage, fleet = concluded.stage, concluded.stage.snapshot.fleet
    if not stage.lost_domains:
        return ()
    struck = np.unique(fleet.standing.workload[np.isin(fleet.standing.domain, sorted(stage.lost_domains))])
    s_of = {row: s for s, row in enumerate(stage.base.rows)}
    then_all = levels(concluded)
    needs = {**stage.needs, **declared_needs(stage, stage.governed)}
    found = []
    for row in struck[fleet.workloads.fixed[struck] != Fixed.DAEMON].tolist():
        today = fleet.spec_replicas(row)
        then = (
            {k: int(n) for k, n in enumerate(then_all[s_of[row]].tolist()) if n or k in today} if row in s_of else today
        )
        failover = stage.first_of(row, FailoverIntent)
        need = needs[row].total if row in needs else sum(today.values())
        found.append(
            Impact(
                workload=fleet.ref(row),
                need=need,
                left=_surviving(fleet, row, today, stage.lost_domains),
                after=_surviving(fleet, row, then, stage.lost_domains),
                floor=_floor(concluded, failover.intent, row, needs[row]) if failover else None,
                rto=failover.intent.rto if failover else 0,
            )
        )
    return tuple(sorted(found, key=lambda impact: (-impact.short, impact.workload)))


def _surviving(fleet: Fleet, row: int, replicas: dict[int, int], lost: frozenset[int]) -> int:
    """Replicas outside of what is lost: all of an untouched cluster, less what stands in the lost zones of another."""
    gone: dict[int, int] = {}
    for j, standing in fleet.standing_replicas(row).items():
        if j in lost:
            k = int(fleet.domain_cluster[j])
            gone[k] = gone.get(k, 0) + standing
    dead = _whole_clusters(fleet, lost)
    return sum(max(0, count - gone.get(k, 0)) for k, count in replicas.items() if k not in dead)


def _floor(concluded: Round, intent: FailoverIntent, row: int, need: Need) -> int:
    stage = concluded.stage
    scopes = tuple(sorted({stage.snapshot.fleet.scope(Level.ZONE, j) for j in stage.lost_domains}))
    loss = Assumed("spec.tolerate", scopes, tuple(sorted(stage.lost_domains)))
    load = stage.loads.get(row, Load.PER_DOMAIN)
    asked = floor(stage.snapshot.fleet, intent, need, load, loss)
    return asked.total or sum(replicas for _, replicas in asked.by_cluster)


def _doubts(snapshot: Snapshot, edited: Snapshot) -> tuple[str, ...]:
    """Losses that were assumed but would not be declared on this evidence, with what lacks."""
    assumed = {(loss.cluster, loss.zone) for loss in edited.losses} - {
        (loss.cluster, loss.zone) for loss in snapshot.losses
    }
    declared = {(loss.cluster, loss.zone) for loss in losses(replace(edited, losses=()))}
    return tuple(_doubt(edited, cluster, zone) for cluster, zone in sorted(assumed - declared))


def _doubt(edited: Snapshot, cluster: str, zone: str) -> str:
    name = f"{cluster}/{zone}" if zone else cluster
    members = len(edited.fleet.clusters)
    silent = sum(1 for one in edited.fleet.clusters if one.silent)
    if not any((witness.cluster, witness.zone) == (cluster, zone) for witness in edited.witnesses):
        why = f"no witness speaks for it; add one to spec.witnesses of MemberCluster {cluster}"
    elif not zone and members < FEW_MEMBERS:
        why = f"with {members} members a reference outside has to answer; there is none that does"
    elif not zone and 2 * silent >= members:
        why = f"{silent} of {members} members are silent, which may as well be archgov's own network"
    else:
        why = "its witnesses fail together with its API server; add one of another group"
    return f"{name} would stay unknown (everything there is held as it is), not be declared lost: {why}"


def _undeclared(concluded: Round) -> int:
    stage = concluded.stage
    declared = {row for one in stage.of(CapacityIntent) for row in one.rows}
    return len(set(stage.base.rows) - declared)
