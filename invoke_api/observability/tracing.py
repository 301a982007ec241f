"""OpenTelemetry spans of calls, exported by OTLP. Without an exporter, nothing here is imported.

The SDK reads the standard `OTEL_*` variables itself: endpoint, headers, sampler, batches, limits,
and the resource. A thread of the SDK sends the spans.
"""

from collections.abc import Callable, Mapping
from time import monotonic, time_ns
from typing import TYPE_CHECKING, NamedTuple

from invoke_api import __version__
from invoke_api.observability.trace_context import passed_on
from invoke_api.yaml_files import ConfigError

if TYPE_CHECKING:
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.trace import Span, Tracer

SERVICE_NAME = "invoke-api"  # unless OTEL_SERVICE_NAME or OTEL_RESOURCE_ATTRIBUTES names another
GRPC, HTTP = "grpc", "http/protobuf"
NANOSECONDS = 1_000_000_000

Attributes = Mapping[str, str | bool | int | float | list[str]]


class Outcome(NamedTuple):
    """The outcome of a call, for its span. `first_token` is on the monotonic clock, in seconds."""

    name: str
    attributes: Attributes
    first_token: float | None
    is_error: bool


class CallTrace:
    """The spans of one call.

    `call` lasts from the request's head to the end of the answer. `prepare` ends when the engine
    gets the request: checks, tokenization, quota. `engine` follows. Its part `queue` ends with the
    first token, so it includes the computation of the prompt.
    """

    __slots__ = ("_began_at", "_engine", "_engine_at", "_offset", "_span", "_tracer")

    def __init__(self, tracer: "Tracer", headers: Mapping[str, str], began: float) -> None:
        from opentelemetry.trace import SpanKind  # noqa: PLC0415 - an extra
        from opentelemetry.trace.propagation.tracecontext import (  # noqa: PLC0415 - an extra
            TraceContextTextMapPropagator,
        )

        # Spans have the time of day, calls have the monotonic clock.
        self._offset = time_ns() - int(monotonic() * NANOSECONDS)
        self._tracer = tracer
        self._began_at = self._at(began)
        parent = TraceContextTextMapPropagator().extract(passed_on(headers) or {})
        # Guess: the conventions name CLIENT, the kind of the caller's span. This is the server's.
        self._span: Span = tracer.start_span(
            "call", context=parent, kind=SpanKind.SERVER, start_time=self._began_at
        )
        self._engine: Span | None = None
        self._engine_at = 0

    def _at(self, seconds: float) -> int:
        return int(seconds * NANOSECONDS) + self._offset

    def begin_engine(self, engine: str, attributes: Attributes) -> dict[str, str]:
        """Begin the span of the engine. Return the headers with its context."""
        from opentelemetry.trace import set_span_in_context  # noqa: PLC0415 - an extra
        from opentelemetry.trace.propagation.tracecontext import (  # noqa: PLC0415 - an extra
            TraceContextTextMapPropagator,
        )

        self._engine_at = self._at(monotonic())
        self._span.set_attributes(attributes)
        parent = set_span_in_context(self._span)
        prepare = self._tracer.start_span("prepare", context=parent, start_time=self._began_at)
        prepare.end(self._engine_at)
        self._engine = self._tracer.start_span(
            f"engine {engine}", context=parent, start_time=self._engine_at
        )
        headers: dict[str, str] = {}
        TraceContextTextMapPropagator().inject(headers, set_span_in_context(self._engine))
        return headers

    def end(self, outcome: Outcome) -> None:
        """End all spans."""
        from opentelemetry.trace import StatusCode, set_span_in_context  # noqa: PLC0415 - an extra

        now = self._at(monotonic())
        first = None if outcome.first_token is None else self._at(outcome.first_token)
        if self._engine:
            parent = set_span_in_context(self._engine)
            queue = self._tracer.start_span("queue", context=parent, start_time=self._engine_at)
            queue.end(first or now)
            if outcome.is_error:
                self._engine.set_status(StatusCode.ERROR)
            self._engine.end(now)
        if first:
            self._span.add_event("first_token", timestamp=first)
        self._span.update_name(outcome.name)
        self._span.set_attributes(outcome.attributes)
        if outcome.is_error:
            self._span.set_status(StatusCode.ERROR)
        self._span.end(now)


class Tracing:
    """The exporter of one process. `protocol` is GRPC or HTTP."""

    def __init__(self, protocol: str) -> None:
        self._exporter = _find_exporter(protocol)
        self._provider: TracerProvider | None = None
        self._tracer: Tracer | None = None

    def start(self) -> None:
        """Start the thread that exports spans."""
        from opentelemetry.sdk.resources import (  # noqa: PLC0415 - an extra
            OTELResourceDetector,
            Resource,
        )
        from opentelemetry.sdk.trace import TracerProvider  # noqa: PLC0415 - the same
        from opentelemetry.sdk.trace.export import BatchSpanProcessor  # noqa: PLC0415 - the same

        own = {"service.name": SERVICE_NAME, "service.version": __version__}
        resource = Resource.create({**own, **OTELResourceDetector().detect().attributes})
        # Not set as the global provider: that is vLLM's, if a model has `otlp_traces_endpoint`.
        self._provider = TracerProvider(resource=resource, shutdown_on_exit=False)
        self._provider.add_span_processor(BatchSpanProcessor(self._exporter()))  # type: ignore[arg-type]  # one of two classes
        self._tracer = self._provider.get_tracer("invoke_api", __version__)

    def begin(self, headers: Mapping[str, str], began: float) -> CallTrace | None:
        """Begin the spans of a call. `began` is in seconds of the monotonic clock."""
        return CallTrace(self._tracer, headers, began) if self._tracer else None

    def close(self) -> None:
        """Export the last spans, and end the thread."""
        if self._provider:
            self._provider.shutdown()


def open_tracing(protocol: str | None) -> Tracing | None:
    """Return the exporter, or None if no protocol is configured. Raises `ConfigError`."""
    return Tracing(protocol) if protocol else None


def _find_exporter(protocol: str) -> Callable[[], object]:
    """Return the class of the exporter. Raises `ConfigError` if it is not installed."""
    try:
        import opentelemetry.sdk.trace  # noqa: F401, PLC0415 - an extra

        if protocol == GRPC:
            from opentelemetry.exporter.otlp.proto.grpc.trace_exporter import (  # noqa: PLC0415
                OTLPSpanExporter as GrpcExporter,
            )

            return GrpcExporter
        from opentelemetry.exporter.otlp.proto.http.trace_exporter import (  # noqa: PLC0415
            OTLPSpanExporter as HttpExporter,
        )
    except ImportError as error:
        raise ConfigError(
            f"OTEL_* variables ask for traces, and {error}: install bedrock-invoke-api[otel], or"
            " set OTEL_SDK_DISABLED=true"
        ) from error
    return HttpExporter
