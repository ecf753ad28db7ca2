"""A round as a document for programs, then as blocks for people."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator
from datetime import UTC, datetime
from typing import Any, Final

from archgov.cli.failure import Exit
from archgov.cli.output import Block, Heading, Listing, Table
from archgov.decide.explain import Change, changes, few, followed
from archgov.decide.round import Round
from archgov.decide.tell import change as relative
from archgov.decide.tell import gap_of
from archgov.model.condition import Kind, Reason
from archgov.model.decision import Finding, merged
from archgov.model.intent import Load, PlacementIntent
from archgov.model.quantity import HOURS_A_DAY, counted
from archgov.model.ref import IntentRef

Document = dict[str, Any]

NAMED: Final = 2  # intents that a line names
NOTHING, CHANGES, REFUSED = "Nothing", "Changes", "Refused"
CODES: Final = {NOTHING: Exit.OK, CHANGES: Exit.CHANGES, REFUSED: Exit.REFUSED}
# What archgov leaves as it is, for now or for good; everything else that it finds is worth knowing, no more.
_LEFT: Final = frozenset({
    Reason.NOT_ACTED_ON,
    Reason.CLUSTER_UNKNOWN,
    Reason.CLUSTER_LOST,
    Reason.WAITING_FOR_BUDGET,
    Reason.WAITING_FOR_READY,
    Reason.STOPPED,
    Reason.CONTENDED,
    Reason.NOT_SCHEDULED,
    Reason.SUSPENDED,
})  # fmt: skip


def plan_document(concluded: Round, declared: Collection[IntentRef] = ()) -> Document:
    """Everything that a plan says, with stable names.

    Args:
        declared: intents that are asked about, being new or changed: what concerns several is told of these first.
    """
    found = changes(concluded)
    findings = _findings(concluded)
    refused = [finding for finding in findings if finding.stalls]
    snapshot = concluded.stage.snapshot
    now, then = concluded.overview.allocated, concluded.overview.allocated + _difference(concluded)
    return {
        "result": REFUSED if refused else CHANGES if found else NOTHING,
        "services": {"all": concluded.overview.workloads, "changing": len({change.workload for change in found})},
        "cost": {"unit": "USD/day", "now": _a_day(now), "then": _a_day(then), "change": relative(now, then)},
        "gap": _gap(concluded),
        "lost": [str(loss) for loss in concluded.stage.lost],
        "changes": [_change(change) for change in found],
        "refused": [_finding(finding, declared) for finding in refused],
        "notDone": [_finding(f, declared) for f in findings if not f.stalls and f.reason in _LEFT]
        + list(_stays(concluded)),
        "findings": [_finding(f, declared) for f in findings if not f.stalls and f.reason not in _LEFT],
        "intents": [_intent(concluded, number) for number in range(len(concluded.verdicts))],
        "snapshot": {
            "digest": concluded.snapshot,
            "observed": datetime.fromtimestamp(snapshot.seconds, UTC).isoformat().replace("+00:00", "Z"),
            "notes": list(snapshot.notes),
            "assumedPrices": concluded.overview.assumed,
        },
    }


def plan_blocks(document: Document, title: str = "archgov plan") -> Iterator[Block]:
    """A plan as people read it."""
    yield Heading(f"{title} · {_headline(document)}")
    yield Table(
        ("service", "now", "then", "why", "risk", "by"),
        tuple(
            (
                change["service"],
                _places(change["now"]),
                _places(change["then"]),
                few(change["why"], 1),
                change["risk"],
                f"{change['intents'][0]} ({change['mode']})",
            )
            for change in document["changes"]
        ),
    )
    yield Listing("Refused, a person has to choose", tuple(_lines(document["refused"])))
    yield Listing("Not done, and why", tuple(_lines(document["notDone"])))
    yield Listing("Findings", tuple(_lines(document["findings"])))
    yield Listing("Notes", tuple(document["snapshot"]["notes"]))


def code(document: Document) -> Exit:
    """The exit code that a plan asks for."""
    return CODES[document["result"]]


def _headline(document: Document) -> str:
    services = document["services"]
    every, changing = counted(services["all"], "service"), services["changing"]
    told = [f"{changing} of {every} change{'s' if changing == 1 else ''}" if changing else f"nothing to do for {every}"]
    if services["changing"]:
        told.append(f"cost {document['cost']['change']}")
    if document["refused"]:
        told.append(f"{len(document['refused'])} refused")
    if document["gap"] is not None and (services["changing"] or not document["refused"]):
        # What gave way is not part of what the proof is about.
        rest = "the rest " if document["refused"] else ""
        told.append(f"{rest}optimal" if document["gap"] == 0 else f"{rest}within {document['gap']:.1%} of the optimum")
    if document["lost"]:
        told.append(f"lost: {', '.join(document['lost'])}")
    return " · ".join(told)


def _findings(concluded: Round) -> tuple[Finding, ...]:
    every = (*concluded.findings, *(finding for item in concluded.advice for finding in item.plan.findings))
    return merged(sorted(every, key=lambda finding: (finding.about, finding.reason, finding.message)))


def _difference(concluded: Round) -> int:
    """Micro-USD per hour that following everything makes."""
    stage = concluded.stage
    return int((stage.base.problem.price * (followed(concluded) - stage.base.problem.now)).sum())


def _gap(concluded: Round) -> float | None:
    plans = [plan for plan in (concluded.acting, *(item.plan for item in concluded.advice)) if plan is not None]
    gaps = [gap for plan in plans if (gap := gap_of(plan)) is not None]
    return round(max(gaps), 6) if gaps and len(gaps) == len(plans) else None


def _change(change: Change) -> Document:
    # Whose requirement it is stands beside it; only what others ask for is worth a name.
    asked_by = f" ({change.intents[0]})"
    return {
        "service": str(change.workload),
        "workload": change.workload.key,
        "mode": change.mode.value,
        "intents": [str(ref) for ref in change.intents],
        "now": dict(change.before),
        "then": dict(change.after),
        "adds": change.adds,
        "removes": change.removes,
        "why": [reason.removesuffix(asked_by) for reason in change.reasons],
        "moves": [
            {"cluster": cluster, "now": dict(change.before).get(cluster, 0), "then": dict(change.after).get(cluster, 0)}
            for cluster in sorted({*dict(change.before), *dict(change.after)})
            if dict(change.before).get(cluster, 0) != dict(change.after).get(cluster, 0)
        ],
        "risk": _risk(change),
        "cost": {"unit": "USD/day", "now": _a_day(change.cost_before), "then": _a_day(change.cost_after)},
    }


def _risk(change: Change) -> str:
    if not change.removes:
        return f"none leaves, {change.adds} start"
    first = f"{change.removes} leave" + (f" after {change.adds} are Ready" if change.adds else "")
    return first + ("" if change.guarded else "; no PodDisruptionBudget")


def _finding(finding: Finding, declared: Collection[IntentRef]) -> Document:
    return {
        "reason": finding.reason.value,
        "message": finding.message,
        "about": [str(ref) for ref in sorted(finding.about, key=lambda ref: ref not in declared)],
        "service": str(finding.workload) if finding.workload else None,
        "remedies": list(finding.remedies),
    }


def _stays(concluded: Round) -> Iterator[Document]:
    """Placements that could move nothing, because traffic stays where it arrives."""
    stage = concluded.stage
    for one in stage.of(PlacementIntent):
        staying = [row for row in one.rows if stage.loads.get(row) is Load.PER_DOMAIN]
        spread = [row for row in staying if len(stage.snapshot.fleet.spec_replicas(row)) > 1]
        if spread and one.intent.load is not Load.FOLLOWS_REPLICAS:
            yield {
                "reason": Reason.AS_DECLARED.value,
                "message": f"{counted(len(spread), 'service')} left in place: traffic doesn't follow replicas (load: PerDomain)",
                "about": [str(one.intent.common.ref)],
                "service": None,
                "remedies": ["declare load: FollowsReplicas where only the total matters"],
            }


def _intent(concluded: Round, number: int) -> Document:
    verdict = concluded.verdicts[number]
    ready = next((condition for condition in verdict.conditions if condition.kind is Kind.READY), None)
    return {
        "intent": str(verdict.intent),
        "mode": verdict.mode.value,
        "ready": ready.status.value if ready else "Unknown",
        "reason": ready.reason.value if ready else "",
        "summary": verdict.summary,
        "workloads": verdict.workloads,
        "survivable": list(verdict.survivable) if verdict.survivable else None,
    }


def _lines(findings: Iterable[Document]) -> Iterator[str]:
    for finding in findings:
        named = finding["about"]
        more = f" and {len(named) - NAMED} more" if len(named) > NAMED else ""
        about = f"{', '.join(named[:NAMED])}{more}: " if named else ""
        ways = f" → {' · or '.join(finding['remedies'])}" if finding["remedies"] else ""
        yield f"{about}{finding['message']}{ways}"


def _places(replicas: dict[str, int]) -> str:
    return " · ".join(f"{cluster} {count}" for cluster, count in replicas.items()) or "–"


def _a_day(rate: int) -> float:
    """Micro-USD per hour as dollars per day, to the hundredth of a cent."""
    return round(rate * HOURS_A_DAY / 1_000_000, 4)
