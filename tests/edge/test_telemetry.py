"""What is recorded of a round, and for how long the end waits for it."""

from __future__ import annotations

import gzip
import json
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path

import pytest
from aiohttp import web
from prometheus_client import REGISTRY

from archgov.decide.round import conclude
from archgov.edge.aside import aside
from archgov.edge.settings import SettingError
from archgov.edge.telemetry import Telemetry, patience, trace_id, traceparent
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
        telemetry.concluded(span, snapshot, found, epoch=3, stories={})
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


@asynccontextmanager
async def collecting(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[dict[str, bytes]]:
    """What a collector received, by path."""
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
        yield received
    finally:
        await runner.cleanup()


async def test_a_collector_gets_spans_decisions_and_metrics(monkeypatch: pytest.MonkeyPatch) -> None:
    async with collecting(monkeypatch) as received:
        telemetry = Telemetry(None)
        a_round(telemetry)
        await aside(telemetry.close)
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


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="this machine has no disk that is always full")
async def test_a_full_disk_for_spans_keeps_no_logs_or_metrics_back(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    async with collecting(monkeypatch) as received:
        telemetry = Telemetry(Path("/dev/full"))
        a_round(telemetry)
        await aside(telemetry.close)
    assert {"/v1/logs", "/v1/metrics"} <= received.keys()
    assert "telemetry was lost at the end" in caplog.text


def test_the_folder_of_the_traces_file_is_made_or_the_setting_is_named(tmp_path: Path) -> None:
    Telemetry(tmp_path / "new" / "folder" / "traces.jsonl").close()
    assert (tmp_path / "new" / "folder" / "traces.jsonl").exists()
    (tmp_path / "file").touch()
    for wrong in (tmp_path / "file" / "traces.jsonl", tmp_path):
        with pytest.raises(SettingError, match="ARCHGOV_TRACES_FILE"):
            Telemetry(wrong)


@pytest.mark.parametrize("name", ["OTEL_EXPORTER_OTLP_TIMEOUT", "OTEL_EXPORTER_OTLP_TRACES_TIMEOUT"])
def test_the_time_out_of_an_export_is_the_one_that_is_set(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    assert patience("TRACES") == 2
    monkeypatch.setenv(name, "7")
    assert patience("TRACES") is None, "the exporter reads it itself"


def test_a_round_that_fails_is_timed_too() -> None:
    telemetry = Telemetry(None, scraped=True)
    with pytest.raises(ZeroDivisionError), telemetry.step("archgov.broken"):
        raise ZeroDivisionError
    assert scraped("archgov_round_duration_seconds_count", "step") == {"broken": 1}
    telemetry.close()


def test_gauges_forget_what_is_gone() -> None:
    telemetry, snapshot = Telemetry(None, scraped=True), a_world().snapshot()
    lags = []
    for lag in ((("ap", 1000), ("eu", 2000)), (("eu", 3000),)):
        seen = replace(snapshot, lag=lag)
        with telemetry.step("archgov.round") as span:
            telemetry.concluded(span, seen, conclude(seen), epoch=1, stories={})
        lags.append(scraped("archgov_observation_lag_seconds", "cluster"))
        assert scraped("archgov_observation_lag_seconds", "cluster") == lags[-1], "it stays until the next round"
    telemetry.close()
    assert lags == [{"ap": 1, "eu": 2}, {"eu": 3}]


def scraped(metric: str, label: str) -> dict[str, float]:
    """The values of a metric by one of its labels."""
    samples = [sample for found in REGISTRY.collect() for sample in found.samples if sample.name == metric]
    return {sample.labels[label]: sample.value for sample in samples}
