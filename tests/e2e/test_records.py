"""What remains: one trace for the whole story of a decision, log events, metrics, a ledger that can be verified and replayed."""

from __future__ import annotations

import json
import shutil
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from archgov.cli.main import app
from tests.e2e.stage import everywhere, stage
from tests.e2e.test_acting import CART, CLUSTERS, in_eu
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
