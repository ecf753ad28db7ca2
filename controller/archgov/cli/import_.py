"""`archgov import`: a fleet from a public trace as a snapshot."""

from __future__ import annotations

import io
import time
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Final

import typer

from archgov.cli.failure import Failure
from archgov.cli.importer.openb import openb
from archgov.cli.importer.requests import BadTrace
from archgov.cli.options import As, Json, output
from archgov.cli.output import Format, Output, Text, save, show
from archgov.model import snapshot as model

EXAMPLES: Final = "Example: archgov import openb traces/openb --list gpuspec10 --out openb.snapshot"


class Trace(StrEnum):
    """Traces that can be imported."""

    OPENB = "openb"


def import_(
    trace: Annotated[Trace, typer.Argument(help="Which trace: openb, the GPU cluster trace of 2023.")],
    folder: Annotated[Path, typer.Argument(metavar="DIR", help="Where its files are; web-requests lies beside it.")],
    pods: Annotated[str, typer.Option("--list", metavar="NAME", help="Which pod list, such as gpuspec10.")],
    out: Annotated[Path, typer.Option("--out", metavar="FILE", help="Where the snapshot goes.")],
    seed: Annotated[int, typer.Option(help="Of the order in which pods are placed.")] = 1,
    format_: As = Format.TABLE,
    as_json: Json = False,
) -> int:
    """Turn a public cluster trace into a snapshot, for plan, simulate, explain, suggest and report.

    What the trace doesn't say (regions, zones, prices) is assumed; the assumptions are kept in the snapshot, and told.
    """
    try:
        found = openb(folder, pods, seed=seed, now=time.time_ns() // 1_000_000)
    except BadTrace as error:
        raise Failure(str(error), f"name the folder of the {trace} trace, and one of its lists with --list") from None
    content = io.BytesIO()
    model.save(found, content)
    save(content.getvalue(), out)
    fleet = found.fleet
    document = {
        "file": str(out),
        "digest": found.digest,
        "clusters": len(fleet.clusters),
        "nodes": len(fleet.nodes.name),
        "workloads": len(fleet.workloads.key),
        "pods": int(fleet.deployed.replicas.sum()),
        "notes": list(found.notes),
    }
    counts = ", ".join(f"{document[key]} {key}" for key in ("clusters", "nodes", "workloads", "pods"))
    to: Output = output(format_, as_json, None)
    show(document, [Text(f"{out}: {counts}, digest {found.digest[:12]}"), *(Text(note) for note in found.notes)], to)
    return 0
