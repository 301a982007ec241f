"""The stages that the tokens of one answer pass on their way from the engine to the client.

Each stage runs synchronously in the engine's call, once for each engine step. Only a pace, a hang
and a guardrail's search of a long text are asynchronous.
"""

import asyncio
import logging
from collections.abc import Callable, Sequence
from time import monotonic
from typing import Protocol

from engine.detokenizer import Detokenizer
from engine.errors import EngineError
from engine.generation_task import FINISHED
from engine.protocol import Delta, Finish, Generation, Logprobs, Receiver, Row, Usage
from invoke_api.dialects.model_servers import SERVERS, ModelServer
from invoke_api.dialects.question import InvocationMetrics
from invoke_api.guardrails.output_stage import Native, OutputStage
from invoke_api.observability.journal import NO_ENGINES, Entry
from invoke_api.observability.kept_answer import KeptAnswer
from invoke_api.pipeline.call import Call
from invoke_api.pipeline.engine_errors import to_invoke_error
from invoke_api.pipeline.request_body import ClientDisconnected
from invoke_api.rules.playback import ConnectionBreak, FaultStage, PaceStage
from invoke_api.rules.rule_book import Verdict
from invoke_api.transport.writer_extension import Headers
from invoke_api.wire.errors import (
    InternalServerException,
    InvokeError,
    ServiceUnavailableException,
)

log = logging.getLogger(__name__)

Encode = Callable[[Sequence[Delta], InvocationMetrics | None], bytes]


class Sink(Protocol):
    """The last stage, which writes the answer or collects it."""

    def feed(self, deltas: Sequence[Delta], metrics: InvocationMetrics | None) -> None:
        """Take the next deltas. `metrics` comes with the last one."""
        ...

    def takes(self, error: Exception) -> bool:
        """Tell whether this error can be sent inside the answer."""
        ...

    def end(self, error: Exception) -> None:
        """Send the client an error that the sink `takes`."""
        ...


class Collector:
    """A sink that collects a whole answer in memory. `parts` are deltas that belong to choices."""

    def __init__(self) -> None:
        self.text = ""
        self.parts: list[Delta] = []
        self.finish: Finish = "stop"
        self.logprobs: list[Logprobs] | None = None
        self.metrics: InvocationMetrics | None = None
        self._texts: list[str] = []

    def feed(self, deltas: Sequence[Delta], metrics: InvocationMetrics | None) -> None:
        if deltas[0].choice:
            self.parts += deltas
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
    """A sink that writes event-stream frames, all frames of one engine step at once."""

    def __init__(self, call: Call, headers: Headers, encode: Encode) -> None:
        self._writer = call.writer
        self._kept = call.entry.answer if call.entry else KeptAnswer()
        self._headers = headers
        self._encode = encode
        self._errors = call.errors
        self._has_begun = False

    def feed(self, deltas: Sequence[Delta], metrics: InvocationMetrics | None) -> None:
        self._write(self._encode(deltas, metrics), is_last=deltas[-1].finish is not None)

    def takes(self, error: Exception) -> bool:
        """Tell whether this error can be sent inside the stream.

        Before the first delta no status has been sent, so an error gets its own. A refusal by the
        model server does not: Bedrock has sent status 200 before it.
        """
        if isinstance(error, ConnectionBreak):  # there has to be a stream to break off
            return True
        is_refusal = isinstance(error, InvokeError) and error.in_stream
        return self._has_begun or (is_refusal and self._errors.refuses_in_stream)

    def end(self, error: Exception) -> None:
        if isinstance(error, InvokeError):
            self._write(self._errors.event(error), is_last=True)
        elif isinstance(error, ConnectionBreak):
            self._write(self._errors.torn_event() if error.torn else b"")

    def _write(self, frames: bytes, *, is_last: bool = False) -> None:
        if not self._has_begun:
            self._has_begun = True
            self._writer.start(200, self._headers)
            self._kept.start(200, self._headers)
        self._kept.add(frames)
        self._writer.write(frames, is_last=is_last)


class Answer:
    """The receiver of one call's tokens, which passes them through the stages to `sink`.

    `server` words the model server's refusals, and `prefix` comes before them. Once the answer
    `is_over`, `error` is the error that the call has to raise. It is None if the client has been
    sent everything.
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
        self._generation: Generation = FINISHED
        fault, pace = (verdict.fault, verdict.pace) if verdict else (None, None)
        self._fault = FaultStage(fault, self._entry.model_id) if fault else None
        self._pace = PaceStage(pace, self._measure, self._fail) if pace else None
        self._guard: OutputStage | None = None
        self._metrics: InvocationMetrics | None = None
        self._ended: asyncio.Future[None] | None = None
        self.is_over = False
        self.error: Exception | None = None

    def guard(self, *, holds: bool, native: Native | None) -> None:
        """Have the call's guardrail check the answer. With `holds` it keeps unchecked text back."""
        if self._call.guarding:
            self._guard = OutputStage(
                self._call.guarding, self._emit, self._fail, holds=holds, native=native
            )

    def begin(
        self,
        generate: Callable[[Receiver], Generation],
        detokenizer: Detokenizer | None = None,
    ) -> None:
        """Start the engine, rule or recording that pushes the answer.

        `detokenizer` is None if the source pushes deltas.
        """
        if self._fault and self._fault.is_due:
            self._break_off()
            return
        self._detokenizer = detokenizer
        try:
            self._generation = generate(self)
        except Exception as error:  # noqa: BLE001 - sent to the client
            self.end(error)
        # The source may have pushed so much within the call.
        if self.is_over or (self._fault and self._fault.is_due):
            self._generation.cancel()

    async def wait(self) -> None:
        """Wait until the answer is over. Raises the error that is still to be sent, if any."""
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
        assert self._detokenizer, "a source of tokens has a tokenizer"
        if self.is_over:
            return
        try:
            self.feed(self._detokenizer.feed(tokens, finish, rows))
        except Exception as error:  # noqa: BLE001 - sent to the client
            self.end(error)

    def feed(self, deltas: Sequence[Delta]) -> None:
        """Pass the next deltas through the stages: count, break off, pace, measure, guard."""
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
        """End the answer with an error, after the deltas that a pace still holds."""
        (self._pace.end if self._pace else self._fail)(error)

    # Called by the writer and the service.

    @property
    def waits_for(self) -> str | None:
        entry = self._entry
        waits = entry.first_token is None and entry.engine not in NO_ENGINES
        return entry.model_id if waits else None

    def leave(self) -> None:
        if not self.is_over:
            self._entry.end("cancelled")
            self._end(ClientDisconnected())

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
        entry.texts += [delta.text for delta in deltas]
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
        self._metrics = InvocationMetrics(
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
        """End the answer with an error in Bedrock's words, in the journal and to the client."""
        if self.is_over:
            return
        sent = self._to_sent_error(error)
        is_taken = self._sink.takes(sent)
        if isinstance(sent, InvokeError):
            self._entry.fail(sent, in_stream=is_taken)
        else:
            self._entry.end("cut")
        if is_taken:
            self._sink.end(sent)
        self._end(None if is_taken else sent)

    def _to_sent_error(self, error: Exception) -> InvokeError | ConnectionBreak:
        if isinstance(error, InvokeError | ConnectionBreak):  # a rule's
            return error
        if not isinstance(error, EngineError):
            log.error("request %s failed", self._call.request_id, exc_info=error)
            return InternalServerException()
        sent = to_invoke_error(error, self._server)
        if sent.in_stream:
            streams = isinstance(self._sink, Stream)
            said = self._server.wrap(sent.message, streams, self._call.request_id)
            return type(sent)(self._prefix + said, in_stream=True)
        return sent

    def _end(self, error: Exception | None) -> None:
        self.is_over, self.error = True, error
        self._cancel()
        if self._ended and not self._ended.done():
            self._ended.set_result(None)

    def _cancel(self) -> None:
        if self._pace:
            self._pace.cancel()
        if self._guard:
            self._guard.cancel()
        self._generation.cancel()
        if self._call.share:
            self._call.share.settle()
