"""`archgov suggest`: intents for a fleet that has none yet."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from archgov.cli.declare import Body, body
from archgov.cli.options import As, Context, Json, Kubeconfig, Out, Snapshot, StaleAfter, Without, output
from archgov.cli.output import Block, Format, Heading, Listing, Output, Table, emit, in_yaml, show
from archgov.cli.source import STALE_AFTER, Source, fleet
from archgov.decide.suggest import Suggestion, Suggestions
from archgov.decide.suggest import suggest as suggested

EXAMPLES: Final = (
    "Examples: archgov suggest --snapshot prod.snapshot --out intents/suggested.yaml · "
    "archgov suggest --context prod -o table"
)
MARK: Final = "archgov.io/suggest"
WHY: Final = "archgov.io/why"
LOSS: Final = "archgov.io/mends"
# YAML is for applying; whoever wants every finding asks for the table.
MOST_TOLD: Final = 20


def suggest(
    snapshot: Snapshot = None,
    kubeconfig: Kubeconfig = None,
    context: Context = "",
    stale_after: StaleAfter = STALE_AFTER,
    without: Without = None,
    format_: As = Format.YAML,
    as_json: Json = False,
    out: Out = None,
) -> int:
    """Write intents that describe what is good today and, marked archgov.io/suggest: mend, such that mend the worst.

    Planning the ones that describe changes nothing. Planning one that mends recommends changes after which the loss that
    it names is survived. Nothing is applied: read them, then kubectl apply.
    """
    to = output(format_, as_json, out)
    found = suggested(fleet(Source(snapshot, kubeconfig, context), stale_after, without or ()))
    bodies = [_marked(one) for one in (*found.describing, *found.mending)]
    if to.format is Format.YAML:
        emit(_yaml(bodies, found), to.out)
    else:
        listed = {"apiVersion": "v1", "kind": "List", "items": bodies}
        show(listed, _blocks(found), Output(to.format, to.out))
    return 0


def _marked(one: Suggestion) -> Body:
    marks = {WHY: one.why, MARK: "describe"}
    if one.mends is not None:
        marks |= {MARK: "mend", LOSS: f"{one.mends.level}/{one.mends.name}"}
    return body(one.intent, marks)


def _yaml(bodies: list[Body], found: Suggestions) -> str:
    told = [f"# not mended: {line}" for line in found.left[:MOST_TOLD]]
    if len(found.left) > MOST_TOLD:
        told.append(f"# and {len(found.left) - MOST_TOLD} more that no suggestion mends; see them all with -o table")
    left = "".join(f"{line}\n" for line in told)
    if not bodies:
        return f"# nothing to suggest: intents govern everything that could be governed\n{left}"
    return left + in_yaml(bodies)


def _blocks(found: Suggestions) -> Iterator[Block]:
    yield Heading(f"archgov suggest · {len(found.describing)} describe today, {len(found.mending)} mend")
    yield Table(
        ("intent", "workloads", "does", "why"),
        tuple(
            (
                str(one.intent.common.ref),
                ", ".join(one.intent.common.target.names) or "all",
                "describe" if one.mends is None else "mend",
                one.why,
            )
            for one in (*found.describing, *found.mending)
        ),
    )
    yield Listing("Not mended", found.left)
