"""Calls as the metrics see them: each once, as it ends, however it ended and whoever refused it.

All that is known by then stands in the scope of the request: the journal's `entry`, `told` for an
HTTP error, `has_left` for a client that has, the `model_id` of the registry once it is found.
"""

from collections.abc import Mapping
from time import monotonic
from typing import NamedTuple

from starlette.types import Scope

from invoke_api.journal import Entry
from invoke_api.telemetry.call_metrics import CallLabels, CallMetrics, TokenSeries
from invoke_api.wire.errors import InvokeError, ThrottlingException
from invoke_api.wire.front_door_errors import FrontDoorError

UNKNOWN_OPERATION = "UnknownOperationException"
# By name, those that can be told, with their own statuses. Recordings may hold others.
STATUSES = {
    **{
        error.__name__: error.status
        for error in (*InvokeError.__subclasses__(), *FrontDoorError.__subclasses__())
    },
    UNKNOWN_OPERATION: 404,  # told with 200
}
ANSWERED = {"stop", "length", "ok"}
OWN = "/_emulator"
METRICS = "/metrics"


class Told(NamedTuple):
    """An HTTP error."""

    error: str
    status: int


def is_counted(path: str) -> bool:
    """Whether it is of Bedrock's: all that is not our own."""
    is_own = path.startswith(OWN) and path[len(OWN) : len(OWN) + 1] in ("", "/")
    return not is_own and path != METRICS


class End(NamedTuple):
    """`status` is empty where there was none, `error` likewise."""

    outcome: str
    status: str
    error: str


class CountedCalls:
    """`operations` names those that there are, by their endpoints."""

    def __init__(self, metrics: CallMetrics, operations: Mapping[object, str]) -> None:
        self._metrics = metrics
        self._operations = operations
        self._names = frozenset(operations.values())

    def begin(self) -> float:
        """When it began, in seconds of the monotonic clock; `end` is to follow."""
        self._metrics.under_way += 1
        return monotonic()

    def end(self, scope: Scope, began: float) -> None:
        now = monotonic()
        self._metrics.under_way -= 1
        entry: Entry | None = scope.get("entry")
        operation, model_id = self._name(scope, entry), scope.get("model_id", "")
        end = _to_end(scope, entry)
        self._metrics.count(CallLabels(operation, model_id, *end))
        if entry and entry.first_token:
            _observe_tokens(self._metrics.tokens(operation, model_id), scope, entry, began)
        if end.outcome in ANSWERED:
            over = (entry and entry.last_token) or now
            self._metrics.observe(operation, model_id, over - began)

    def _name(self, scope: Scope, entry: Entry | None) -> str:
        """Empty for what is none of ours: what a client may write is no label."""
        name = entry.operation if entry else scope.get("operation")
        if name is None:
            return self._operations.get(scope.get("endpoint"), "")
        return name if name in self._names else ""


def _observe_tokens(series: TokenSeries, scope: Scope, entry: Entry, began: float) -> None:
    """Of a call that has had a token, be it that it broke off then."""
    tokens_in, tokens_out = entry.input_tokens, entry.output_tokens
    if tokens_out is None:
        tokens_in, tokens_out = scope.get("prompt_tokens", 0), len(entry.texts)
    series.input_tokens.inc(tokens_in or 0)
    series.output_tokens.inc(tokens_out)
    if tokens_out and entry.first_token:  # a guardrail may have spoken in place of the model
        series.first_token.observe(entry.first_token - began)
        if tokens_out > 1 and entry.last_token:
            series.per_token.observe((entry.last_token - entry.first_token) / (tokens_out - 1))


def _to_end(scope: Scope, entry: Entry | None) -> End:
    told: Told | None = scope.get("told")
    if told is None and entry and entry.error and entry.status:  # in the stream, or recorded
        told = Told(entry.error.type, entry.status)
    if told:
        error = told.error if told.error in STATUSES else "unknown"
        return End(_class_of(told), str(told.status), error)
    if entry is None:
        return End("cancelled", "", "") if scope.get("has_left") else End("ok", "200", "")
    if entry.ended in (None, "cancelled"):
        return End("cancelled", "", "")  # whatever it has had, nobody knows
    return End(entry.ended, "200", "")


def _class_of(told: Told) -> str:
    """By the error's own status, which inside a stream is not the one of the answer."""
    if told.error == ThrottlingException.__name__:
        return "throttled"
    return "server_error" if STATUSES.get(told.error, told.status) >= 500 else "client_error"
