"""The recorder: every call goes on to the service, and what passes is kept in a cassette."""

import logging
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from functools import partial
from typing import TypedDict

import httpx
from botocore.exceptions import BotoCoreError
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from invoke_api.authentication.gate import claimed_region
from invoke_api.cassettes.writer import CassetteWriter
from invoke_api.operations.client import Calls, ClientLeft, read_body
from invoke_api.operations.passing import (
    PassedReply,
    PassedStream,
    asked_headers,
    passed_headers,
    raw_path,
)
from invoke_api.operations.replies import Nothing, error_reply
from invoke_api.recording.tape import Tape
from invoke_api.recording.upstream import Upstream
from invoke_api.secrecy import redacted, unsigned
from invoke_api.web_pages import Doors
from invoke_api.wire.errors import InvokeError, ServiceUnavailableException
from invoke_api.wire.front_door_errors import KeyDenied
from invoke_api.wire.headers import EVENT_STREAM

log = logging.getLogger(__name__)

METHODS = ["GET", "POST", "PUT", "DELETE"]  # those of botocore's models of bedrock


@dataclass(frozen=True, slots=True)
class Recorder:
    """`doors` are whom it serves."""

    upstream: Upstream
    writer: CassetteWriter
    calls: Calls
    doors: Doors


class State(TypedDict):
    """What every request finds in `request.state`, where `services_of` looks for calls."""

    services: Recorder


def create_recorder(
    upstream: Upstream, writer: CassetteWriter, calls: Calls, doors: Doors
) -> Starlette:
    """The proxy, which closes the upstream's client; `calls` learns of each call."""

    @asynccontextmanager
    async def lifespan(_: Starlette) -> AsyncIterator[State]:
        async with upstream.client:
            yield State(services=Recorder(upstream, writer, calls, doors))

    app = Starlette(
        routes=[Route("/{path:path}", record, methods=METHODS)],
        lifespan=lifespan,
        exception_handlers={InvokeError: _answer_error, ClientLeft: _answer_nobody},
    )
    app.router.redirect_slashes = False
    return app


async def record(request: Request) -> Response:
    """Pass one call on, and its answer back as it comes."""
    recorder: Recorder = request.state.services
    if why := recorder.doors.refusal(request.method, request.scope["headers"]):
        raise KeyDenied(f"The recorder signs no calls of web pages. {why}")
    body = await read_body(request)
    upstream = recorder.upstream
    region = claimed_region(request.headers.get("Authorization", ""))
    path = unsigned(raw_path(request))
    tape = Tape(
        writer=recorder.writer,
        upstream=upstream.base(path, region),
        method=request.method,
        path=path,
        request_headers=tuple(redacted(request.scope["headers"])),
        request_body=body,
    )
    connection = AsyncExitStack()
    sending = upstream.send(request.method, path, asked_headers(request), body, region)
    watched = partial(recorder.calls.unless_client_leaves, request.receive)
    try:
        answer = await watched(connection.enter_async_context(sending))
        tape.start(answer)
        headers = passed_headers(request, tape.headers)
        if answer.headers.get("content-type") == EVENT_STREAM:
            passed = tape.stream(answer, connection)
            return PassedStream(request, headers, await watched(anext(passed, b"")), passed)
        whole = await watched(tape.whole(answer))
    except (httpx.HTTPError, BotoCoreError) as error:
        await connection.aclose()
        log.error("%s %s: not recorded: %s", request.method, path, _shown(error))  # noqa: TRY400 - a sentence, no traceback
        told = f"The recorder got no answer from {tape.upstream}."
        raise ServiceUnavailableException(told) from error
    except BaseException:
        await connection.aclose()
        raise
    await connection.aclose()
    return PassedReply(answer.status_code, headers, whole)


def _shown(error: Exception) -> str:
    if isinstance(error, httpx.LocalProtocolError):  # it quotes the header, which is a secret
        return "the signed request is no valid HTTP: look for line breaks in the credentials"
    return f"{type(error).__name__}: {error}" if str(error) else type(error).__name__


async def _answer_error(request: Request, error: Exception) -> Response:
    assert isinstance(error, InvokeError)
    return error_reply(request, error)


async def _answer_nobody(_: Request, __: Exception) -> Response:
    return Nothing()
