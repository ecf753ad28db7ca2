"""`archgov explain`: why, and why not."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated, Any, Final

import typer

from archgov.api.registry import INTENTS, KINDS
from archgov.cli.failure import Exit, Failure
from archgov.cli.options import As, Context, Json, Kubeconfig, Namespace, Out, Snapshot, StaleAfter, Without, output
from archgov.cli.output import Block, Format, Heading, Listing, Table, Text, show
from archgov.cli.simulate import places
from archgov.cli.source import STALE_AFTER, Source, fleet
from archgov.cli.told import Document, plan_document
from archgov.decide.explain import WhyNot, a_day, usd, why_not
from archgov.decide.round import Round, conclude
from archgov.decide.select import Governed
from archgov.decide.still import being_answered, need_of, plan_of, why_still
from archgov.decide.tell import gap_of
from archgov.model.condition import Reason
from archgov.model.intent import Intent
from archgov.model.quantity import counted
from archgov.model.ref import IntentRef
from archgov.model.snapshot import Snapshot as Observed

EXAMPLES: Final = (
    "Examples: archgov explain pi/cheap-workers -n media · "
    "archgov explain pi/cheap-workers -n media --workload transcode --why-not region/us-east"
)
# A question about a whole namespace is answered for some; each answer takes several solves.
MOST: Final = 5
NOTHING_TO_DO: Final = "nothing to do: every requirement holds, nothing better pays"


def explain(
    name: Annotated[str, typer.Argument(metavar="KIND/NAME", help="An intent, such as pi/eu-only.")],
    workload: Annotated[str, typer.Option("--workload", metavar="NAME", help="Only this workload of the intent.")] = "",
    why: Annotated[
        str,
        typer.Option("--why-not", metavar="PLACE", help="A cluster, cluster/zone, or a scope such as region/us-east."),
    ] = "",
    namespace: Namespace = "default",
    snapshot: Snapshot = None,
    kubeconfig: Kubeconfig = None,
    context: Context = "",
    stale_after: StaleAfter = STALE_AFTER,
    without: Without = None,
    format_: As = Format.TABLE,
    as_json: Json = False,
    out: Out = None,
) -> int:
    """Why an intent's workloads are where they are, or go where they go; with --why-not, why not elsewhere.

    --why-not solves again with one more replica forced into the place, and tells what that costs or what forbids it.
    """
    to = output(format_, as_json, out)
    _ref(name, namespace)
    seen = fleet(Source(snapshot, kubeconfig, context), stale_after, without or ())
    document = explained(seen, name, namespace, workload, why)
    show(document, _blocks(document), to)
    return Exit.OK


def explained(seen: Observed, name: str, namespace: str, workload: str, why: str) -> Document:
    """Why the workloads of an intent are where they are, with stable names.

    Raises:
        Failure: there is no such intent, workload or place.
    """
    ref = _ref(name, namespace)
    if ref not in {intent.common.ref for intent in seen.intents}:
        raise Failure(f"there is no {ref}", _elsewhere(ref, [intent.common.ref for intent in seen.intents]))
    asked = places(seen, [why])[0] if why else None
    concluded = conclude(seen)
    one = next(one for one in concluded.stage.selection.governed if one.intent.common.ref == ref)
    rows = _rows(concluded, one, workload)
    document = _document(concluded, one, rows)
    if asked is not None:
        document["whyNot"] = [_answer(why_not(concluded, one, row, asked)) for row in rows[:MOST]]
        document["leftOut"] = max(0, len(rows) - MOST)
    return document


def _ref(name: str, namespace: str) -> IntentRef:
    """The intent that KIND/NAME means; kinds go by name, plural or short name."""
    kind, _, bare = name.partition("/")
    known = {
        alias: found.name
        for found in (KINDS[intent] for intent in INTENTS)
        for alias in (found.short, found.singular, found.plural)
    }
    if not bare or kind.lower() not in known:
        raise Failure(f'"{name}" names no intent', f"write KIND/NAME; kinds are {', '.join(known)}")
    return IntentRef(known[kind.lower()], namespace, bare)


def _elsewhere(ref: IntentRef, known: list[IntentRef]) -> str:
    """Where an intent of that name is, or which ones there are."""
    spaces = [other.namespace for other in known if (other.kind, other.name) == (ref.kind, ref.name)]
    if spaces:
        ways = " or ".join(f"-n {space}" for space in spaces)
        return f"it exists in {'namespace' if len(spaces) == 1 else 'namespaces'} {', '.join(spaces)}: add {ways}"
    return f"intents here: {', '.join(other.key for other in known) or 'none'}"


def _rows(concluded: Round, one: Governed[Intent], workload: str) -> tuple[int, ...]:
    """The workloads in question; one that is named may also be load that is never moved."""
    fleet_ = concluded.stage.snapshot.fleet
    if not workload:
        return one.rows
    namespaces = {fleet_.ref(row).namespace for row in one.rows} | {one.intent.common.ref.namespace}
    found = [
        row for space in sorted(namespaces) for row in fleet_.workloads.key.prefixed(f"{space}/")
        if workload in (fleet_.ref(row).name, str(fleet_.ref(row)), fleet_.ref(row).key)
    ]  # fmt: skip
    governed = tuple(row for row in found if row in one.rows)
    if not found:
        some = ", ".join(fleet_.ref(row).name for row in one.rows[:10]) or "none"
        raise Failure(f'there is no workload "{workload}"', f"{one.intent.common.ref} governs {some}")
    return governed or tuple(found)


def _document(concluded: Round, one: Governed[Intent], rows: tuple[int, ...]) -> Document:
    ref, fleet_ = one.intent.common.ref, concluded.stage.snapshot.fleet
    every = plan_document(concluded)["changes"]
    # The fast path says something of failover intents only.
    verdict = next((verdict for verdict in concluded.verdicts if verdict.intent == ref), None)
    findings = verdict.findings if verdict else tuple(found for found in concluded.findings if ref in found.about)
    names = {str(fleet_.ref(row)) for row in rows}
    plan = plan_of(concluded, one)
    gap = gap_of(plan) if plan and not any(found.reason is Reason.INFEASIBLE for found in findings) else None
    return {
        "intent": str(ref),
        "mode": one.intent.common.mode.value,
        "summary": verdict.summary if verdict else being_answered(concluded),
        "conditions": [
            {"type": c.kind.value, "status": c.status.value, "reason": c.reason.value, "message": c.message}
            for c in (verdict.conditions if verdict else ())
        ],
        "workloads": [_workload(concluded, one, row, every) for row in rows],
        "changes": [c for c in every if str(ref) in c["intents"] and c["service"] in names],
        "findings": [{"reason": f.reason.value, "message": f.message, "remedies": list(f.remedies)} for f in findings],
        "decided": {
            "snapshot": concluded.snapshot,
            "engine": plan.solution.engine if plan else "levels",
            "seed": concluded.stage.snapshot.seed,
            "gap": None if gap is None else round(gap, 6),
        },
    }


def _workload(concluded: Round, one: Governed[Intent], row: int, every: list[Document]) -> dict[str, Any]:
    stage, fleet_ = concluded.stage, concluded.stage.snapshot.fleet
    mine, need = str(one.intent.common.ref), need_of(concluded, one, row)
    priced = stage.base.problem.price[stage.base.rows.index(row)] if row in stage.base.rows else None
    spec = fleet_.spec_replicas(row)
    found = [change for change in every if change["service"] == str(fleet_.ref(row))]
    change = next((change for change in found if mine in change["intents"]), next(iter(found), None))
    return {
        "service": str(fleet_.ref(row)),
        "need": need.total,
        "because": need.source
        if not need.owner or need.owner == one.name
        else f"{need.source} of {IntentRef.parse(need.owner)}",
        "at": {fleet_.clusters[k].name: count for k, count in spec.items()},
        "then": change["then"] if change else None,
        "why": list(_why(concluded, one, row, change)),
        "price": {fleet_.clusters[k].name: usd(int(priced[k])) for k in spec} if priced is not None else {},
    }


def _why(concluded: Round, one: Governed[Intent], row: int, change: Document | None) -> Iterator[str]:
    """Why a workload changes, and who else changes it; or why it stays."""
    if change is None:
        yield from why_still(concluded, one, row) or (NOTHING_TO_DO,)
        return
    yield from change["why"]
    if str(one.intent.common.ref) not in change["intents"]:
        yield f"by {change['intents'][0]} ({change['mode']})"
        yield from filter(None, [being_answered(concluded)])


def _answer(found: WhyNot) -> dict[str, Any]:
    return {
        "service": str(found.workload),
        "place": found.place,
        "there": found.there,
        "countedIn": found.counted_in,
        "tried": found.cluster,
        "price": usd(found.price),
        "chosen": {cluster: usd(price) for cluster, price in found.chosen},
        "fits": found.fits,
        "freeCores": found.free / 1000,
        "extra": None if found.extra is None else a_day(found.extra),
        "adds": found.in_all,
        "displaced": list(found.displaced),
        "conflict": list(found.conflict),
        "chosenIf": list(found.when),
    }


def _blocks(document: Document) -> Iterator[Block]:
    yield Heading(f"{document['intent']} · {document['mode']} · {document['summary']}")
    if "whyNot" in document:
        for answer in document["whyNot"]:
            yield from _told(answer)
        if document["leftOut"]:
            yield Text(f"{counted(document['leftOut'], 'more workload')}: name one with --workload")
    else:
        yield from _state(document)
    decided = document["decided"]
    gap = "" if decided["gap"] is None else f", gap {decided['gap']:.1%}"
    yield Text(
        f"Decided from snapshot {decided['snapshot'][:12]}, engine {decided['engine']}, seed {decided['seed']}{gap}."
    )


def _state(document: Document) -> Iterator[Block]:
    rows = [
        (
            workload["service"],
            f"{workload['need']} ({workload['because']})",
            _line(workload["at"]),
            _line(workload["then"]) if workload["then"] is not None else "as it is",
            "; ".join(workload["why"]),
            _line(workload["price"]),
        )
        for workload in document["workloads"]
    ]
    yield Table(("service", "need", "now", "then", "why", "$/replica-hour"), tuple(rows))
    yield Table(
        ("condition", "status", "reason", "message"),
        tuple((c["type"], c["status"], c["reason"], c["message"]) for c in document["conditions"]),
    )
    yield Listing(
        "Findings",
        tuple(f["message"] + "".join(f" → {remedy}" for remedy in f["remedies"][:1]) for f in document["findings"]),
    )


def _line(pairs: dict[str, Any]) -> str:
    return " · ".join(f"{name} {value}" for name, value in pairs.items()) or "–"


def _told(answer: dict[str, Any]) -> Iterator[Block]:
    yield Heading(_asked(answer))
    rows = [("cost there", f"{answer['price']} $/replica-hour (chosen {_line(answer['chosen'])})")]
    if answer["extra"] is not None:
        more = f"; {counted(answer['adds'], 'replica')} more in all" if answer["adds"] else ""
        pushed = f"; it would push out {', '.join(answer['displaced'])}" if answer["displaced"] else ""
        rows.append(("one forced there", f"{answer['extra']} in {answer['tried']}{more}{pushed}"))
    else:
        rows.append(("one forced there", "can't be"))
    pods = f"{counted(answer['fits'], 'more pod')} of this shape on real nodes"
    rows.append(("what fits", f"{pods} ({_cores(answer['freeCores'])} free, in pieces)"))
    yield Listing("In numbers", tuple(f"{what:<17} {told}" for what, told in rows))
    yield Listing("It collides with", tuple(answer["conflict"]))
    yield Listing("It would be chosen if", tuple(answer["chosenIf"]))


def _asked(answer: dict[str, Any]) -> str:
    place, inside, service = answer["place"], answer["countedIn"], answer["service"]
    if not answer["there"]:
        return f"{place} was not chosen for {service}."
    if inside == place:
        return f"{place} holds {answer['there']} of {service}; this is about one more."
    hold = "hold" if "," in inside else "holds"
    return f"{inside} {hold} {answer['there']} of {service}, in which zone isn't planned; this is about one more in {place}."


def _cores(amount: float) -> str:
    return f"{amount:g} core" + ("" if amount == 1 else "s")
