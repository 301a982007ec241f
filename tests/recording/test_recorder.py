"""The recorder in this process: a stream is in flight when the recorder stops."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, cast

import httpx
from starlette.types import Message

from invoke_api.authentication.web_pages import BrowserAccess
from invoke_api.cassettes.writer import CassetteWriter
from invoke_api.pipeline.request_body import InFlightCalls
from invoke_api.recording.app import Recorder
from invoke_api.recording.upstream import Upstream
from invoke_api.wire.events import encode_chunk
from invoke_api.wire.headers import EVENT_STREAM
from tests.support.waiting import until_in_loop

FRAME = encode_chunk(b'{"outputs":[{"text":" a","stop_reason":null}]}', 4)


class Slow:
    """A service that sends one frame of a stream, or none, and then nothing more."""

    def __init__(self, *frames: bytes) -> None:
        self._frames = frames

    def base(self, *_: object) -> str:
        return "https://bedrock-runtime.us-east-1.amazonaws.com"

    @asynccontextmanager
    async def send(self, *_: object) -> AsyncIterator[httpx.Response]:
        async def body() -> AsyncIterator[bytes]:
            for frame in self._frames:
                yield frame
            await asyncio.Event().wait()

        request = httpx.Request("POST", "https://bedrock-runtime.us-east-1.amazonaws.com")
        headers = {"content-type": EVENT_STREAM}
        yield httpx.Response(200, headers=headers, content=body(), request=request)


async def sent_until_the_end(upstream: Slow, folder: Path, *, after: int) -> list[Message]:
    """Return the messages to a client from a recorder that stops after so many messages."""
    calls, sent = InFlightCalls(), list[Message]()
    recorder = Recorder(
        cast("Upstream", upstream), CassetteWriter(folder), calls, BrowserAccess(checks_host=False)
    )
    came = [{"type": "http.request", "body": b"{}", "more_body": False}]

    async def receive() -> Message:
        if not came:
            await asyncio.Event().wait()
        return came.pop()

    async def send(message: Message) -> None:
        sent.append(message)

    scope: dict[str, Any] = {
        "type": "http",
        "http_version": "1.1",
        "method": "POST",
        "path": "/model/m/invoke-with-response-stream",
        "raw_path": b"/model/m/invoke-with-response-stream",
        "query_string": b"",
        "headers": [(b"host", b"127.0.0.1")],
    }
    recording = asyncio.create_task(recorder(scope, receive, send))
    await until_in_loop(lambda: len(sent) == after)
    await asyncio.sleep(0.05)
    calls.end()
    await recording
    return sent


async def test_a_stream_that_has_begun_breaks_off(tmp_path: Path) -> None:
    start, *bodies = await sent_until_the_end(Slow(FRAME), tmp_path, after=2)

    assert start["status"] == 200
    assert b"".join(message["body"] for message in bodies) == FRAME
    assert all(message["more_body"] for message in bodies)


async def test_a_stream_that_has_not_is_an_http_error(tmp_path: Path) -> None:
    start, *bodies = await sent_until_the_end(Slow(), tmp_path, after=0)

    assert start["status"] == 503
    assert not bodies[-1]["more_body"]
