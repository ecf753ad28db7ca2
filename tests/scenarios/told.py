"""What a round concluded, short and in the words that users meet."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

from archgov.api.instant import timestamp
from archgov.cli.output import in_yaml
from archgov.decide.round import Round
from archgov.decide.verdict import Verdict
from archgov.model.condition import Kind
from archgov.model.decision import Decision
from archgov.model.intent import Loss, Record
from archgov.model.quantity import usd_a_day

Document = dict[str, Any]


def decision_yaml(concluded: Round) -> str:
    """Verdicts, decisions, what is written at once, what is remembered."""
    document = {
        "intents": {str(one.intent): _verdict(one) for one in concluded.verdicts},
        "decisions": [_decision(one) for one in concluded.decisions],
        "writes now": [
            f"{one.action.workload} in {one.action.cluster}: {one.action.before} → {one.action.after}"
            for one in concluded.effects
        ],
        "ends": [f"{one.name}: {one.outcome}, {one.reason}" for one in concluded.closed],
        "remembers": {str(record.workload): dict(_record(record)) for record in concluded.records},
        "losses": [_loss(loss) for loss in concluded.losses],
    }
    return in_yaml([{title: content for title, content in document.items() if content}])


def _verdict(one: Verdict) -> Document:
    """What `kubectl describe` shows of an intent; that it was understood goes without saying."""
    conditions = {
        condition.kind.value: f"{condition.status}, {condition.reason}"
        for condition in one.conditions
        if condition.kind is not Kind.ACCEPTED
    }
    extra = {
        "need": one.need,
        "survives": f"{one.survivable[0]} of {one.survivable[1]} losses" if one.survivable else None,
        "failed over": list(one.failed_over) or None,
    }
    told = {"mode": one.mode.value, "summary": one.summary, **extra, "conditions": conditions}
    return {name: value for name, value in told.items() if value is not None}


def _decision(one: Decision) -> Document:
    filed_under, *others = one.intents
    told = {
        "under": str(filed_under),
        "answers also": [str(ref) for ref in others],
        "outcome": one.outcome.value,
        "summary": one.summary,
        "cost": f"{usd_a_day(one.cost_before)} → {usd_a_day(one.cost_after)}",
        "actions": [
            f"wave {a.wave}: {a.workload} in {a.cluster}: {a.before} → {a.after} ({a.cause}, {a.why})"
            for a in one.actions
        ],
    }
    return {name: value for name, value in told.items() if value != []}


def _record(record: Record) -> Iterator[tuple[str, Any]]:
    yield "need", record.need
    for name in ("needs", "former", "written", "pending", "origin"):
        if pairs := getattr(record, name):
            yield name, _by_cluster(pairs)
    if record.removals:
        yield "removals", [f"{removal.replicas} at {timestamp(removal.at)}" for removal in record.removals]


def _by_cluster(pairs: Iterable[tuple[str, int]]) -> str:
    return ", ".join(f"{cluster} {count}" for cluster, count in pairs)


def _loss(loss: Loss) -> str:
    over = f", well since {timestamp(loss.ended)}" if loss.ended else ""
    return f"{loss} since {timestamp(loss.since)}{over}"
