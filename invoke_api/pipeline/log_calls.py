"""Calls as the invocation log sees them: what came in, and the bytes that went out."""

from invoke_api.models.identifiers import parse_identifier
from invoke_api.observability.invocation_log import InvocationLog
from invoke_api.observability.log_record import LONGEST, Logged
from invoke_api.pipeline.admission import METADATA
from invoke_api.pipeline.call import Call
from invoke_api.transport.writer_extension import Headers, Listener, Writer

# The User Guide's list.
LOGGED = {"InvokeModel", "InvokeModelWithResponseStream", "Converse", "ConverseStream"}
# A stream of so many bytes has more than `LONGEST` in its chunks: frames are 5 to 8 times as long.
LONGEST_STREAM = 20 * LONGEST


class NotingWriter:
    """Writes an answer, and keeps its bytes unless there are too many of them."""

    def __init__(self, writer: Writer) -> None:
        self._writer = writer
        self._parts: list[bytes] = []
        self._size = 0

    def take_body(self) -> bytes | None:
        return self._writer.take_body()

    def listen(self, listener: Listener | None) -> None:
        self._writer.listen(listener)

    def start(self, status: int, headers: Headers) -> None:
        self._writer.start(status, headers)

    def write(self, data: bytes, *, is_last: bool = False) -> None:
        self._size += len(data)
        if self._size > LONGEST_STREAM:
            self._parts.clear()
        else:
            self._parts.append(data)
        self._writer.write(data, is_last=is_last)

    async def drain(self) -> None:
        await self._writer.drain()

    def written(self) -> bytes | None:
        return b"".join(self._parts) if self._size <= LONGEST_STREAM else None


def log_call(log: InvocationLog, call: Call, answer: bytes | None) -> None:
    """Log a call that has ended, where its account and region want it so.

    Guess: a caller that is not known by the time of a failure has nothing logged.
    """
    caller, entry = call.caller, call.entry
    if caller is None or entry is None or entry.operation not in LOGGED:
        return
    if not call.services.logging.wants_text(caller.account_id, caller.region):
        return
    # Guess: the model as it was called, be it by a profile, a name or an ARN.
    identifier = parse_identifier(call.model_id)
    registry = call.services.registry
    through = identifier.kind == "application-inference-profile" or registry.find_profile(
        identifier, caller.region
    )
    metadata = next((value for name, value in entry.headers if name == METADATA.encode()), None)
    log.add(
        Logged(
            moment=entry.came,
            account=caller.account_id,
            arn=caller.arn,
            region=caller.region,
            request_id=entry.request_id,
            operation=entry.operation,
            model_id=call.model_id,
            error=entry.error.type if entry.error else None,
            metadata=metadata,
            request=call.body if len(call.body) <= LONGEST else None,
            response=answer,
            input_tokens=entry.input_tokens,
            output_tokens=entry.output_tokens,
            inference_region=caller.region if through else None,
        )
    )
