"""What people say of decisions."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from archgov.model.decision import OpenDecision


class Ruling(StrEnum):
    """What somebody wants of a plan."""

    APPROVE = "Approve"
    REJECT = "Reject"
    ROLLBACK = "Rollback"


@dataclass(frozen=True, slots=True)
class Approval:
    """Somebody's word on one exact plan.

    Attributes:
        decision, plan_hash: which plan, by name and by content. about: the Decision of that name, over or not, if there is one.
        author: the user who made it, as stamped at admission; "" without a stamp that can be trusted.
        until: Unix seconds: an approval begins by then, a rejection and a rolled-back state last until then.
        waves: how many of its waves are released, 0 for all. created: Unix seconds.
        accepted: it counted when it was last heard, or would have if the plan had still held.
    """

    namespace: str
    name: str
    decision: str
    plan_hash: str
    ruling: Ruling
    author: str = ""
    until: int = 0
    reason: str = ""
    waves: int = 0
    generation: int = 1
    created: int = 0
    accepted: bool = False
    about: OpenDecision | None = None
