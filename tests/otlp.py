"""A receiver of OTLP over HTTP, by the protocol's own messages; what a collector would get."""

from __future__ import annotations

import gzip
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest


@dataclass(frozen=True)
class Span:
    name: str
    trace: str
    id: str
    parent: str
    links: tuple[str, ...]
    attributes: dict[str, Any]


@dataclass(frozen=True)
class Event:
    name: str
    body: str
    trace: str
    attributes: dict[str, Any]


@dataclass
class Received:
    url: str = ""
    spans: list[Span] = field(default_factory=list)
    events: list[Event] = field(default_factory=list)
    metrics: set[str] = field(default_factory=set)

    def named(self, name: str) -> list[Span]:
        return [span for span in self.spans if span.name == name]

    def take(self, path: str, body: bytes) -> None:
        match path:
            case "/v1/traces":
                traces = ExportTraceServiceRequest.FromString(body)
                self.spans += [_span(s) for r in traces.resource_spans for c in r.scope_spans for s in c.spans]
            case "/v1/logs":
                logs = ExportLogsServiceRequest.FromString(body)
                self.events += [_event(e) for r in logs.resource_logs for c in r.scope_logs for e in c.log_records]
            case "/v1/metrics":
                metrics = ExportMetricsServiceRequest.FromString(body)
                self.metrics |= {m.name for r in metrics.resource_metrics for c in r.scope_metrics for m in c.metrics}


@contextmanager
def receiver() -> Iterator[Received]:
    received = Received()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            zipped = self.headers.get("Content-Encoding") == "gzip"
            received.take(self.path, gzip.decompress(body) if zipped else body)
            self.send_response(200)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *_: Any) -> None:
            """Nobody reads it."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        received.url = f"http://127.0.0.1:{server.server_address[1]}"
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        try:
            yield received
        finally:
            server.shutdown()
            thread.join()


def _span(span: Any) -> Span:
    return Span(
        span.name,
        span.trace_id.hex(),
        span.span_id.hex(),
        span.parent_span_id.hex(),
        tuple(link.trace_id.hex() for link in span.links),
        _attributes(span.attributes),
    )


def _event(event: Any) -> Event:
    return Event(event.event_name, event.body.string_value, event.trace_id.hex(), _attributes(event.attributes))


def _attributes(pairs: Any) -> dict[str, Any]:
    return {pair.key: getattr(pair.value, pair.value.WhichOneof("value") or "string_value") for pair in pairs}
