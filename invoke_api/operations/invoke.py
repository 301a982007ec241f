"""InvokeModel and InvokeModelWithResponseStream."""

from functools import partial
from typing import Any

from starlette.requests import Request
from starlette.responses import Response

from engine.protocol import Delta
from engine.tokenizer import Tokenizer
from invoke_api.dialects import Writer
from invoke_api.dialects.servers import envelope
from invoke_api.dialects.target import check_target
from invoke_api.guardrails.guarding import Guarding
from invoke_api.operations.answering import draw_padding, first_of, to_frames, whole
from invoke_api.operations.aside import UPLOADS
from invoke_api.operations.call import Admitted, Operation, admit
from invoke_api.operations.guarded import CONFIG, GuardedWriter, guard_invoke
from invoke_api.operations.invocation import Invocation, Prepared
from invoke_api.operations.options import REPEATED, SERVICE_TIER, check_tier
from invoke_api.operations.replies import EventStream, Reply, request_id
from invoke_api.wire.chunks import encode_chunk
from invoke_api.wire.errors import JSON, ValidationException

INVOKE_MODEL = Operation("InvokeModel", accept="accept")
INVOKE_MODEL_WITH_RESPONSE_STREAM = Operation(
    "InvokeModelWithResponseStream", accept="x-amzn-bedrock-accept"
)
MEDIA = (b"image_url", b"input_audio", b"audio_url")  # the kinds of parts that are uploads


def prepare_invoke(request: Request, operation: Operation, raw: bytes) -> Prepared[Writer]:
    """The front door's checks, the body's last, as on Bedrock. Raises `InvokeError`s."""
    call = admit(request, raw, operation)
    dialect, guarding = call.model.dialect, call.guarding
    body = _read_guarded(call, guarding, raw) if guarding else call.model.parse_body(raw)
    streams = operation is INVOKE_MODEL_WITH_RESPONSE_STREAM
    check_target(body, (call.model.id, request.path_params["model_id"]), streams=streams)
    check_tier(body.get("service_tier"), call.model)
    if guarding and body.get("logprobs"):  # the words that it takes out would stand there
        raise ValidationException(envelope("'logprobs' is not supported with a guardrail"))
    if tier := call.repeated.get(REPEATED[SERVICE_TIER]):
        body["service_tier"] = tier
    made = request_id(request)

    def to_writer(tokenizer: Tokenizer) -> Writer:
        own = dialect.writer(body, tokenizer, made)
        if guarding is None:
            return own
        told = guarding.read_by(dialect.reader(body, tokenizer))
        return GuardedWriter(dialect.writer(body, tokenizer, made, told), own.reply, guarding)

    return Prepared(
        call=call,
        question=lambda: dialect.to_question(body),
        generation=lambda tokenizer: dialect.to_request(
            body, tokenizer, call.model.context_length, made
        ),
        writer=to_writer,
        size=UPLOADS if any(kind in raw for kind in MEDIA) else len(raw),
        guarding=guarding,
    )


def _read_guarded(call: Admitted, guarding: Guarding, raw: bytes) -> dict[str, Any]:
    """The body as the guardrail leaves it. Raises `ValidationException`."""
    value = call.model.schema.read(raw)
    config = value.pop(CONFIG, None) if isinstance(value, dict) else None
    body = call.model.fill_body(value)
    guard_invoke(guarding, call.model.dialect, body, config)
    return body


async def answer_invoke(request: Request, invocation: Invocation[Writer]) -> Response:
    deltas = invocation.deltas()
    if invocation.writer:  # where a fault leaves nothing to write, there is none
        deltas = invocation.writer.watch(deltas)
    text, finish = await whole(request, deltas)
    assert invocation.writer, "what has an end is written"
    if isinstance(invocation.writer, GuardedWriter) and invocation.guarding:
        text = await invocation.guarding.check_output(text, finish, invocation.writer.native)
    metrics = invocation.metrics()
    more = metrics.to_headers() | invocation.call.repeated
    return Reply(request, invocation.writer.reply(text, finish, metrics), more=more)


async def answer_invoke_stream(request: Request, invocation: Invocation[Writer]) -> Response:
    frames = to_frames(invocation.guarded_deltas(), partial(_to_frame, invocation))
    first = await first_of(request, frames)
    # ConverseStream has no such header in any recording.
    more = {"X-Amzn-Bedrock-Content-Type": JSON, **invocation.call.repeated}
    return EventStream(request, first, frames, more=more)


def _to_frame(invocation: Invocation[Writer], delta: Delta) -> bytes:
    assert invocation.writer, "a delta is written"
    metrics = invocation.metrics() if delta.finish else None
    return encode_chunk(invocation.writer.chunk(delta, metrics), draw_padding())
