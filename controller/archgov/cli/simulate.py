"""`archgov simulate`: what if."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Annotated, Any, Final

import typer

from archgov.cli.failure import Failure
from archgov.cli.options import As, Context, Json, Kubeconfig, Out, Snapshot, StaleAfter, Without, output
from archgov.cli.output import Block, Format, Listing, Table, Text, show
from archgov.cli.source import STALE_AFTER, Source, fleet
from archgov.cli.told import REFUSED, code, plan_blocks, plan_document
from archgov.decide.place import Place, UnknownPlace, place
from archgov.decide.simulate import Impact, Simulation
from archgov.decide.simulate import simulate as simulated
from archgov.model.quantity import duration
from archgov.model.snapshot import Snapshot as Fleet

EXAMPLES: Final = (
    "Examples: archgov simulate --fail region/eu-west --snapshot prod.snapshot · archgov simulate --fail eu-1/a --fail eu-2 · "
    "archgov simulate --demand +30% -o json"
)
_DEMAND: Final = re.compile(r"([+-])(\d{1,4})%")


def simulate(
    failed: Annotated[
        list[str] | None,
        typer.Option(
            "--fail",
            metavar="PLACE",
            help="What is lost: a cluster, cluster/zone, or region/…, zone/<region>/…, provider/…. Repeatable.",
        ),
    ] = None,
    demand: Annotated[
        str, typer.Option("--demand", metavar="CHANGE", help="How all declared demand changes, such as +30%.")
    ] = "+0%",
    snapshot: Snapshot = None,
    kubeconfig: Kubeconfig = None,
    context: Context = "",
    stale_after: StaleAfter = STALE_AFTER,
    without: Without = None,
    format_: As = Format.TABLE,
    as_json: Json = False,
    out: Out = None,
) -> int:
    """What if a region, cluster or zone were lost, or demand grew: the same judgement, asked of an edited fleet.

    A lost place is silent, its witnesses are silent too. Shown are the answer of archgov at once, then what stays short.
    Exits with 0 when nothing would be done, 2 when something would, 3 when a floor can't be held or something else is infeasible.
    """
    to = output(format_, as_json, out)
    percent = _percent(demand)
    if not failed and percent == 100:
        raise Failure("nothing is supposed to happen", "say what with --fail PLACE, --demand +30%, or both")
    seen = fleet(Source(snapshot, kubeconfig, context), stale_after, without or ())
    found = simulated(seen, places(seen, failed or ()), percent)
    document = _document(found, failed or [], demand)
    show(document, _blocks(document), to)
    return code(document["plan"])


def places(seen: Fleet, names: list[str] | tuple[str, ...]) -> list[Place]:
    """Places of a fleet by name.

    Raises:
        Failure: one isn't there.
    """
    try:
        return [place(seen.fleet, name) for name in names]
    except UnknownPlace as error:
        what, _, fix = str(error).partition("; ")
        raise Failure(what, fix) from None


def _percent(text: str) -> int:
    match = _DEMAND.fullmatch(text)
    if match is None or (match[1] == "-" and int(match[2]) > 100):
        raise Failure(f'--demand is "{text}"', "write a change such as +30% or -10%")
    return 100 + int(match[1] + match[2])


def _document(found: Simulation, failed: list[str], demand: str) -> dict[str, Any]:
    plan = plan_document(found.round)
    if any(impact.floor is not None and impact.short for impact in found.impacts):
        plan["result"] = REFUSED
    return {
        "failed": failed,
        "demand": demand,
        "answer": "FastPath" if found.round.acting is None else "Plan",
        "impacts": [_impact(impact) for impact in found.impacts],
        "doubts": list(found.doubts),
        "undeclaredDemand": found.undeclared,
        "plan": plan,
    }


def _impact(impact: Impact) -> dict[str, Any]:
    return {
        "service": str(impact.workload),
        "need": impact.need,
        "left": impact.left,
        "after": impact.after,
        "floor": impact.floor,
        "short": impact.short,
        "rtoSeconds": impact.rto or None,
    }


def _blocks(document: dict[str, Any]) -> Iterator[Block]:
    fails = [f"{', '.join(document['failed'])} fails"] if document["failed"] else []
    grows = [] if document["demand"] == "+0%" else [f"demand {document['demand']}"]
    yield from plan_blocks(document["plan"], " · ".join(["archgov simulate", *fails, *grows]))
    if document["answer"] == "FastPath":
        yield Text(
            "This is the fast path: floors of survivors are raised at once, without a solve; nothing else is touched."
        )
    yield Table(
        ("service", "need", "left", "after", "floor", "short", "RTO"),
        tuple(
            (
                impact["service"],
                str(impact["need"]),
                str(impact["left"]),
                str(impact["after"]),
                "–" if impact["floor"] is None else str(impact["floor"]),
                str(impact["short"] or "–"),
                f"unknown, {duration(impact['rtoSeconds'])} allowed" if impact["rtoSeconds"] else "unknown",
            )
            for impact in document["impacts"]
        ),
    )
    if document["impacts"]:
        yield Text("RTO is unknown: how long pods take to start is not in a snapshot; it is measured where it happens.")
    yield Listing("Would not be acted on by itself", tuple(document["doubts"]))
    if document["undeclaredDemand"]:
        yield Text(
            f"{document['undeclaredDemand']} governed services declare no demand and keep their replicas; "
            "a CapacityIntent would say what they need."
        )
