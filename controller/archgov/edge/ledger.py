"""Where every decision stays: rows that are only added, each chained to the one before, with the snapshots they rest on.

A row is a JSON text; its hash is SHA-256 over the former hash and that text, so who changes, removes or inserts one changes
every hash after it. Snapshots are kept under their digest, the newest ones up to a size. Writing is done by a thread of its own:
when it lags or fails, acting goes on, and whoever asks for `trouble` is told.
"""

from __future__ import annotations

import hashlib
import json
import logging
import queue
import sqlite3
import threading
from collections.abc import Iterable, Iterator, Mapping
from contextlib import closing
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import Any, Final

from archgov.model.snapshot import Snapshot, load, save

LOG: Final = logging.getLogger("archgov.ledger")
GENESIS: Final = "0" * 64
# Rows that wait to be written; a disk that is slower for long loses some, and says how many.
BACKLOG: Final = 20_000
SCHEMA: Final = """
CREATE TABLE IF NOT EXISTS entries (
    number INTEGER PRIMARY KEY, at INTEGER NOT NULL, event TEXT NOT NULL, namespace TEXT NOT NULL, name TEXT NOT NULL,
    body TEXT NOT NULL, hash TEXT NOT NULL) STRICT;
CREATE INDEX IF NOT EXISTS by_name ON entries (namespace, name);
CREATE TABLE IF NOT EXISTS snapshots (digest TEXT PRIMARY KEY, number INTEGER NOT NULL, content BLOB NOT NULL) STRICT;
"""


class NoLedger(Exception):
    """There is no ledger at a place, or it can't be read; says why."""


@dataclass(frozen=True, slots=True)
class Entry:
    """Something that happened to a decision.

    Attributes:
        at: Unix seconds. event: Opened, Approved, Acted, Closed. namespace, name: of the Decision. body: everything about it.
    """

    at: int
    event: str
    namespace: str
    name: str
    body: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Row:
    """An entry as it is kept. number: from 1, without gaps."""

    number: int
    entry: Entry
    hash: str


@dataclass(frozen=True, slots=True)
class Flaw:
    """Where a chain breaks. number: of the first row that isn't as it was written."""

    number: int
    what: str


class Ledger:
    """The writing end of one ledger file; one leader writes it."""

    def __init__(self, file: Path, snapshot_bytes: int) -> None:
        self.trouble = ""
        self._file = file
        self._most = snapshot_bytes
        self._waiting: queue.Queue[tuple[tuple[Entry, ...], Snapshot | None] | None] = queue.Queue(BACKLOG)
        self._lost = 0
        self._thread = threading.Thread(target=self._write_all, name="ledger", daemon=True)
        self._thread.start()

    def add(self, entries: Iterable[Entry], snapshot: Snapshot | None = None) -> None:
        """Hands entries over, with the snapshot that they rest on; returns at once."""
        some = tuple(entries)
        if not some:
            return
        try:
            self._waiting.put_nowait((some, snapshot))
        except queue.Full:
            self._lost += len(some)
            self.trouble = f"{self._lost} entries were lost: {self._file} is written too slowly"

    def close(self, seconds: float) -> None:
        """Waits for what was handed over, at most for some time."""
        self._waiting.put(None)
        self._thread.join(seconds)

    def _write_all(self) -> None:
        """Everything that is handed over, until the end; a failure is told, and what comes next is tried again."""
        goes_on = True
        while goes_on:
            work = [self._waiting.get()]
            while not self._waiting.empty():
                work.append(self._waiting.get())
            goes_on = None not in work
            try:
                with closing(_opened(self._file)) as ledger, ledger:
                    for each in work:
                        if each is not None:
                            self._write(ledger, *each)
                self.trouble = f"{self._lost} entries were lost" if self._lost else ""
            except (sqlite3.Error, OSError) as error:
                if not self.trouble:
                    LOG.warning("the ledger can't be written", extra={"file": str(self._file), "why": str(error)})
                self._lost += sum(len(each[0]) for each in work if each is not None)
                self.trouble = f"{self._file} can't be written, {self._lost} entries were lost: {error}"

    def _write(self, ledger: sqlite3.Connection, entries: tuple[Entry, ...], snapshot: Snapshot | None) -> None:
        number, former = _last(ledger)
        for entry in entries:
            number += 1
            text = _text(entry)
            former = _chained(former, text)
            row = (number, entry.at, entry.event, entry.namespace, entry.name, text, former)
            ledger.execute("INSERT INTO entries VALUES (?, ?, ?, ?, ?, ?, ?)", row)
        if snapshot is not None:
            content = BytesIO()
            save(snapshot, content)
            kept = (snapshot.digest, number, content.getvalue())
            ledger.execute("INSERT OR REPLACE INTO snapshots VALUES (?, ?, ?)", kept)
            _forget(ledger, self._most)


def rows(file: Path, namespace: str = "", name: str = "", *, last: int = 0) -> list[Row]:
    """Rows of a ledger in order, of one namespace or Decision where these are named; the last few where a number is given.

    Raises:
        NoLedger: there is none, or it can't be read.
    """
    found = (row for row in _read(file) if namespace in ("", row.entry.namespace) and name in ("", row.entry.name))
    kept = list(found)
    return kept[-last:] if last else kept


def verify(file: Path) -> tuple[int, Flaw | None]:
    """How many rows a ledger has, and where its chain breaks, if it does.

    Raises:
        NoLedger: there is none, or it can't be read.
    """
    former, expected = GENESIS, 0
    for row in _read(file):
        expected += 1
        if row.number != expected:
            return expected - 1, Flaw(expected, f"row {expected} is missing")
        former = _chained(former, _text(row.entry))
        if row.hash != former:
            return expected, Flaw(expected, "its content doesn't give its hash: it was changed, or one before it was")
    return expected, None


def snapshot(file: Path, digest: str) -> Snapshot | None:
    """The snapshot of a digest, or of how one begins; None where it isn't kept any more.

    Raises:
        NoLedger: there is no ledger, or it can't be read.
    """
    try:
        with closing(_reading(file)) as ledger:
            found = ledger.execute("SELECT content FROM snapshots WHERE digest LIKE ? || '%'", (digest,)).fetchone()
    except sqlite3.Error as error:
        raise NoLedger(f"{file} can't be read: {error}") from None
    return load(BytesIO(found[0])) if found else None


def _read(file: Path) -> Iterator[Row]:
    try:
        with closing(_reading(file)) as ledger:
            for number, body, hash_ in ledger.execute("SELECT number, body, hash FROM entries ORDER BY number"):
                yield Row(number, Entry(**json.loads(body)), hash_)
    except (sqlite3.Error, TypeError, ValueError) as error:
        raise NoLedger(f"{file} can't be read: {error}") from None


def _reading(file: Path) -> sqlite3.Connection:
    if not file.is_file():
        raise NoLedger(f"there is no ledger at {file}")
    return sqlite3.connect(f"file:{file}?mode=ro", uri=True)


def _opened(file: Path) -> sqlite3.Connection:
    file.parent.mkdir(parents=True, exist_ok=True)
    ledger = sqlite3.connect(file, timeout=30)
    ledger.execute("PRAGMA journal_mode = WAL")
    ledger.executescript(SCHEMA)
    return ledger


def _last(ledger: sqlite3.Connection) -> tuple[int, str]:
    found = ledger.execute("SELECT number, hash FROM entries ORDER BY number DESC LIMIT 1").fetchone()
    return (int(found[0]), str(found[1])) if found else (0, GENESIS)


def _forget(ledger: sqlite3.Connection, most: int) -> None:
    """Removes the oldest snapshots beyond a size; the newest one always stays."""
    total = 0
    sizes = ledger.execute("SELECT digest, length(content) FROM snapshots ORDER BY number DESC").fetchall()
    for place, (digest, size) in enumerate(sizes):
        total += size
        if place and total > most:
            ledger.execute("DELETE FROM snapshots WHERE digest = ?", (digest,))


def _text(entry: Entry) -> str:
    whole = {"at": entry.at, "event": entry.event, "namespace": entry.namespace, "name": entry.name, "body": entry.body}
    return json.dumps(whole, sort_keys=True, separators=(",", ":"), ensure_ascii=False)


def _chained(former: str, text: str) -> str:
    return hashlib.sha256(f"{former}\n{text}".encode()).hexdigest()
