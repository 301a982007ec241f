"""An answer on its way: its errors in Bedrock's words, its times and counts, its journal entry."""

import asyncio
import logging
from contextlib import aclosing
from dataclasses import dataclass
from time import monotonic
from typing import NoReturn

from engine.errors import EngineError
from engine.protocol import Delta, Deltas, Usage
from invoke_api.dialects.invocation import Metrics
from invoke_api.dialects.servers import SERVERS, ModelServer
from invoke_api.journal import Entry
from invoke_api.operations.client import Calls
from invoke_api.operations.engine_errors import to_invoke_error
from invoke_api.rules.playing import Broken
from invoke_api.wire.errors import (
    InternalServerException,
    InvokeError,
    ServiceUnavailableException,
)

log = logging.getLogger(__name__)


@dataclass(slots=True, kw_only=True)
class Measured:
    """`source` is where the deltas come from; `began` when the request had come, in seconds.

    `server` words what it refuses, behind `prefix`. What `is_held` goes out when all is there.
    """

    source: Deltas
    entry: Entry
    began: float
    calls: Calls
    server: ModelServer = SERVERS["2402"]
    prefix: str = ""
    is_held: bool = False
    ended: Metrics | None = None

    async def deltas(self) -> Deltas:
        """The engine's deltas, its errors in Bedrock's words; the journal learns how it ends."""
        try:
            texts = self.entry.texts
            async with aclosing(self.source) as deltas:
                async for batch in deltas:
                    self.entry.first_token = self.entry.first_token or monotonic()
                    for delta in batch:
                        texts.append(delta.text)
                    if batch[-1].finish:
                        self._end(batch[-1])
                    yield batch
                    if batch[-1].finish:
                        return
            _miss_the_end()
        except GeneratorExit:
            self.entry.end("cancelled")
            raise
        except BaseException as error:
            told = self._tell(error)
            if told is error:
                raise
            raise told from error

    def _end(self, delta: Delta) -> None:
        assert delta.finish, "the last delta has a finish"
        metrics = self.ended = self._measure(delta.usage or Usage(0, 0))
        self.entry.input_tokens = metrics.input_tokens
        self.entry.output_tokens = metrics.output_tokens
        self.entry.latency = metrics.latency
        self.entry.first_byte_latency = metrics.first_byte_latency
        self.entry.end(delta.finish)

    def _tell(self, error: BaseException) -> BaseException:
        """What to raise for this error: an `InvokeError`, unless nobody is there to read it."""
        if isinstance(error, Broken):
            self.entry.end("cut")
            return error
        if isinstance(error, asyncio.CancelledError) and not self.calls.ending:
            self.entry.end("cancelled")
            return error
        told = _to_invoke_error(error, self.server)
        streams = self.entry.operation.endswith("Stream")
        if told.in_stream and isinstance(error, EngineError):
            said = self.server.wrap(told.message, streams, self.entry.request_id)
            told = type(told)(self.prefix + said, in_stream=True)
        if isinstance(told, InternalServerException) and told is not error:  # not a rule's
            log.error("request %s failed", self.entry.request_id, exc_info=error)
        begun = told.in_stream or (bool(self.entry.texts) and not self.is_held)
        self.entry.fail(told, in_stream=streams and begun)
        return told

    def metrics(self) -> Metrics:
        """Those of the whole answer, once its last delta has come."""
        assert self.ended, "the last delta has a finish"
        return self.ended

    def _measure(self, usage: Usage) -> Metrics:
        now = self.entry.last_token = monotonic()
        return Metrics(
            input_tokens=usage.input_tokens,
            output_tokens=usage.output_tokens,
            latency=round(1000 * (now - self.began)),
            first_byte_latency=round(1000 * ((self.entry.first_token or now) - self.began)),
        )


def _miss_the_end() -> NoReturn:
    raise RuntimeError("the engine stopped without a finish")


def _to_invoke_error(error: BaseException, server: ModelServer) -> InvokeError:
    if isinstance(error, InvokeError):  # a rule's
        return error
    if isinstance(error, asyncio.CancelledError):  # the service ends
        return ServiceUnavailableException()
    if isinstance(error, EngineError):
        return to_invoke_error(error, server)
    return InternalServerException()
