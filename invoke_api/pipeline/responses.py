"""Whole answers, with Bedrock's headers."""

from collections.abc import Mapping
from dataclasses import dataclass
from time import time
from typing import Protocol

from invoke_api.pipeline.call import Call, Told
from invoke_api.pipeline.request_body import ClientLeft
from invoke_api.rules.playback import Broken
from invoke_api.transport.writer_extension import Headers, Writer
from invoke_api.wire.errors import JSON, InvokeError
from invoke_api.wire.headers import EVENT_STREAM, response_headers


class Request(Protocol):
    """The members of a request that its answer depends on."""

    @property
    def request_id(self) -> str: ...
    @property
    def http_version(self) -> str: ...


@dataclass(frozen=True, slots=True)
class Reply:
    """One whole answer. One that is not `complete` breaks off, and its connection with it."""

    status: int
    headers: Headers
    body: bytes
    complete: bool = True

    def write(self, writer: Writer) -> None:
        writer.start(self.status, self.headers)
        writer.write(self.body, is_last=self.complete)


def json_reply(
    request: Request, body: bytes, *, status: int = 200, more: Mapping[str, str] | None = None
) -> Reply:
    """Return a JSON document as Bedrock answers it, with `more` headers."""
    return Reply(status, _headers(request, JSON, length=len(body), more=more), body)


def error_reply(request: Request, error: InvokeError) -> Reply:
    more = {"x-amzn-ErrorType": error.kind, **error.headers}
    return json_reply(request, error.to_json(), status=error.status, more=more)


def cut_reply(request: Request) -> Reply:
    """Return the beginning of an answer whose rest never comes."""
    body = b'{"outputs":[{"te'
    return Reply(200, _headers(request, JSON, length=2 * len(body)), body, complete=False)


def stream_headers(request: Request, more: Mapping[str, str]) -> Headers:
    """Return the headers of an event stream."""
    return _headers(request, EVENT_STREAM, more=more)


def _headers(
    request: Request,
    content_type: str,
    *,
    length: int | None = None,
    more: Mapping[str, str] | None = None,
) -> list[tuple[bytes, bytes]]:
    return response_headers(
        now=time(),
        request_id=request.request_id,
        content_type=content_type,
        http_version=request.http_version,
        length=length,
        more=more,
    )


UNKNOWN_OPERATION = "UnknownOperationException"
# Bedrock's answer, with status 200, to a path that it does not know.
UNKNOWN = (
    f'{{"Output":{{"__type":"com.amazon.coral.service#{UNKNOWN_OPERATION}"}},"Version":"1.0"}}'
).encode()


def tell(call: Call, error: InvokeError | ClientLeft | Broken) -> Reply | None:
    """Return the answer to a call that has failed, and note it; None where nobody is left."""
    if isinstance(error, ClientLeft):
        call.has_left = True
        if call.entry:  # of one that left before an engine had its call
            call.entry.end("cancelled")
        return None
    if isinstance(error, Broken):  # of a stream, its own frames have told
        return cut_reply(call)
    call.told = Told(error.code, error.status)
    if call.entry:
        call.entry.fail(error)
    return error_reply(call, error)


def tell_unknown(call: Call) -> Reply:
    """Return Bedrock's answer to a path or a method that belongs to no operation."""
    # With 200, CONNECT would open a tunnel (RFC 9110, 9.3.6).
    status = 400 if call.method == "CONNECT" else 200
    call.told = Told(UNKNOWN_OPERATION, status)
    return json_reply(call, UNKNOWN, status=status)
