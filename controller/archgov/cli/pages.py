"""What the operator's read-only API answers with: the same as the commands."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from archgov.cli.explain import explained
from archgov.cli.failure import Failure
from archgov.cli.history import compared, listed
from archgov.cli.report import page
from archgov.decide.round import Round
from archgov.edge.serve import MOST_ROWS, NotThere
from archgov.model.ref import WorkloadRef
from archgov.model.snapshot import Snapshot

OTHERS: Final = "(in another namespace)"
# A dot ends sentences too.
_NAME: Final = re.compile(r"[\w-]+(?:\.[\w-]+)*(?:/[\w-]+(?:\.[\w-]+)*){1,2}")


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
        document = _asked(lambda: explained(snapshot, name, asked["namespace"], workload, why_not))
        return without_others(document, snapshot, asked["namespace"])

    def report(self, concluded: Round) -> str:
        return page(concluded, self._rows())

    def _rows(self) -> Sequence[dict[str, Any]]:
        """What the timeline is drawn from; none where there is no ledger, or nothing in it yet."""
        if self._ledger is None:
            return ()
        try:
            return listed(self._ledger, "", "", MOST_ROWS)
        except Failure:
            return ()

    def _file(self) -> Path:
        if self._ledger is None:
            raise NotThere("this archgov keeps no ledger (ARCHGOV_LEDGER_FILE)")
        return self._ledger


def without_others(document: Any, snapshot: Snapshot, namespace: str) -> Any:
    """An explanation for somebody who may read one namespace only: the workloads it is about keep their names, others' don't.

    Plans are made for the whole fleet, so what stands in an intent's way is often somebody else's.
    """
    intents = {f"{intent.common.ref.namespace}/{intent.common.ref.name}" for intent in snapshot.intents}
    about = {workload["service"] for workload in document["workloads"]}

    def is_others(name: str) -> bool:
        # Namespace and name; before them the kind of an intent, or between them that of a workload.
        first, *middle, last = name.split("/")
        if namespace in (first, *middle) or name in about:
            return False
        workload = WorkloadRef(first, middle[0] if middle else "Deployment", last)
        is_intent = any(f"{space}/{last}" in intents for space in (first, *middle))
        return is_intent or snapshot.fleet.row(workload) is not None

    def told(value: Any) -> Any:
        match value:
            case str():
                return _NAME.sub(lambda found: OTHERS if is_others(found[0]) else found[0], value)
            case dict():
                return {key: told(inner) for key, inner in value.items()}
            case list() | tuple():
                return [told(inner) for inner in value]
            case _:
                return value

    return told(document)


def _asked(question: Callable[[], Any]) -> Any:
    try:
        return question()
    except Failure as failure:
        # The hints of the commands name what else there is; a reader may not be allowed to know.
        raise NotThere(failure.what) from None
