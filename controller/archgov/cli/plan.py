"""`archgov plan`: what would change, before it happens."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Final

import typer

from archgov.cli.options import (
    As,
    Context,
    Json,
    Kubeconfig,
    Namespace,
    Out,
    Snapshot,
    StaleAfter,
    Without,
    output,
)
from archgov.cli.output import Format, show
from archgov.cli.source import STALE_AFTER, Source, fleet, overlaid
from archgov.cli.told import code, plan_blocks, plan_document
from archgov.decide.round import conclude

EXAMPLES: Final = (
    "Examples: archgov plan -f intents/ --snapshot prod.snapshot -o markdown · archgov plan -f intents/ --context prod · "
    "archgov plan (what the intents that are there would do)"
)


def plan(
    files: Annotated[
        list[Path] | None,
        typer.Option("--filename", "-f", metavar="DIR", help="Files or directories of intents. Repeatable."),
    ] = None,
    snapshot: Snapshot = None,
    kubeconfig: Kubeconfig = None,
    context: Context = "",
    namespace: Namespace = "default",
    prune: Annotated[bool, typer.Option("--prune", help="Plan as if only the intents of -f existed.")] = False,
    stale_after: StaleAfter = STALE_AFTER,
    without: Without = None,
    format_: As = Format.TABLE,
    as_json: Json = False,
    out: Out = None,
) -> int:
    """What would change, and why, if these intents were declared.

    Intents of -f are laid over those that are there: the same kind, namespace and name is replaced, nothing is removed
    without --prune. Nothing is written anywhere. Exits with 0 when nothing would change, 2 when something would, 3 when
    something is refused or infeasible.
    """
    to = output(format_, as_json, out)
    seen = fleet(Source(snapshot, kubeconfig, context), stale_after, without or ())
    asked = overlaid(seen, files or (), namespace, prune=prune) if files or prune else seen
    before = {intent.common.ref: intent for intent in seen.intents}
    declared = frozenset(one.common.ref for one in asked.intents if before.get(one.common.ref) != one)
    document = plan_document(conclude(asked), declared)
    show(document, plan_blocks(document), to)
    return code(document)
