"""The ledger: everything stays, and whoever changes it is found out."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest

from archgov.edge.ledger import Entry, Flaw, Ledger, NoLedger, rows, snapshot, verify
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


def change(file: Path, statement: str) -> None:
    with closing(sqlite3.connect(file)) as ledger, ledger:
        ledger.execute(statement)


def test_what_is_added_is_found_in_order_over_restarts(tmp_path: Path) -> None:
    file = written(tmp_path / "deep" / "ledger.sqlite", entry(1), entry(2, "d2"))
    written(file, entry(3), entry(4, namespace="pay"))
    assert [row.entry for row in rows(file)] == [entry(1), entry(2, "d2"), entry(3), entry(4, namespace="pay")]
    assert [row.number for row in rows(file, "shop", "d1")] == [1, 3]
    assert [row.number for row in rows(file, last=1)] == [4]
    assert verify(file) == (4, None)


@pytest.mark.parametrize(
    ("statement", "number"),
    [
        ("UPDATE entries SET body = replace(body, '+2', '+9') WHERE number = 2", 2),
        ("UPDATE entries SET at = 77, body = replace(body, '\"at\":2', '\"at\":7') WHERE number = 2", 2),
        ("DELETE FROM entries WHERE number = 2", 2),
        ("UPDATE entries SET hash = (SELECT hash FROM entries WHERE number = 1) WHERE number = 3", 3),
        ("INSERT INTO entries SELECT 5, at, event, namespace, name, body, hash FROM entries WHERE number = 4", 5),
    ],
)
def test_a_row_that_was_changed_by_hand_is_found(tmp_path: Path, statement: str, number: int) -> None:
    file = written(tmp_path / "ledger.sqlite", *(entry(i) for i in (1, 2, 3, 4)))
    change(file, statement)
    _, flaw = verify(file)
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
    assert verify(file) == (2, None)


def test_a_ledger_that_cannot_be_written_is_told_and_holds_nobody_up(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    ledger = Ledger(tmp_path / "file" / "ledger.sqlite", 1)
    ledger.add([entry(1)])
    ledger.close(10)
    assert "can't be written" in ledger.trouble


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
