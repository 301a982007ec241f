"""The JSON inside a stream's chunks and inside a whole answer, to the byte."""

from dataclasses import dataclass

from engine.protocol import Delta
from invoke_api.dialects.question import InvocationMetrics
from tests.fidelity.case import GUESS

DATADOG = "DataDog/dd-trace-js's recording of 7B, 94 chunks"


@dataclass(frozen=True, kw_only=True)
class Chunk:
    """A delta and its JSON.

    `metrics` are input tokens, output tokens, latency and latency of the first byte.
    """

    name: str
    seen: str
    delta: Delta
    metrics: tuple[int, int, int, int] | None = None
    answer: str

    def to_metrics(self) -> InvocationMetrics | None:
        if self.metrics is None:
            return None
        names = ("input_tokens", "output_tokens", "latency", "first_byte_latency")
        return InvocationMetrics(**dict(zip(names, self.metrics, strict=True)))


TABLE = [
    Chunk(
        name="a token",
        seen=DATADOG,
        delta=Delta(" To"),
        answer='{"outputs":[{"text":" To","stop_reason":null}]}',
    ),
    Chunk(
        name="a line break",
        seen=DATADOG,
        delta=Delta("\n"),
        answer='{"outputs":[{"text":"\\n","stop_reason":null}]}',
    ),
    Chunk(
        name="a blank",
        seen=DATADOG,
        delta=Delta(" "),
        answer='{"outputs":[{"text":" ","stop_reason":null}]}',
    ),
    Chunk(
        name="no ASCII",
        seen=DATADOG,
        delta=Delta("é🦜"),
        answer='{"outputs":[{"text":"é🦜","stop_reason":null}]}',
    ),
    Chunk(
        name="quotes and slashes",
        seen=GUESS,
        delta=Delta('"/\\'),
        answer='{"outputs":[{"text":"\\"/\\\\","stop_reason":null}]}',
    ),
    Chunk(
        name="half a character is no text",
        seen=GUESS,
        delta=Delta(""),
        answer='{"outputs":[{"text":"","stop_reason":null}]}',
    ),
    Chunk(
        name="the end",
        seen=DATADOG,
        delta=Delta("", "stop"),
        metrics=(8, 94, 977, 97),
        answer='{"outputs":[{"text":"","stop_reason":"stop"}],'
        '"amazon-bedrock-invocationMetrics":{"inputTokenCount":8,"outputTokenCount":94,'
        '"invocationLatency":977,"firstByteLatency":97}}',
    ),
    Chunk(
        name="the last of max_tokens",
        seen="open-telemetry/opentelemetry-js-contrib's recording of Small 2402",
        delta=Delta(" well", "length"),
        metrics=(19, 20, 408, 134),
        answer='{"outputs":[{"text":" well","stop_reason":"length"}],'
        '"amazon-bedrock-invocationMetrics":{"inputTokenCount":19,"outputTokenCount":20,'
        '"invocationLatency":408,"firstByteLatency":134}}',
    ),
]
