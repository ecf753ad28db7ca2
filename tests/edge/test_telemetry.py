"""What is recorded of a round, and for how long the end waits for it."""

from __future__ import annotations

import gzip
import json
import time
from pathlib import Path

import pytest
from aiohttp import web

from archgov.decide.round import conclude
from archgov.edge.aside import aside
from archgov.edge.telemetry import Telemetry, trace_id, traceparent
from archgov.model.intent import Mode
from tests.build import a_cluster, a_workload, placement
from tests.world import World

EU = {"archgov.io/jurisdiction": "eu"}
ENDPOINT = "OTEL_EXPORTER_OTLP_ENDPOINT"


def a_world() -> World:
    return World(
        clusters=[a_cluster("ap"), a_cluster("eu", labels=EU)],
        nodes={f"{name}/{zone}": 2 for name in ("ap", "eu") for zone in "abc"},
        workloads=[a_workload("shop/cart", {"ap/a": 2}, spec={"ap": 2, "eu": 0})],
        intents=[placement("shop/in-eu", allow=EU, mode=Mode.ENFORCE)],
    )


def a_round(telemetry: Telemetry) -> tuple[str, str]:
    """Records one round; its trace context and trace id."""
    snapshot = a_world().snapshot()
    with telemetry.step("archgov.round") as span:
        with telemetry.step("archgov.decide"):
            found = conclude(snapshot)
        telemetry.concluded(span, snapshot, found, epoch=3)
        for effect in found.effects:
            telemetry.acted(effect, "done", {})
        return traceparent(), trace_id()


def test_a_round_is_one_trace_whose_context_can_be_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(ENDPOINT, raising=False)
    telemetry = Telemetry(tmp_path / "traces.jsonl")
    context, trace = a_round(telemetry)
    telemetry.close()
    spans = {span["name"]: span for span in map(json.loads, (tmp_path / "traces.jsonl").read_text().splitlines())}
    assert spans["archgov.decide"]["parent_id"] == spans["archgov.round"]["context"]["span_id"]
    assert {span["context"]["trace_id"] for span in spans.values()} == {f"0x{trace}"}
    assert context.split("-")[1] == trace
    assert spans["archgov.round"]["attributes"]["archgov.optimizer.status"] == "optimal"
    assert (traceparent(), trace_id()) == ("", "")


async def test_a_collector_gets_spans_decisions_and_metrics(monkeypatch: pytest.MonkeyPatch) -> None:
    received: dict[str, bytes] = {}

    async def take(request: web.Request) -> web.Response:
        body = await request.read()
        zipped = body[:2] == b"\x1f\x8b"
        received[request.path] = received.get(request.path, b"") + (gzip.decompress(body) if zipped else body)
        return web.Response()

    app = web.Application()
    app.router.add_post("/{path:.*}", take)
    runner = web.AppRunner(app)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    monkeypatch.setenv(ENDPOINT, f"http://127.0.0.1:{runner.addresses[0][1]}")
    try:
        telemetry = Telemetry(None)
        a_round(telemetry)
        await aside(telemetry.close)
    finally:
        await runner.cleanup()
    assert b"archgov.round" in received["/v1/traces"]
    assert b"archgov.decision" in received["/v1/logs"]
    assert b"in-eu" in received["/v1/logs"]
    assert b"archgov.actions" in received["/v1/metrics"]


def test_a_collector_that_is_not_there_holds_up_the_end_for_a_few_seconds_only(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv(ENDPOINT, "http://127.0.0.1:9")
    telemetry = Telemetry(None)
    a_round(telemetry)
    begin = time.monotonic()
    telemetry.close()
    assert time.monotonic() - begin < 10
