"""`archgov demo`: a fleet of clusters on this machine."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Final

import typer

from archgov.cli.demo.command import play

DEMO: Final = Path(".archgov/demo")
EXAMPLES: Final = (
    "Examples: archgov demo · archgov demo --keep · archgov demo --speed 4 · archgov demo --fleet prod.snapshot"
)


def demo(
    keep: Annotated[bool, typer.Option("--keep", help="Stay up afterwards, for kubectl.")] = False,
    speed: Annotated[float, typer.Option(help="Divides the time that pods take to start.", min=0.1, max=100)] = 1.0,
    fleet: Annotated[
        Path | None,
        typer.Option(
            "--fleet",
            metavar="SNAPSHOT",
            help="Play the fleet of a snapshot instead: its intents, else suggested ones.",
        ),
    ] = None,
    directory: Annotated[Path, typer.Option(help="Where kubeconfig, logs and records go.")] = DEMO,
) -> int:
    """Govern a fleet of clusters on this machine: intents, a region lost, a region back.

    Exits with 0 only if every promised outcome was observed.
    """
    return play(directory, keep=keep, speed=speed, fleet=fleet)
