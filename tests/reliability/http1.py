"""An asyncio HTTP/1.1 client that may disconnect, stall and send incomplete requests."""

import asyncio
import json
from collections.abc import Mapping
from contextlib import suppress
from urllib.parse import urlsplit

from tests.reliability.answers import Answer

STREAM_LIMIT_BYTES = 64 * 1024 * 1024  # of a head or a chunk; asyncio's default is 64 KiB
FAILURES = (OSError, EOFError, asyncio.LimitOverrunError)


def encode(
    method: str, path: str, body: object = None, headers: Mapping[str, str] | None = None
) -> bytes:
    """Encode a request. A `body` that is no bytes is sent as JSON."""
    raw = body if isinstance(body, bytes) else b"" if body is None else json.dumps(body).encode()
    head = [f"{method} {path} HTTP/1.1", "Host: 127.0.0.1"]
    head += [f"{name}: {value}" for name, value in (headers or {}).items()]
    if method != "GET" or raw:
        head.append(f"Content-Length: {len(raw)}")
    return "\r\n".join([*head, "", ""]).encode() + raw


class Http1:
    """A connection that is opened again after the service has closed it.

    `source` is the client's own address, so that limits by address see several callers.
    """

    def __init__(self, url: str, source: str | None = None) -> None:
        self._host, self._port = urlsplit(url).hostname, urlsplit(url).port
        self._source = (source, 0) if source else None
        self.reader: asyncio.StreamReader | None = None
        self.writer: asyncio.StreamWriter | None = None

    async def open(self) -> asyncio.StreamWriter:
        if self.writer is None or self.writer.is_closing():
            self.reader, self.writer = await asyncio.open_connection(
                self._host, self._port, limit=STREAM_LIMIT_BYTES, local_addr=self._source
            )
        return self.writer

    async def ask(self, raw: bytes) -> Answer:
        """Send a request and read its answer, which is not whole if it breaks off."""
        answer = Answer()
        try:
            (await self.open()).write(raw)
            await self.read(answer)
        except FAILURES:
            self.leave()
        if answer.headers.get("connection", "").lower() == "close":
            self.leave()
        return answer

    async def ask_and_leave(self, raw: bytes, after: int) -> Answer:
        """Send a request, and disconnect after so many bytes of the answer, or at its end."""
        answer, seen = Answer(), 0
        with suppress(*FAILURES):
            (await self.open()).write(raw)
            assert self.reader
            while seen < after and (data := await self.reader.read(65_536)):
                seen += len(data)
        self.leave()
        return answer

    def leave(self) -> None:
        """Disconnect at once."""
        if self.writer:
            self.writer.transport.abort()
        self.reader = self.writer = None

    async def read(self, answer: Answer) -> None:
        """Read one answer to its end. Raises one of `FAILURES` if it breaks off."""
        assert self.reader
        head = (await self.reader.readuntil(b"\r\n\r\n")).decode("latin-1")
        first, *lines = head.rstrip("\r\n").split("\r\n")
        answer.status = int(first.split(" ")[1])
        pairs = (line.partition(":") for line in lines)
        answer.headers = {name.lower(): value.strip() for name, _, value in pairs}
        if "content-length" in answer.headers:
            answer.body = await self.reader.readexactly(int(answer.headers["content-length"]))
        elif answer.headers.get("transfer-encoding") == "chunked":
            await self._read_pieces(answer)
        else:
            answer.body = await self.reader.read()
        answer.is_whole = True

    async def _read_pieces(self, answer: Answer) -> None:
        assert self.reader
        pieces = []
        try:
            while size := int(await self.reader.readuntil(b"\r\n"), 16):
                pieces.append((await self.reader.readexactly(size + 2))[:-2])
            await self.reader.readexactly(2)
        finally:
            answer.body = b"".join(pieces)
