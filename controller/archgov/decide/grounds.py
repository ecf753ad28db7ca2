"""What a change is for: the kind of its cause, and in words."""

from __future__ import annotations

from archgov.decide.select import Governed
from archgov.decide.stage import Stage
from archgov.model.decision import Cause
from archgov.model.intent import CapacityIntent, Intent, PlacementIntent


def cause(stage: Stage, owner: Governed[Intent], row: int) -> Cause:
    """The kind of a change of a workload that is filed under an intent."""
    if row in stage.home.returning:
        return Cause.FAILBACK
    return Cause.REBALANCE if isinstance(owner.intent, PlacementIntent) else Cause.CAPACITY


def why(stage: Stage, owner: Governed[Intent], row: int) -> str:
    """The same in words."""
    if row in stage.home.returning:
        return "failback"
    match owner.intent:
        case PlacementIntent(allow=allow) if allow is not None:
            return f"residency: {allow}"
        case PlacementIntent(spread=spread) if spread:
            return "spread by " + ", ".join(one.level for one in spread)
        case PlacementIntent():
            return "lower cost"
        case CapacityIntent():
            return "demand"
        case _:
            return "survives a loss"
