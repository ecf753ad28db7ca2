"""Traces, decision events, metrics: OpenTelemetry, by the standard environment variables."""

from __future__ import annotations

import json
import os
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from opentelemetry import trace
from opentelemetry._logs import SeverityNumber
from opentelemetry.sdk._logs import LoggerProvider
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import MetricReader
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor, SpanExporter, SpanExportResult
from opentelemetry.trace import Span
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

from archgov import __version__
from archgov.decide.round import Round
from archgov.model.decision import Decision

# An unreachable collector would hold the shutdown for the exporter's own time-out, 10 s a signal by default.
EXPORT_SECONDS: Final = 2
SHUTDOWN_SECONDS: Final = 5
ENDPOINTS: Final = ("OTEL_EXPORTER_OTLP_ENDPOINT", "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT")


class JsonLines(SpanExporter):
    """Finished spans as lines of a file, for people without a collector."""

    def __init__(self, path: Path) -> None:
        self._file = path.open("a", encoding="utf-8")

    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        for span in spans:
            self._file.write(json.dumps(json.loads(span.to_json(indent=None)), separators=(",", ":")) + "\n")
        self._file.flush()
        return SpanExportResult.SUCCESS

    def shutdown(self) -> None:
        self._file.close()


class Telemetry:
    """Everything that is recorded of rounds; without a collector and without a file it only keeps trace ids."""

    def __init__(self, traces_file: Path | None) -> None:
        resource = Resource.create({"service.name": "archgov", "service.version": __version__})
        self._traces = TracerProvider(resource=resource)
        self._logs = LoggerProvider(resource=resource)
        readers: list[MetricReader] = []
        if any(os.environ.get(name) for name in ENDPOINTS):
            readers.append(_send_to_collector(self._traces, self._logs))
        if traces_file is not None:
            self._traces.add_span_processor(SimpleSpanProcessor(JsonLines(traces_file)))
        self._metrics = MeterProvider(metric_readers=readers, resource=resource)
        meter = self._metrics.get_meter("archgov")
        self._tracer = self._traces.get_tracer("archgov", __version__)
        self._logger = self._logs.get_logger("archgov", __version__)
        self._rounds = meter.create_counter("archgov.rounds", description="Rounds concluded.")
        self._actions = meter.create_counter("archgov.actions", description="Effects by result.")
        self._seconds = meter.create_histogram("archgov.round.duration", "s", "Seconds a step of a round takes.")

    @contextmanager
    def step(self, name: str) -> Iterator[Span]:
        """A span; the ones inside it are its children."""
        with self._tracer.start_as_current_span(name) as span:
            yield span

    def concluded(self, span: Span, snapshot: str, found: Round, epoch: int) -> None:
        """What a round decided, on its span and as one log event per decision."""
        self._rounds.add(1)
        span.set_attribute("archgov.snapshot.digest", snapshot)
        span.set_attribute("archgov.epoch", epoch)
        span.set_attribute("archgov.decisions", len(found.decisions))
        span.set_attribute("archgov.effects", len(found.effects))
        if found.acting is not None:
            span.set_attribute("archgov.optimizer.status", found.acting.solution.status.value)
            span.set_attribute("archgov.objective", found.acting.objective)
            if found.acting.bound is not None:
                span.set_attribute("archgov.bound", found.acting.bound)
        for decision in found.decisions:
            self._decided(decision)

    def acted(self, result: str) -> None:
        """Counts one effect."""
        self._actions.add(1, {"result": result})

    def took(self, step: str, seconds: float) -> None:
        """Notes how long a step of a round took."""
        self._seconds.record(seconds, {"step": step})

    def close(self) -> None:
        """Sends what is left, for a bounded time."""

        def shut() -> None:
            self._traces.shutdown()
            self._logs.shutdown()
            self._metrics.shutdown()

        thread = threading.Thread(target=shut, daemon=True)
        thread.start()
        thread.join(SHUTDOWN_SECONDS)

    def _decided(self, decision: Decision) -> None:
        first = decision.intents[0]
        self._logger.emit(
            severity_number=SeverityNumber.INFO,
            event_name="archgov.decision",
            body=decision.summary,
            attributes={
                "archgov.decision.name": decision.name,
                "archgov.decision.hash": decision.plan_hash,
                "archgov.decision.outcome": decision.outcome.value,
                "archgov.intent.kind": first.kind,
                "archgov.intent.namespace": first.namespace,
                "archgov.intent.name": first.name,
                "archgov.optimizer.name": decision.engine,
                "archgov.optimizer.seed": decision.seed,
                "archgov.objective": decision.objective,
                "archgov.snapshot.digest": decision.snapshot,
            },
        )


def _send_to_collector(traces: TracerProvider, logs: LoggerProvider) -> MetricReader:
    """Sends all signals by OTLP over HTTP; returns the reader that metrics need."""
    # Half a second of imports that nobody without a collector should wait for.
    from opentelemetry.exporter.otlp.proto.http._log_exporter import OTLPLogExporter  # noqa: PLC0415
    from opentelemetry.exporter.otlp.proto.http.metric_exporter import OTLPMetricExporter  # noqa: PLC0415
    from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter  # noqa: PLC0415
    from opentelemetry.sdk._logs.export import BatchLogRecordProcessor  # noqa: PLC0415
    from opentelemetry.sdk.metrics.export import PeriodicExportingMetricReader  # noqa: PLC0415
    from opentelemetry.sdk.trace.export import BatchSpanProcessor  # noqa: PLC0415

    traces.add_span_processor(BatchSpanProcessor(OTLPSpanExporter(timeout=EXPORT_SECONDS)))
    logs.add_log_record_processor(BatchLogRecordProcessor(OTLPLogExporter(timeout=EXPORT_SECONDS)))
    return PeriodicExportingMetricReader(OTLPMetricExporter(timeout=EXPORT_SECONDS))


def traceparent() -> str:
    """The W3C trace context of the span that is open now, empty outside of any."""
    carrier: dict[str, str] = {}
    TraceContextTextMapPropagator().inject(carrier)
    return carrier.get("traceparent", "")


def trace_id() -> str:
    """The id of the open trace in hexadecimal, empty outside of any."""
    context = trace.get_current_span().get_span_context()
    return f"{context.trace_id:032x}" if context.is_valid else ""
