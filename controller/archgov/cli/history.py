"""`archgov history`, `replay`: what was decided, and the same decided again."""

from __future__ import annotations

import os
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any, Final

import typer

from archgov.cli.failure import Exit, Failure
from archgov.cli.options import As, Json, Out, output
from archgov.cli.options import Snapshot as SnapshotFile
from archgov.cli.output import Block, Format, Heading, Listing, Table, show
from archgov.cli.source import saved
from archgov.cli.timeline import happened
from archgov.decide.round import conclude
from archgov.edge.ledger import BEGINNINGS, NoLedger, Row, rows
from archgov.edge.ledger import snapshot as kept_snapshot
from archgov.edge.settings import NONE, PREFIX, default_ledger
from archgov.model.decision import Decision
from archgov.model.snapshot import Snapshot

EXAMPLES: Final = (
    "Examples: archgov history -n shop --last 20 · archgov history workers-7f3a91d2 -n shop -o yaml · "
    "archgov replay workers-7f3a91d2 -n shop · archgov replay workers-7f3a91d2 --ledger copied.sqlite"
)
LAST: Final = 50
SETTING: Final = f"{PREFIX}LEDGER_FILE"

LedgerFile = Annotated[
    Path | None,
    typer.Option("--ledger", metavar="FILE", help="Left out: $ARCHGOV_LEDGER_FILE, else where the operator keeps it."),
]
Space = Annotated[str, typer.Option("--namespace", "-n", help="Only of this namespace. Left out: of all.")]


def history(
    decision: Annotated[str, typer.Argument(metavar="[DECISION]", help="Only of this Decision.")] = "",
    namespace: Space = "",
    last: Annotated[int, typer.Option("--last", min=0, help="Only the last so many rows; 0 for all.")] = LAST,
    ledger: LedgerFile = None,
    format_: As = Format.TABLE,
    as_json: Json = False,
    out: Out = None,
) -> int:
    """What was decided, approved, done and verified, from the ledger."""
    found = listed(ledger_file(ledger), namespace, _bare(decision), last)
    show(found, _history(found), output(format_, as_json, out))
    return Exit.OK


def listed(file: Path, namespace: str, decision: str, last: int) -> list[dict[str, Any]]:
    """Rows of a ledger with stable names.

    Raises:
        Failure: there is no ledger, or nothing of that decision in it.
    """
    found = _rows(file, namespace, decision, last)
    if decision and not found:
        raise Failure(f"the ledger knows no {decision}", "look for it: archgov history --last 0")
    return [_row(row) for row in found]


def replay(
    decision: Annotated[str, typer.Argument(metavar="DECISION", help="Name of the Decision.")],
    namespace: Space = "",
    ledger: LedgerFile = None,
    snapshot: SnapshotFile = None,
    format_: As = Format.TABLE,
    as_json: Json = False,
    out: Out = None,
) -> int:
    """Decide again from the snapshot that a decision rests on, on any machine. Exits with 0 for the same plan, 2 for another."""
    document = compared(ledger_file(ledger), namespace, _bare(decision), snapshot)
    show(document, _replayed(document), output(format_, as_json, out))
    return Exit.OK if document["same"] else Exit.CHANGES


def compared(file: Path, namespace: str, name: str, snapshot: Path | None) -> dict[str, Any]:
    """A decision of a ledger beside what is decided now from what it rests on, with stable names.

    Raises:
        Failure: there is no ledger, no such decision, its snapshot isn't kept any more, or another one is given or kept for it.
    """
    first = next((row for row in _rows(file, namespace, name, 0) if row.entry.event in BEGINNINGS), None)
    if first is None:
        raise Failure(f"the ledger knows no {name}", "look for it: archgov history --last 0")
    spec = first.entry.body["spec"]
    digest = str(spec["snapshot"])
    rests_on = _given(snapshot, digest) if snapshot else _kept(file, digest)
    again = next((one for one in conclude(rests_on).decisions if one.name == name), None)
    return _compared(name, spec, rests_on, again)


def ledger_file(named: Path | None) -> Path:
    """Where the ledger is that a command is about.

    Raises:
        Failure: there is none, because somebody turned it off.
    """
    if named is not None:
        return named
    told = os.environ.get(SETTING)
    if told == NONE:
        raise Failure(f"no ledger is kept: {SETTING} is {NONE}", f"set {SETTING} to a file, or name one with --ledger")
    return Path(told) if told else default_ledger(os.environ)


def _bare(decision: str) -> str:
    return decision.rpartition("/")[2]


def _rows(file: Path, namespace: str, name: str, last: int) -> list[Row]:
    try:
        return rows(file, namespace, name, last=last)
    except NoLedger as error:
        raise Failure(str(error), "name one with --ledger") from None


def _given(file: Path, digest: str) -> Snapshot:
    found = saved(file)
    if found.digest != digest:
        raise Failure(
            f"{file} holds snapshot {found.digest[:12]}; the decision rests on {digest[:12]}",
            "give that one, or leave --snapshot out to take the ledger's",
        )
    return found


def _kept(file: Path, digest: str) -> Snapshot:
    try:
        found = kept_snapshot(file, digest)
    except NoLedger as error:
        raise Failure(
            str(error), "see whether somebody changed it: archgov verify-ledger; or give it with --snapshot"
        ) from None
    if found is None:
        raise Failure(
            f"snapshot {digest[:12]} isn't in the ledger any more",
            "give it with --snapshot, or keep more of them: ARCHGOV_LEDGER_SNAPSHOT_MB",
        )
    return found


def _row(row: Row) -> dict[str, Any]:
    entry = row.entry
    return {
        "row": row.number,
        "time": _time(entry.at),
        "event": entry.event,
        "namespace": entry.namespace,
        "decision": entry.name,
        "hash": row.hash,
        **entry.body,
    }


def _history(found: list[dict[str, Any]]) -> Iterator[Block]:
    yield Heading(f"archgov history · {len(found)} rows")
    yield Table(
        ("time", "event", "decision", "what"),
        tuple((row["time"], row["event"], f"{row['namespace']}/{row['decision']}", _what(row)) for row in found),
    )


def _what(body: dict[str, Any]) -> str:
    if body["event"] not in BEGINNINGS:
        return happened(body)
    by = f" by {body['approvedBy']}" if body["approvedBy"] else ""
    return f"{body['outcome']}{by}: {body['spec']['summary']}"


def _compared(name: str, spec: dict[str, Any], rests_on: Snapshot, again: Decision | None) -> dict[str, Any]:
    return {
        "decision": name,
        "same": again is not None and again.plan_hash == spec["planHash"],
        "snapshot": rests_on.digest,
        "seed": rests_on.seed,
        "then": {"planHash": spec["planHash"], "engine": spec["engine"], "summary": spec["summary"]},
        "now": None
        if again is None
        else {"planHash": again.plan_hash, "engine": again.engine, "summary": again.summary},
    }


def _replayed(document: dict[str, Any]) -> Iterator[Block]:
    then, now = document["then"], document["now"]
    yield Heading(f"archgov replay {document['decision']} · {'the same plan' if document['same'] else 'another plan'}")
    lines = [f"then: {then['summary']} (plan {then['planHash'][:12]}, engine {then['engine']})"]
    if now is None:
        lines.append("now: no plan of that name")
    else:
        lines.append(f"now: {now['summary']} (plan {now['planHash'][:12]}, engine {now['engine']})")
    yield Listing(f"Decided from snapshot {document['snapshot'][:12]}, seed {document['seed']}", tuple(lines))


def _time(at: int) -> str:
    return datetime.fromtimestamp(at, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
