"""Answers that are passed on as they came from somewhere else: status, headers and bytes."""

from collections.abc import AsyncGenerator, Iterable, Iterator

from starlette.requests import Request
from starlette.responses import Response

from invoke_api.operations.replies import EventStream

Headers = list[tuple[bytes, bytes]]

# What belongs to one connection (RFC 9110, 7.6.1), and is the server's own business here.
HOP_BY_HOP = {"keep-alive", "proxy-connection", "te", "trailer", "transfer-encoding", "upgrade"}


class PassedReply(Response):
    """A whole body."""

    def __init__(self, status: int, headers: Headers, body: bytes) -> None:
        self.status_code = status
        self.body = body
        self.background = None
        self.raw_headers = headers


class PassedStream(EventStream):
    """Bytes as they come; `rest` has begun already, and is closed even if the client leaves."""

    def __init__(
        self, request: Request, headers: Headers, first: bytes, rest: AsyncGenerator[bytes, None]
    ) -> None:
        super().__init__(request, first, rest, more={})
        self.raw_headers = headers


def passed_headers(request: Request, headers: Iterable[tuple[str, str]]) -> Headers:
    """The headers of an answer as this client may have them, in their order."""
    return [
        (name.encode("latin-1"), value.encode("latin-1"))
        for name, value in _kept(headers, request.scope["http_version"])
    ]


def _kept(headers: Iterable[tuple[str, str]], http_version: str) -> Iterator[tuple[str, str]]:
    for name, value in headers:
        key = name.lower()
        if key == "connection":  # RFC 9113, 8.2.2: none in HTTP/2
            if http_version != "2" and value.lower() == "keep-alive":
                yield name, value
        elif key not in HOP_BY_HOP:
            yield name, value


def asked_headers(request: Request) -> list[tuple[str, str]]:
    """The headers of a request as text."""
    return [
        (name.decode("latin-1"), value.decode("latin-1"))
        for name, value in request.scope["headers"]
    ]


def raw_path(request: Request) -> str:
    """The path as it came, with its query."""
    query: bytes = request.scope["query_string"]
    raw: bytes = request.scope["raw_path"] + (b"?" + query if query else b"")
    return raw.decode("latin-1")
