"""`archgov snapshot`: a live fleet as a file."""

from __future__ import annotations

import io
import os
from pathlib import Path
from typing import Annotated, Final

import typer

from archgov.cli.failure import Failure
from archgov.cli.hashed import hashed
from archgov.cli.options import As, Context, Json, Kubeconfig, StaleAfter, Without, output
from archgov.cli.output import Format, Output, Text, save, show
from archgov.cli.source import Source, fleet
from archgov.model import snapshot as model

EXAMPLES: Final = (
    "Examples: archgov snapshot --context prod --out prod.snapshot · "
    "archgov snapshot --out shared.snapshot --hash-names"
)


def snapshot(
    out: Annotated[Path, typer.Option("--out", metavar="FILE", help="Where it goes.")],
    kubeconfig: Kubeconfig = None,
    context: Context = "",
    hash_names: Annotated[
        bool, typer.Option("--hash-names", help="Replace names by hashes, so that the file can be given away.")
    ] = False,
    stale_after: StaleAfter = "0s",
    without: Without = None,
    format_: As = Format.TABLE,
    as_json: Json = False,
) -> int:
    """Save a live fleet to a file, with its intents, for plan, simulate, explain, suggest and report.

    Only names, labels, requests and counts are in it; no Secret is read but the kubeconfigs of the members.
    """
    seen = fleet(Source(None, kubeconfig, context), stale_after, without or ())
    if hash_names:
        seen = hashed(seen, os.urandom(16))
    content = io.BytesIO()
    model.save(seen, content)
    if out.is_dir():
        raise Failure(f"{out} is a directory", "name a file with --out")
    save(content.getvalue(), out)
    document = {
        "file": str(out),
        "digest": seen.digest,
        "clusters": len(seen.fleet.clusters),
        "nodes": len(seen.fleet.nodes.name),
        "workloads": len(seen.fleet.workloads.key),
        "intents": len(seen.intents),
    }
    counts = ", ".join(f"{document[key]} {key}" for key in ("clusters", "nodes", "workloads", "intents"))
    to: Output = output(format_, as_json, None)
    show(document, [Text(f"{out}: {counts}, digest {seen.digest[:12]}")], to)
    return 0
