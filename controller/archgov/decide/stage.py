"""What a round knows before it plans: who governs what, what is needed, what is lost."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace

from archgov.decide.approve import Grant, Heard, broken_by, hear, on_top
from archgov.decide.compose import Asked, Frame, compose, frame
from archgov.decide.failback import Homecoming, homecoming
from archgov.decide.failover import Answer, answer, residency
from archgov.decide.loss import losses, lost_domains, lost_now
from archgov.decide.need import Need, demanded_need, is_contended, larger, loads, recorded_needs, records
from archgov.decide.plan import Engine
from archgov.decide.select import Governed, I, Selection, of_kind, select
from archgov.decide.survive import refused
from archgov.model.approval import Approval
from archgov.model.condition import Reason
from archgov.model.decision import Finding, OpenDecision
from archgov.model.fleet import Reach
from archgov.model.intent import CapacityIntent, FailoverIntent, Intent, Load, Loss, PlacementIntent, Record
from archgov.model.quantity import counted
from archgov.model.snapshot import Snapshot
from archgov.optimize.placement.problem import Limits

# Nodes end a search the same way again; seconds only guard it.
SECONDS = 20.0


@dataclass(frozen=True, slots=True)
class Stage:
    """Everything that plans of one round share.

    Attributes:
        governed: intents that count, the most important first; suspended and refused ones are left out.
        needs: today's, by row. lost: losses that are not over. contended: rows that archgov let go of.
        stopped: why nothing may be acted on, empty while it may.
        heard: what people said of decisions. grants: the plans that they released or had taken back and that still hold.
    """

    snapshot: Snapshot
    selection: Selection
    governed: tuple[Governed[Intent], ...]
    records: tuple[Record, ...]
    needs: Mapping[int, Need]
    loads: Mapping[int, Load]
    lost: tuple[Loss, ...]
    lost_domains: frozenset[int]
    home: Homecoming
    contended: frozenset[int]
    base: Frame
    findings: tuple[Finding, ...]
    engine: Engine
    stopped: str
    heard: tuple[Heard, ...] = ()
    grants: tuple[Grant, ...] = ()

    @property
    def granted(self) -> frozenset[int]:
        """Rows that go where a person said; no other plan moves them."""
        fleet = self.snapshot.fleet
        rows = {fleet.row(workload) for grant in self.grants for workload in grant.workloads}
        return frozenset(row for row in rows if row is not None)

    def grant_of(self, one: OpenDecision) -> Grant | None:
        """The grant that releases a decision."""
        for grant in self.grants:
            if not grant.takes_back and (grant.approval.namespace, grant.decision.name) == one.key:
                return grant
        return None

    @property
    def unreachable(self) -> frozenset[int]:
        """Rows of clusters that aren't seen, or of which nothing is left."""
        fleet = self.snapshot.fleet
        return frozenset(
            k for k, cluster in enumerate(fleet.clusters) if cluster.reach is Reach.UNKNOWN or _all_lost(self, k)
        )

    @property
    def unaccounted(self) -> frozenset[int]:
        """Rows that are known to have replicas in a cluster that isn't seen, though nobody has seen them since archgov began.

        They are missing in every sum, so a plan would replace what may well be there.
        """
        fleet = self.snapshot.fleet
        unseen = {cluster.name: k for k, cluster in enumerate(fleet.clusters) if cluster.reach is Reach.UNKNOWN}
        rows = set()
        for record in self.records if unseen else ():
            row = fleet.row(record.workload)
            last = {**dict(record.former), **dict(record.needs), **dict(record.written)}
            there = {unseen[name] for name, count in last.items() if count and name in unseen}
            if row is not None and there - fleet.spec_replicas(row).keys():
                rows.add(row)
        return frozenset(rows)

    def of(self, kind: type[I]) -> tuple[Governed[I], ...]:
        """Governed workloads by kind of intent, the most important first."""
        return of_kind(self.governed, kind)

    def first_of(self, row: int, kind: type[I], *, enforced: bool = False) -> Governed[I] | None:
        """The most important intent of a kind that governs a workload."""
        return next((one for one in self.of(kind) if row in one.rows and (one.enforced or not enforced)), None)


def set_up(snapshot: Snapshot) -> Stage:
    """Reads a snapshot once for all plans of the round."""
    selection = select(snapshot)
    refusals = {
        one.name: why
        for one in of_kind(selection.governed, FailoverIntent)
        if (why := refused(snapshot.fleet, one.intent))
    }
    governed = tuple(one for one in selection.governed if not one.intent.common.suspend and one.name not in refusals)
    kept, contention = records(snapshot)
    all_losses = losses(snapshot)
    rows = tuple(sorted({row for one in governed for row in one.rows}))
    needs = recorded_needs(snapshot, kept, rows)
    failovers = of_kind(governed, FailoverIntent)
    home = homecoming(snapshot, failovers, kept, all_losses)
    contended = frozenset(
        row
        for record in kept
        if is_contended(record, snapshot.seconds) and (row := snapshot.fleet.row(record.workload)) is not None
    )
    refusal_findings = tuple(
        Finding(Reason.INVALID, why, (one.intent.common.ref,), stalls=True)
        for one in selection.governed
        if (why := refusals.get(one.name))
    )
    about_contended = tuple(_about(finding, governed, snapshot) for finding in contention)
    stage = Stage(
        snapshot=snapshot,
        selection=selection,
        governed=governed,
        records=kept,
        needs=needs,
        loads=loads(of_kind(governed, PlacementIntent)),
        lost=lost_now(all_losses),
        lost_domains=lost_domains(snapshot.fleet, all_losses),
        home=home,
        contended=contended,
        base=frame(snapshot, rows),
        findings=(
            *selection.findings,
            *refusal_findings,
            *about_contended,
            *home.findings,
            *_unseen(snapshot, governed, lost_now(all_losses)),
            *_away(failovers, home, lost_now(all_losses)),
            *_homeless(snapshot, governed, rows),
            *_without_demand(snapshot, governed, needs),
        ),
        engine=Engine(Limits(snapshot.governance.max_nodes, SECONDS), snapshot.seed),
        stopped=_stopped(snapshot),
    )
    return _with_grants(stage)


def _with_grants(stage: Stage) -> Stage:
    """The same with what people said, as far as it still holds on this picture; while something is lost all of it waits."""
    lost = f"{', '.join(str(loss) for loss in stage.lost)} is lost" if stage.lost else ""
    heard, asked_for = hear(stage.snapshot, stage.governed, stage.stopped or lost)
    if stage.lost:
        return replace(stage, heard=heard)
    question, base = acting_question(stage), stage.base
    grants: list[Grant] = []
    doubts: dict[Approval, str] = {}
    for grant in asked_for:
        why = _busy(stage, grant, grants) or broken_by(
            base, question, stage.governed, grant, declared_needs(stage, (grant.owner,))
        )
        if why:
            doubts.setdefault(grant.approval, why)
        else:
            grants.append(grant)
            base = on_top(base, (grant,))
    told = tuple(
        replace(
            one,
            counts=False,
            reason=Reason.NO_LONGER_HOLDS,
            message=f"it can't be done as it stands: {doubts[one.approval]}",
        )
        if one.approval in doubts
        else one
        for one in heard
    )
    return replace(stage, heard=told, grants=tuple(one for one in grants if one.approval not in doubts))


def _busy(stage: Stage, grant: Grant, before: list[Grant]) -> str:
    """Why a workload of a grant is not to be moved now, whatever was said."""
    fleet = stage.snapshot.fleet
    held = stage.contended | stage.unaccounted | stage.home.soaking | frozenset(stage.home.returning)
    for workload in sorted(grant.workloads):
        if fleet.row(workload) in held:
            return f"{workload} is contended, failed over, or partly out of sight"
        other = next((one for one in before if one.approval != grant.approval and workload in one.workloads), None)
        if other is not None:
            return f"{workload} follows {other.decision.name} already"
    return ""


def acting_question(stage: Stage) -> Asked:
    """What the acting plan may move: only what Enforce intents govern, each in its own dimension."""
    enforced = tuple(one for one in stage.governed if one.enforced)
    free = {row for one in enforced for row in one.rows} | set(stage.home.returning)
    # What the fast path set stays as it is until failback: the normal plan would grow what was shed.
    free -= stage.contended | stage.home.soaking | stage.unaccounted | stage.granted
    held = _on_unseen(stage) & free
    if stage.lost:
        held |= free
    needs = {**stage.needs, **declared_needs(stage, enforced)}
    moves = movable(stage, enforced) & free

    def in_full(one: Governed[Intent]) -> frozenset[int]:
        # Where somebody may not leave from now, asking that he does would only collide with that.
        return frozenset(one.rows) & free - (held if isinstance(one.intent, PlacementIntent) else set())

    return Asked(
        rows=stage.base.rows,
        free=frozenset(free),
        full={one.name: in_full(one) for one in enforced},
        moves=moves,
        needs=needs,
        loads=stage.loads,
        lost=stage.lost_domains,
        held=frozenset(held),
        returning={row: home for row, home in stage.home.returning.items() if row not in moves},
        growing=growing(of_kind(enforced, FailoverIntent)),
        homing=frozenset(stage.home.returning),
        places=places(enforced),
    )


def declared_needs(stage: Stage, governed: tuple[Governed[Intent], ...]) -> dict[int, Need]:
    """Needs that CapacityIntents declare; of several for one workload the most important counts, among equals the larger."""
    found: dict[int, tuple[int, Need]] = {}
    for one in of_kind(governed, CapacityIntent):
        for row in one.rows:
            need = demanded_need(stage.snapshot, one, row, stage.needs[row])
            if not isinstance(need, Need):
                continue
            priority, known = found.get(row, (one.priority, need))
            if priority == one.priority:
                found[row] = priority, larger(known, need)
    return {row: in_place(stage, row, need) for row, (_, need) in found.items()}


def in_place(stage: Stage, row: int, need: Need) -> Need:
    """A total for load that stays where it arrives, split as the recorded needs are (largest remainder, then by name)."""
    if need.by_cluster or stage.loads.get(row, Load.PER_DOMAIN) is not Load.PER_DOMAIN:
        return need
    today = stage.needs[row].by_cluster
    whole = sum(count for _, count in today)
    if not whole:
        return need
    floor = {k: need.total * count // whole for k, count in today}
    rest = sorted(today, key=lambda pair: (-(need.total * pair[1] % whole), pair[0]))
    for k, _ in rest[: need.total - sum(floor.values())]:
        floor[k] += 1
    return replace(need, by_cluster=tuple(sorted(floor.items())))


def movable(stage: Stage, governed: tuple[Governed[Intent], ...]) -> frozenset[int]:
    """Rows whose replicas may change clusters: a PlacementIntent governs them, their load follows replicas."""
    return frozenset(
        row
        for one in of_kind(governed, PlacementIntent)
        for row in one.rows
        if stage.loads.get(row) is Load.FOLLOWS_REPLICAS
    )


def growing(failovers: tuple[Governed[FailoverIntent], ...]) -> frozenset[int]:
    """Rows whose survivor floors count in full, so that they may need more than demand alone does."""
    return frozenset(row for one in failovers for row in one.rows)


def places(governed: tuple[Governed[Intent], ...]) -> dict[int, frozenset[int]]:
    """Clusters in which some intent lets each workload change."""
    found: dict[int, frozenset[int]] = {}
    for one in governed:
        for row in one.rows:
            found[row] = found.get(row, frozenset()) | frozenset(one.clusters)
    return found


def emergency(stage: Stage) -> Answer | None:
    """What the fast path answers to the losses that are declared now, or None while nothing is lost or acting is stopped."""
    if not stage.lost or stage.stopped:
        return None
    needs = {**stage.needs, **declared_needs(stage, tuple(one for one in stage.governed if one.enforced))}
    everybody = Asked(
        rows=stage.base.rows,
        free=frozenset(stage.base.rows),
        full={one.name: frozenset(one.rows) for one in stage.of(PlacementIntent) if one.enforced},
        moves=frozenset(),
        needs=needs,
        loads=stage.loads,
    )
    rules = compose(stage.base, everybody, stage.of(PlacementIntent)).rules
    return answer(
        stage.base, stage.of(FailoverIntent), needs, stage.loads, residency(stage.base, rules), stage.lost_domains
    )


def _on_unseen(stage: Stage) -> set[int]:
    """Rows with replicas in a cluster that isn't seen: nothing of them shrinks anywhere."""
    fleet = stage.snapshot.fleet
    unseen = [k for k, cluster in enumerate(fleet.clusters) if cluster.reach is Reach.UNKNOWN]
    now = stage.base.problem.now
    return {row for s, row in enumerate(stage.base.rows) if any(now[s, k] > 0 for k in unseen)}


def _unseen(snapshot: Snapshot, governed: tuple[Governed[Intent], ...], lost: tuple[Loss, ...]) -> tuple[Finding, ...]:
    """What is held because a cluster isn't seen, or is lost."""
    fleet = snapshot.fleet
    gone = {loss.cluster for loss in lost if not loss.zone}
    found = []
    for k, cluster in enumerate(fleet.clusters):
        if cluster.reach is Reach.YES:
            continue
        concerned = tuple(one for one in governed if any(fleet.spec_replicas(row).get(k) for row in one.rows))
        held = {row for one in concerned for row in one.rows if fleet.spec_replicas(row).get(k)}
        about = tuple(one.intent.common.ref for one in concerned)
        here = counted(len(held), "workload")
        if cluster.name in gone:
            told = f"MemberCluster {cluster.name} is lost ({cluster.evidence or 'no evidence'}); it holds replicas of {here}"
            found.append(Finding(Reason.CLUSTER_LOST, told, about))
        else:
            told = f"MemberCluster {cluster.name} isn't seen ({cluster.evidence or 'no evidence'}); {here} there held as before"
            ways = ("restore the connection", "add witnesses, so that a loss can be told from a silence")
            found.append(Finding(Reason.CLUSTER_UNKNOWN, told, about, remedies=ways))
    return tuple(found)


def _away(
    failovers: Iterable[Governed[FailoverIntent]], home: Homecoming, lost: tuple[Loss, ...]
) -> tuple[Finding, ...]:
    """Workloads of each FailoverIntent that stand elsewhere because of a loss."""
    found = []
    for one in failovers:
        away, coming = home.soaking & set(one.rows), home.returning.keys() & set(one.rows)
        if away:
            until = f"until {', '.join(map(str, lost))} is back" if lost else "until health has lasted"
            told = f"{counted(len(away), 'workload')} failed over, {until}"
            found.append(Finding(Reason.FAILED_OVER, told, (one.intent.common.ref,)))
        elif coming:
            told = f"{counted(len(coming), 'workload')} on the way back to where they stood before the loss"
            found.append(Finding(Reason.FAILING_BACK, told, (one.intent.common.ref,)))
    return tuple(found)


def _homeless(snapshot: Snapshot, governed: tuple[Governed[Intent], ...], rows: tuple[int, ...]) -> tuple[Finding, ...]:
    """Replicas that the scheduler found no node for."""
    fleet = snapshot.fleet
    return tuple(
        Finding(
            Reason.NOT_SCHEDULED,
            f"{fleet.ref(row)}: {counted(count, 'replica')} without a node in {fleet.clusters[k].name}; "
            "they go elsewhere where intents allow that",
            tuple(one.intent.common.ref for one in governed if row in one.rows),
            fleet.ref(row),
            remedies=("add nodes or room there", "let an intent move it (load: FollowsReplicas)"),
        )
        for row in rows
        for k, count in fleet.idle_replicas(row).items()
    )


def _without_demand(
    snapshot: Snapshot, governed: tuple[Governed[Intent], ...], needs: Mapping[int, Need]
) -> tuple[Finding, ...]:
    """Why the demand of CapacityIntents says nothing; a series says the same for every workload, so one is asked about."""
    found: list[Finding] = []
    for one in of_kind(governed, CapacityIntent):
        for row in one.rows if one.intent.series is None else one.rows[:1]:
            need = demanded_need(snapshot, one, row, needs[row])
            if isinstance(need, Finding):
                found.append(need)
    return tuple(dict.fromkeys(found))


def _about(finding: Finding, governed: tuple[Governed[Intent], ...], snapshot: Snapshot) -> Finding:
    """A finding on a workload, addressed to the intents that govern it."""
    row = snapshot.fleet.row(finding.workload) if finding.workload else None
    return replace(finding, about=tuple(one.intent.common.ref for one in governed if row in one.rows))


def _stopped(snapshot: Snapshot) -> str:
    stopped = snapshot.governance.stopped
    if stopped is None or (stopped.until and snapshot.seconds >= stopped.until):
        return ""
    return f"all acting is stopped by {stopped.by}: {stopped.reason}"


def _all_lost(stage: Stage, k: int) -> bool:
    domains = [j for j, cluster in enumerate(stage.snapshot.fleet.domain_cluster) if cluster == k]
    return bool(domains) and all(j in stage.lost_domains for j in domains)
