"""Log finished calls: their requests and responses, and their lines of the access log."""

from time import time

from invoke_api.models.identifiers import parse_identifier
from invoke_api.observability.access_log import AccessRecord
from invoke_api.observability.invocation_log import InvocationLog
from invoke_api.observability.log_record import MAX_LOGGED_BODY_BYTES, LoggedCall, is_sse
from invoke_api.pipeline.admission import METADATA
from invoke_api.pipeline.call import Call
from invoke_api.pipeline.count_calls import FinishedCall
from invoke_api.transport.writer_extension import ClientListener, Headers, Writer

# The User Guide's list.
LOGGED_OPERATIONS = {"InvokeModel", "InvokeModelWithResponseStream", "Converse", "ConverseStream"}
# bedrock-runtime's path of the OpenAI API is logged (User Guide), bedrock-mantle's is not (seen).
LOGGED_OPENAI_PATH = b"/openai/v1/chat/completions"
# Above this, a stream's chunks exceed `MAX_LOGGED_BODY_BYTES`: frames are 5 to 8 times as long.
MAX_LOGGED_STREAM_BYTES = 20 * MAX_LOGGED_BODY_BYTES


class CopyingWriter:
    """A writer that also keeps a copy of at most `MAX_LOGGED_STREAM_BYTES` bytes."""

    def __init__(self, writer: Writer) -> None:
        self._writer = writer
        self._parts: list[bytes] = []
        self._size = 0

    def take_body(self) -> bytes | None:
        return self._writer.take_body()

    def listen(self, listener: ClientListener | None) -> None:
        self._writer.listen(listener)

    def start(self, status: int, headers: Headers) -> None:
        self._writer.start(status, headers)

    def write(self, data: bytes, *, is_last: bool = False) -> None:
        self._size += len(data)
        if self._size > MAX_LOGGED_STREAM_BYTES:
            self._parts.clear()
        else:
            self._parts.append(data)
        self._writer.write(data, is_last=is_last)

    async def drain(self) -> None:
        await self._writer.drain()

    def written(self) -> bytes | None:
        """Return the copy, or None if there were too many bytes."""
        return b"".join(self._parts) if self._size <= MAX_LOGGED_STREAM_BYTES else None


def log_call(log: InvocationLog, call: Call, answer: bytes | None) -> None:
    """Log a finished call if its account and region have text logging switched on.

    Guess: calls that failed before the caller was authenticated are not logged.
    """
    caller, entry = call.caller, call.entry
    operation = _logged_as(call, answer)
    if caller is None or entry is None or operation is None:
        return
    if not call.services.logging.wants_text(caller.account_id, caller.region):
        return
    # Guess: logged with the client's name for the model, also a profile, a name or an ARN.
    identifier = parse_identifier(call.model_id)
    registry = call.services.registry
    through = identifier.kind == "application-inference-profile" or registry.find_profile(
        identifier, caller.region
    )
    metadata = next((value for name, value in entry.headers if name == METADATA.encode()), None)
    log.add(
        LoggedCall(
            moment=entry.came,
            account=caller.account_id,
            arn=caller.arn,
            region=caller.region,
            request_id=entry.request_id,
            operation=operation,
            model_id=call.model_id,
            error=entry.error.type if entry.error else None,
            metadata=metadata,
            request=call.body if len(call.body) <= MAX_LOGGED_BODY_BYTES else None,
            response=answer,
            input_tokens=entry.input_tokens,
            output_tokens=entry.output_tokens,
            inference_region=caller.region if through else None,
        )
    )


def _logged_as(call: Call, answer: bytes | None) -> str | None:
    """Return the operation's name in the log, or None if the call is not logged.

    Guess: Chat Completions has the names of the IAM actions that allow it.
    """
    if call.operation in LOGGED_OPERATIONS:
        return call.operation
    if call.raw_path != LOGGED_OPENAI_PATH:
        return None
    return "InvokeModelWithResponseStream" if is_sse(answer) else "InvokeModel"


def to_access_record(call: Call, finished: FinishedCall) -> AccessRecord:
    """Return the record of a finished call for the access log."""
    caller, entry, model = call.caller, call.entry, call.model
    outcome, total, tokens = finished
    first = tokens.first if tokens else None
    return AccessRecord(
        ended_at=time(),
        request_id=call.request_id,
        key_id=caller.access_key_id if caller else entry.access_key_id if entry else None,
        operation=call.operation or None,
        model=(model.id if model else call.model_id) or None,
        status=int(outcome.status) if outcome.status else None,
        ended="error" if outcome.error else outcome.outcome,
        error=outcome.error or None,
        input_tokens=tokens.input_tokens if tokens else None,
        output_tokens=tokens.output_tokens if tokens else None,
        first_token_ms=None if first is None else round(1000 * first, 1),
        total_ms=round(1000 * total, 1),
        engine=entry.engine if entry else None,
    )
