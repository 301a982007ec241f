"""The recorder: a proxy that forwards each call to AWS and records it in a cassette."""

import logging
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import AsyncExitStack, aclosing, asynccontextmanager, suppress
from dataclasses import dataclass, field
from functools import partial

import httpx
from botocore.exceptions import BotoCoreError
from starlette.applications import Starlette
from starlette.routing import Route
from starlette.types import Receive, Scope, Send

from invoke_api.authentication.gate import claims_in
from invoke_api.authentication.web_pages import BrowserAccess
from invoke_api.cassettes.asgi_messages import forwarded_headers, raw_path, request_headers
from invoke_api.cassettes.sse import SSE
from invoke_api.cassettes.writer import CassetteWriter
from invoke_api.pipeline.call import new_request_id
from invoke_api.pipeline.request_body import ClientDisconnected, InFlightCalls, read_body
from invoke_api.pipeline.responses import HttpResponse, error_response
from invoke_api.recording.tape import Tape
from invoke_api.recording.upstream import Upstream
from invoke_api.redaction import redacted_headers, without_signature
from invoke_api.rules.playback import ConnectionBreak
from invoke_api.transport.asgi_writer import open_writer
from invoke_api.transport.writer_extension import Writer
from invoke_api.wire.errors import InvokeError, KeyDenied, ServiceUnavailableException
from invoke_api.wire.headers import EVENT_STREAM

log = logging.getLogger(__name__)

METHODS = ["GET", "POST", "PUT", "DELETE"]  # of all operations in botocore's models


@dataclass(frozen=True, slots=True)
class ClientRequest:
    """A request of a client. `request_id` is for errors of the recorder itself."""

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
    """An ASGI application that forwards calls. `browser_access` refuses web pages."""

    upstream: Upstream
    writer: CassetteWriter
    calls: InFlightCalls
    browser_access: BrowserAccess

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        writer, fallback = open_writer(scope, receive, send)
        try:
            await self._answer(ClientRequest(scope, receive, writer))
            if fallback:
                await fallback.finish()
        finally:
            if fallback:
                fallback.close()

    async def _answer(self, request: ClientRequest) -> None:
        with suppress(ClientDisconnected, ConnectionBreak):  # the server cuts a broken stream
            try:
                reply = await self._record(request)
            except InvokeError as error:
                reply = error_response(request, error)
            if reply:
                reply.write(request.writer)

    async def _record(self, request: ClientRequest) -> HttpResponse | None:
        """Forward a call. Return its answer, or None for a stream, which is forwarded here."""
        scope, upstream = request.scope, self.upstream
        if why := self.browser_access.refusal(scope["method"], scope["headers"]):
            raise KeyDenied(f"The recorder signs no calls of web pages. {why}")
        body = await read_body(request.receive)
        region = claims_in(scope["headers"]).region
        path = without_signature(raw_path(scope))
        tape = Tape(
            writer=self.writer,
            upstream=upstream.base(path, region),
            method=scope["method"],
            path=path,
            request_headers=tuple(redacted_headers(scope["headers"])),
            request_body=body,
        )
        sending = upstream.send(scope["method"], path, request_headers(scope), body, region)
        unless_ended = partial(self.calls.wait, request.writer)
        try:
            async with AsyncExitStack() as connection:
                answer = await unless_ended(connection.enter_async_context(sending))
                tape.start(answer)
                headers = forwarded_headers(request.http_version, tape.headers)
                if answer.headers.get("content-type", "").startswith((EVENT_STREAM, SSE)):
                    await self._forward_stream(request.writer, headers, tape.stream(answer))
                    return None
                return HttpResponse(
                    answer.status_code, headers, await unless_ended(tape.whole(answer))
                )
        except (httpx.HTTPError, BotoCoreError) as error:
            log.error("%s %s: not recorded: %s", scope["method"], path, _shown(error))  # noqa: TRY400 - a sentence, no traceback
            told = f"The recorder got no answer from {tape.upstream}."
            raise ServiceUnavailableException(told) from error

    async def _forward_stream(
        self,
        writer: Writer,
        headers: list[tuple[bytes, bytes]],
        stream: AsyncGenerator[bytes, None],
    ) -> None:
        """Forward a stream as it arrives, no faster than the client reads.

        An error before the first bytes is raised unchanged, a later one as `ConnectionBreak`.
        """
        async with aclosing(stream) as parts:
            first = await self.calls.wait(writer, anext(parts, b""))
            writer.start(200, headers)
            writer.write(first)
            try:
                await self.calls.wait(writer, _write_all(writer, parts))
            except ServiceUnavailableException as error:  # the recorder ends
                raise ConnectionBreak from error


async def _write_all(writer: Writer, parts: AsyncIterator[bytes]) -> None:
    await writer.drain()
    async for data in parts:
        writer.write(data)
        await writer.drain()
    writer.write(b"", is_last=True)


def create_recorder(
    upstream: Upstream, writer: CassetteWriter, calls: InFlightCalls, browser_access: BrowserAccess
) -> Starlette:
    """Return the proxy, which closes the upstream's client. `calls` tracks each call."""

    @asynccontextmanager
    async def lifespan(_: Starlette) -> AsyncIterator[None]:
        async with upstream.client:
            yield

    recorder = Recorder(upstream, writer, calls, browser_access)
    app = Starlette(routes=[Route("/{path:path}", recorder, methods=METHODS)], lifespan=lifespan)
    app.router.redirect_slashes = False
    return app


def _shown(error: Exception) -> str:
    if isinstance(error, httpx.LocalProtocolError):  # its text quotes the header, a secret
        return "the signed request is not valid HTTP; check the credentials for line breaks"
    return f"{type(error).__name__}: {error}" if str(error) else type(error).__name__
