"""The journal: the last calls and their outcomes, for tests."""

from collections import deque
from collections.abc import Callable, Container
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Literal, NamedTuple

from engine.protocol import Finish
from invoke_api.observability.kept_answer import KeptAnswer
from invoke_api.redaction import redact_text, redacted_headers, secrets_of
from invoke_api.wire.errors import InvokeError
from invoke_api.wire.json_text import read_json

MAX_JOURNAL_BODY_BYTES = 65_536  # also the limit of an answer, in characters
MAX_JOURNAL_CALLS = 1_000
NO_ENGINES = ("rule", "replay")  # values of `Entry.engine` for answers that no engine makes

Ended = Literal["stop", "length", "repetition", "error", "cancelled", "cut"]


class Failure(NamedTuple):
    """The type and message of an error that the client got."""

    type: str
    message: str


@dataclass(slots=True, kw_only=True)
class Entry:
    """One call. `ended` is None while it runs. Latencies are in milliseconds.

    `identifier` is the client's name of the model: an id, a name or an ARN. `model_id` becomes the
    registry's id once the model is found. `engine` is the name of what answers: an engine's, or one
    of `NO_ENGINES`. `first_token` and `last_token` are times in seconds of
    the monotonic clock. `cassette` is the place of the recording that answered, and `differs` lists
    the differences between this request and the recorded one. `explain` returns why rules applied,
    or did not; it is None for a call for which no rule was tried. `method` and `path` are those of
    the HTTP request, without the query. `number` counts the journal's calls from 1.
    """

    request_id: str
    operation: str
    model_id: str
    headers: tuple[tuple[bytes, bytes], ...]
    body: bytes
    identifier: str = field(init=False)
    came: datetime = field(default_factory=lambda: datetime.now(UTC))
    access_key_id: str | None = None
    region: str | None = None
    engine: str | None = None
    rule_id: str | None = None
    status: int | None = None
    error: Failure | None = None
    texts: list[str] = field(default_factory=list)
    input_tokens: int | None = None
    output_tokens: int | None = None
    latency: int | None = None
    first_byte_latency: int | None = None
    first_token: float | None = None
    last_token: float | None = None
    ended: Ended | None = None
    cassette: str | None = None
    differs: tuple[str, ...] = ()
    explain: Callable[[], dict[str, Any]] | None = None
    method: str = ""
    path: str = ""
    number: int = 0
    answer: KeptAnswer = field(default_factory=KeptAnswer)

    def __post_init__(self) -> None:
        self.identifier = self.model_id

    def fail(self, error: InvokeError, *, in_stream: bool = False) -> None:
        failure = Failure(error.code, error.message)
        self.fail_as(failure, 200 if in_stream else error.status)

    def fail_as(self, failure: Failure, status: int) -> None:
        if self.ended is None:
            self.ended, self.error, self.status = "error", failure, status

    def end(self, ended: Finish | Literal["cancelled", "cut"]) -> None:
        """Record the end of the call. The first end counts, so a later cancellation is ignored."""
        if self.ended is None:
            self.ended = ended
            self.status = 200 if ended != "cancelled" or self.texts else None

    def to_json(self) -> dict[str, Any]:
        return {
            "request_id": self.request_id,
            "time": self.came.isoformat(timespec="milliseconds"),
            "access_key_id": self.access_key_id,
            "region": self.region,
            "operation": self.operation,
            "model_id": self.model_id,
            "identifier": self.identifier,
            "headers": dict(redacted_headers(self.headers)),
            "body": _to_value(self.body),
            "engine": self.engine,
            "rule_id": self.rule_id,
            "status": self.status,
            "error": self.error and self._error_to_json(self.error),
            "text": "".join(self.texts)[:MAX_JOURNAL_BODY_BYTES],
            "input_tokens": self.input_tokens,
            "output_tokens": self.output_tokens,
            "latency_ms": self.latency,
            "first_byte_latency_ms": self.first_byte_latency,
            "ended": self.ended,
            **({"cassette": self.cassette, "differs": self.differs} if self.cassette else {}),
        }

    def to_summary(self) -> dict[str, Any]:
        """Return the members of `to_json` that a list shows, without texts of any length."""
        return {
            "number": self.number,
            "request_id": self.request_id,
            "time": self.came.isoformat(timespec="milliseconds"),
            "access_key_id": self.access_key_id,
            "operation": self.operation,
            "model_id": self.model_id,
            "engine": self.engine,
            "rule_id": self.rule_id,
            "status": self.status,
            "error": self.error and self.error.type,
            "input_tokens": self.input_tokens,
            "output_tokens": self.output_tokens,
            "latency_ms": self.latency,
            "first_byte_latency_ms": self.first_byte_latency,
            "ended": self.ended,
        }

    def _error_to_json(self, error: Failure) -> dict[str, str]:
        """Return the error without secrets: AWS's messages quote the signature."""
        message = redact_text(error.message, secrets_of(self.headers))
        return {"type": error.type, "message": message}


class Journal:
    """The last calls, oldest first."""

    def __init__(self, max_calls: int = MAX_JOURNAL_CALLS) -> None:
        self._entries: deque[Entry] = deque(maxlen=max_calls)
        self._last = 0

    def add(self, entry: Entry) -> None:
        self._last += 1
        entry.number = self._last
        self._entries.append(entry)

    def listed(self, **wanted: str) -> list[dict[str, Any]]:
        """Return the calls whose fields have these values, for example `operation`, `ended`."""
        return [
            entry.to_json()
            for entry in self._entries
            if all(getattr(entry, name) == value for name, value in wanted.items())
        ]

    def found(self, *, request_id: str | None = None, scope: str | None = None) -> list[Entry]:
        """Return the calls with this id, or those of an access key, or all. The oldest is first."""
        return [
            entry
            for entry in self._entries
            if request_id in (None, entry.request_id) and scope in (None, entry.access_key_id)
        ]

    def changed(self, after: int, open_: Container[int]) -> list[dict[str, Any]]:
        """Return summaries of the calls with a number above `after` or in `open_`."""
        return [
            entry.to_summary()
            for entry in self._entries
            if entry.number > after or entry.number in open_
        ]

    @property
    def last(self) -> int:
        """Return the number of the last call, also if it was deleted."""
        return self._last

    def __len__(self) -> int:
        return len(self._entries)

    def clear(self, scope: str | None = None) -> None:
        kept = [entry for entry in self._entries if scope not in (None, entry.access_key_id)]
        self._entries.clear()
        self._entries.extend(kept)


def _to_value(body: bytes) -> Any:  # noqa: ANN401 - any JSON
    if len(body) < MAX_JOURNAL_BODY_BYTES:
        try:
            return read_json(body)
        except ValueError:
            pass
    return body[:MAX_JOURNAL_BODY_BYTES].decode(errors="replace")
