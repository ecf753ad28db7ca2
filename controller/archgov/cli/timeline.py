"""The decisions of a ledger over time, as the report draws them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from archgov.edge.ledger import BEGINNINGS

MOST = 40
WIDTH = 640.0


@dataclass(frozen=True, slots=True)
class Told:
    """One decision, from its first row to its last.

    Attributes:
        begin, end: where its bar begins and ends. outcome: what became of it so far. steps: what happened, a line each.
    """

    name: str
    intent: str
    opened: str
    outcome: str
    summary: str
    by: str
    begin: float
    end: float
    steps: tuple[str, ...]


def timeline(rows: Sequence[dict[str, Any]]) -> tuple[Told, ...]:
    """The newest decisions first. rows: as `archgov history -o json` gives them."""
    by_name: dict[tuple[str, str], list[dict[str, Any]]] = {}
    for row in rows:
        by_name.setdefault((row["namespace"], row["decision"]), []).append(row)
    known = [some for some in by_name.values() if some[0]["event"] in BEGINNINGS]
    newest = sorted(known, key=lambda some: some[0]["row"], reverse=True)[:MOST]
    times = [_at(row) for some in newest for row in some]
    first, last = min(times, default=0.0), max(times, default=0.0)
    scale = WIDTH / max(1.0, last - first)
    return tuple(_told(some, first, scale) for some in newest)


def _told(rows: list[dict[str, Any]], first: float, scale: float) -> Told:
    opened, last = rows[0], rows[-1]
    intent = opened["spec"]["intents"][0]
    ends = [row for row in rows if row["event"] == "Closed"]
    outcome = (ends[-1] if ends else [row for row in rows if "outcome" in row][-1])["outcome"]
    begin, end = ((_at(row) - first) * scale for row in (opened, last))
    return Told(
        name=f"{opened['namespace']}/{opened['decision']}",
        intent=f"{intent['kind']} {intent['namespace']}/{intent['name']}",
        opened=str(opened["time"]),
        outcome=str(outcome),
        summary=str(opened["spec"]["summary"]),
        by=next((str(row["approvedBy"]) for row in rows if row.get("approvedBy")), ""),
        begin=round(begin, 1),
        end=round(max(end, begin + 3.0), 1),
        steps=tuple(f"{row['time']} {happened(row)}" for row in rows[1:]),
    )


def happened(row: dict[str, Any]) -> str:
    """What one row tells, beside whose it is."""
    match row["event"]:
        case "Acted":
            return f"{row['workload']} in {row['cluster']}: {row['before']} → {row['after']}, {row['result']}"
        case "Closed":
            return f"{row['outcome']}: {row['reason']}"
        case event:
            return str(event) + (f" by {row['approvedBy']}" if row.get("approvedBy") else "")


def _at(row: dict[str, Any]) -> float:
    return datetime.fromisoformat(row["time"]).astimezone(UTC).timestamp()
