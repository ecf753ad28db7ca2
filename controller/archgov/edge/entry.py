"""What the ledger keeps of one round."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping

from archgov.api import render
from archgov.decide.open import Closed
from archgov.decide.round import Effect
from archgov.edge.ledger import Entry
from archgov.model.decision import Decision, Outcome


def entries(
    opened: Iterable[Decision],
    acted: Iterable[tuple[Effect, str]],
    over: Iterable[Closed],
    *,
    at: int,
    epoch: int,
    trace: str,
) -> Iterator[Entry]:
    """Decisions that were opened or released, effects with what came of each, decisions that are over.

    Args:
        at: Unix seconds. epoch: of the leadership. trace: id of the round's trace.
    """
    for decision in opened:
        event = "Approved" if decision.approved_by and decision.outcome is Outcome.APPLYING else "Opened"
        spec = render.decision_body(decision, epoch=epoch)["spec"]
        about = {"outcome": decision.outcome.value, "approvedBy": decision.approved_by, "trace": trace, "spec": spec}
        yield Entry(at, event, decision.intents[0].namespace, decision.name, about)
    for effect, result in acted:
        action: Mapping[str, object] = {
            "workload": effect.action.workload.key,
            "cluster": effect.action.cluster,
            "before": effect.action.before,
            "after": effect.action.after,
            "cause": effect.action.cause.value,
            "result": str(result),
            "epoch": epoch,
        }
        yield Entry(at, "Acted", effect.namespace, effect.decision, action)
    for closed in over:
        told = {"outcome": closed.outcome.value, "reason": closed.reason, "trace": trace}
        yield Entry(at, "Closed", closed.namespace, closed.name, told)
