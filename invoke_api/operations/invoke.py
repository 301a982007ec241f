"""InvokeModel and InvokeModelWithResponseStream."""

import asyncio
import logging
from collections.abc import AsyncGenerator
from contextlib import aclosing
from dataclasses import dataclass, field
from random import randint
from time import monotonic

from starlette.requests import Request
from starlette.responses import Response

from engine.errors import EngineError
from engine.protocol import Delta, Engine, GenerationRequest, Usage
from invoke_api.dialects import Dialect
from invoke_api.dialects.invocation import Metrics
from invoke_api.engines import Engines
from invoke_api.operations.call import Operation, admit
from invoke_api.operations.client import Calls, read_body
from invoke_api.operations.engine_errors import REFUSALS, to_invoke_error
from invoke_api.operations.replies import EventStream, Reply, request_id
from invoke_api.wire.chunks import LONGEST, SHORTEST, encode_chunk
from invoke_api.wire.errors import (
    InternalServerException,
    InvokeError,
    ServiceUnavailableException,
)

log = logging.getLogger(__name__)

INVOKE_MODEL = Operation("InvokeModel", accept="Accept")
INVOKE_MODEL_WITH_RESPONSE_STREAM = Operation(
    "InvokeModelWithResponseStream", accept="X-Amzn-Bedrock-Accept"
)

# Bodies above this many bytes are checked and tokenised in a thread: about 1 ms of work.
LONG_BODY = 8_192


async def invoke_model(request: Request) -> Response:
    invocation = await open_invocation(request, INVOKE_MODEL)
    calls: Calls = request.state.calls
    body = await calls.unless_client_leaves(request.receive, complete(invocation))
    more = invocation.metrics().to_headers() | invocation.repeated
    return Reply(request, body, more=more)


async def invoke_model_with_response_stream(request: Request) -> Response:
    invocation = await open_invocation(request, INVOKE_MODEL_WITH_RESPONSE_STREAM)
    frames = to_frames(invocation)
    calls: Calls = request.state.calls
    try:
        # The first frame is awaited before the status line, so that early failures keep their own.
        first = await calls.unless_client_leaves(request.receive, anext(frames))
    except BaseException:
        await frames.aclose()
        raise
    return EventStream(request, first, frames, more=invocation.repeated)


@dataclass(slots=True)
class Invocation:
    """One call on its way through the engine, and what is measured of it."""

    engine: Engine
    dialect: Dialect
    request: GenerationRequest
    repeated: dict[str, str]
    began: float
    calls: Calls
    first_delta: float | None = None
    usage: Usage = field(default=Usage(0, 0))

    async def deltas(self) -> AsyncGenerator[Delta, None]:
        """The engine's deltas, its errors in Bedrock's words."""
        try:
            async with aclosing(self.engine.generate(self.request)) as deltas:
                async for delta in deltas:
                    self.first_delta = self.first_delta or monotonic()
                    self.usage = delta.usage or self.usage
                    yield delta
                    if delta.finish:
                        return
        except asyncio.CancelledError:
            if self.calls.ending:
                raise ServiceUnavailableException from None
            raise
        except EngineError as error:
            raise to_invoke_error(error) from error
        except Exception as error:
            log.exception("request %s failed", self.request.request_id)
            raise InternalServerException from error
        log.error("request %s ended without a finish", self.request.request_id)
        raise InternalServerException

    def metrics(self) -> Metrics:
        now = monotonic()
        return Metrics(
            input_tokens=self.usage.input_tokens,
            output_tokens=self.usage.output_tokens,
            latency=round(1000 * (now - self.began)),
            first_byte_latency=round(1000 * ((self.first_delta or now) - self.began)),
        )


async def open_invocation(request: Request, operation: Operation) -> Invocation:
    """All checks of the front door, the body's last, as on Bedrock. Raises `InvokeError`s."""
    began = monotonic()
    raw = await read_body(request)

    def prepare() -> Invocation:
        call = admit(request, raw, operation)
        engines: Engines = request.state.engines
        model, engine = call.model, engines.of(call.model)
        body = model.schema.parse(raw)
        try:
            generation = model.dialect.to_request(
                body, engine.tokenizer(), model.context_length, request_id(request)
            )
        except EngineError as error:
            raise to_invoke_error(error) from error
        calls: Calls = request.state.calls
        return Invocation(engine, model.dialect, generation, call.repeated, began, calls)

    return await asyncio.to_thread(prepare) if len(raw) > LONG_BODY else prepare()


async def complete(invocation: Invocation) -> bytes:
    texts = []
    finish = None
    async for delta in invocation.deltas():
        texts.append(delta.text)
        finish = delta.finish
    assert finish is not None, "an engine's last delta has a finish"
    return invocation.dialect.to_reply("".join(texts), finish)


async def to_frames(invocation: Invocation) -> AsyncGenerator[bytes, None]:
    """A chunk for each delta. A failure after the first is a frame too, and the last one.

    So is what the model server refuses: Bedrock has said 200 by the time it hears of that.
    """
    begun = False
    try:
        async with aclosing(invocation.deltas()) as deltas:
            async for delta in deltas:
                yield _to_frame(invocation, delta)
                begun = True
    except InvokeError as error:
        if not begun and not isinstance(error.__cause__, REFUSALS):
            raise
        yield error.to_frame()


def _to_frame(invocation: Invocation, delta: Delta) -> bytes:
    metrics = invocation.metrics() if delta.finish else None
    padding = randint(SHORTEST, LONGEST)  # noqa: S311 - hides nothing that is secret here
    return encode_chunk(invocation.dialect.to_chunk(delta, metrics), padding)
