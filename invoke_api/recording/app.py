"""The recorder: every call goes on to the service, and what passes is kept in a cassette."""

import logging
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import AsyncExitStack, aclosing, asynccontextmanager, suppress
from dataclasses import dataclass, field
from functools import partial

import httpx
from botocore.exceptions import BotoCoreError
from starlette.applications import Starlette
from starlette.datastructures import Headers
from starlette.routing import Route
from starlette.types import Receive, Scope, Send

from invoke_api.authentication.gate import claimed_region
from invoke_api.authentication.web_pages import Doors
from invoke_api.cassettes.asgi_messages import asked_headers, passed_headers, raw_path
from invoke_api.cassettes.writer import CassetteWriter
from invoke_api.pipeline.call import new_request_id
from invoke_api.pipeline.request_body import Calls, ClientLeft, read_body
from invoke_api.pipeline.responses import Reply, error_reply
from invoke_api.recording.tape import Tape
from invoke_api.recording.upstream import Upstream
from invoke_api.redaction import redacted, unsigned
from invoke_api.rules.playback import Broken
from invoke_api.transport.asgi_writer import open_writer
from invoke_api.transport.writer_extension import Writer
from invoke_api.wire.errors import InvokeError, KeyDenied, ServiceUnavailableException
from invoke_api.wire.headers import EVENT_STREAM

log = logging.getLogger(__name__)

METHODS = ["GET", "POST", "PUT", "DELETE"]  # those of botocore's models of bedrock


@dataclass(frozen=True, slots=True)
class Asked:
    """One request, and the id of its answer where the recorder gives one itself."""

    scope: Scope
    receive: Receive
    writer: Writer
    request_id: str = field(default_factory=new_request_id)

    @property
    def http_version(self) -> str:
        version: str = self.scope["http_version"]
        return version


@dataclass(frozen=True, slots=True)
class Recorder:
    """An ASGI application that passes calls on. `doors` tells whom it serves."""

    upstream: Upstream
    writer: CassetteWriter
    calls: Calls
    doors: Doors

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        writer, fallback = open_writer(scope, receive, send)
        try:
            await self._answer(Asked(scope, receive, writer))
            if fallback:
                await fallback.finish()
        finally:
            if fallback:
                fallback.close()

    async def _answer(self, asked: Asked) -> None:
        with suppress(ClientLeft, Broken):  # of a stream that breaks off, the server cuts the rest
            try:
                reply = await self._record(asked)
            except InvokeError as error:
                reply = error_reply(asked, error)
            if reply:
                reply.write(asked.writer)

    async def _record(self, asked: Asked) -> Reply | None:
        """Pass one call on, and its answer back as it comes. Return None for a stream."""
        scope, upstream = asked.scope, self.upstream
        if why := self.doors.refusal(scope["method"], scope["headers"]):
            raise KeyDenied(f"The recorder signs no calls of web pages. {why}")
        body = await read_body(asked.receive)
        region = claimed_region(Headers(scope=scope).get("Authorization", ""))
        path = unsigned(raw_path(scope))
        tape = Tape(
            writer=self.writer,
            upstream=upstream.base(path, region),
            method=scope["method"],
            path=path,
            request_headers=tuple(redacted(scope["headers"])),
            request_body=body,
        )
        sending = upstream.send(scope["method"], path, asked_headers(scope), body, region)
        watched = partial(self.calls.wait, asked.writer)
        try:
            async with AsyncExitStack() as connection:
                answer = await watched(connection.enter_async_context(sending))
                tape.start(answer)
                headers = passed_headers(asked.http_version, tape.headers)
                if answer.headers.get("content-type") == EVENT_STREAM:
                    await self._pass(asked.writer, headers, tape.stream(answer))
                    return None
                return Reply(answer.status_code, headers, await watched(tape.whole(answer)))
        except (httpx.HTTPError, BotoCoreError) as error:
            log.error("%s %s: not recorded: %s", scope["method"], path, _shown(error))  # noqa: TRY400 - a sentence, no traceback
            told = f"The recorder got no answer from {tape.upstream}."
            raise ServiceUnavailableException(told) from error

    async def _pass(
        self,
        writer: Writer,
        headers: list[tuple[bytes, bytes]],
        stream: AsyncGenerator[bytes, None],
    ) -> None:
        """Pass a stream on as it comes, no faster than the client reads.

        An error before its first bytes is raised as it is, and a later one is `Broken`.
        """
        async with aclosing(stream) as parts:
            first = await self.calls.wait(writer, anext(parts, b""))
            writer.start(200, headers)
            writer.write(first)
            try:
                await self.calls.wait(writer, _write_all(writer, parts))
            except ServiceUnavailableException as error:  # the recorder ends
                raise Broken from error


async def _write_all(writer: Writer, parts: AsyncIterator[bytes]) -> None:
    await writer.drain()
    async for data in parts:
        writer.write(data)
        await writer.drain()
    writer.write(b"", is_last=True)


def create_recorder(
    upstream: Upstream, writer: CassetteWriter, calls: Calls, doors: Doors
) -> Starlette:
    """Return the proxy, which closes the upstream's client; `calls` learns of each call."""

    @asynccontextmanager
    async def lifespan(_: Starlette) -> AsyncIterator[None]:
        async with upstream.client:
            yield

    recorder = Recorder(upstream, writer, calls, doors)
    app = Starlette(routes=[Route("/{path:path}", recorder, methods=METHODS)], lifespan=lifespan)
    app.router.redirect_slashes = False
    return app


def _shown(error: Exception) -> str:
    if isinstance(error, httpx.LocalProtocolError):  # it quotes the header, which is a secret
        return "the signed request is no valid HTTP: look for line breaks in the credentials"
    return f"{type(error).__name__}: {error}" if str(error) else type(error).__name__
