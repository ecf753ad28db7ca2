"""What is no longer asked for when a round comes to act: thinking may take minutes, and people go on meanwhile.

Whether clusters, replicas and Ready counts are still the same is looked at with each effect.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from archgov.decide.round import Round
from archgov.edge.observe import Hub
from archgov.model.approval import Approval
from archgov.model.ref import WorkloadRef


def overtaken(found: Round, before: Hub, now: Hub) -> set[WorkloadRef]:
    """Workloads of which a round's effects wait for the next one, since intents, or what people say of plans, changed."""
    touched = {effect.action.workload for effect in found.effects}
    if _holds(now) != _holds(before):
        return touched
    fleet = found.stage.snapshot.fleet
    intents = {intent.common.ref: intent for intent in now.intents}
    changed = {one.common.ref for one in before.intents if intents.get(one.common.ref) != one}
    fresh = [one.common for ref, one in intents.items() if ref not in {known.common.ref for known in before.intents}]
    spaces = {space for common in fresh for space in (common.ref.namespace, *common.target.namespaces)}
    governed = (one for one in found.stage.selection.governed if one.intent.common.ref in changed)
    return {
        *(fleet.ref(row) for one in governed for row in one.rows),
        *_spoken_of(found, before, now),
        *(workload for workload in touched if workload.namespace in spaces),
    }


def _spoken_of(found: Round, before: Hub, now: Hub) -> Iterable[WorkloadRef]:
    """Workloads of every plan that somebody said something of meanwhile."""
    plans = {one.about.decision.plan_hash for one in _said_since(before, now) if one.about is not None}
    known = (*(one.decision for one in before.decisions), *(grant.decision for grant in found.stage.grants))
    for decision in (*found.decisions, *known):
        if decision.plan_hash in plans:
            yield from (action.workload for action in decision.actions)


def _holds(hub: Hub) -> tuple[object, ...]:
    """What holds for every effect, and which clusters and workloads are held."""
    return hub.governance, hub.unclear, hub.unremembered


def _said_since(before: Hub, now: Hub) -> Iterable[Approval]:
    """Approvals that came, went or were made anew under the same name."""
    words = [{replace(one, about=None, accepted=False): one for one in hub.approvals} for hub in (before, now)]
    return (words[one in words[1]][one] for one in words[0].keys() ^ words[1].keys())
