"""Converse and ConverseStream."""

from collections.abc import Mapping
from functools import partial
from typing import Any

from starlette.requests import Request
from starlette.responses import Response

from engine.protocol import Delta
from invoke_api.dialects.converse_writer import ConverseWriter
from invoke_api.dialects.servers import CONVERSE_PREFIX
from invoke_api.operations.answering import draw_padding, first_of, to_frames, whole
from invoke_api.operations.aside import UPLOADS
from invoke_api.operations.bodies import coral_schema
from invoke_api.operations.call import Operation, admit
from invoke_api.operations.conversation import to_conversation
from invoke_api.operations.guarded import guard_converse, named_in_converse, open_guarding
from invoke_api.operations.invocation import Invocation, Prepared
from invoke_api.operations.options import LATENCY, SERVICE_TIER, grant_options
from invoke_api.operations.replies import EventStream, Reply, request_id
from invoke_api.wire.converse_events import encode_event, encode_sorted

CONVERSE = Operation("Converse", accept="")
CONVERSE_STREAM = Operation("ConverseStream", accept="")
# Members of the request that go by headers in the older operations.
OPTIONS = {
    LATENCY: ("performanceConfig", "latency"),
    SERVICE_TIER: ("serviceTier", "type"),
}

ConverseInvocation = Invocation[ConverseWriter]


def weigh_converse(raw: bytes) -> int:
    """A document, however short, may hide much, and takes its time to be read."""
    return UPLOADS if b'"document"' in raw else len(raw)


def prepare_converse(
    request: Request, operation: Operation, raw: bytes
) -> Prepared[ConverseWriter]:
    """The model, the shape of the body, what the model can do, then the conversation itself.

    Raises `InvokeError`s.
    """
    call = admit(request, raw, operation)
    asked = coral_schema("converse.json").parse(raw)
    guarding = open_guarding(request, call.caller, named_in_converse(asked))
    if guarding:
        guard_converse(guarding, asked)
    is_stream = operation is CONVERSE_STREAM
    conversation = to_conversation(asked, call.model, stream=is_stream, guarding=guarding)
    options = {name: _at(asked, path) for name, path in OPTIONS.items()}
    named = {name: value for name, value in options.items() if value}
    grant_options(named, call.model, call.caller.region)
    made = request_id(request)
    return Prepared(
        call=call,
        question=conversation.to_question,
        generation=partial(conversation.to_generation, request_id=made),
        writer=partial(conversation.to_writer, request_id=made),
        size=conversation.size,
        prefix=CONVERSE_PREFIX,
        guarding=guarding,
    )


def _at(asked: Mapping[str, Any], path: tuple[str, str]) -> str | None:
    outer, inner = path
    value: str | None = asked.get(outer, {}).get(inner)
    return value


async def answer_converse(request: Request, invocation: ConverseInvocation) -> Response:
    text, finish = await whole(request, invocation.deltas())
    assert invocation.writer, "what has an end is written"
    if invocation.guarding:
        text = await invocation.guarding.check_output(text, finish, invocation.writer.native)
    document = invocation.writer.reply(text, finish, invocation.metrics())
    return Reply(request, encode_sorted(document))


async def answer_converse_stream(request: Request, invocation: ConverseInvocation) -> Response:
    frames = to_frames(invocation.guarded_deltas(), partial(_to_events, invocation))
    return EventStream(request, await first_of(request, frames), frames, more={})


def _to_events(invocation: ConverseInvocation, delta: Delta) -> bytes:
    assert invocation.writer, "a delta is written"
    metrics = invocation.metrics() if delta.finish else None
    return b"".join(
        encode_event(kind, payload, draw_padding())
        for kind, payload in invocation.writer.events(delta, metrics)
    )
