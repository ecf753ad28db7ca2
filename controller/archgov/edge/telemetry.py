"""Traces, log events, metrics: OpenTelemetry, by the standard environment variables, and what Prometheus scrapes.

A round is one trace. What happens to a decision later (an approval, an effect, its verification) is a span under the trace
context that the Decision keeps, linked to the round that did it: the whole story of a decision is one trace, hours long if need be.
"""

from __future__ import annotations

import json
import logging
import os
import threading
import time
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any, Final

from opentelemetry import trace
from opentelemetry._logs import SeverityNumber
from opentelemetry.context import Context
from opentelemetry.metrics import CallbackOptions, Observation
from opentelemetry.sdk._logs import LoggerProvider
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import MetricReader
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor, SpanExporter, SpanExportResult
from opentelemetry.trace import Link, Span
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

from archgov import __version__
from archgov.decide.open import Closed
from archgov.decide.round import Effect, Round
from archgov.decide.tell import gap_of
from archgov.edge.settings import SettingError
from archgov.model.condition import Kind, Reason, Status
from archgov.model.decision import Decision, Finding
from archgov.model.snapshot import Snapshot
from archgov.optimize.placement.judge import cost

LOG: Final = logging.getLogger("archgov.telemetry")
# An unreachable collector would hold the shutdown for the exporter's own time-out, 10 s a signal by default.
EXPORT_SECONDS: Final = 2
SHUTDOWN_SECONDS: Final = 5
ENDPOINT: Final = "OTEL_EXPORTER_OTLP_ENDPOINT"
SIGNALS: Final = ("TRACES", "LOGS", "METRICS")
PREFIX: Final = "archgov."
USD: Final = 1_000_000

GAUGES: Final = (
    ("optimizer.gap", "1", "Relative gap of the acting plan."),
    ("objective.cost", "USD/h", "The acting plan's objective by term."),
    ("fleet.cost", "USD/d", "What replicas are allocated, and what nodes cost."),
    ("fragile.workloads", "1", "Workloads that some loss of a scope takes whole."),
    ("approvals.waiting", "1", "Plans that wait for a person."),
    ("budget.waiting", "1", "Workloads whose next step waits for a budget."),
    ("intents", "1", "Intents by the reason of their Ready condition."),
    ("forecast.error", "1", "Mean error of forecasts against seasonal naive."),
    ("forecast.coverage", "1", "How often demand stayed within forecasts."),
    ("observation.lag", "s", "How old what is known of a cluster may be."),
    ("leader.epoch", "1", "Epoch of this leadership."),
)

Attributes = Mapping[str, Any]
# Values of gauges by name, each with its labels.
Measured = Mapping[str, Sequence[tuple[Mapping[str, str], float]]]
# W3C trace contexts of decisions, by namespace and name.
Stories = Mapping[tuple[str, str], str]


class JsonLines(SpanExporter):
    """Finished spans as lines of a file, for people without a collector."""

    def __init__(self, path: Path) -> None:
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            self._file = path.open("a", encoding="utf-8")
        except OSError as error:
            raise SettingError(f"ARCHGOV_TRACES_FILE is {path}; no spans can be written there: {error}") from None

    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        for span in spans:
            self._file.write(json.dumps(json.loads(span.to_json(indent=None)), separators=(",", ":")) + "\n")
        self._file.flush()
        return SpanExportResult.SUCCESS

    def shutdown(self) -> None:
        self._file.close()


class Telemetry:
    """Everything that is recorded of rounds; without a collector, a file and a scrape it only keeps trace ids."""

    def __init__(self, traces_file: Path | None, *, scraped: bool = False) -> None:
        resource = Resource.create({"service.name": "archgov", "service.version": __version__})
        self._traces = TracerProvider(resource=resource)
        self._logs = LoggerProvider(resource=resource)
        readers = [*_senders(self._traces, self._logs), *([_scraped()] if scraped else [])]
        if traces_file is not None:
            self._traces.add_span_processor(SimpleSpanProcessor(JsonLines(traces_file)))
        self._metrics = MeterProvider(metric_readers=readers, resource=resource)
        meter = self._metrics.get_meter("archgov", __version__)
        self._tracer = self._traces.get_tracer("archgov", __version__)
        self._logger = self._logs.get_logger("archgov", __version__)
        self._told: frozenset[Finding] = frozenset()
        self._rounds = meter.create_counter("archgov.rounds", description="Rounds concluded.")
        self._decisions = meter.create_counter("archgov.decisions", description="Decisions by what became of them.")
        self._actions = meter.create_counter("archgov.actions", description="Effects by result.")
        self._seconds = meter.create_histogram("archgov.round.duration", "s", "Seconds a step of a round takes.")
        self._measured: Measured = {}
        for name, unit, description in GAUGES:
            meter.create_observable_gauge(f"{PREFIX}{name}", [partial(self._now, name)], unit, description)

    @contextmanager
    def step(self, name: str) -> Iterator[Span]:
        """A span, whose seconds are counted too; the ones inside it are its children."""
        begin = time.monotonic()
        try:
            with self._tracer.start_as_current_span(name) as span:
                yield span
        finally:
            self._seconds.record(time.monotonic() - begin, {"step": name.removeprefix(PREFIX)})

    def concluded(self, span: Span, snapshot: Snapshot, found: Round, epoch: int, stories: Stories) -> None:
        """What a round decided: on its span, as one log event per decision and new finding, as gauges.

        Args:
            stories: of the decisions that were made before; one that a person releases goes on with its own.
        """
        self._rounds.add(1)
        span.set_attribute("archgov.snapshot.digest", snapshot.digest)
        span.set_attribute("archgov.epoch", epoch)
        span.set_attribute("archgov.decisions", len(found.decisions))
        span.set_attribute("archgov.effects", len(found.effects))
        if found.acting is not None:
            span.set_attribute("archgov.optimizer.name", found.acting.solution.engine)
            span.set_attribute("archgov.optimizer.status", found.acting.solution.status.value)
            span.set_attribute("archgov.objective", found.acting.objective / USD)
            if found.acting.bound is not None:
                span.set_attribute("archgov.bound", found.acting.bound / USD)
                span.set_attribute("archgov.gap", gap_of(found.acting) or 0.0)
        asked_by = {intent.common.ref: intent.common.traceparent for intent in snapshot.intents}
        for decision in found.decisions:
            self._decided(decision, asked_by.get(decision.intents[0], ""), stories.get(decision.key, ""))
        self._find(found.findings)
        self._measured = _measured(snapshot, found, epoch)

    def acted(self, effect: Effect, result: str, stories: Stories) -> None:
        """One effect, under the story of its decision."""
        self._actions.add(1, {"result": result, "cause": effect.action.cause.value})
        action = effect.action
        told = {
            "archgov.decision.name": effect.decision,
            "archgov.action.result": result,
            "archgov.action.cause": action.cause.value,
            "archgov.action.before": action.before,
            "archgov.action.after": action.after,
            "k8s.cluster.name": action.cluster,
            "k8s.namespace.name": action.workload.namespace,
            "k8s.deployment.name": action.workload.name,
        }
        with self._in_story(stories.get((effect.namespace, effect.decision), ""), "archgov.action", told):
            self._emit("archgov.action", f"{action.workload} {action.before} → {action.after}: {result}", told)

    def over(self, closed: Closed, stories: Stories) -> None:
        """The end of a decision, under its story."""
        self._decisions.add(1, {"outcome": closed.outcome.value})
        told = {
            "archgov.decision.name": closed.name,
            "archgov.decision.outcome": closed.outcome.value,
            "k8s.namespace.name": closed.namespace,
        }
        with self._in_story(stories.get(closed.key, ""), "archgov.verify", told):
            self._emit("archgov.decision", closed.reason, told)

    def close(self) -> None:
        """Sends what is left, for a bounded time."""

        def shut() -> None:
            for signal in (self._traces, self._logs, self._metrics):
                # One that can't send what is left, to a full disk say, keeps none of the others from it.
                try:
                    signal.shutdown()
                except Exception as error:  # noqa: BLE001 every exporter fails in its own way
                    LOG.warning("telemetry was lost at the end", extra={"why": str(error)})

        thread = threading.Thread(target=shut, daemon=True)
        thread.start()
        thread.join(SHUTDOWN_SECONDS)

    def _decided(self, decision: Decision, asked: str, story: str) -> None:
        first = decision.intents[0]
        self._decisions.add(1, {"outcome": decision.outcome.value})
        told = {
            "archgov.decision.name": decision.name,
            "archgov.decision.hash": decision.plan_hash,
            "archgov.decision.outcome": decision.outcome.value,
            "archgov.decision.actions": len(decision.actions),
            "archgov.decision.approved_by": decision.approved_by,
            "archgov.intent.kind": first.kind,
            "archgov.intent.namespace": first.namespace,
            "archgov.intent.name": first.name,
            "archgov.decision.engine": decision.engine,
            "archgov.decision.seed": decision.seed,
            "archgov.decision.objective": decision.objective / USD,
            "archgov.snapshot.digest": decision.snapshot,
        }
        # The commit that changed the intent, where its annotation names one.
        links = [link for link in (_link(asked),) if link is not None]
        with self._in_story(story, "archgov.decision", told, links):
            self._emit("archgov.decision", decision.summary, told)

    def _find(self, findings: Iterable[Finding]) -> None:
        """Each finding once, when it comes up."""
        found = frozenset(findings)
        for finding in sorted(found - self._told):
            about = [str(ref) for ref in finding.about]
            told = {"archgov.finding.reason": finding.reason.value, "archgov.finding.about": about}
            self._emit("archgov.finding", finding.message, told, warns=finding.stalls)
        self._told = found

    def _now(self, gauge: str, _: CallbackOptions) -> Iterator[Observation]:
        """A gauge as the newest round has it: what is gone since leaves no value behind."""
        for labels, value in self._measured.get(gauge, ()):
            yield Observation(value, labels)

    @contextmanager
    def _in_story(self, story: str, name: str, told: Attributes, links: Sequence[Link] = ()) -> Iterator[None]:
        """A span in the trace of a decision, linked to the round that is under way; inside that round without a story."""
        here = trace.get_current_span().get_span_context()
        context, links = _context(story), [*links, *([Link(here)] if story and here.is_valid else [])]
        with self._tracer.start_as_current_span(name, context=context, links=links, attributes=told):
            yield

    def _emit(self, event: str, body: str, told: Attributes, *, warns: bool = False) -> None:
        severity = SeverityNumber.WARN if warns else SeverityNumber.INFO
        self._logger.emit(severity_number=severity, event_name=event, body=body, attributes=dict(told))


def _measured(snapshot: Snapshot, found: Round, epoch: int) -> Measured:
    overview, acting = found.overview, found.acting
    terms = cost(acting.problem, acting.target).items() if acting else ()
    conditions = [condition for verdict in found.verdicts for condition in verdict.conditions]
    reasons = Counter(condition.reason for condition in conditions if condition.kind is Kind.READY)
    errors = [float(verdict.forecast_error) for verdict in found.verdicts if verdict.forecast_error]
    coverages = [float(verdict.coverage.rstrip("%")) / 100 for verdict in found.verdicts if verdict.coverage]
    waiting = sum(1 for condition in conditions if condition.kind is Kind.APPROVED and condition.status is Status.FALSE)
    held = sum(1 for finding in found.findings if finding.reason is Reason.WAITING_FOR_BUDGET)
    return {
        "leader.epoch": [({}, epoch)],
        "fleet.cost": [
            ({"kind": "allocated"}, overview.allocated * 24 / USD),
            ({"kind": "bill"}, overview.bill * 24 / USD),
        ],
        "fragile.workloads": [({"scope": level.value}, count) for level, count in overview.fragile],
        "optimizer.gap": [({}, gap_of(acting) or 0.0)] if acting else [],
        "objective.cost": [({"term": term}, micro / USD) for term, micro in terms],
        "intents": [({"reason": reason.value}, count) for reason, count in reasons.items()],
        "approvals.waiting": [({}, waiting)],
        "budget.waiting": [({}, held)],
        "forecast.error": [({}, sum(errors) / len(errors))] if errors else [],
        "forecast.coverage": [({}, sum(coverages) / len(coverages))] if coverages else [],
        "observation.lag": [({"cluster": cluster}, lag / 1000) for cluster, lag in snapshot.lag],
    }


def _senders(traces: TracerProvider, logs: LoggerProvider) -> list[MetricReader]:
    """Sends the signals that an endpoint is set for by OTLP over HTTP; returns the readers that metrics need."""
    wanted = {signal for signal in SIGNALS if os.environ.get(f"OTEL_EXPORTER_OTLP_{signal}_ENDPOINT")}
    if os.environ.get(ENDPOINT):
        wanted |= set(SIGNALS)
    wanted -= {signal for signal in SIGNALS if os.environ.get(f"OTEL_{signal}_EXPORTER") == "none"}
    if not wanted or os.environ.get("OTEL_SDK_DISABLED", "").lower() == "true":
        return []
    # Half a second of imports that nobody without a collector should wait for.
    from opentelemetry.exporter.otlp.proto.http._log_exporter import OTLPLogExporter  # noqa: PLC0415
    from opentelemetry.exporter.otlp.proto.http.metric_exporter import OTLPMetricExporter  # noqa: PLC0415
    from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter  # noqa: PLC0415
    from opentelemetry.sdk._logs.export import BatchLogRecordProcessor  # noqa: PLC0415
    from opentelemetry.sdk.metrics.export import PeriodicExportingMetricReader  # noqa: PLC0415
    from opentelemetry.sdk.trace.export import BatchSpanProcessor  # noqa: PLC0415

    if "TRACES" in wanted:
        traces.add_span_processor(BatchSpanProcessor(OTLPSpanExporter(timeout=patience("TRACES"))))
    if "LOGS" in wanted:
        logs.add_log_record_processor(BatchLogRecordProcessor(OTLPLogExporter(timeout=patience("LOGS"))))
    return (
        [PeriodicExportingMetricReader(OTLPMetricExporter(timeout=patience("METRICS")))] if "METRICS" in wanted else []
    )


def patience(signal: str) -> float | None:
    """The time-out of an export: ours, or None, which is the one that the environment sets."""
    told = (f"OTEL_EXPORTER_OTLP_{signal}_TIMEOUT", "OTEL_EXPORTER_OTLP_TIMEOUT")
    return None if any(os.environ.get(name) for name in told) else EXPORT_SECONDS


def _scraped() -> MetricReader:
    from opentelemetry.exporter.prometheus import PrometheusMetricReader  # noqa: PLC0415 as above

    return PrometheusMetricReader()


def _context(story: str) -> Context | None:
    """The context that a traceparent names; None, which is the one that is open now, where it names none."""
    return TraceContextTextMapPropagator().extract({"traceparent": story}) if story else None


def _link(story: str) -> Link | None:
    context = _context(story)
    named = trace.get_current_span(context).get_span_context() if context is not None else None
    return Link(named) if named is not None and named.is_valid else None


def traceparent() -> str:
    """The W3C trace context of the span that is open now, empty outside of any."""
    carrier: dict[str, str] = {}
    TraceContextTextMapPropagator().inject(carrier)
    return carrier.get("traceparent", "")


def trace_id() -> str:
    """The id of the open trace in hexadecimal, empty outside of any."""
    context = trace.get_current_span().get_span_context()
    return f"{context.trace_id:032x}" if context.is_valid else ""
