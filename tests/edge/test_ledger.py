"""The ledger: everything stays, and whoever changes it is found out."""

from __future__ import annotations

import hashlib
import os
import sqlite3
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, cast

import pytest

from archgov.edge import ledger as module
from archgov.edge.ledger import GENESIS, Entry, Flaw, Ledger, NoLedger, rows, snapshot, verify
from archgov.model.snapshot import Snapshot
from tests.build import a_cluster, a_fleet, a_snapshot, a_workload


def entry(number: int, name: str = "d1", namespace: str = "shop") -> Entry:
    return Entry(number, "Opened", namespace, name, {"summary": f"+{number} replicas − cost", "actions": [number]})


def written(file: Path, *entries: Entry, snapshot: Snapshot | None = None, size: int = 1 << 20) -> Path:
    ledger = Ledger(file, size)
    for one in entries:
        ledger.add([one], snapshot)
    ledger.close(10)
    assert ledger.trouble == ""
    return file


def change(file: Path, statement: str, *values: object) -> None:
    with closing(sqlite3.connect(file)) as ledger, ledger:
        ledger.execute(statement, values)


def test_what_is_added_is_found_in_order_over_restarts(tmp_path: Path) -> None:
    file = written(tmp_path / "deep" / "ledger.sqlite", entry(1), entry(2, "d2"))
    written(file, entry(3), entry(4, namespace="pay"))
    assert [row.entry for row in rows(file)] == [entry(1), entry(2, "d2"), entry(3), entry(4, namespace="pay")]
    assert [row.number for row in rows(file, "shop", "d1")] == [1, 3]
    assert [row.number for row in rows(file, last=1)] == [4]
    assert (verify(file).rows, verify(file).flaw) == (4, None)


@pytest.mark.parametrize(
    ("statement", "number"),
    [
        ("UPDATE entries SET body = replace(body, '+2', '+9') WHERE number = 2", 2),
        ("UPDATE entries SET at = 77, body = replace(body, '\"at\":2', '\"at\":7') WHERE number = 2", 2),
        ("DELETE FROM entries WHERE number = 2", 2),
        ("UPDATE entries SET hash = (SELECT hash FROM entries WHERE number = 1) WHERE number = 3", 3),
        ("INSERT INTO entries SELECT 5, at, event, namespace, name, body, hash FROM entries WHERE number = 4", 5),
        ("UPDATE entries SET body = 'no JSON' WHERE number = 3", 3),
        ("UPDATE entries SET body = CAST(x'ff7b' AS TEXT) WHERE number = 3", 3),
        ("UPDATE entries SET body = body || ' ' WHERE number = 3", 3),
        ("UPDATE entries SET name = 'hidden' WHERE number = 2", 2),
    ],
)
def test_a_row_that_was_changed_by_hand_is_found(tmp_path: Path, statement: str, number: int) -> None:
    file = written(tmp_path / "ledger.sqlite", *(entry(i) for i in (1, 2, 3, 4)))
    change(file, statement)
    flaw = verify(file).flaw
    assert isinstance(flaw, Flaw)
    assert flaw.number == number


def a_fleet_of(replicas: int) -> Snapshot:
    return a_snapshot(a_fleet([a_cluster("eu")], [a_workload("shop/cart", {"eu/a": replicas})]))


def test_a_snapshot_is_kept_under_its_digest_and_the_oldest_go_first(tmp_path: Path) -> None:
    old, new = a_fleet_of(1), a_fleet_of(2)
    file = written(tmp_path / "ledger.sqlite", entry(1), snapshot=old)
    found = snapshot(file, old.digest)
    assert found is not None
    assert (found.digest, found.now, found.seed) == (old.digest, old.now, old.seed)
    assert snapshot(file, old.digest[:12]) is not None
    written(file, entry(2), snapshot=new, size=1)
    assert (snapshot(file, old.digest), snapshot(file, new.digest) is not None) == (None, True)
    assert (verify(file).rows, verify(file).flaw) == (2, None)


def test_a_ledger_that_cannot_be_written_is_told_and_holds_nobody_up(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    ledger = Ledger(tmp_path / "file" / "ledger.sqlite", 1)
    ledger.add([entry(1)])
    ledger.close(0.2)
    assert "can't be written, 1 entries wait" in ledger.trouble


def test_there_may_be_none(tmp_path: Path) -> None:
    with pytest.raises(NoLedger, match="there is no ledger at"):
        rows(tmp_path / "none")
    (tmp_path / "text").write_text("no database, but long enough to look like one" * 40)
    with pytest.raises(NoLedger, match="can't be read"):
        verify(tmp_path / "text")


def test_the_digest_of_what_comes_back_is_that_of_what_went_in(tmp_path: Path) -> None:
    one = replace(a_fleet_of(3), now=1_700_000_000_123, seed=7)
    found = snapshot(written(tmp_path / "l", entry(1), snapshot=one), one.digest)
    assert found is not None
    assert (found.digest, found.now, found.seed) == (one.digest, one.now, one.seed)


# ------------------------------------------------------------------------------------------------ what a head shows


def test_rows_cut_off_at_the_end_show_against_a_head_that_was_noted(tmp_path: Path) -> None:
    file = written(tmp_path / "ledger.sqlite", *(entry(i) for i in (1, 2, 3, 4)))
    noted = rows(file)[2].hash
    assert (verify(file, noted).after, verify(file, noted[:12]).after, verify(file, GENESIS).after) == (1, 1, 4)
    assert verify(file).hash == rows(file)[-1].hash
    change(file, "DELETE FROM entries WHERE number > 2")
    assert verify(file).flaw is None
    found = verify(file, noted)
    assert found.flaw is not None
    assert (found.rows, found.flaw.number, found.after) == (2, 0, None)
    assert "cut off at the end" in found.flaw.what


def test_a_row_that_is_no_entry_is_found_even_where_all_hashes_were_made_to_fit(tmp_path: Path) -> None:
    file = written(tmp_path / "ledger.sqlite", entry(1))
    fitting = hashlib.sha256(f"{GENESIS}\n[1]".encode()).hexdigest()
    change(file, "UPDATE entries SET body = '[1]', hash = ?", fitting)
    assert verify(file).flaw == Flaw(1, "its content is none that archgov writes")
    with pytest.raises(NoLedger, match=r"row 1 of .* can't be read"):
        rows(file)


def test_the_head_is_what_is_in_the_file_also_after_a_restart(tmp_path: Path) -> None:
    file = tmp_path / "ledger.sqlite"
    ledger = Ledger(file, 1)
    assert ledger.head == (0, GENESIS)
    ledger.add([entry(1), entry(2)])
    assert ledger.flush(10)
    assert ledger.head == (2, rows(file)[-1].hash)
    ledger.close(10)
    again = Ledger(file, 1)
    assert again.head == ledger.head
    again.close(10)


# ------------------------------------------------------------------------------------------------ what snapshots are


def content_of(file: Path, digest: str) -> bytes:
    with closing(sqlite3.connect(file)) as ledger:
        return cast("bytes", ledger.execute("SELECT content FROM snapshots WHERE digest = ?", (digest,)).fetchone()[0])


@pytest.mark.parametrize(
    ("content", "why"),
    [(lambda other: other, "its content is that of"), (lambda _: b"none", "holds no snapshot")],
    ids=["another", "garbled"],
)
def test_a_snapshot_that_is_not_that_of_its_digest_is_found_and_refused(
    tmp_path: Path, content: Callable[[bytes], bytes], why: str
) -> None:
    one, other = a_fleet_of(1), a_fleet_of(2)
    file = written(tmp_path / "ledger.sqlite", entry(1), snapshot=one)
    written(file, entry(2), snapshot=other)
    instead = content(content_of(file, other.digest))
    change(file, "UPDATE snapshots SET content = ? WHERE digest = ?", instead, one.digest)
    found = verify(file)
    assert found.flaw is not None
    assert (found.rows, found.flaw.number) == (2, 0)
    assert one.digest[:12] in found.flaw.what
    assert why in found.flaw.what
    with pytest.raises(NoLedger, match=why):
        snapshot(file, one.digest)
    assert snapshot(file, other.digest) is not None


# ------------------------------------------------------------------------------------------------ the thread that writes


@contextmanager
def locked(file: Path) -> Iterator[None]:
    with closing(sqlite3.connect(file, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        yield


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Waits for locks, and between tries, for less time than a test has."""
    monkeypatch.setattr(module, "BUSY_SECONDS", 0.05)
    monkeypatch.setattr(module, "PAUSE_SECONDS", 0.02)


def until(holds: Callable[[], bool]) -> None:
    end = time.monotonic() + 10
    while not holds():
        assert time.monotonic() < end
        time.sleep(0.01)


@pytest.mark.usefixtures("impatient")
def test_what_a_lock_holds_up_is_told_kept_and_written_afterwards(tmp_path: Path) -> None:
    ledger = Ledger(written(tmp_path / "ledger.sqlite", entry(1)), 1 << 20)
    with locked(tmp_path / "ledger.sqlite"):
        ledger.add([entry(2)], a_fleet_of(1))
        until(lambda: "locked" in ledger.trouble)
        assert not ledger.flush(0.1)
        ledger.add([entry(3)])
        assert "2 entries wait" in ledger.trouble
        assert ledger.head[0] == 1
    assert ledger.flush(10)
    assert ledger.trouble == ""
    ledger.close(10)
    assert [row.entry for row in rows(tmp_path / "ledger.sqlite")] == [entry(1), entry(2), entry(3)]
    assert snapshot(tmp_path / "ledger.sqlite", a_fleet_of(1).digest) is not None


def test_a_disk_that_hangs_is_told_before_it_fails(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "LATE_SECONDS", 0.05)
    ledger = Ledger(written(tmp_path / "ledger.sqlite", entry(1)), 1 << 20)
    with locked(tmp_path / "ledger.sqlite"):
        ledger.add([entry(2)])
        until(lambda: "1 entries wait to be written" in ledger.trouble)
    assert ledger.flush(10)
    ledger.close(10)


@pytest.mark.parametrize(
    "bad",
    [
        replace(entry(2), body={"what": object()}),
        replace(entry(2), body={"what": "\ud800"}),
        replace(entry(2), at=1 << 70),
        replace(entry(2), at=cast("Any", "noon")),
        replace(entry(2), name=cast("Any", {})),
    ],
    ids=["no JSON", "no text", "too large", "no number", "no name"],
)
def test_an_entry_that_cannot_be_kept_costs_itself_alone(tmp_path: Path, bad: Entry) -> None:
    ledger = Ledger(tmp_path / "ledger.sqlite", 1)
    ledger.add([entry(1), bad, entry(3)])
    assert not ledger.flush(10), "not everything that was added is in the file"
    ledger.add([entry(4)])
    assert ledger.flush(10)
    ledger.close(10)
    assert [row.entry.at for row in rows(tmp_path / "ledger.sqlite")] == [1, 3, 4]
    assert verify(tmp_path / "ledger.sqlite").flaw is None
    assert ledger.trouble == "1 entries were lost"


def test_a_snapshot_that_cannot_be_kept_leaves_the_rows(tmp_path: Path) -> None:
    ledger = Ledger(tmp_path / "ledger.sqlite", 1)
    ledger.add([entry(1)], cast("Any", object()))
    assert ledger.flush(10)
    ledger.close(10)
    assert len(rows(tmp_path / "ledger.sqlite")) == 1
    assert "1 snapshots were lost" in ledger.trouble


@pytest.mark.usefixtures("impatient")
def test_when_much_waits_snapshots_go_first_and_then_rows(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MOST_WAITING", 1000)
    ledger = Ledger(written(tmp_path / "ledger.sqlite", entry(1)), 1 << 20)
    many = [a_fleet_of(i) for i in (1, 2, 3, 4)]
    with locked(tmp_path / "ledger.sqlite"):
        for i, one in enumerate(many):
            ledger.add([entry(2 + i)], one)
        ledger.add([entry(6)], many[0])
        assert "1 snapshots were lost" in ledger.trouble
        assert "entries were lost" not in ledger.trouble
        ledger.add([entry(7 + i) for i in range(20)])
        assert "20 entries were lost" in ledger.trouble
    assert not ledger.flush(10)
    ledger.close(10)
    assert [row.entry.at for row in rows(tmp_path / "ledger.sqlite")] == [1, 2, 3, 4, 5, 6]
    assert [snapshot(tmp_path / "ledger.sqlite", one.digest) is not None for one in many] == [True, True, True, False]


@pytest.mark.usefixtures("impatient")
def test_closing_takes_no_longer_than_it_may(tmp_path: Path) -> None:
    ledger = Ledger(written(tmp_path / "ledger.sqlite", entry(1)), 1)
    with locked(tmp_path / "ledger.sqlite"):
        for i in range(100):
            ledger.add([entry(i)])
        began = time.monotonic()
        ledger.close(0.3)
        assert time.monotonic() - began < 5
    assert "100 entries wait" in ledger.trouble
    ledger.add([entry(1)])
    assert "1 entries were lost" in ledger.trouble


def test_two_writers_of_one_file_chain_their_rows_as_they_come(tmp_path: Path) -> None:
    file = written(tmp_path / "ledger.sqlite")
    both = [Ledger(file, 1), Ledger(file, 1)]

    def write(ledger: Ledger) -> None:
        for i in range(20):
            ledger.add([entry(i), entry(i)])
            ledger.flush(10)

    threads = [threading.Thread(target=write, args=(ledger,)) for ledger in both]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    for ledger in both:
        ledger.close(10)
        assert ledger.trouble == ""
    assert (verify(file).rows, verify(file).flaw) == (80, None)


@pytest.mark.usefixtures("impatient")
def test_decisions_that_no_row_opens_are_named(tmp_path: Path) -> None:
    file = tmp_path / "ledger.sqlite"
    ledger = Ledger(file, 1)
    asked = [("shop", name) for name in ("opened", "approved", "acted", "waiting", "none")]
    assert ledger.lacking(asked) == set(asked)
    ledger.add([replace(entry(1, name), event=name.title()) for name in ("opened", "approved", "acted")])
    assert ledger.flush(10)
    with locked(file):
        ledger.add([entry(2, "waiting")])
        assert ledger.lacking(asked) == {("shop", "acted"), ("shop", "none")}
    assert ledger.lacking([("pay", "opened")]) == {("pay", "opened")}
    ledger.close(10)


# ------------------------------------------------------------------------------------------------ the end that reads


def test_only_the_rows_that_are_asked_for_are_read(tmp_path: Path) -> None:
    file = written(tmp_path / "ledger.sqlite", entry(1), entry(2, "d2"), entry(3))
    change(file, "UPDATE entries SET body = 'no JSON' WHERE number = 1")
    assert [row.number for row in rows(file, last=2)] == [2, 3]
    assert [row.number for row in rows(file, "shop", "d1", last=1)] == [3]
    assert [row.number for row in rows(file, name="d2")] == [2]


@contextmanager
def nobody() -> Iterator[None]:
    """Without the rights of root, to whom no directory is read-only."""
    is_root = os.geteuid() == 0
    if is_root:
        os.seteuid(65534)
    try:
        yield
    finally:
        if is_root:
            os.seteuid(0)


@pytest.mark.parametrize("read_before", [False, True])
def test_a_ledger_is_read_where_nothing_can_be_written(read_before: bool) -> None:
    # Not in tmp_path: only its owner may look into that.
    with TemporaryDirectory() as name:
        folder = Path(name)
        file = written(folder / "a # ledger?.sqlite", entry(1))
        if read_before:
            # A copy may come with the empty file that a reader leaves beside it.
            rows(file)
            file.with_name(f"{file.name}-shm").unlink()
        folder.chmod(0o555)
        with nobody():
            found, verified = rows(file), verify(file)
        folder.chmod(0o755)
    assert ([row.entry for row in found], verified.flaw) == ([entry(1)], None)


def test_a_file_that_is_no_ledger_is_told_before_anything_is_lost(tmp_path: Path) -> None:
    file = tmp_path / "ledger.sqlite"
    file.write_text("something else, longer than the header of a database: " + "x" * 200)
    ledger = Ledger(file, 1 << 20)
    try:
        assert "not a database" in ledger.trouble
    finally:
        ledger.close(0.1)
