"""Conditions in the sense of metav1, with every reason that archgov gives."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Status(StrEnum):
    """The three answers of a condition."""

    TRUE = "True"
    FALSE = "False"
    UNKNOWN = "Unknown"


class Kind(StrEnum):
    """Types of conditions; names are API."""

    READY = "Ready"
    ACCEPTED = "Accepted"
    INPUTS_FRESH = "InputsFresh"
    FEASIBLE = "Feasible"
    PLANNED = "Planned"
    APPROVED = "Approved"
    APPLIED = "Applied"
    VERIFIED = "Verified"
    RECONCILING = "Reconciling"
    STALLED = "Stalled"
    DEGRADED = "Degraded"
    SUSPENDED = "Suspended"


class Reason(StrEnum):
    """Why a condition is as it is; names are API, values of this enumeration are listed in the reference."""

    AS_DECLARED = "AsDeclared"
    REPORTED = "Reported"
    RECOMMENDED = "Recommended"
    WAITING_FOR_APPROVAL = "WaitingForApproval"
    APPROVED = "Approved"
    REJECTED = "Rejected"
    ROLLED_BACK = "RolledBack"
    AUTHOR_UNVERIFIED = "AuthorUnverified"
    NO_SUCH_DECISION = "NoSuchDecision"
    OTHER_PLAN = "OtherPlan"
    NOT_AWAITED = "NotAwaited"
    EXPIRED = "Expired"
    NO_LONGER_HOLDS = "NoLongerHolds"
    APPLYING = "Applying"
    APPLIED = "Applied"
    VERIFIED = "Verified"
    WAITING_FOR_READY = "WaitingForReady"
    WAITING_FOR_BUDGET = "WaitingForBudget"
    INFEASIBLE = "Infeasible"
    INVALID = "Invalid"
    CONFLICT = "Conflict"
    NOTHING_SELECTED = "NothingSelected"
    NOT_GOVERNING = "NotGoverning"
    PRIORITY_CAPPED = "PriorityCapped"
    INPUTS_STALE = "InputsStale"
    CLUSTER_UNKNOWN = "ClusterUnknown"
    CLUSTER_LOST = "ClusterLost"
    FAILED_OVER = "FailedOver"
    FAILING_BACK = "FailingBack"
    NEEDS_SPREAD = "NeedsTopologySpread"
    NEEDS_PER_DOMAIN_WAY_OUT = "LoadStaysWhereItArrives"
    CONTENDED = "Contended"
    STOPPED = "Stopped"
    SUSPENDED = "Suspended"
    PERMISSION_MISSING = "PermissionMissing"
    NOT_ACTED_ON = "NotActedOn"
    NOT_SCHEDULED = "NotScheduled"
    LEDGER_LAGS = "LedgerLags"
    BROKEN_PLAN = "BrokenPlan"
    UNKNOWN_OUTCOME = "OutOfWork"
    SUPERSEDED = "Superseded"


@dataclass(frozen=True, slots=True)
class Condition:
    """One observed aspect of an object. The time of the last transition is added where it is written."""

    kind: Kind
    status: Status
    reason: Reason
    message: str = ""
