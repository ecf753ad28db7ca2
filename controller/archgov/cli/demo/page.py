"""The report of the demo: the fleet as it was before any intent, and what follows from those that were declared."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from archgov.cli.access import access
from archgov.cli.demo.fleet import HUB
from archgov.cli.live import look
from archgov.cli.output import save
from archgov.cli.report import page
from archgov.decide.round import conclude
from archgov.model.snapshot import Snapshot


def picture(kubeconfig: Path) -> Snapshot:
    """The fleet as it is now."""
    return look(access(kubeconfig, HUB))[0]


def write(before: Snapshot, kubeconfig: Path, file: Path) -> None:
    """Writes the page about the fleet that was, with the intents that are there now."""
    now = picture(kubeconfig)
    asked = replace(before, intents=now.intents, series=now.series, governance=now.governance)
    save(page(conclude(asked)).encode(), file)
