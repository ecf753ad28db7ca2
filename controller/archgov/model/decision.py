"""What to do: findings, actions, decisions as values."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable
from dataclasses import dataclass, replace
from enum import StrEnum

from archgov.model.condition import Reason
from archgov.model.ref import ClusterName, IntentRef, WorkloadRef


@dataclass(frozen=True, slots=True, order=True)
class Finding:
    """Something worth knowing about intents or workloads, with what would help.

    Attributes:
        about: the intents that it concerns. remedies: each one alone is enough.
        stalls: a person has to act before it goes away.
    """

    reason: Reason
    message: str
    about: tuple[IntentRef, ...] = ()
    workload: WorkloadRef | None = None
    remedies: tuple[str, ...] = ()
    stalls: bool = False


def merged(findings: Iterable[Finding]) -> tuple[Finding, ...]:
    """Each message once, in order, with everybody that it was told about.

    The first one's remedies stand: what was found later was found after something had given way already.
    """
    found: dict[tuple[Reason, str, WorkloadRef | None], Finding] = {}
    for one in findings:
        known = found.setdefault((one.reason, one.message, one.workload), one)
        found[one.reason, one.message, one.workload] = replace(
            known,
            about=tuple(dict.fromkeys((*known.about, *one.about))),
            remedies=known.remedies or one.remedies,
            stalls=known.stalls or one.stalls,
        )
    return tuple(found.values())


class Cause(StrEnum):
    """What an action is for; budgets charge all but failovers."""

    REBALANCE = "Rebalance"
    CAPACITY = "Capacity"
    FAILOVER = "Failover"
    SHED = "Shed"
    FAILBACK = "Failback"
    ROLLBACK = "Rollback"


@dataclass(frozen=True, slots=True, order=True)
class Action:
    """Set the replicas of a workload in one cluster.

    Attributes:
        wave: actions of a wave start together, once every earlier wave is observed done.
        before, after: spec.replicas. uid: of the object acted on.
    """

    wave: int
    workload: WorkloadRef
    cluster: ClusterName
    before: int
    after: int
    uid: str = ""
    cause: Cause = Cause.REBALANCE
    why: str = ""

    @property
    def removes(self) -> int:
        """Replicas that go away."""
        return max(0, self.before - self.after)


class Outcome(StrEnum):
    """What became of a plan."""

    PROPOSED = "Proposed"
    APPLYING = "Applying"
    VERIFIED = "Verified"
    SUPERSEDED = "Superseded"
    REJECTED = "Rejected"
    FAILED = "Failed"


@dataclass(frozen=True, slots=True)
class Alternative:
    """A way that was not chosen. extra: micro-USD per hour more than the chosen one; None where it can't be."""

    what: str
    reason: str
    extra: int | None = None


@dataclass(frozen=True, slots=True)
class Decision:
    """One plan for the workloads that one intent governs, with its grounds.

    Attributes:
        intents: every intent whose requirements the plan answers, the one that it is filed under first.
        objective, bound: micro-USD per hour of the whole problem; bound is None where none was proved.
        cost_before, cost_after: micro-USD per hour of the workloads it touches.
        plan_hash: of the canonical actions and the intents' uids and generations.
        generation: of the intent it is filed under, when it was made.
        approved_by: the user who released it, "" where nobody had to.
    """

    intents: tuple[IntentRef, ...]
    actions: tuple[Action, ...]
    outcome: Outcome
    objective: int
    bound: int | None
    cost_before: int
    cost_after: int
    summary: str
    engine: str = ""
    seed: int = 0
    snapshot: str = ""
    findings: tuple[Finding, ...] = ()
    alternatives: tuple[Alternative, ...] = ()
    plan_hash: str = ""
    name: str = ""
    after: tuple[str, ...] = ()
    generation: int = 1
    approved_by: str = ""

    @property
    def key(self) -> tuple[str, str]:
        """(namespace, name): it is filed where its first intent is."""
        return self.intents[0].namespace, self.name

    @property
    def gap(self) -> float | None:
        """Relative distance between objective and bound."""
        if self.bound is None:
            return None
        return 0.0 if self.objective == self.bound else (self.objective - self.bound) / max(1, abs(self.objective))


@dataclass(frozen=True, slots=True)
class OpenDecision:
    """A decision as the API keeps it. created: Unix seconds."""

    namespace: str
    decision: Decision
    created: int

    @property
    def key(self) -> tuple[str, str]:
        """(namespace, name)."""
        return self.namespace, self.decision.name


def plan_hash(actions: tuple[Action, ...], intents: tuple[tuple[str, int], ...]) -> str:
    """Identity of a plan: who is set from what to what in which wave, for which generation of which intents.

    Args:
        intents: (uid, generation) of each.

    Returns:
        64 hexadecimal digits. Neither time nor the snapshot enters: an unchanged plan keeps its hash from round to round.
    """
    content = [
        sorted([a.wave, a.workload.key, a.cluster, a.uid, a.before, a.after] for a in actions),
        sorted([uid, generation] for uid, generation in intents),
    ]
    return hashlib.sha256(json.dumps(content, separators=(",", ":")).encode()).hexdigest()
