"""`archgov report`: one page that needs nothing else."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Final

import typer
from jinja2 import Environment, FileSystemLoader, StrictUndefined

from archgov.cli.failure import Exit
from archgov.cli.options import Context, Kubeconfig, Namespace, Snapshot, StaleAfter, Without
from archgov.cli.output import save
from archgov.cli.picture import FULL, bars, matrix
from archgov.cli.source import STALE_AFTER, Source, fleet, overlaid
from archgov.cli.told import plan_document
from archgov.decide.round import Round, conclude
from archgov.model.quantity import usd_a_day

EXAMPLES: Final = (
    "Examples: archgov report --snapshot prod.snapshot --out fleet.html · "
    "archgov report -f intents/ --context prod --out fleet.html"
)
TEMPLATE: Final = "report.html.j2"


def report(
    out: Annotated[Path, typer.Option("--out", metavar="FILE", help="Where the page goes.")],
    files: Annotated[
        list[Path] | None,
        typer.Option("--filename", "-f", metavar="DIR", help="Intents laid over those that are there, as with plan."),
    ] = None,
    snapshot: Snapshot = None,
    kubeconfig: Kubeconfig = None,
    context: Context = "",
    namespace: Namespace = "default",
    stale_after: StaleAfter = STALE_AFTER,
    without: Without = None,
) -> int:
    """Write one HTML page about the fleet: before and after, survivability, cost, decisions with their reasons.

    The page loads nothing from anywhere, follows the reader's light or dark preference, and prints.
    """
    seen = fleet(Source(snapshot, kubeconfig, context), stale_after, without or ())
    asked = overlaid(seen, files, namespace, prune=False) if files else seen
    save(page(conclude(asked)).encode(), out)
    typer.echo(f"{out}: {len(asked.fleet.clusters)} clusters, {len(asked.fleet.workloads.key)} workloads")
    return Exit.OK


def page(concluded: Round) -> str:
    """The page about one round."""
    environment = Environment(
        loader=FileSystemLoader(Path(__file__).parent),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["usd"] = lambda rate: usd_a_day(rate).removesuffix(" $/day")
    return environment.get_template(TEMPLATE).render(
        plan=plan_document(concluded),
        overview=concluded.overview,
        bars=bars(concluded),
        matrix=matrix(concluded),
        full=FULL,
    )
