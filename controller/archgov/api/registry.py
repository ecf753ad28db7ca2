"""Every kind of the API, by name."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from archgov.api import (
    approval,
    capacity_intent,
    decision,
    failover_intent,
    fleet,
    member_cluster,
    placement_intent,
    workload_record,
)
from archgov.api.fault import IntentError, shown
from archgov.api.kind import API_VERSION, Kind
from archgov.api.member_cluster import Member
from archgov.model.approval import Approval
from archgov.model.decision import OpenDecision
from archgov.model.intent import Governance, Intent, Record

KINDS: Final[Mapping[str, Kind]] = {
    module.KIND.name: module.KIND
    for module in (
        fleet,
        member_cluster,
        placement_intent,
        capacity_intent,
        failover_intent,
        workload_record,
        decision,
        approval,
    )
}
UNDECLARED: Final = Governance()  # what holds without a Fleet object
INTENTS: Final = (placement_intent.NAME, capacity_intent.NAME, failover_intent.NAME)


def kind_of(body: Mapping[str, Any]) -> Kind:
    """The kind that a body says it is of.

    Raises:
        IntentError: archgov knows no such kind, or not in that version.
    """
    version, name = body.get("apiVersion"), body.get("kind")
    if version != API_VERSION:
        raise IntentError("apiVersion", f"is {shown(version)}", f'must be "{API_VERSION}"')
    if not isinstance(name, str) or name not in KINDS:
        raise IntentError("kind", f"is {shown(name)}", f"{API_VERSION} has {', '.join(KINDS)}")
    return KINDS[name]


def parse_any(
    body: Mapping[str, Any], governance: Governance = UNDECLARED
) -> Intent | Governance | Member | Record | OpenDecision | Approval:
    """The value that a body of any of our kinds declares.

    Raises:
        IntentError: with everything that is wrong.
    """
    value: Intent | Governance | Member | Record | OpenDecision | Approval = kind_of(body).parse(body, governance)
    return value
