"""`archgov report`: one page that needs nothing else."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Annotated, Any, Final

import typer
from jinja2 import Environment, FileSystemLoader, StrictUndefined

from archgov.cli.failure import Exit
from archgov.cli.history import listed
from archgov.cli.options import Context, Kubeconfig, Namespace, Snapshot, StaleAfter, Without
from archgov.cli.outlook import outlook
from archgov.cli.output import save
from archgov.cli.picture import FULL, bars, matrix
from archgov.cli.source import STALE_AFTER, Source, fleet, overlaid, saved
from archgov.cli.timeline import WIDTH, timeline
from archgov.cli.told import plan_document
from archgov.decide.difference import differences
from archgov.decide.explain import WhyNot, changes, few, usd, why_not
from archgov.decide.place import place
from archgov.decide.round import Round, conclude
from archgov.model.quantity import usd_a_day
from archgov.model.snapshot import Snapshot as Observed

EXAMPLES: Final = (
    "Examples: archgov report --snapshot prod.snapshot --out fleet.html · "
    "archgov report -f intents/ --context prod --out fleet.html"
)
TEMPLATE: Final = "report.html.j2"
# Each answer to "why not there" takes several solves.
ASKED: Final = 6


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
    since: Annotated[
        Path | None, typer.Option("--since", metavar="SNAPSHOT", help="Tell what changed since that snapshot.")
    ] = None,
    ledger: Annotated[
        Path | None, typer.Option("--ledger", metavar="FILE", help="Tell what was decided, from that ledger.")
    ] = None,
) -> int:
    """Write one HTML page about the fleet: before and after, survivability, cost, forecasts, decisions with why and why not.

    The page loads nothing from anywhere, follows the reader's light or dark preference, and prints.
    """
    seen = fleet(Source(snapshot, kubeconfig, context), stale_after, without or ())
    asked = overlaid(seen, files, namespace, prune=False) if files else seen
    history = listed(ledger, "", "", 0) if ledger else []
    save(page(conclude(asked), history, saved(since) if since else None).encode(), out)
    typer.echo(f"{out}: {len(asked.fleet.clusters)} clusters, {len(asked.fleet.workloads.key)} workloads")
    return Exit.OK


def page(concluded: Round, history: Sequence[dict[str, Any]] = (), since: Observed | None = None) -> str:
    """The page about one round.

    Args:
        history: rows of a ledger, for the timeline. since: an earlier observation, to tell what changed.
    """
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
        differences=differences(since, concluded.stage.snapshot) if since is not None else None,
        timeline=timeline(history),
        outlooks=outlook(concluded),
        rejected=tuple(_why_not(concluded)),
        full=FULL,
        span=int(WIDTH),
    )


def _why_not(concluded: Round) -> Iterator[tuple[str, str, str]]:
    """(service, cluster, why not) of the cheapest cluster that each of the largest changes leaves out."""
    stage = concluded.stage
    largest = sorted(
        changes(concluded), key=lambda change: (-abs(change.cost_after - change.cost_before), change.workload)
    )
    for change in largest[:ASKED]:
        row = stage.snapshot.fleet.row(change.workload)
        one = next((one for one in stage.governed if one.intent.common.ref == change.intents[0]), None)
        if row is None or row not in stage.base.rows or one is None:
            continue
        price = stage.base.problem.price[stage.base.rows.index(row)]
        names = [stage.snapshot.fleet.clusters[k].name for k in price.argsort(kind="stable").tolist()]
        left_out = next((name for name in names if name not in dict(change.after)), None)
        if left_out is not None:
            found = why_not(concluded, one, row, place(stage.snapshot.fleet, left_out))
            yield str(change.workload), left_out, _because(found)


def _because(found: WhyNot) -> str:
    if found.conflict:
        return f"it collides with {few(found.conflict)}"
    if found.extra is not None:
        extra = f"one forced there costs {usd_a_day(found.extra)} more" if found.extra > 0 else "it costs the same"
        return f"{extra} ({usd(found.price)} $/replica-hour there)"
    return "no plan puts it there"
