"""Where every decision stays: rows that are only added, each chained to the one before, with the snapshots they rest on.

A row is a JSON text; its hash is SHA-256 over the former hash and that text, so who changes, removes or inserts one changes
every hash after it. Rows cut off at the end change none: they only show against a head, the newest row's hash, that was noted
elsewhere. Snapshots are kept under their digest, the newest ones up to a size. Writing is done by a thread of its own, which
keeps what it can't write and tries again: acting goes on meanwhile, and whoever asks for `trouble` is told.
"""

from __future__ import annotations

import hashlib
import json
import logging
import sqlite3
import threading
import time
from collections import deque
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import Any, Final

from archgov.model.snapshot import BadSnapshot, Snapshot, load, save

LOG: Final = logging.getLogger("archgov.ledger")
GENESIS: Final = "0" * 64
# Text of rows that wait to be written: a day of many decisions, and little beside the picture of a fleet.
MOST_WAITING: Final = 64 << 20
# Snapshots that wait with them. Each may be as large as all else that the process holds, and a decision can do without.
MOST_SNAPSHOTS: Final = 3
# How long SQLite waits for somebody else's lock, and how long the thread pauses before it tries again.
BUSY_SECONDS: Final = 5.0
PAUSE_SECONDS: Final = 0.5
# Nothing is said of a disk that is slow for a moment.
LATE_SECONDS: Final = 30.0
# What begins a decision's story: one that needs nobody's approval any more when it is first written is Approved at once.
BEGINNINGS: Final = ("Opened", "Approved")
SCHEMA: Final = """
CREATE TABLE IF NOT EXISTS entries (
    number INTEGER PRIMARY KEY, at INTEGER NOT NULL, event TEXT NOT NULL, namespace TEXT NOT NULL, name TEXT NOT NULL,
    body TEXT NOT NULL, hash TEXT NOT NULL) STRICT;
CREATE INDEX IF NOT EXISTS by_name ON entries (namespace, name);
CREATE TABLE IF NOT EXISTS snapshots (digest TEXT PRIMARY KEY, number INTEGER NOT NULL, content BLOB NOT NULL) STRICT;
"""


class NoLedger(Exception):
    """There is no ledger at a place, or what was asked of it can't be read; says why."""


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
    """Something that isn't as it was written. number: of the first such row; 0 where it is no row that can be named."""

    number: int
    what: str


@dataclass(frozen=True, slots=True)
class Verified:
    """What a look at every row and snapshot found.

    Attributes:
        rows: how many are sound, from the first on. hash: of the last of them. flaw: what is wrong, if anything is.
        after: how many of them came after the head that was asked for; None where it wasn't found, or none was.
    """

    rows: int
    hash: str
    flaw: Flaw | None = None
    after: int | None = None


@dataclass(frozen=True, slots=True)
class _Line:
    """An entry on its way to the file, as the text that it becomes there."""

    at: int
    event: str
    namespace: str
    name: str
    text: str


@dataclass(frozen=True, slots=True)
class _Handed:
    """What one call handed over. since: on the monotonic clock."""

    lines: tuple[_Line, ...]
    snapshot: Snapshot | None
    since: float

    @property
    def size(self) -> int:
        return sum(len(line.text) for line in self.lines)


class Ledger:
    """The writing end of one ledger file. Two of them may write the same: rows of both are chained as they come."""

    def __init__(self, file: Path, snapshot_bytes: int) -> None:
        self._file = file
        self._most = snapshot_bytes
        # Guards everything below, and is told when any of it changes; nobody holds it while a file is read or written.
        self._changed = threading.Condition()
        self._waiting: deque[_Handed] = deque()
        self._size = 0
        self._added = self._settled = 0
        self._lost = self._lost_snapshots = self._lost_before = 0
        self._error = ""
        self._head = (0, GENESIS)
        self._ends: float | None = None
        # By identity: a snapshot is packed once, however often it was handed over and however often writing it fails.
        self._packed: dict[int, bytes | None] = {}
        try:
            if file.exists() and file.stat().st_size:
                self._head = _head_of(file)
        except (NoLedger, OSError) as error:
            self._failed(error)  # said at once, not when the first decision is to be kept
        self._thread = threading.Thread(target=self._write_all, name="ledger", daemon=True)
        self._thread.start()

    @property
    def head(self) -> tuple[int, str]:
        """How many rows the file holds for certain, and the hash of the last of them."""
        with self._changed:
            return self._head

    @property
    def trouble(self) -> str:
        """What the file lacks, and why; nothing where all is well. It changes only when that does: it stands in a status."""
        with self._changed:
            late = bool(self._waiting) and time.monotonic() - self._waiting[0].since > LATE_SECONDS
            waiting = sum(len(each.lines) for each in self._waiting)
            found = []
            if self._error:
                found.append(f"{self._file} can't be written, {waiting} entries wait: {self._error}")
            elif late:
                found.append(f"{waiting} entries wait to be written to {self._file}, for more than {LATE_SECONDS:g} s")
            if self._lost:
                found.append(f"{self._lost} entries were lost")
            if self._lost_snapshots:
                found.append(f"{self._lost_snapshots} snapshots were lost, so their decisions can't be replayed")
            return "; ".join(found)

    def add(self, entries: Iterable[Entry], snapshot: Snapshot | None = None) -> None:
        """Hands entries over, with the snapshot that they rest on; returns at once."""
        some = tuple(entries)
        if not some:
            return
        lines = tuple(line for line in map(_line, some) if line is not None)
        handed = _Handed(lines, snapshot, time.monotonic())
        with self._changed:
            self._lost += len(some) - len(lines)
            if self._ends is not None or (self._waiting and self._size + handed.size > MOST_WAITING):
                self._lost += len(lines)
                return
            if snapshot is not None and not self._has_room(snapshot):
                self._lost_snapshots += 1
                handed = _Handed(lines, None, handed.since)
            self._waiting.append(handed)
            self._size += handed.size
            self._added += 1
            self._changed.notify_all()

    def flush(self, seconds: float) -> bool:
        """Whether everything that was added so far is in the file, for which it waits at most some time.

        Also False, once, when entries were lost since it was last asked.
        """
        with self._changed:
            upto = self._added
            written = self._changed.wait_for(lambda: self._settled >= upto, seconds)
            lost, self._lost_before = self._lost - self._lost_before, self._lost
            return written and not lost

    def close(self, seconds: float) -> None:
        """Waits for what was handed over, at most for some time; what is added afterwards is lost."""
        with self._changed:
            self._ends = time.monotonic() + seconds
            self._changed.notify_all()
        self._thread.join(seconds)
        if trouble := self.trouble:
            LOG.warning("the ledger was closed and lacks something", extra={"file": str(self._file), "why": trouble})

    def lacking(self, names: Iterable[tuple[str, str]]) -> set[tuple[str, str]]:
        """Those decisions, by namespace and name, that no row opens, neither in the file nor on its way there.

        Raises:
            NoLedger: the file can't be read.
        """
        with self._changed:
            # Looked at before the file is: what is written in between is seen here, and not missed in both.
            lines = [line for each in self._waiting for line in each.lines]
        asked = set(names) - {(line.namespace, line.name) for line in lines if line.event in BEGINNINGS}
        query = "SELECT 1 FROM entries WHERE namespace = ? AND name = ? AND event IN (?, ?) LIMIT 1"
        try:
            with closing(_opened(self._file)) as ledger:
                return {one for one in asked if ledger.execute(query, (*one, *BEGINNINGS)).fetchone() is None}
        except (sqlite3.Error, OSError) as error:
            raise NoLedger(f"{self._file} can't be read: {error}") from None

    def _has_room(self, snapshot: Snapshot) -> bool:
        held = {id(each.snapshot) for each in self._waiting if each.snapshot is not None}
        return id(snapshot) in held or len(held) < MOST_SNAPSHOTS

    def _write_all(self) -> None:
        """Everything that is handed over, until the end; what can't be written is kept and tried again."""
        while work := self._next():
            try:
                head, skipped = self._commit(work)
            except Exception as error:  # noqa: BLE001 whatever it is: a thread that ends loses everything from then on
                self._failed(error)
                time.sleep(PAUSE_SECONDS)
            else:
                self._succeeded(work, head, skipped)

    def _next(self) -> tuple[_Handed, ...]:
        """What waits, once something does; nothing when it is time to end."""
        with self._changed:
            self._changed.wait_for(lambda: self._waiting or self._ends is not None)
            over = self._ends is not None and time.monotonic() >= self._ends and self._error
            return () if over else tuple(self._waiting)

    def _commit(self, work: Sequence[_Handed]) -> tuple[tuple[int, str], int]:
        """The head with that work written, and how many of its rows the file refuses for ever."""
        # Packed before the file is locked: it takes seconds for a large fleet.
        for each in work:
            if each.snapshot is not None and id(each.snapshot) not in self._packed:
                self._packed[id(each.snapshot)] = _pack(each.snapshot)
        skipped = 0
        with closing(_opened(self._file)) as ledger:
            # Locked before the last hash is read: with a second writer in between, both would chain to the same row.
            ledger.execute("BEGIN IMMEDIATE")
            head = _last(ledger)
            for each in work:
                for line in each.lines:
                    after = _inserted(ledger, head, line)
                    skipped += after is None
                    head = after or head
                if each.snapshot is not None and (content := self._packed[id(each.snapshot)]) is not None:
                    kept = (each.snapshot.digest, head[0], content)
                    ledger.execute("INSERT OR REPLACE INTO snapshots VALUES (?, ?, ?)", kept)
                    _forget(ledger, self._most)
            ledger.execute("COMMIT")
        return head, skipped

    def _succeeded(self, work: Sequence[_Handed], head: tuple[int, str], skipped: int) -> None:
        unpacked = sum(content is None for content in self._packed.values())
        # None of it outlives its snapshot: another one may get the same identity.
        self._packed.clear()
        with self._changed:
            for each in work:
                self._waiting.popleft()
                self._size -= each.size
            self._settled += len(work)
            self._lost += skipped
            self._lost_snapshots += unpacked
            self._error, self._head = "", head
            self._changed.notify_all()

    def _failed(self, error: Exception) -> None:
        with self._changed:
            is_new = not self._error
            self._error = str(error) or type(error).__name__
        if is_new:
            LOG.warning("the ledger can't be written", extra={"file": str(self._file), "why": str(error)})


def rows(file: Path, namespace: str = "", name: str = "", *, last: int = 0) -> list[Row]:
    """Rows of a ledger in order, of one namespace or Decision where these are named; the last few where a number is given.

    Raises:
        NoLedger: there is none, or it can't be read.
    """
    named = {"namespace": namespace, "name": name}
    where = " AND ".join(f"{column} = :{column}" for column, value in named.items() if value) or "TRUE"
    query = f"SELECT number, body, hash FROM entries WHERE {where} ORDER BY number DESC LIMIT :most"  # noqa: S608 our own words
    with _reading(file) as ledger:
        found = ledger.execute(query, {**named, "most": last or -1}).fetchall()
    return [_row(file, *each) for each in reversed(found)]


def verify(file: Path, head: str = "") -> Verified:
    """Whether the chain holds from the first row to the last, passes a head, and every snapshot is that of its digest.

    Args:
        file: the ledger. head: how the hash of a row begins that must be there, in lower case; empty for none.

    Raises:
        NoLedger: there is none, or it can't be read.
    """
    with _reading(file) as ledger:
        found = _followed(ledger, head)
        return found if found.flaw else Verified(found.rows, found.hash, _false_snapshot(ledger), found.after)


def snapshot(file: Path, digest: str) -> Snapshot | None:
    """The snapshot of a digest, or of how one begins; None where it isn't kept any more.

    Raises:
        NoLedger: there is no ledger, it can't be read, or what it keeps under that digest is something else.
    """
    query = "SELECT digest, content FROM snapshots WHERE substr(digest, 1, length(:asked)) = :asked"
    with _reading(file) as ledger:
        found = ledger.execute(query, {"asked": digest}).fetchone()
    try:
        return _unpacked(*found) if found else None
    except BadSnapshot as error:
        raise NoLedger(f"snapshot {digest[:12]} in {file} can't be relied upon: {error}") from None


def _followed(ledger: sqlite3.Connection, head: str) -> Verified:
    """The chain alone."""
    count, former = 0, GENESIS
    passed = 0 if head and GENESIS.startswith(head) else None
    query = "SELECT number, body, hash, at, event, namespace, name FROM entries ORDER BY number"
    for number, text, hash_, *columns in ledger.execute(query):
        what = _wrong(count + 1, former, number, text, hash_, columns)
        if what:
            return Verified(count, former, Flaw(count + 1, what))
        count, former = number, hash_
        if passed is None and head and former.startswith(head):
            passed = count
    if head and passed is None:
        what = f"no row has the hash {head}: rows were cut off at the end, or all from some row on were written anew"
        return Verified(count, former, Flaw(0, what))
    return Verified(count, former, None, None if passed is None else count - passed)


def _wrong(expected: int, former: str, number: int, text: str, hash_: str, columns: list[Any]) -> str:
    """Why a row can't be the one that was written as the expected one; nothing where it can."""
    if number != expected:
        return f"row {expected} is missing"
    if hash_ != _chained(former, text):
        return "its content doesn't give its hash: it was changed, or one before it was"
    entry = _entry(text)
    if entry is None:
        return "its content is none that archgov writes"
    # They are what rows are looked for by: one with another name would be missed and still have its hash.
    if columns != [entry.at, entry.event, entry.namespace, entry.name]:
        return "it is filed under another time, event or name than its content says"
    return ""


def _false_snapshot(ledger: sqlite3.Connection) -> Flaw | None:
    for digest, content in ledger.execute("SELECT digest, content FROM snapshots ORDER BY number, digest"):
        try:
            _unpacked(digest, content)
        except BadSnapshot as error:
            return Flaw(0, f"what is kept as snapshot {digest[:12]} can't be relied upon: {error}")
    return None


def _unpacked(digest: str, content: bytes) -> Snapshot:
    found = load(BytesIO(content))
    if found.digest != digest:
        raise BadSnapshot(f"its content is that of {found.digest[:12]}")
    return found


def _pack(snapshot: Snapshot) -> bytes | None:
    """A snapshot as it is kept; None where that can't be."""
    content = BytesIO()
    try:
        save(snapshot, content)
    except Exception:  # the rows that rest on it are worth more, and no second try would go better
        LOG.exception("a snapshot can't be kept")
        return None
    return content.getvalue()


def _row(file: Path, number: int, text: str, hash_: str) -> Row:
    entry = _entry(text)
    if entry is None:
        raise NoLedger(f"row {number} of {file} can't be read: somebody changed it (archgov verify-ledger)")
    return Row(number, entry, hash_)


def _entry(text: str) -> Entry | None:
    """The entry that a text says; None where it says none."""
    try:
        entry = Entry(**json.loads(text))
    except (TypeError, ValueError, RecursionError):
        return None
    return entry if isinstance(entry.body, dict) else None


@contextmanager
def _reading(file: Path) -> Iterator[sqlite3.Connection]:
    if not file.is_file():
        raise NoLedger(f"there is no ledger at {file}")
    try:
        with closing(_connected(file.resolve())) as ledger:
            # Bytes that are no text come as a text that was never written, so that their row can be named.
            ledger.text_factory = lambda content: content.decode(errors="replace")
            yield ledger
    except sqlite3.Error as error:
        raise NoLedger(f"{file} can't be read: {error}") from None


def _connected(file: Path) -> sqlite3.Connection:
    address = f"{file.as_uri()}?mode=ro"
    ledger = sqlite3.connect(address, uri=True)
    try:
        ledger.execute("SELECT 1 FROM sqlite_schema").fetchone()
    except sqlite3.Error as error:
        ledger.close()
        if error.sqlite_errorcode & 0xFF not in (sqlite3.SQLITE_READONLY, sqlite3.SQLITE_CANTOPEN) or _has_wal(file):
            raise
        # Even to read, SQLite makes a file beside this one, which read-only media refuse. Nobody writes there, so it may
        # do without locks; never where it can have them, for the operator would write under our eyes.
        return sqlite3.connect(f"{address}&immutable=1", uri=True)
    return ledger


def _has_wal(file: Path) -> bool:
    """Whether rows wait beside a file; a reader leaves an empty one."""
    wal = file.with_name(f"{file.name}-wal")
    return wal.exists() and wal.stat().st_size > 0


def _opened(file: Path) -> sqlite3.Connection:
    file.parent.mkdir(parents=True, exist_ok=True)
    ledger = sqlite3.connect(file, timeout=BUSY_SECONDS, isolation_level=None)
    try:
        ledger.execute("PRAGMA journal_mode = WAL")
        ledger.executescript(SCHEMA)
    except sqlite3.Error:
        ledger.close()
        raise
    return ledger


def _head_of(file: Path) -> tuple[int, str]:
    with _reading(file) as ledger:
        return _last(ledger)


def _last(ledger: sqlite3.Connection) -> tuple[int, str]:
    found = ledger.execute("SELECT number, hash FROM entries ORDER BY number DESC LIMIT 1").fetchone()
    return (int(found[0]), str(found[1])) if found else (0, GENESIS)


def _inserted(ledger: sqlite3.Connection, head: tuple[int, str], line: _Line) -> tuple[int, str] | None:
    """The head with one more row; None for a row that the file refuses, today and ever."""
    number, former = head
    after = (number + 1, _chained(former, line.text))
    row = (after[0], line.at, line.event, line.namespace, line.name, line.text, after[1])
    try:
        ledger.execute("INSERT INTO entries VALUES (?, ?, ?, ?, ?, ?, ?)", row)
    except (sqlite3.IntegrityError, sqlite3.ProgrammingError, sqlite3.InterfaceError, OverflowError) as error:
        LOG.warning("an entry can't be kept", extra={"entry": line.text[:200], "why": str(error)})
        return None
    return after


def _forget(ledger: sqlite3.Connection, most: int) -> None:
    """Removes the oldest snapshots beyond a size; the newest one always stays."""
    total = 0
    sizes = ledger.execute("SELECT digest, length(content) FROM snapshots ORDER BY number DESC").fetchall()
    for place, (digest, size) in enumerate(sizes):
        total += size
        if place and total > most:
            ledger.execute("DELETE FROM snapshots WHERE digest = ?", (digest,))


def _line(entry: Entry) -> _Line | None:
    """An entry as its text; None where it has none."""
    whole = {"at": entry.at, "event": entry.event, "namespace": entry.namespace, "name": entry.name, "body": entry.body}
    try:
        text = json.dumps(whole, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
        text.encode()
    except (TypeError, ValueError, RecursionError) as error:
        LOG.warning("an entry can't be kept", extra={"decision": str(entry.name), "why": str(error)})
        return None
    return _Line(entry.at, entry.event, entry.namespace, entry.name, text)


def _chained(former: str, text: str) -> str:
    return hashlib.sha256(f"{former}\n{text}".encode()).hexdigest()
