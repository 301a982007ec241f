"""Count each call in the metrics when it ends, whatever its outcome."""

from collections.abc import Container
from time import monotonic
from typing import NamedTuple

from invoke_api.observability.call_metrics import CallMetrics, TokenFigures
from invoke_api.observability.journal import Entry
from invoke_api.pipeline.call import Call, SentError
from invoke_api.pipeline.responses import UNKNOWN_OPERATION
from invoke_api.wire.errors import FrontDoorError, InvokeError, ThrottlingException

# HTTP statuses of the errors that the service itself can send, by name.
ERROR_STATUSES = {
    **{
        error.__name__: error.status
        for error in (*InvokeError.__subclasses__(), *FrontDoorError.__subclasses__())
    },
    UNKNOWN_OPERATION: 404,  # sent with 200, as Bedrock does
}
ANSWERED_OUTCOMES = {"stop", "length", "ok"}


class CallOutcome(NamedTuple):
    """The labels of a call's outcome. `status` and `error` are empty if there was none."""

    outcome: str
    status: str
    error: str


class FinishedCall(NamedTuple):
    """The end of a call. `total` is its duration in seconds. `tokens` is None if none came."""

    outcome: CallOutcome
    total: float
    tokens: TokenFigures | None


class CallCounter:
    """A counter of calls. `operations` are the names that may become labels."""

    def __init__(self, metrics: CallMetrics, operations: Container[str]) -> None:
        self._metrics = metrics
        self._operations = operations

    def begin(self) -> None:
        """Count a call as in flight until `end`."""
        self._metrics.under_way += 1

    def end(self, call: Call) -> FinishedCall:
        """Count the outcome, duration and tokens of a call, and return them."""
        now = monotonic()
        self._metrics.under_way -= 1
        entry = call.entry
        # Client input never becomes a label, so that the number of series is bounded.
        operation = call.operation if call.operation in self._operations else ""
        model_id = call.model.id if call.model else ""
        end = _to_end(call)
        seconds = None
        if end.outcome in ANSWERED_OUTCOMES:
            seconds = ((entry and entry.last_token) or now) - call.began
        tokens = _to_tokens(call, entry) if entry and entry.first_token else None
        self._metrics.record((operation, model_id, *end), seconds, tokens)
        return FinishedCall(end, now - call.began, tokens)


def _to_tokens(call: Call, entry: Entry) -> TokenFigures:
    """Return the tokens and token latencies of a call, also if it failed after its first token."""
    tokens_in, tokens_out = entry.input_tokens, entry.output_tokens
    if tokens_out is None:
        tokens_in, tokens_out = call.prompt_tokens, len(entry.texts)
    first = each = None
    if tokens_out and entry.first_token:  # a guardrail's own message has no tokens
        first = entry.first_token - call.began
        if tokens_out > 1 and entry.last_token:
            each = (entry.last_token - entry.first_token) / (tokens_out - 1)
    return TokenFigures(tokens_in or 0, tokens_out, first, each)


def _to_end(call: Call) -> CallOutcome:
    sent, entry = call.sent_error, call.entry
    if sent is None and entry and entry.error and entry.status:  # in the stream, or of a recording
        sent = SentError(entry.error.type, entry.status)
    if sent:
        error = sent.error if sent.error in ERROR_STATUSES else "unknown"
        return CallOutcome(_class_of(sent), str(sent.status), error)
    if entry is None:
        return CallOutcome("cancelled", "", "") if call.has_left else CallOutcome("ok", "200", "")
    if entry.ended in (None, "cancelled"):
        return CallOutcome("cancelled", "", "")
    return CallOutcome(entry.ended, "200", "")


def _class_of(sent: SentError) -> str:
    """Classify an error by its own status, because errors in a stream are sent with status 200."""
    if sent.error == ThrottlingException.__name__:
        return "throttled"
    return "server_error" if ERROR_STATUSES.get(sent.error, sent.status) >= 500 else "client_error"
