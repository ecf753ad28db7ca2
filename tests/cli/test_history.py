"""What a ledger says on the command line: its rows, whether they are as they were written, and a decision made again."""

from __future__ import annotations

import json
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from archgov.api import render
from archgov.decide.round import conclude
from archgov.edge.ledger import Entry, Ledger, rows
from archgov.model.intent import Mode
from archgov.model.snapshot import Snapshot
from tests.build import a_cluster, a_fleet, a_snapshot, a_workload, capacity
from tests.cli.conftest import Run, saved


def a_fleet_of(replicas: int) -> Snapshot:
    fleet = a_fleet([a_cluster("eu")], [a_workload("shop/cart", {"eu/a": replicas})])
    return a_snapshot(fleet, [capacity("shop/demand", demand="9", names=["cart"], mode=Mode.ENFORCE)])


@pytest.fixture
def ledger(tmp_path: Path) -> Path:
    """A decision with all that it rests on, and two rows of another."""
    rests_on = a_fleet_of(1)
    (decision,) = conclude(rests_on).decisions
    spec = render.decision_body(decision, epoch=1)["spec"] | {"snapshot": rests_on.digest}
    opened = {"outcome": decision.outcome.value, "approvedBy": "", "trace": "", "spec": spec}
    closed = {"outcome": "Verified", "reason": "observed", "trace": ""}
    keeper = Ledger(tmp_path / "ledger.sqlite", 1 << 20)
    keeper.add([Entry(1, "Opened", "shop", decision.name, opened)], rests_on)
    keeper.add([Entry(at, "Closed", "shop", "other", closed) for at in (2, 3)])
    keeper.close(10)
    return tmp_path / "ledger.sqlite"


def change(file: Path, statement: str, *values: object) -> None:
    with closing(sqlite3.connect(file)) as ledger, ledger:
        ledger.execute(statement, values)


def test_without_a_head_the_last_hash_is_told_and_what_it_is_for(run: Run, ledger: Path) -> None:
    found = run("verify-ledger", "--ledger", ledger)
    assert found.exit_code == 0
    words = " ".join(found.stdout.split())
    assert "3 rows, intact" in words
    assert rows(ledger)[-1].hash in words
    assert "Rows cut off at the end only show against a hash that was noted elsewhere" in words
    assert json.loads(run("verify-ledger", "--ledger", ledger, "--json").stdout)["head"] == rows(ledger)[-1].hash


def test_with_a_head_it_is_told_how_many_rows_came_after(run: Run, ledger: Path) -> None:
    noted = rows(ledger)[0].hash
    found = run("verify-ledger", "--ledger", ledger, "--head", noted[:12].upper(), "--json")
    assert (found.exit_code, json.loads(found.stdout)["afterHead"]) == (0, 2)
    assert "2 of them came after" in run("verify-ledger", "--ledger", ledger, "--head", noted).stdout


def test_rows_that_were_cut_off_are_refused(run: Run, ledger: Path) -> None:
    noted = rows(ledger)[-1].hash
    change(ledger, "DELETE FROM entries WHERE number = 3")
    found = run("verify-ledger", "--ledger", ledger, "--head", noted)
    assert (found.exit_code, "cut off at the end" in found.stdout) == (3, True)


@pytest.mark.parametrize("head", ["3f9c", "no-hash-at-all", "0" * 65])
def test_a_head_that_is_no_hash_is_refused(run: Run, ledger: Path, head: str) -> None:
    found = run("verify-ledger", "--ledger", ledger, "--head", head)
    assert (found.exit_code, "which is no hash" in found.stderr) == (1, True)


def test_a_row_that_is_no_json_is_named(run: Run, ledger: Path) -> None:
    change(ledger, "UPDATE entries SET body = 'nonsense' WHERE number = 2")
    found = run("verify-ledger", "--ledger", ledger, "--json")
    assert (found.exit_code, json.loads(found.stdout)["row"]) == (3, 2)
    listed = run("history", "--ledger", ledger)
    assert (listed.exit_code, "row 2 of" in listed.stderr) == (1, True)


def test_a_snapshot_that_was_replaced_is_found_and_not_replayed(run: Run, ledger: Path, tmp_path: Path) -> None:
    name = rows(ledger)[0].entry.name
    other = saved(a_fleet_of(2), tmp_path)
    assert run("replay", name, "--ledger", ledger).exit_code == 0
    change(ledger, "UPDATE snapshots SET content = ?", other.read_bytes())
    found = run("verify-ledger", "--ledger", ledger)
    assert (found.exit_code, "can't be relied upon" in found.stdout) == (3, True)
    again = run("replay", name, "--ledger", ledger)
    assert (again.exit_code, "can't be relied upon" in again.stderr) == (1, True)
    change(ledger, "UPDATE snapshots SET content = ?", b"nonsense")
    assert "holds no snapshot" in run("replay", name, "--ledger", ledger).stderr


def test_a_replay_takes_no_other_snapshot_than_the_decision_rests_on(run: Run, ledger: Path, tmp_path: Path) -> None:
    name = rows(ledger)[0].entry.name
    mine, other = a_fleet_of(1), a_fleet_of(2)
    assert run("replay", name, "--ledger", ledger, "--snapshot", saved(mine, tmp_path)).exit_code == 0
    found = run("replay", name, "--ledger", ledger, "--snapshot", saved(other, tmp_path))
    assert found.exit_code == 1
    assert f"holds snapshot {other.digest[:12]}; the decision rests on {mine.digest[:12]}" in found.stderr


@pytest.mark.parametrize("command", [("history",), ("verify-ledger",), ("replay", "d1")])
def test_a_ledger_that_is_turned_off_is_no_file_called_none(
    run: Run, ledger: Path, monkeypatch: pytest.MonkeyPatch, command: tuple[str, ...]
) -> None:
    monkeypatch.setenv("ARCHGOV_LEDGER_FILE", "none")
    found = run(*command)
    assert found.exit_code == 1
    assert "no ledger is kept: ARCHGOV_LEDGER_FILE is none" in found.stderr
    assert "set ARCHGOV_LEDGER_FILE to a file, or name one with --ledger" in found.stderr
    assert run("verify-ledger", "--ledger", ledger).exit_code == 0
