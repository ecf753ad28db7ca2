"""A fleet in memory that rounds can change: effects are carried out, pods become Ready one step later."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from archgov.decide.round import Round, conclude
from archgov.model.approval import Approval, Ruling
from archgov.model.condition import Reason
from archgov.model.decision import Decision, OpenDecision, Outcome
from archgov.model.fleet import Cluster
from archgov.model.intent import Governance, Intent, Loss, Record, Witness
from archgov.model.ref import WorkloadRef
from archgov.model.snapshot import Series, Snapshot
from tests.build import MONDAY, Node, Workload, a_fleet, a_snapshot


@dataclass
class World:
    """Clusters with their zones, workloads in them, what the API would keep. `step` is one round with its effects."""

    clusters: list[Cluster]
    nodes: list[Node] | Mapping[str, int]
    workloads: list[Workload]
    intents: list[Intent]
    governance: Governance = field(default_factory=Governance)
    witnesses: tuple[Witness, ...] = ()
    series: tuple[Series, ...] = ()
    now: int = MONDAY
    seconds_a_step: int = 60
    records: dict[WorkloadRef, Record] = field(default_factory=dict)
    decisions: list[OpenDecision] = field(default_factory=list)
    history: list[OpenDecision] = field(default_factory=list)
    approvals: list[Approval] = field(default_factory=list)
    losses: tuple[Loss, ...] = ()
    rounds: list[Round] = field(default_factory=list)

    def snapshot(self) -> Snapshot:
        return a_snapshot(
            a_fleet(self.clusters, self.workloads, self.nodes),
            self.intents,
            governance=self.governance,
            records=self.records.values(),
            decisions=self.decisions,
            approvals=[self._about(one) for one in self.approvals],
            losses=self.losses,
            witnesses=self.witnesses,
            series=self.series,
            now=self.now,
        )

    def step(self) -> Round:
        """Concludes one round, carries its effects out, then lets pods follow."""
        round_ = conclude(self.snapshot())
        counted = {
            (one.approval.namespace, one.approval.name): one.counts or one.reason is Reason.NO_LONGER_HOLDS
            for one in round_.stage.heard
        }
        self.approvals = [
            replace(one, accepted=counted.get((one.namespace, one.name), False)) for one in self.approvals
        ]
        self.rounds.append(round_)
        self.records.update({record.workload: record for record in round_.records})
        ended = {one.key: one.outcome for one in round_.closed}
        self.decisions = [one for one in self.decisions if one.key not in ended]
        self.history = [
            replace(one, decision=replace(one.decision, outcome=ended.get(one.key, one.decision.outcome)))
            for one in self.history
        ]
        for decision in round_.decisions:
            opened = OpenDecision(decision.intents[0].namespace, decision, self.now)
            for some in (self.decisions, self.history):
                before = next((one for one in some if one.key == opened.key), None)
                # One that a person released was there before; one that is over is made anew.
                made = opened if before is None or self._is_over(before) else replace(opened, created=before.created)
                some[:] = [one for one in some if one is not before] + [made]
        self.losses = round_.losses
        for effect in round_.effects:
            self._set(effect.action.workload, effect.action.cluster, effect.action.before, effect.action.after)
        self.now += self.seconds_a_step
        return round_

    def settle(self, most: int = 12) -> Round:
        """Steps until a round has nothing left to do."""
        for _ in range(most):
            if (last := self.step()).is_settled and not last.closed and not last.decisions:
                return last
        raise AssertionError(f"no fixed point after {most} rounds: {self.rounds[-1].effects}")

    def say(self, ruling: Ruling, decision: Decision, author: str = "ada", **more: Any) -> Approval:
        """Somebody says something of a decision."""
        namespace = decision.intents[0].namespace
        until = more.pop("until", self.now + 86_400)
        one = Approval(
            namespace,
            f"word-{len(self.approvals)}",
            decision.name,
            more.pop("plan_hash", decision.plan_hash),
            ruling,
            author,
            until,
            created=self.now,
            **more,
        )
        self.approvals.append(one)
        return one

    def _about(self, one: Approval) -> Approval:
        return replace(
            one, about=next((each for each in self.history if each.key == (one.namespace, one.decision)), None)
        )

    def _is_over(self, one: OpenDecision) -> bool:
        return one.decision.outcome not in (Outcome.PROPOSED, Outcome.APPLYING)

    def replicas(self, name: str) -> dict[str, int]:
        """spec.replicas of a workload by cluster, without zeros."""
        return {cluster: count for cluster, count in self._workload(name).spec.items() if count}

    def zones(self, name: str) -> dict[str, int]:
        """Standing replicas by cluster/zone, without zeros."""
        return {place: count for place, count in self._workload(name).at.items() if count}

    def scale(self, name: str, cluster: str, replicas: int) -> None:
        """Somebody else writes spec.replicas."""
        ref = self._workload(name).ref
        self._set(ref, cluster, self._workload(name).spec[cluster], replicas)

    def outcomes(self) -> list[Outcome]:
        """How each decision that was ever opened ended, or stands."""
        return [one.decision.outcome for one in self.history]

    def _workload(self, name: str) -> Workload:
        namespace, bare = name.split("/")
        return next(w for w in self.workloads if (w.ref.namespace, w.ref.name) == (namespace, bare))

    def _set(self, ref: WorkloadRef, cluster: str, before: int, after: int) -> None:
        row = next(row for row, workload in enumerate(self.workloads) if workload.ref == ref)
        workload = self.workloads[row]
        assert workload.spec.get(cluster) == before, f"{ref} in {cluster}: {workload.spec.get(cluster)} isn't {before}"
        at = dict(workload.at)
        zones = sorted(place for place in self._zones() if place.startswith(f"{cluster}/"))
        for _ in range(after - before):
            at[min(zones, key=lambda place: (at.get(place, 0), place))] = (
                at.get(min(zones, key=lambda place: (at.get(place, 0), place)), 0) + 1
            )
        for _ in range(before - after):
            at[max(zones, key=lambda place: (at.get(place, 0), place))] -= 1
        self.workloads[row] = replace(workload, at=at, ready=at, spec={**workload.spec, cluster: after})

    def _zones(self) -> Iterable[str]:
        if isinstance(self.nodes, Mapping):
            return self.nodes
        return {node.domain for node in self.nodes}
