"""How many replicas may be taken away now."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

from cronsim import CronSim

from archgov.decide.select import Governed
from archgov.model.intent import Budget, Intent, Record
from archgov.model.ref import IntentRef
from archgov.model.snapshot import Snapshot


@dataclass(slots=True)
class Pot:
    """What one budget still grants; shared by all workloads of its target."""

    budget: Budget
    intent: IntentRef
    left: int


@dataclass(frozen=True, slots=True)
class Allowance:
    """The budgets that bind one workload; the tightest of them counts."""

    pots: tuple[Pot, ...] = field(default=())

    @property
    def tightest(self) -> Pot | None:
        return min(self.pots, key=lambda pot: (pot.left, pot.intent), default=None)

    @property
    def intent(self) -> IntentRef | None:
        return self.tightest.intent if self.tightest else None

    @property
    def binding(self) -> str:
        return str(self.tightest.budget) if self.tightest else "none"

    def take(self, wanted: int) -> int:
        """Grants at most `wanted` removals, and charges them to every budget that applies."""
        granted = max(0, min([wanted, *(pot.left for pot in self.pots)]))
        for pot in self.pots:
            pot.left -= granted
        return granted


def allowances(
    snapshot: Snapshot, governed: Iterable[Governed[Intent]], kept: tuple[Record, ...]
) -> Mapping[int, Allowance]:
    """What the budgets of all intents leave to each workload now, removals within their windows already charged."""
    by_row = {snapshot.fleet.row(record.workload): record for record in kept}
    pots: dict[int, list[Pot]] = {}
    for one in governed:
        if one.intent.common.suspend:
            continue
        for budget in one.intent.common.disruption.budgets:
            if not binds(budget, snapshot.seconds):
                continue
            pot = Pot(budget, one.intent.common.ref, _left(snapshot, one, budget, by_row))
            for row in one.rows:
                pots.setdefault(row, []).append(pot)
    return {row: Allowance(tuple(some)) for row, some in pots.items()}


def binds(budget: Budget, now: int) -> bool:
    """Whether a budget applies at an instant (Unix seconds): always, or inside the window that its schedule opened."""
    if not budget.schedule:
        return True
    local = datetime.fromtimestamp(now, UTC).astimezone(ZoneInfo(budget.time_zone))
    opened = next(CronSim(budget.schedule, local - timedelta(seconds=budget.duration)), None)
    return opened is not None and opened <= local


def _left(snapshot: Snapshot, one: Governed[Intent], budget: Budget, by_row: Mapping[int | None, Record]) -> int:
    replicas = sum(sum(snapshot.fleet.spec_replicas(row).values()) for row in one.rows)
    # A percentage grants at least one, or a small target could never move at all; a freeze says 0.
    limit = max(1, budget.limit * replicas // 100) if budget.is_percent and budget.limit else budget.limit
    used = sum(
        removal.replicas
        for row in one.rows
        if row in by_row
        for removal in by_row[row].removals
        if snapshot.seconds - removal.at <= budget.window  # whole seconds: a window is rather too long than too short
    )
    return max(0, limit - used)
