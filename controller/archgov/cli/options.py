"""Options that several commands share."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from archgov.cli.output import Format, Output

Snapshot = Annotated[
    Path | None, typer.Option("--snapshot", metavar="FILE", help="Look at a saved fleet (archgov snapshot) instead.")
]
Kubeconfig = Annotated[
    Path | None,
    typer.Option(
        "--kubeconfig",
        metavar="FILE",
        help="Left out: $KUBECONFIG, the pod's own account, ~/.kube/config, in this order.",
    ),
]
Context = Annotated[str, typer.Option("--context", help="Context of the kubeconfig. Left out: its current one.")]
Namespace = Annotated[str, typer.Option("--namespace", "-n", help="Namespace of what names none.")]
As = Annotated[Format, typer.Option("--output", "-o", help="How the result is written.")]
Json = Annotated[bool, typer.Option("--json", help="The same as -o json.")]
Out = Annotated[Path | None, typer.Option("--out", metavar="FILE", help="Write the result to a file.")]
StaleAfter = Annotated[
    str,
    typer.Option(
        "--stale-after", metavar="DURATION", help="Refuse while a cluster was last seen longer ago, such as 10m."
    ),
]
Without = Annotated[
    list[str] | None,
    typer.Option("--without", metavar="CLUSTER", help="Leave a cluster out, as if it were no member. Repeatable."),
]


def output(format_: Format, as_json: bool, out: Path | None) -> Output:
    """What the options say about the result."""
    return Output(Format.JSON if as_json else format_, out)
