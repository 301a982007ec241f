"""Whole HTTP responses with Bedrock's headers."""

from collections.abc import Mapping
from dataclasses import dataclass
from time import time
from typing import Protocol

from invoke_api.pipeline.call import Call, SentError
from invoke_api.pipeline.request_body import ClientDisconnected
from invoke_api.rules.playback import ConnectionBreak
from invoke_api.transport.writer_extension import Headers, Writer
from invoke_api.wire.error_format import AWS_ERRORS, ErrorFormat
from invoke_api.wire.errors import JSON_CONTENT_TYPE, InvokeError
from invoke_api.wire.headers import EVENT_STREAM, response_headers

UNKNOWN_OPERATION = "UnknownOperationException"
# Bedrock answers an unknown path with this body and status 200.
UNKNOWN_OPERATION_BODY = (
    f'{{"Output":{{"__type":"com.amazon.coral.service#{UNKNOWN_OPERATION}"}},"Version":"1.0"}}'
).encode()


class RequestHead(Protocol):
    """The parts of a request that its response headers depend on."""

    @property
    def request_id(self) -> str: ...
    @property
    def http_version(self) -> str: ...


@dataclass(slots=True)
class HttpResponse:
    """A whole HTTP response. If it is not `complete`, the connection breaks off after its body."""

    status: int
    headers: Headers
    body: bytes
    complete: bool = True

    def write(self, writer: Writer) -> None:
        writer.start(self.status, self.headers)
        writer.write(self.body, is_last=self.complete)


def json_response(
    request: RequestHead, body: bytes, *, status: int = 200, more: Mapping[str, str] | None = None
) -> HttpResponse:
    """Return a response with a JSON body, Bedrock's headers and `more` headers."""
    return HttpResponse(
        status, _headers(request, JSON_CONTENT_TYPE, length=len(body), more=more), body
    )


def error_response(
    request: RequestHead, error: InvokeError, errors: ErrorFormat = AWS_ERRORS
) -> HttpResponse:
    """Return the response to a call that failed with this error, in the form of its API."""
    sent = errors.answer(error, request.request_id)
    return json_response(request, sent.body, status=sent.status, more=sent.headers)


def truncated_response(request: RequestHead) -> HttpResponse:
    """Return a response that breaks off in its body."""
    body = b'{"outputs":[{"te'
    return HttpResponse(
        200, _headers(request, JSON_CONTENT_TYPE, length=2 * len(body)), body, complete=False
    )


def stream_headers(
    request: RequestHead, more: Mapping[str, str], content_type: str = EVENT_STREAM
) -> Headers:
    """Return the headers of a streamed answer."""
    return _headers(request, content_type, more=more)


def _headers(
    request: RequestHead,
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


def failure_response(
    call: Call, error: InvokeError | ClientDisconnected | ConnectionBreak
) -> HttpResponse | None:
    """Note a call's failure and return the response, or None if the client has disconnected."""
    if isinstance(error, ClientDisconnected):
        call.has_left = True
        if call.entry:  # no effect if the engine has the call: its answer ended the entry
            call.entry.end("cancelled")
        return None
    if isinstance(error, ConnectionBreak):  # a stream breaks off by its own frames
        return truncated_response(call)
    response = error_response(call, error, call.errors)
    call.sent_error = SentError(error.code, response.status)
    if call.entry:
        call.entry.fail(error)
        call.entry.status = response.status  # an API may have another one for the error
    return response


def unknown_operation_response(call: Call) -> HttpResponse:
    """Return Bedrock's response to a path or method that belongs to no operation."""
    # Status 200 would make CONNECT open a tunnel (RFC 9110, 9.3.6).
    status = 400 if call.method == "CONNECT" else 200
    call.sent_error = SentError(UNKNOWN_OPERATION, status)
    return json_response(call, UNKNOWN_OPERATION_BODY, status=status)
