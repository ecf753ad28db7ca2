"""The report of the demo: the fleet as it is at its end, and how it came to that."""

from __future__ import annotations

from pathlib import Path

from archgov.cli.access import access
from archgov.cli.demo.fleet import HUB
from archgov.cli.history import listed
from archgov.cli.live import look
from archgov.cli.output import save
from archgov.cli.report import page
from archgov.decide.round import conclude
from archgov.model.snapshot import Snapshot


def picture(kubeconfig: Path) -> Snapshot:
    """The fleet as it is now."""
    return look(access(kubeconfig, HUB))[0]


def write(before: Snapshot, kubeconfig: Path, ledger: Path, file: Path) -> None:
    """Writes the page about the fleet as it is, what was decided on the way, and what changed since there were no intents."""
    save(page(conclude(picture(kubeconfig)), listed(ledger, "", "", 0), before).encode(), file)
