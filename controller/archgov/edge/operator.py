"""The operator: watches, concludes a round when something changed, carries it out, tells what came of it."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import random
import time
from collections.abc import Coroutine, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Final

from archgov.api.kind import API_VERSION
from archgov.api.registry import KINDS
from archgov.decide.loss import losses, lost_now
from archgov.decide.open import Closed
from archgov.decide.round import Effect, Round, conclude, saving
from archgov.edge.aside import aside
from archgov.edge.author import Authors
from archgov.edge.claim import Claims
from archgov.edge.client import Client
from archgov.edge.echo import Echo, Key, key
from archgov.edge.effects import Effects, Result, ready, without
from archgov.edge.elect import Election
from archgov.edge.entry import entries
from archgov.edge.events import Recorder
from archgov.edge.handlers import Handlers
from archgov.edge.kubeconfig import Access
from archgov.edge.ledger import Ledger, NoLedger
from archgov.edge.members import Members
from archgov.edge.observe import Hub, Seen, observe, understood
from archgov.edge.overtaken import overtaken
from archgov.edge.queue import Due
from archgov.edge.settings import Settings
from archgov.edge.status import Trouble, carried_out, statuses
from archgov.edge.telemetry import Stories, Telemetry, trace_id, traceparent
from archgov.edge.tree import Json
from archgov.edge.watchset import WatchSet, whole
from archgov.edge.witness import Witnesses
from archgov.edge.writer import ENDED, KEPT, MOST_KEPT, Writer, newest_epoch
from archgov.model.decision import Decision, Outcome
from archgov.model.fleet import Reach
from archgov.model.ref import WorkloadRef
from archgov.model.snapshot import Snapshot

LOG: Final = logging.getLogger("archgov.operator")
# Proposals written down after one round.
MOST_PROPOSED: Final = 200
# Until archgov sees its own kinds, or clusters have said whether they are there, it looks again after so long.
BLIND_SECONDS: Final = 0.5
STOP_SECONDS: Final = 10.0
# How long acting waits for a slow disk.
FLUSH_SECONDS: Final = 1.0
HUB_KINDS: Final = (
    *(whole(kind.name, API_VERSION, kind.plural) for kind in KINDS.values()),
    whole("ConfigMap", "v1", "configmaps"),
)


@dataclass(frozen=True, slots=True)
class Concluded:
    """A round with what it was concluded from."""

    round: Round
    snapshot: Snapshot
    hub: Hub
    seen: list[Seen]
    traceparent: str


@dataclass(slots=True)
class Operator:
    """One run of the operator against one hub."""

    hub: Client
    own: Access
    settings: Settings
    telemetry: Telemetry
    election: Election
    echo: Echo = field(default_factory=Echo)
    due: Due = field(init=False)
    watches: WatchSet = field(init=False)
    members: Members = field(init=False)
    witnesses: Witnesses = field(init=False)
    ledger: Ledger | None = field(init=False, default=None)
    claims: Claims = field(init=False)
    effects: Effects = field(init=False)
    writer: Writer = field(init=False)
    recorder: Recorder = field(init=False)
    acting: asyncio.Lock = field(default_factory=asyncio.Lock)
    authors: Authors = field(init=False)
    newest: tuple[Snapshot, Round] | None = None
    completed: bool = False
    stopping: bool = False
    blind: str = ""

    def __post_init__(self) -> None:
        self.due = Due(self.settings.quiet_seconds, self.settings.longest_seconds)
        self.watches = WatchSet(self.hub, HUB_KINDS, self.due.mark, clock=time.monotonic, dice=random.Random())
        self.members = Members(self.hub, self.own, self.settings.namespace, self.due.mark)
        self.witnesses = Witnesses(self.due.mark)
        if self.settings.ledger_file is not None:
            self.ledger = Ledger(self.settings.ledger_file, self.settings.ledger_snapshot_mb << 20)
        self.authors = Authors(self.hub)
        self.claims = Claims(self.hub)
        self.effects = Effects(self.members, self.claims, self.due.alarm, self.election)
        self.writer = Writer(self.hub, self.echo, self.election)
        self.recorder = Recorder(self.hub)

    async def run(self) -> None:
        """Stands by until elected, then rounds until cancelled.

        Raises:
            NoLongerLeading: another replica may act by now, in a group of its own.
        """
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self.watches.run())
            await self._stand_by(tasks)
            tasks.create_task(Handlers(self.own, self.due.mark).run())
            tasks.create_task(self._rounds())

    async def _stand_by(self, tasks: asyncio.TaskGroup) -> None:
        """Keeps its picture of the clusters warm until it is elected; a candidate that is blind isn't one."""
        candidate: asyncio.Task[None] | None = None
        while not self.election.leads():
            if not self._is_blind():
                hub = self._understood()
                await self.members.follow(hub.members, hub.unclear)
                self.witnesses.watch(hub.probes)
                if candidate is None:
                    self.election.newest = lambda: newest_epoch(self._ours())
                    self.election.watch_over()
                    candidate = tasks.create_task(self.election.run())
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(BLIND_SECONDS):
                    await self.election.elected.wait()

    async def stop(self) -> None:
        """Returns once nothing is under way; nothing new is begun from now on."""
        self.stopping = True
        try:
            async with asyncio.timeout(STOP_SECONDS), self.acting:
                await self.election.release()
        except TimeoutError:
            LOG.warning("stopped with effects under way; the Lease runs out by itself")

    async def close(self) -> None:
        """Ends every connection and sends what telemetry is left."""
        await self.members.close()
        await self.witnesses.close()
        if self.ledger is not None:
            await aside(self.ledger.close, STOP_SECONDS)
        await aside(self.telemetry.close)

    @property
    def is_well(self) -> bool:
        """Whether this process should go on: a leader that is none any more should not."""
        return not self.election.elected.is_set() or self.election.leads()

    @property
    def is_ready(self) -> bool:
        """Whether archgov's own kinds are seen."""
        return self.watches.health(time.monotonic()).reach is Reach.YES

    async def _rounds(self) -> None:
        wait = BLIND_SECONDS
        while True:
            await self.due.wait(wait)
            try:
                wait = await self._round()
            except Exception:
                # Nothing was done that isn't safe to leave as it is, and the next picture may be another one.
                LOG.exception("a round failed; everything is held")
                wait = self.settings.pending_seconds

    async def _round(self) -> float:
        """One round; how long to wait at most for the next."""
        if self._is_blind():
            return BLIND_SECONDS
        hub = self._understood()
        await self.members.follow(hub.members, hub.unclear)
        self.witnesses.watch(hub.probes)
        if self.members.undecided():
            return BLIND_SECONDS
        await self.writer.ensure_fleet(self._objects("Fleet"))
        await self.authors.ask(self._ours())
        with self.telemetry.step("archgov.round") as span:
            it = await self._concluded()
            self.newest = (it.snapshot, it.round)
            known = self._known_stories()
            self.telemetry.concluded(span, it.snapshot, it.round, self.election.epoch, known)
            with self.telemetry.step("archgov.act"):
                results = await self._carry_out(it, known)
            with self.telemetry.step("archgov.report"):
                await self._unless_alarmed(self._report(it))
        LOG.info(
            "a round was concluded",
            extra={
                "snapshot": it.snapshot.digest[:12],
                "workloads": it.round.overview.workloads,
                "decisions": len(it.round.decisions),
                "effects": len(it.round.effects),
                "done": results.count(Result.DONE),
                "closed": len(it.round.closed),
            },
        )
        waits = not it.round.is_settled or it.round.losses or it.round.stage.home.soaking
        wait = self.settings.pending_seconds if waits else self.settings.resync_seconds
        return min([wait, *(max(BLIND_SECONDS, until - time.time()) for until in _ends(it.hub) if until > time.time())])

    def _is_blind(self) -> bool:
        """Without sight of its own kinds archgov knows neither intents nor records, so it holds."""
        health = self.watches.health(time.monotonic())
        why = health.evidence if health.reach is not Reach.YES else ""
        if why and why != self.blind and not why.endswith("not listed yet"):
            LOG.warning("archgov's own kinds are not seen; everything is held", extra={"why": why})
        self.blind = why
        return bool(why)

    async def _concluded(self) -> Concluded:
        """A round on the newest picture. A loss that is noticed while it is thought about is answered first."""
        hub, seen, snapshot = await self._observed()
        thought = asyncio.ensure_future(self._thought(snapshot))
        try:
            while not await self._is_done(thought):
                newer = await self._observed()
                if lost_now(losses(newer[2])) != lost_now(losses(snapshot)):
                    thought.cancel()
                    hub, seen, snapshot = newer
                    thought = asyncio.ensure_future(self._thought(snapshot))
            return Concluded(self._withheld(thought.result(), snapshot), snapshot, hub, seen, traceparent())
        finally:
            thought.cancel()

    async def _observed(self) -> tuple[Hub, list[Seen], Snapshot]:
        with self.telemetry.step("archgov.observe"):
            hub, seen, witnesses = self._understood(), self.members.seen(), self.witnesses.current
            now = time.time_ns() // 1_000_000
            snapshot = await aside(observe, hub, seen, witnesses, now=now, seed=self.settings.seed)
        return hub, seen, snapshot

    async def _thought(self, snapshot: Snapshot) -> Round:
        with self.telemetry.step("archgov.conclude"):
            # HiGHS lets go of the interpreter while it solves, so watches go on.
            return await aside(conclude, snapshot, self.telemetry.step)

    async def _is_done(self, work: asyncio.Future[Any]) -> bool:
        """Waits for a result or an alarm; whether the result is there."""
        alarm = asyncio.ensure_future(self.due.alarm.wait())
        try:
            await asyncio.wait((work, alarm), return_when=asyncio.FIRST_COMPLETED)
        finally:
            alarm.cancel()
        if not work.done():
            self.due.alarm.clear()
        return work.done()

    async def _unless_alarmed(self, work: Coroutine[Any, Any, None]) -> None:
        """Gives way to a loss: what was not told by then is told by the next round."""
        task = asyncio.ensure_future(work)
        alarm = asyncio.ensure_future(self.due.alarm.wait())
        try:
            await asyncio.wait((task, alarm), return_when=asyncio.FIRST_COMPLETED)
        finally:
            alarm.cancel()
            if not task.done():
                task.cancel()
                await asyncio.gather(task, return_exceptions=True)
        if not task.cancelled():
            task.result()

    def _withheld(self, found: Round, snapshot: Snapshot) -> Round:
        """Without what concerns workloads that are not recorded while a cluster has never been seen.

        Their need is adopted from what is seen of them, and some of it may be in that cluster.
        """
        unseen = self.members.never_seen()
        if not unseen:
            return found
        known = {record.workload for record in snapshot.records}
        told = tuple(d for d in found.decisions if all(action.workload in known for action in d.actions))
        explained = {d.name for d in told} | {one.decision.name for one in snapshot.decisions}
        kept = tuple(e for e in found.effects if e.action.workload in known and e.decision in explained)
        records = {record.workload: record for record in found.records if record.workload in known}
        for effect in found.effects:
            if effect not in kept and effect.action.workload in records:
                workload = effect.action.workload
                records[workload] = without(records[workload], effect.action, snapshot.seconds)
        if len(told) < len(found.decisions):
            LOG.warning("workloads are held that might be in clusters never seen", extra={"clusters": unseen})
        return replace(
            found,
            decisions=told,
            records=tuple(records.values()),
            effects=kept,
        )

    def _understood(self) -> Hub:
        return understood(self.authors.heard(self._ours()), self.watches.objects("ConfigMap"))

    def _ours(self) -> list[Json]:
        return self.echo.over(body for kind in KINDS for body in self.watches.objects(kind))

    def _objects(self, kind: str) -> list[Json]:
        return [body for body in self._ours() if body["kind"] == kind]

    async def _carry_out(self, it: Concluded, known: Stories) -> list[Result]:
        """Writes down, then acts; nothing is done that isn't written down."""
        async with self.acting:
            if self.stopping or not self.election.leads():
                return []
            stories = {**{one.key: it.traceparent for one in it.round.decisions}, **known}
            unwritten = await self._written_down(it)
            # Before anything is done, so that who is killed in the middle leaves the grounds behind.
            opened = [one for one in it.round.decisions if one.outcome is Outcome.APPLYING]
            self._keep(it, [one for one in opened if one.name not in unwritten], over=it.round.closed)
            await self._settle_ledger(it, bool(opened))
            withheld = unwritten | self._overtaken(it)
            allowed = [
                effect
                for effect in it.round.effects
                if effect.decision not in withheld and effect.action.workload not in withheld
            ]

            def tell(effect: Effect, result: Result) -> None:
                self.telemetry.acted(effect, result, stories)
                self._keep(it, acted=[(effect, result)])

            results = await self.effects.carry_out(allowed, ready(it.seen), tell)
            dropped = [(effect, Result.HELD) for effect in it.round.effects if effect not in allowed]
            await self._take_back(it, [*results, *dropped])
        for closed in it.round.closed:
            self.telemetry.over(closed, stories)
        return [result for _, result in results]

    def _known_stories(self) -> Stories:
        """The trace context of every decision that was made before and isn't over: of the round that made it."""
        return {
            key(body)[1:]: str(body["spec"].get("traceparent") or "")
            for body in self._objects("Decision")
            if body.get("status", {}).get("outcome") not in ENDED
        }

    def _overtaken(self, it: Concluded) -> set[WorkloadRef]:
        return (
            {effect.action.workload for effect in it.round.effects}
            if self._is_blind()
            else overtaken(it.round, it.hub, self._understood())
        )

    async def _take_back(self, it: Concluded, results: list[tuple[Effect, Result]]) -> None:
        """Records that foresaw what certainly didn't happen forget it, or the next round would take it for somebody's doing."""
        foreseen = {record.workload: record for record in it.round.records}
        changed = set()
        for effect, result in results:
            workload = effect.action.workload
            if result not in (Result.DONE, Result.UNANSWERED) and workload in foreseen:
                foreseen[workload] = without(foreseen[workload], effect.action, it.snapshot.seconds)
                changed.add(workload)
        for workload in sorted(changed):
            await self.writer.remember(foreseen[workload])

    async def _written_down(self, it: Concluded) -> set[str | WorkloadRef]:
        """Decisions, records, losses, ends of decisions, in this order; returns what could not be written."""
        found, now = it.round, it.snapshot.seconds
        acting = [decision for decision in found.decisions if decision.outcome is Outcome.APPLYING]
        unwritten: set[str | WorkloadRef] = {
            decision.name for decision in acting if not await self.writer.open(decision, it.traceparent, now)
        }
        unwritten |= {record.workload for record in found.records if not await self.writer.remember(record)}
        if found.losses != it.hub.losses:
            bodies = self._bodies()
            told = statuses(it.hub, found, it.snapshot, bodies, trace_id(), self._trouble(it))
            for where in bodies.keys() & told.keys():
                if where[0] == "MemberCluster":
                    await self.writer.tell(bodies[where], told[where], now, at_once=True)
        opened = {one.key: one.decision for one in it.snapshot.decisions}
        for closed in found.closed:
            decision = opened[closed.key]
            await self.writer.conclude(
                decision,
                closed.outcome,
                closed.reason,
                now,
                carried_out(it.snapshot.fleet, decision) if decision.outcome is Outcome.APPLYING else 0,
                decision.cost_after,
                closed.overtaken,
            )
        return unwritten

    def _keep(
        self,
        it: Concluded,
        opened: Sequence[Decision] = (),
        acted: Sequence[tuple[Effect, Result]] = (),
        over: tuple[Closed, ...] = (),
    ) -> None:
        """Hands what happened to the ledger, with the snapshot that new decisions rest on."""
        self._enter(it, opened, acted, over, it.snapshot if opened else None)

    def _enter(
        self,
        it: Concluded,
        opened: Sequence[Decision],
        acted: Sequence[tuple[Effect, Result]] = (),
        over: tuple[Closed, ...] = (),
        snapshot: Snapshot | None = None,
    ) -> None:
        if self.ledger is not None:
            said = entries(opened, acted, over, at=it.snapshot.seconds, epoch=self.election.epoch, trace=trace_id())
            self.ledger.add(said, snapshot)

    async def _settle_ledger(self, it: Concluded, is_new: bool) -> None:
        """The ledger has what is about to be acted on, and what a leader that was killed didn't enter; records stop no failover."""
        if self.ledger is None or it.round.acting is None:
            return
        if not self.completed:
            known = {one.key: one.decision for one in it.hub.decisions}
            with contextlib.suppress(NoLedger):
                lacking = await aside(self.ledger.lacking, known)
                self._enter(it, [known[one] for one in sorted(lacking)])
                self.completed = True
        if is_new:
            await aside(self.ledger.flush, FLUSH_SECONDS)

    async def _propose(self, it: Concluded) -> None:
        """Writes down what is only proposed, some at a time: nothing that acts waits for it, and the next round goes on."""
        proposed = [one for one in it.round.decisions if one.outcome is Outcome.PROPOSED][:MOST_PROPOSED]
        written: list[Decision] = []
        try:
            for one in proposed:
                if await self.writer.open(one, it.traceparent, it.snapshot.seconds):
                    written.append(one)  # noqa: PERF401 what was written before an alarm is kept too
        finally:
            self._keep(it, written)

    async def _report(self, it: Concluded) -> None:
        """Proposals, statuses and Events, all from the same round."""
        await self._propose(it)
        saved = await aside(saving, it.round)
        bodies = self._bodies()
        now = it.snapshot.seconds
        told = statuses(it.hub, it.round, it.snapshot, bodies, trace_id(), self._trouble(it), saved)
        for where, status in told.items():
            if where in bodies:
                await self.writer.tell(bodies[where], status, now)
        for verdict in it.round.verdicts:
            ref = verdict.intent
            body: Mapping[str, Any] = bodies.get((ref.kind, ref.namespace, ref.name), {})
            await self.recorder.tell(ref, body.get("metadata", {}).get("uid", ""), verdict.conditions, now)
        await self._prune(it)

    async def _prune(self, it: Concluded) -> None:
        """Nothing goes that somebody's word rests on; without a ledger that has it, as little as can be."""
        said = {(one.namespace, one.decision) for one in it.hub.approvals if one.until >= it.snapshot.seconds}
        recorded = self.ledger is not None and not self.ledger.trouble
        await self.writer.prune(self._objects("Decision"), said, KEPT if recorded else MOST_KEPT)

    def _bodies(self) -> dict[Key, Json]:
        return {key(body): body for body in self._ours()}

    def _trouble(self, it: Concluded) -> Trouble:
        names = [seen.member.name for seen in it.seen]
        return Trouble(
            refused=self.effects.refused,
            unreadable={seen.member.name: tuple(seen.malformed) for seen in it.seen},
            governors={name: self.claims.governor(name) for name in names},
            ledger=self.ledger.trouble if self.ledger else "",
            head=self.ledger.head if self.ledger else None,
        )


def _ends(hub: Hub) -> Iterable[float]:
    """Unix seconds at which something that people said stops counting, with nothing that would tell of it."""
    # What counts until a second counts in it.
    yield from (one.until + 1 for one in hub.approvals)
    if hub.governance.stopped is not None:
        yield hub.governance.stopped.until + 1
