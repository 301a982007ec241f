"""An answer on its way: the tokens of an engine, stage by stage, down to the client.

Every stage is called once for each step of the engine, in the engine's own call. Only a pace, a
hang and a guardrail's search through a long text wait.
"""

import asyncio
import logging
from collections.abc import Callable, Sequence
from time import monotonic
from typing import Protocol

from engine.detokenizer import Detokenizer
from engine.errors import EngineError
from engine.generation_task import OVER
from engine.protocol import Delta, Finish, Generation, Logprobs, Receiver, Row, Usage
from invoke_api.dialects.model_servers import SERVERS, ModelServer
from invoke_api.dialects.question import Metrics
from invoke_api.guardrails.output_stage import Native, OutputStage
from invoke_api.observability.journal import Entry
from invoke_api.pipeline.call import Call
from invoke_api.pipeline.engine_errors import to_invoke_error
from invoke_api.pipeline.request_body import ClientLeft
from invoke_api.rules.playback import Broken, FaultStage, PaceStage
from invoke_api.rules.rule_book import Verdict
from invoke_api.transport.writer_extension import Headers
from invoke_api.wire.errors import (
    InternalServerException,
    InvokeError,
    ServiceUnavailableException,
)
from invoke_api.wire.events import SHORTEST, encode_chunk
from invoke_api.wire.eventstream import tear

Encode = Callable[[Sequence[Delta], Metrics | None], bytes]


class Sink(Protocol):
    """The end of the way: where an answer is written, or collected."""

    def feed(self, deltas: Sequence[Delta], metrics: Metrics | None) -> None:
        """Take the next deltas; with the last one come the metrics of the answer."""
        ...

    def takes(self, error: Exception) -> bool:
        """Tell whether the client is told of this error inside the answer."""
        ...

    def end(self, error: Exception) -> None:
        """Tell the client of an error that is taken."""
        ...


class Collector:
    """Collects a whole answer."""

    def __init__(self) -> None:
        self.text = ""
        self.finish: Finish = "stop"
        self.logprobs: list[Logprobs] | None = None
        self.metrics: Metrics | None = None
        self._texts: list[str] = []

    def feed(self, deltas: Sequence[Delta], metrics: Metrics | None) -> None:
        self._texts += [delta.text for delta in deltas]
        if deltas[0].logprobs:
            self.logprobs = self.logprobs or []
            self.logprobs += [delta.logprobs for delta in deltas if delta.logprobs]
        if finish := deltas[-1].finish:
            self.finish, self.metrics = finish, metrics
            self.text = "".join(self._texts)

    def takes(self, _: Exception) -> bool:
        return False

    def end(self, error: Exception) -> None:
        raise AssertionError(error)


class Stream:
    """Writes an answer as frames, those of one step together."""

    def __init__(self, call: Call, headers: Headers, encode: Encode) -> None:
        self._writer = call.writer
        self._headers = headers
        self._encode = encode
        self._has_begun = False

    def feed(self, deltas: Sequence[Delta], metrics: Metrics | None) -> None:
        self._write(self._encode(deltas, metrics), is_last=deltas[-1].finish is not None)

    def takes(self, error: Exception) -> bool:
        """Nothing has been said before the first delta, so an error can have its own status.

        What the model server refuses has none: Bedrock has said 200 by the time it hears of that.
        """
        if isinstance(error, Broken):  # without a stream there is nothing to break
            return True
        return self._has_begun or (isinstance(error, InvokeError) and error.in_stream)

    def end(self, error: Exception) -> None:
        if isinstance(error, InvokeError):
            self._write(error.to_frame(), is_last=True)
        elif isinstance(error, Broken):
            self._write(tear(encode_chunk(b"{}", SHORTEST)) if error.torn else b"")

    def _write(self, frames: bytes, *, is_last: bool = False) -> None:
        if not self._has_begun:
            self._has_begun = True
            self._writer.start(200, self._headers)
        self._writer.write(frames, is_last=is_last)


log = logging.getLogger(__name__)


class Answer:
    """Receives the tokens of one call.

    `server` words what the model server refuses, behind `prefix`. `error` is what the call is to
    raise once the answer `is_over`: nothing for one that told the client itself.
    """

    def __init__(
        self,
        call: Call,
        entry: Entry,
        sink: Sink,
        server: ModelServer = SERVERS["2402"],
        *,
        prefix: str = "",
        verdict: Verdict | None = None,
    ) -> None:
        self._call = call
        self._entry = entry
        self._sink = sink
        self._server = server
        self._prefix = prefix
        self._detokenizer: Detokenizer | None = None
        self._generation: Generation = OVER
        fault, pace = (verdict.fault, verdict.pace) if verdict else (None, None)
        self._fault = FaultStage(fault, self._entry.model_id) if fault else None
        self._pace = PaceStage(pace, self._measure, self._fail) if pace else None
        self._guard: OutputStage | None = None
        self._metrics: Metrics | None = None
        self._ended: asyncio.Future[None] | None = None
        self.is_over = False
        self.error: Exception | None = None

    def guard(self, *, holds: bool, native: Native | None) -> None:
        """Have the call's guardrail look at the answer."""
        if self._call.guarding:
            self._guard = OutputStage(
                self._call.guarding, self._emit, self._fail, holds=holds, native=native
            )

    def begin(
        self,
        generate: Callable[[Receiver], Generation],
        detokenizer: Callable[[], Detokenizer | None] = lambda: None,
    ) -> None:
        """Have an engine, a rule or a recording push the answer."""
        if self._fault and self._fault.is_due:
            self._break_off()
            return
        try:
            self._detokenizer = detokenizer()
            self._generation = generate(self)
        except Exception as error:  # noqa: BLE001 - told to the client as a later one is
            self.end(error)
        if self.is_over or (self._fault and self._fault.is_due):  # by what was pushed at once
            self._generation.cancel()

    async def wait(self) -> None:
        """Return once the answer is over. Raises what the client has yet to be told."""
        calls = self._call.services.calls
        if not self.is_over:
            self._ended = asyncio.get_running_loop().create_future()
            calls.add(self)
            self._call.writer.listen(self)
            try:
                await self._ended
            finally:
                self._call.writer.listen(None)
                calls.discard(self)
                self._cancel()
        if self.error:
            raise self.error

    # Called by the engine.

    def push(
        self, tokens: Sequence[int], finish: Finish | None = None, rows: Sequence[Row] = ()
    ) -> None:
        assert self._detokenizer, "what pushes tokens has a tokenizer"
        if self.is_over:
            return
        try:
            self.feed(self._detokenizer.feed(tokens, finish, rows))
        except Exception as error:  # noqa: BLE001 - told to the client
            self.end(error)

    def feed(self, deltas: Sequence[Delta]) -> None:
        """Take the text of the next tokens on its way: count, break off, pace, measure, guard."""
        if self.is_over or not deltas:
            return
        if self._call.share:
            self._call.share.count(len(deltas))
        if self._fault:
            deltas = self._fault.feed(deltas)
        if deltas:
            (self._pace.feed if self._pace else self._measure)(deltas)
        if self._fault and self._fault.is_due:
            self._break_off()

    def end(self, error: Exception) -> None:
        """Take an error on its way: it comes behind what a pace still holds."""
        (self._pace.end if self._pace else self._fail)(error)

    # Called by the writer and the service.

    def leave(self) -> None:
        if not self.is_over:
            self._entry.end("cancelled")
            self._end(ClientLeft())

    def stop(self) -> None:
        self._fail(ServiceUnavailableException())

    def pause(self) -> None:
        self._generation.pause()
        if self._pace:
            self._pace.pause()

    def resume(self) -> None:
        self._generation.resume()
        if self._pace:
            self._pace.resume()

    # The stages.

    def _break_off(self) -> None:
        assert self._fault, "a fault is due"
        self._generation.cancel()
        if self._call.share:
            self._call.share.settle()
        if error := self._fault.error:
            self.end(error)

    def _measure(self, deltas: Sequence[Delta]) -> None:
        entry = self._entry
        if entry.first_token is None:
            entry.first_token = monotonic()
        for delta in deltas:
            entry.texts.append(delta.text)
        if finish := deltas[-1].finish:
            self._count(finish, deltas[-1].usage or Usage(0, 0))
        if self._guard:
            self._guard.feed(deltas)
        else:
            self._emit(deltas)

    def _count(self, finish: Finish, usage: Usage) -> None:
        entry, began = self._entry, self._call.began
        now = entry.last_token = monotonic()
        first = entry.first_token or now
        self._metrics = Metrics(
            input_tokens=usage.input_tokens,
            output_tokens=usage.output_tokens,
            latency=round(1000 * (now - began)),
            first_byte_latency=round(1000 * (first - began)),
        )
        entry.input_tokens, entry.output_tokens = usage.input_tokens, usage.output_tokens
        entry.latency = self._metrics.latency
        entry.first_byte_latency = self._metrics.first_byte_latency
        entry.end(finish)

    def _emit(self, deltas: Sequence[Delta]) -> None:
        if self.is_over:
            return
        self._sink.feed(deltas, self._metrics)
        if deltas[-1].finish:
            self._end(None)

    def _fail(self, error: Exception) -> None:
        """Tell the journal and the client, in Bedrock's words."""
        if self.is_over:
            return
        told = self._to_told(error)
        is_taken = self._sink.takes(told)
        if isinstance(told, InvokeError):
            self._entry.fail(told, in_stream=is_taken)
        else:
            self._entry.end("cut")
        if is_taken:
            self._sink.end(told)
        self._end(None if is_taken else told)

    def _to_told(self, error: Exception) -> InvokeError | Broken:
        if isinstance(error, InvokeError | Broken):  # a rule's
            return error
        if not isinstance(error, EngineError):
            log.error("request %s failed", self._call.request_id, exc_info=error)
            return InternalServerException()
        told = to_invoke_error(error, self._server)
        if told.in_stream:
            streams = isinstance(self._sink, Stream)
            said = self._server.wrap(told.message, streams, self._call.request_id)
            return type(told)(self._prefix + said, in_stream=True)
        return told

    def _end(self, error: Exception | None) -> None:
        self.is_over, self.error = True, error
        self._cancel()
        if self._ended and not self._ended.done():
            self._ended.set_result(None)

    def _cancel(self) -> None:
        self._generation.cancel()
        if self._pace:
            self._pace.cancel()
        if self._guard:
            self._guard.cancel()
        if self._call.share:
            self._call.share.settle()
