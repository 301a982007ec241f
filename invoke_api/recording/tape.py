"""A call while it passes the recorder. It is written to a cassette when it has ended."""

import asyncio
import logging
from collections.abc import AsyncGenerator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from time import monotonic

import httpx

from invoke_api.cassettes.recording import HeaderPairs, RecordedPart, Recording
from invoke_api.cassettes.sse import SSE, SseReader
from invoke_api.cassettes.writer import CassetteWriter
from invoke_api.redaction import redact_text, secrets_of
from invoke_api.rules.playback import ConnectionBreak
from invoke_api.wire.eventstream import FrameError, FrameReader

log = logging.getLogger(__name__)


@dataclass(slots=True, kw_only=True)
class Tape:
    """The data of a future `Recording`, which grows while the answer arrives.

    `secrets` belong to the signature of the call: AWS quotes them in error messages.
    """

    writer: CassetteWriter
    upstream: str
    method: str
    path: str
    request_headers: HeaderPairs
    request_body: bytes
    received: datetime = field(default_factory=lambda: datetime.now(UTC))
    began: float = field(default_factory=monotonic)
    status: int = 0
    headers: HeaderPairs = ()
    head_at: int = 0
    parts: list[RecordedPart] = field(default_factory=list)
    secrets: set[str] = field(default_factory=set)

    def start(self, answer: httpx.Response) -> None:
        """Store the head of the answer."""
        self.head_at = self._now()
        self.status = answer.status_code
        self.secrets = secrets_of(answer.request.headers.raw)
        self.headers = tuple(
            (name.decode("latin-1"), value.decode("latin-1")) for name, value in answer.headers.raw
        )

    async def whole(self, answer: httpx.Response) -> bytes:
        """Read the whole body, write the recording, and return the body.

        Raises `httpx.HTTPError` if the connection breaks.
        """
        raw = b"".join([part async for part in answer.aiter_raw()])
        self.parts.append(RecordedPart(at=self._now(), raw=self._without_secrets(raw)))
        await self._write(is_stream=False)
        return raw

    async def stream(self, answer: httpx.Response) -> AsyncGenerator[bytes, None]:
        """Yield the body's bytes as they arrive, and write the recording at their end.

        Raises `httpx.HTTPError` if the connection breaks before the first byte, `ConnectionBreak`
        later.
        """
        is_sse = answer.headers.get("content-type", "").startswith(SSE)
        reader = SseReader() if is_sse else FrameReader()
        try:
            async for data in answer.aiter_raw():
                self._keep(reader, data)
                yield data
        except httpx.HTTPError as error:
            rest = reader.take()
            if not self.parts and not rest:  # the client can still get an error
                raise
            await self._write(rest, is_stream=True, complete=False)
            raise ConnectionBreak from error
        except (GeneratorExit, asyncio.CancelledError):
            log.info("%s %s: not recorded: the client left", self.method, self.path)
            raise
        await self._write(reader.take(), is_stream=True)

    def _without_secrets(self, raw: bytes) -> bytes:
        if self.status < 400:  # a model's answer does not quote the signature
            return raw
        return redact_text(raw.decode("latin-1"), self.secrets).encode("latin-1")

    def _keep(self, reader: FrameReader | SseReader, data: bytes) -> None:
        """Store the frames or events that are now complete."""
        try:
            frames = reader.feed(data)
        except FrameError:  # the rest can't be split into frames
            frames = [reader.take()]
        at = self._now()
        self.parts += [RecordedPart(at=at, raw=frame) for frame in frames]

    async def _write(self, rest: bytes = b"", *, is_stream: bool, complete: bool = True) -> None:
        if rest:
            self.parts.append(RecordedPart(at=self._now(), raw=rest))
        recording = Recording(
            recorded=self.received.isoformat(timespec="milliseconds"),
            upstream=self.upstream,
            method=self.method,
            path=self.path,
            request_headers=self.request_headers,
            request_body=self.request_body,
            status=self.status,
            headers=tuple(pair for pair in self.headers if pair[0].lower() != "set-cookie"),
            at=self.head_at,
            parts=tuple(self.parts),
            is_stream=is_stream,
            complete=complete,
        )
        try:
            path = await asyncio.to_thread(self.writer.write, recording)
        except OSError as error:
            reason = error.strerror or error
            log.error("%s %s: not recorded: %s", self.method, self.path, reason)  # noqa: TRY400 - a sentence, no traceback
        else:
            log.info("%s %s %d: %s", self.method, self.path, self.status, path)

    def _now(self) -> int:
        return round(1000 * (monotonic() - self.began))
