"""What the operator's read-only API answers with: the same as the commands."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from archgov.cli.explain import explained
from archgov.cli.failure import Failure
from archgov.cli.history import compared, listed
from archgov.cli.report import page
from archgov.decide.round import Round
from archgov.edge.serve import NotThere
from archgov.model.snapshot import Snapshot


class LedgerPages:
    """Pages over one ledger and the operator's own picture."""

    def __init__(self, ledger: Path | None) -> None:
        self._ledger = ledger

    def history(self, namespace: str, decision: str, last: int) -> Any:
        return _asked(lambda: listed(self._file(), namespace, decision, last))

    def replay(self, namespace: str, decision: str) -> Any:
        return _asked(lambda: compared(self._file(), namespace, decision, None))

    def explain(self, snapshot: Snapshot, asked: Mapping[str, str]) -> Any:
        name = f"{asked['kind']}/{asked['name']}"
        workload, why_not = asked.get("workload", ""), asked.get("whyNot", "")
        return _asked(lambda: explained(snapshot, name, asked["namespace"], workload, why_not))

    def report(self, concluded: Round) -> str:
        return page(concluded)

    def _file(self) -> Path:
        if self._ledger is None:
            raise NotThere("this archgov keeps no ledger (ARCHGOV_LEDGER_FILE)")
        return self._ledger


def _asked(question: Any) -> Any:
    try:
        return question()
    except Failure as failure:
        raise NotThere(str(failure).removeprefix("error: ")) from None
