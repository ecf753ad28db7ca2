"""What a change is for: the kind of its cause, and in words."""

from __future__ import annotations

from archgov.decide.need import Need
from archgov.decide.select import Governed
from archgov.decide.stage import Stage
from archgov.model.decision import Cause
from archgov.model.intent import CapacityIntent, FailoverIntent, Intent, PlacementIntent


def cause(stage: Stage, owner: Governed[Intent], row: int, *, advised: bool = False) -> Cause:
    """The kind of a change of a workload that is filed under an intent; what is only advised brings nobody home."""
    if row in stage.home.returning and not advised:
        return Cause.FAILBACK
    return Cause.REBALANCE if isinstance(owner.intent, PlacementIntent) else Cause.CAPACITY


def why(stage: Stage, owner: Governed[Intent], row: int, planned: Need, replicas: int, *, advised: bool = False) -> str:
    """The same in words. planned: the need that the plan answers; replicas: in all, once it is carried out."""
    if row in stage.home.returning and not advised:
        return "failback"
    guard = stage.first_of(row, FailoverIntent, enforced=True)
    # More than is needed stands for survival alone.
    beyond = replicas > planned.total and guard is not None and not isinstance(owner.intent, FailoverIntent)
    return _of_itself(stage, owner, row) + (
        f"; more than needed for {guard.intent.common.ref}" if beyond and guard else ""
    )


def _of_itself(stage: Stage, owner: Governed[Intent], row: int) -> str:
    match owner.intent:
        case PlacementIntent() as intent if broken := _broken(stage, intent, row):
            return f"residency: {broken}"
        case PlacementIntent(spread=spread) if spread:
            return "spread by " + ", ".join(one.level for one in spread)
        case PlacementIntent():
            return "lower cost"
        case CapacityIntent():
            return "demand"
        case _:
            return "survives a loss"


def _broken(stage: Stage, intent: PlacementIntent, row: int) -> str:
    """What an intent says of the places where a workload may stand, where some of it stands elsewhere today; else empty."""
    fleet = stage.snapshot.fleet
    taken = {k for k, count in fleet.spec_replicas(row).items() if count}
    labels = [fleet.domain_labels(j) for j, k in enumerate(fleet.domain_cluster.tolist()) if k in taken]
    if intent.allow is not None and not all(intent.allow.matches(one) for one in labels):
        return str(intent.allow)
    if intent.deny is not None and any(intent.deny.matches(one) for one in labels):
        return f"not {intent.deny}"
    return ""
