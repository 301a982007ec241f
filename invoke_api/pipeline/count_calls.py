"""Calls as the metrics see them: each once, as it ends, however it ended and whoever refused it."""

from collections.abc import Container
from time import monotonic
from typing import NamedTuple

from invoke_api.observability.call_metrics import CallLabels, CallMetrics, TokenSeries
from invoke_api.observability.journal import Entry
from invoke_api.pipeline.call import Call, Told
from invoke_api.pipeline.responses import UNKNOWN_OPERATION
from invoke_api.wire.errors import FrontDoorError, InvokeError, ThrottlingException

# By name, those that can be told, with their own statuses. Recordings may hold others.
STATUSES = {
    **{
        error.__name__: error.status
        for error in (*InvokeError.__subclasses__(), *FrontDoorError.__subclasses__())
    },
    UNKNOWN_OPERATION: 404,  # told with 200
}
ANSWERED = {"stop", "length", "ok"}


class End(NamedTuple):
    """`status` is empty where there was none, `error` likewise."""

    outcome: str
    status: str
    error: str


class CountedCalls:
    """Counts calls. `operations` are the names that may become labels."""

    def __init__(self, metrics: CallMetrics, operations: Container[str]) -> None:
        self._metrics = metrics
        self._operations = operations

    def begin(self) -> None:
        """Count a call that begins; `end` is to follow."""
        self._metrics.under_way += 1

    def end(self, call: Call) -> None:
        now = monotonic()
        self._metrics.under_way -= 1
        entry = call.entry
        # A label is never text that a client has written.
        operation = call.operation if call.operation in self._operations else ""
        model_id = call.model.id if call.model else ""
        end = _to_end(call)
        self._metrics.count(CallLabels(operation, model_id, *end))
        if entry and entry.first_token:
            _observe_tokens(self._metrics.tokens(operation, model_id), call, entry)
        if end.outcome in ANSWERED:
            over = (entry and entry.last_token) or now
            self._metrics.observe(operation, model_id, over - call.began)


def _observe_tokens(series: TokenSeries, call: Call, entry: Entry) -> None:
    """Observe a call that has had a token, also one that broke off then."""
    tokens_in, tokens_out = entry.input_tokens, entry.output_tokens
    if tokens_out is None:
        tokens_in, tokens_out = call.prompt_tokens, len(entry.texts)
    series.input_tokens.inc(tokens_in or 0)
    series.output_tokens.inc(tokens_out)
    if tokens_out and entry.first_token:  # a guardrail may have spoken in place of the model
        series.first_token.observe(entry.first_token - call.began)
        if tokens_out > 1 and entry.last_token:
            series.per_token.observe((entry.last_token - entry.first_token) / (tokens_out - 1))


def _to_end(call: Call) -> End:
    told, entry = call.told, call.entry
    if told is None and entry and entry.error and entry.status:  # in the stream, or recorded
        told = Told(entry.error.type, entry.status)
    if told:
        error = told.error if told.error in STATUSES else "unknown"
        return End(_class_of(told), str(told.status), error)
    if entry is None:
        return End("cancelled", "", "") if call.has_left else End("ok", "200", "")
    if entry.ended in (None, "cancelled"):
        return End("cancelled", "", "")  # whatever it has had, nobody knows
    return End(entry.ended, "200", "")


def _class_of(told: Told) -> str:
    """By the error's own status, which inside a stream is not the one of the answer."""
    if told.error == ThrottlingException.__name__:
        return "throttled"
    return "server_error" if STATUSES.get(told.error, told.status) >= 500 else "client_error"
