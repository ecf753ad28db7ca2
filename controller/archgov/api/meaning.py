"""What conditions with their reasons mean, a sentence each."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from archgov.model.condition import Kind, Reason

CONDITIONS: Final[Mapping[Kind, str]] = {
    Kind.READY: "This generation was evaluated, and archgov has done what its mode lets it do.",
    Kind.ACCEPTED: "The object was understood.",
    Kind.INPUTS_FRESH: "Everything the conclusion rests on was observed recently enough.",
    Kind.FEASIBLE: "Some placement meets every requirement.",
    Kind.PLANNED: "A plan for this generation exists, or none is needed.",
    Kind.APPROVED: "A person approved the plan; present in mode Approve.",
    Kind.APPLIED: "Everything the plan sets was written.",
    Kind.VERIFIED: "The effect of the plan was observed.",
    Kind.RECONCILING: "archgov is at work on it; present only while that is so.",
    Kind.STALLED: "A person has to act before it goes on; present only while that is so.",
    Kind.DEGRADED: "It works worse than declared; present only while that is so.",
    Kind.SUSPENDED: "Acting on it is suspended; present only while that is so.",
}

REASONS: Final[Mapping[Reason, str]] = {
    Reason.AS_DECLARED: "The fleet is as declared; there is nothing to do.",
    Reason.REPORTED: "The report is current, which is all that mode Observe asks for.",
    Reason.RECOMMENDED: "A plan is proposed; mode Recommend leaves carrying it out to people.",
    Reason.WAITING_FOR_APPROVAL: "A plan waits for a person; the message says how to approve it.",
    Reason.APPROVED: "A person approved the plan; the message names who.",
    Reason.REJECTED: "A person rejected the plan; it is not proposed again before the time that was given.",
    Reason.ROLLED_BACK: "What a plan changed was, or is being, taken back; it is kept so until the time that was given.",
    Reason.AUTHOR_UNVERIFIED: "Nobody can be held to it: the API server doesn't stamp who made it.",
    Reason.NO_SUCH_DECISION: "There is no Decision of that name in the namespace.",
    Reason.OTHER_PLAN: "The plan of that Decision has another hash.",
    Reason.NOT_AWAITED: "That Decision doesn't wait for an approval: its intent has another mode, or it is over.",
    Reason.EXPIRED: "Its time has passed.",
    Reason.NO_LONGER_HOLDS: "The fleet has changed so that the approved plan can't be carried out; a new one is proposed.",
    Reason.APPLYING: "A plan is being carried out.",
    Reason.APPLIED: "Everything the plan sets was written; its effect is not observed yet.",
    Reason.VERIFIED: "The plan was carried out, and its effect was observed.",
    Reason.WAITING_FOR_READY: "New replicas have to become Ready before old ones may go.",
    Reason.WAITING_FOR_BUDGET: "The next step would exceed a disruption budget; it follows when the window allows it.",
    Reason.INFEASIBLE: "No placement meets every requirement; the message names those that collide.",
    Reason.INVALID: "The object can't be taken as it is; the message says where, why, what would be right.",
    Reason.CONFLICT: "It contradicts another intent about the same replicas; the message names both.",
    Reason.NOTHING_SELECTED: "The target selects no workload, or no cluster.",
    Reason.NOT_GOVERNING: "It targets other namespaces, and its own is not a governing one in Fleet.",
    Reason.PRIORITY_CAPPED: "Its priority is above the ceiling of its namespace and counts as the ceiling.",
    Reason.INPUTS_STALE: "Something needed was not observed recently; archgov holds what is there.",
    Reason.CLUSTER_UNKNOWN: "A cluster does not answer, and nothing proves that it is lost; archgov holds.",
    Reason.CLUSTER_LOST: "Independent evidence says that a cluster, or a zone of one, is lost.",
    Reason.FAILED_OVER: "Replicas stand elsewhere because of a loss.",
    Reason.FAILING_BACK: "What was lost is healthy again; replicas return.",
    Reason.NEEDS_SPREAD: "A zone can't be relied upon unless the pod template has a topologySpreadConstraint.",
    Reason.NEEDS_PER_DOMAIN_WAY_OUT: "Demand arrives where no replica may be; the message names the ways out.",
    Reason.CONTENDED: "Somebody else keeps taking written values back; archgov has stopped trying.",
    Reason.STOPPED: "Acting is stopped for the whole fleet by spec.stopped of Fleet.",
    Reason.SUSPENDED: "Acting is suspended by spec.suspend.",
    Reason.PERMISSION_MISSING: "archgov lacks a permission; the message names verb, resource, cluster.",
    Reason.NOT_ACTED_ON: "The workload counts as load and is left alone; the message says why.",
    Reason.NOT_SCHEDULED: "New replicas find no node although the plan counted on room for them.",
    Reason.LEDGER_LAGS: "Something of what happened isn't in the ledger; acting goes on.",
    Reason.BROKEN_PLAN: "The independent check refused the plan; nothing was done with it.",
    Reason.UNKNOWN_OUTCOME: "The work limit was reached before a plan was found; nothing was done.",
    Reason.SUPERSEDED: "A better plan, or another generation, took its place.",
}
