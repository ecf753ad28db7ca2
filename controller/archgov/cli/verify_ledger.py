"""`archgov verify-ledger`: whether nobody changed what was decided."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any, Final

import typer

from archgov.cli.failure import Exit, Failure
from archgov.cli.history import LedgerFile, ledger_file
from archgov.cli.options import As, Json, Out, output
from archgov.cli.output import Block, Format, Text, show
from archgov.edge.ledger import NoLedger, Verified, verify

EXAMPLES: Final = (
    "Examples: archgov verify-ledger · archgov verify-ledger --head 3f9c51d20ab7 · "
    "archgov verify-ledger --ledger copied.sqlite -o json"
)
# Fewer digits than these could be met by trying.
HEAD: Final = re.compile(r"[0-9a-f]{12,64}")

Head = Annotated[
    str,
    typer.Option(
        "--head",
        metavar="HASH",
        help="A row with this hash, noted earlier elsewhere, must be there; its first 12 digits or more.",
    ),
]


def verify_ledger(
    ledger: LedgerFile = None, head: Head = "", format_: As = Format.TABLE, as_json: Json = False, out: Out = None
) -> int:
    """Check that no row of the ledger was changed, removed or inserted, and no snapshot replaced. Exits with 3 where one was."""
    file, noted = ledger_file(ledger), _noted(head)
    try:
        found = verify(file, noted)
    except NoLedger as error:
        raise Failure(str(error), "name one with --ledger") from None
    show(_document(file, found), list(_told(file, found, noted)), output(format_, as_json, out))
    return Exit.OK if found.flaw is None else Exit.REFUSED


def _noted(head: str) -> str:
    noted = head.lower()
    if noted and not HEAD.fullmatch(noted):
        raise Failure(
            f'--head is "{head}", which is no hash', "give its first 12 hexadecimal digits, or more of its 64"
        )
    return noted


def _document(file: Path, found: Verified) -> dict[str, Any]:
    document: dict[str, Any] = {
        "ledger": str(file),
        "rows": found.rows,
        "intact": found.flaw is None,
        "head": found.hash,
    }
    if found.after is not None:
        document["afterHead"] = found.after
    if found.flaw is not None:
        document |= {"row": found.flaw.number or None, "flaw": found.flaw.what}
    return document


def _told(file: Path, found: Verified, noted: str) -> Iterator[Block]:
    flaw = found.flaw
    if flaw is not None and flaw.number:
        yield Text(f"{file}: row {flaw.number}: {flaw.what}; nothing from there on can be relied upon")
    elif flaw is not None:
        yield Text(f"{file}: {flaw.what}")
    elif noted:
        yield Text(f"{file}: {found.rows} rows, intact; {found.after} of them came after {noted[:12]}")
    else:
        yield Text(f"{file}: {found.rows} rows, intact; the last one's hash is {found.hash}")
        yield Text("Rows cut off at the end only show against a hash that was noted elsewhere: give it with --head.")
