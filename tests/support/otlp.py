"""A receiver of OpenTelemetry's protocol, as a collector has one: OTLP over HTTP."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import (
    ExportTraceServiceRequest,
    ExportTraceServiceResponse,
)
from opentelemetry.proto.common.v1.common_pb2 import AnyValue


@dataclass(frozen=True, kw_only=True)
class Received:
    """A span that was received. `events` has the names of its events. Ids are in hex."""

    name: str
    trace_id: str
    span_id: str
    parent_id: str
    state: str
    kind: int
    status: int
    begin: int
    end: int
    attributes: dict[str, Any]
    events: list[str]
    resource: dict[str, Any]


@dataclass
class Collector:
    """The spans that a receiver has got, and the headers of each export."""

    url: str = ""
    spans: list[Received] = field(default_factory=list)
    headers: list[dict[str, str]] = field(default_factory=list)

    def take(self, raw: bytes) -> None:
        """Decode one export."""
        request = ExportTraceServiceRequest.FromString(raw)
        for group in request.resource_spans:
            resource = to_dict(group.resource.attributes)
            for scope in group.scope_spans:
                self.spans += [to_span(each, resource) for each in scope.spans]

    def of_request(self, request_id: str) -> list[Received]:
        """Return the span of this call and those below it, the call's first."""
        found = [s for s in self.spans if s.attributes.get("aws.request_id") == request_id]
        for parent in found:
            found += [s for s in self.spans if s.parent_id == parent.span_id]
        return found


def to_span(span: Any, resource: dict[str, Any]) -> Received:
    return Received(
        name=span.name,
        trace_id=span.trace_id.hex(),
        span_id=span.span_id.hex(),
        parent_id=span.parent_span_id.hex(),
        state=span.trace_state,
        kind=span.kind,
        status=span.status.code,
        begin=span.start_time_unix_nano,
        end=span.end_time_unix_nano,
        attributes=to_dict(span.attributes),
        events=[event.name for event in span.events],
        resource=resource,
    )


def to_dict(pairs: Any) -> dict[str, Any]:
    return {pair.key: to_value(pair.value) for pair in pairs}


def to_value(value: AnyValue) -> Any:
    kind = value.WhichOneof("value")
    if kind == "array_value":
        return [to_value(each) for each in value.array_value.values]
    return getattr(value, kind) if kind else None


@contextmanager
def collecting() -> Iterator[Collector]:
    """Run a receiver of OTLP over HTTP in a thread."""
    collector = Collector()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            assert self.path == "/v1/traces", self.path
            assert self.headers["Content-Type"] == "application/x-protobuf"
            raw = self.rfile.read(int(self.headers["Content-Length"]))
            collector.headers.append({k.lower(): v for k, v in self.headers.items()})
            collector.take(raw)
            answer = ExportTraceServiceResponse().SerializeToString()
            self.send_response(200)
            self.send_header("Content-Type", "application/x-protobuf")
            self.send_header("Content-Length", str(len(answer)))
            self.end_headers()
            self.wfile.write(answer)

        def log_message(self, *_: object) -> None: ...

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        collector.url = f"http://127.0.0.1:{server.server_port}"
        thread = threading.Thread(target=server.serve_forever, args=[0.05])
        thread.start()
        try:
            yield collector
        finally:
            server.shutdown()
            thread.join()
