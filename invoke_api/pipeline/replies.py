"""ASGI responses that carry Bedrock's headers: a whole body, or a stream of frames."""

from collections.abc import AsyncGenerator, Mapping
from contextlib import aclosing, suppress
from random import Random
from time import time

from starlette.requests import Request
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from invoke_api.operations.client import ClientLeft
from invoke_api.operations.services import services_of
from invoke_api.rules.playing import Broken
from invoke_api.wire.errors import JSON, InvokeError
from invoke_api.wire.headers import EVENT_STREAM, response_headers

# Of a UUID, as a number: the bits that are drawn, and those that say of which kind it is.
MASK = (1 << 128) - 1 & ~(0xF << 76) & ~(0x3 << 62)
VERSION = 4 << 76 | 2 << 62
draw = Random().getrandbits  # noqa: S311 - hides nothing; nobody else seeds it


class Reply(Response):
    """One JSON document."""

    def __init__(
        self,
        request: Request,
        body: bytes,
        *,
        status: int = 200,
        more: Mapping[str, str] | None = None,
    ) -> None:
        self.status_code = status
        self.body = body
        self.background = None
        self.raw_headers = _headers(request, JSON, length=len(body), more=more)


class EventStream(Response):
    """Frames as they come. `rest` has begun already, and is closed even if the client leaves."""

    def __init__(
        self,
        request: Request,
        first: bytes,
        rest: AsyncGenerator[bytes, None],
        *,
        more: Mapping[str, str],
    ) -> None:
        self._calls = services_of(request).calls
        self._first = first
        self._rest = rest
        self.status_code = 200
        self.background = None
        self.raw_headers = _headers(request, EVENT_STREAM, more=more)

    async def __call__(self, _: Scope, receive: Receive, send: Send) -> None:
        # A stream that a rule breaks ends without its end, and the server cuts the connection.
        with suppress(ClientLeft, Broken):
            await self._calls.unless_client_leaves(receive, self._send_all(send))

    async def _send_all(self, send: Send) -> None:
        async with aclosing(self._rest) as rest:
            await send({"type": "http.response.start", "status": 200, "headers": self.raw_headers})
            await send({"type": "http.response.body", "body": self._first, "more_body": True})
            async for frames in rest:
                await send({"type": "http.response.body", "body": frames, "more_body": True})
        await send({"type": "http.response.body", "body": b"", "more_body": False})


class CutReply(Response):
    """The beginning of an answer whose rest never comes."""

    def __init__(self, request: Request) -> None:
        self.status_code = 200
        self.body = b'{"outputs":[{"te'
        self.background = None
        self.raw_headers = _headers(request, JSON, length=2 * len(self.body))

    async def __call__(self, _: Scope, __: Receive, send: Send) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": self.raw_headers})
        await send({"type": "http.response.body", "body": self.body, "more_body": True})


def request_id(request: Request) -> str:
    """The id of this request, made at its first use."""
    if "request_id" not in request.scope:
        request.scope["request_id"] = new_request_id()
    made: str = request.scope["request_id"]
    return made


def new_request_id() -> str:
    """A UUID of version 4 (RFC 9562, 5.4), in a third of the time that uuid4 takes."""
    text = f"{draw(128) & MASK | VERSION:032x}"
    return f"{text[:8]}-{text[8:12]}-{text[12:16]}-{text[16:20]}-{text[20:]}"


class Nothing(Response):
    """The answer to a client that has left."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        pass


def error_reply(request: Request, error: InvokeError) -> Reply:
    more = {"x-amzn-ErrorType": error.kind, **error.headers}
    return Reply(request, error.to_json(), status=error.status, more=more)


def _headers(
    request: Request,
    content_type: str,
    *,
    length: int | None = None,
    more: Mapping[str, str] | None = None,
) -> list[tuple[bytes, bytes]]:
    return response_headers(
        now=time(),
        request_id=request_id(request),
        content_type=content_type,
        http_version=request.scope["http_version"],
        length=length,
        more=more,
    )
