"""What remains: one trace for the whole story of a decision, log events, metrics, a ledger that can be verified and replayed."""

from __future__ import annotations

import json
import shutil
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner, Result

from archgov.cli.main import app
from tests.e2e.stage import ROOT, Stage, everywhere, stage
from tests.e2e.test_acting import CART, CLUSTERS, in_eu
from tests.e2e.test_leading import SLOWLY
from tests.otlp import receiver

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(240)]


def run(*args: str) -> Result:
    return CliRunner().invoke(app, args)


def test_a_decision_is_one_story_in_traces_events_metrics_and_the_ledger(tmp_path: Path) -> None:
    with receiver() as received, stage(tmp_path, everywhere(CART, {"us": 2}, CLUSTERS), start=False) as the:
        the.start(
            OTEL_EXPORTER_OTLP_ENDPOINT=received.url, OTEL_BSP_SCHEDULE_DELAY="200", OTEL_BLRP_SCHEDULE_DELAY="200"
        )
        the.apply(in_eu())
        the.until("it has moved", lambda: the.ready(CART) == {"eu": 2} and the.decisions("Verified"))
        (decision,) = the.decisions("Verified")
        name, story = decision["metadata"]["name"], decision["spec"]["traceparent"].split("-")[1]
        assert the.stop() == 0
        the.process = None

    mine = [span for span in received.spans if span.trace == story]
    assert {"archgov.round", "archgov.compose", "archgov.forecast", "archgov.optimize", "archgov.decide"} <= {
        span.name for span in mine
    }
    (round_,) = [span for span in mine if span.name == "archgov.round"]
    assert round_.parent == ""
    assert round_.attributes["archgov.optimizer.status"] == "optimal"
    assert decision["spec"]["traceparent"].split("-")[2] == round_.id
    acted = received.named("archgov.action")
    assert {span.trace for span in acted} == {story}, "the effects of later rounds belong to the story of the decision"
    assert {link for span in acted for link in span.links} <= {s.trace for s in received.named("archgov.round")}
    (verified,) = received.named("archgov.verify")
    assert (verified.trace, verified.attributes["archgov.decision.outcome"]) == (story, "Verified")
    assert verified.links != (story,)
    told = [event for event in received.events if event.attributes.get("archgov.decision.name") == name]
    assert [event.name for event in told] == [
        "archgov.decision",
        "archgov.action",
        "archgov.action",
        "archgov.decision",
    ]
    assert {event.trace for event in told} == {story}
    assert {
        "archgov.rounds",
        "archgov.actions",
        "archgov.round.duration",
        "archgov.optimizer.gap",
        "archgov.fleet.cost",
    } <= (received.metrics)

    elsewhere = shutil.copy(tmp_path / "ledger.sqlite", tmp_path / "copied.sqlite")
    listed = json.loads(run("history", name, "-n", "shop", "--ledger", str(elsewhere), "--json").stdout)
    assert [row["event"] for row in listed] == ["Opened", "Acted", "Acted", "Closed"]
    assert listed[0]["trace"] == story
    verified_ledger = run("verify-ledger", "--ledger", str(elsewhere), "--json")
    assert (verified_ledger.exit_code, json.loads(verified_ledger.stdout)["intact"]) == (0, True)
    again = run("replay", name, "--ledger", str(elsewhere), "--json")
    assert (again.exit_code, json.loads(again.stdout)["same"]) == (0, True)
    with closing(sqlite3.connect(elsewhere)) as ledger, ledger:
        ledger.execute("UPDATE entries SET body = replace(body, 'Verified', 'Rejected')")
    broken = run("verify-ledger", "--ledger", str(elsewhere))
    assert (broken.exit_code, "nothing from there on can be relied upon" in broken.stdout) == (3, True)


def test_who_is_killed_in_the_middle_leaves_the_grounds_behind(tmp_path: Path) -> None:
    ledger = str(tmp_path / "ledger.sqlite")
    with stage(tmp_path, everywhere(CART, {"us": 4}, CLUSTERS)) as the:
        the.apply(in_eu(**SLOWLY))
        the.until("it acts", the.effects)
        the.kill()
        (row,) = json.loads(run("history", "-n", "shop", "--ledger", ledger, "--json").stdout)[:1]
        assert row["event"] == "Opened"
        the.start()
        the.until("it is verified", lambda: the.ready(CART) == {"eu": 4} and the.decisions("Verified"))
        name = the.decisions("Verified")[0]["metadata"]["name"]
        the.until("a row is noted", lambda: fleet_ledger(the).get("rows"))
        noted = fleet_ledger(the)
        assert the.broken() == []
    events = [row["event"] for row in rows_of(ledger) if row["decision"] == name]
    assert (events[0], events.count("Opened"), events[-1]) == ("Opened", 1, "Closed")
    again = run("replay", name, "--ledger", ledger, "--json")
    assert (again.exit_code, json.loads(again.stdout)["same"]) == (0, True)
    assert run("verify-ledger", "--ledger", ledger, "--head", noted["head"]).exit_code == 0
    with closing(sqlite3.connect(ledger)) as opened, opened:
        opened.execute("DELETE FROM entries WHERE number >= ?", (noted["rows"],))
    assert run("verify-ledger", "--ledger", ledger).exit_code == 0
    cut = run("verify-ledger", "--ledger", ledger, "--head", noted["head"])
    assert (cut.exit_code, "cut off at the end" in cut.stdout) == (3, True)


def fleet_ledger(the: Stage) -> dict[str, Any]:
    found: dict[str, Any] = the.hub.get(f"{ROOT}/fleets/fleet").get("status", {}).get("ledger", {})
    return found


def rows_of(ledger: str) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = json.loads(run("history", "--ledger", ledger, "--last", "0", "--json").stdout)
    return found
