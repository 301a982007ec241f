"""The names of an answer's headers, in their order. A row's own headers stand among them. HTTP/2
writes them in lower case and has neither `Connection` nor `Transfer-Encoding`.
"""

from collections.abc import Iterable
from dataclasses import dataclass

RAW = "raw headers in Arize-ai/openinference's recordings of 7B, 2025: "
COUNTS = (
    "X-Amzn-Bedrock-Invocation-Latency",
    "X-Amzn-Bedrock-Output-Token-Count",
    "X-Amzn-Bedrock-Input-Token-Count",
)
WHOLE = ("Date", "Content-Type", "Content-Length", "Connection", "x-amzn-RequestId")
STREAM = ("Date", "Content-Type", "Transfer-Encoding", "Connection", "x-amzn-RequestId")
OF_HTTP_1 = ("Connection", "Transfer-Encoding")


@dataclass(frozen=True, kw_only=True)
class Head:
    """The headers of one operation's answers, or of errors."""

    name: str
    names: tuple[str, ...]
    seen: str
    why: str = ""

    def in_http_2(self) -> list[str]:
        return [name.lower() for name in self.names if name not in OF_HTTP_1]


TABLE = [
    Head(
        name="invoke",
        names=(*WHOLE, *COUNTS),
        seen="open-telemetry/opentelemetry-js-contrib's raw headers, of another model",
    ),
    Head(
        name="invoke-with-response-stream",
        names=(*STREAM, "X-Amzn-Bedrock-Content-Type"),
        seen="raw headers of recordings of other models",
    ),
    Head(name="converse", names=WHOLE, seen=f"{RAW}should-handle-mistral-models"),
    Head(
        name="converse-stream",
        names=STREAM,
        seen=f"{RAW}should-handle-mistral-models-with-streaming",
    ),
    Head(
        name="error",
        names=(*WHOLE, "x-amzn-ErrorType"),
        seen="raw headers in Arize-ai/openinference's recording of Pixtral, 2025: 403",
    ),
]
HEADS = {row.name: row for row in TABLE}


def names_of(operation: str, *, in_http_2: bool, but: Iterable[str] = ()) -> list[str]:
    """Return the names that an answer's headers must have, without those of the row itself."""
    head = HEADS[operation]
    names = head.in_http_2() if in_http_2 else list(head.names)
    left_out = {name.lower() for name in but}
    return [name for name in names if name.lower() not in left_out]
