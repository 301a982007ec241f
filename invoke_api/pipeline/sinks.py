"""The end of an answer's way: where it is collected, or written as it comes."""

from collections.abc import Callable, Sequence
from typing import Protocol

from engine.protocol import Delta, Finish, Logprobs
from invoke_api.connections.extension import Headers
from invoke_api.dialects.invocation import Metrics
from invoke_api.pipeline.call import Call
from invoke_api.rules.playing import Broken
from invoke_api.wire.chunks import SHORTEST, encode_chunk
from invoke_api.wire.errors import InvokeError
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
