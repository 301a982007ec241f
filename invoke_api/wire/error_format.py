"""The forms in which APIs tell their clients of errors, and that of Bedrock's own API. Pure."""

from collections.abc import Mapping
from typing import NamedTuple, Protocol

from invoke_api.wire.errors import InvokeError
from invoke_api.wire.events import MIN_PADDING_CHARACTERS, encode_chunk
from invoke_api.wire.eventstream import tear


class HttpError(NamedTuple):
    """An error as a whole HTTP answer, without the headers that every answer has."""

    status: int
    headers: Mapping[str, str]
    body: bytes


class ErrorFormat(Protocol):
    """The form in which one family of APIs tells its clients of errors.

    `refuses_in_stream` tells whether a stream has begun before the model server can refuse it.
    """

    refuses_in_stream: bool

    def answer(self, error: InvokeError, request_id: str) -> HttpError: ...

    def event(self, error: InvokeError) -> bytes:
        """Return the last event of a stream whose status line is out already."""
        ...

    def torn_event(self) -> bytes:
        """Return an event that no client can read, for a stream that is to break."""
        ...


class AwsErrors:
    """Errors of Bedrock's own API: JSON with a header for the type, and exception frames."""

    refuses_in_stream = True

    def answer(self, error: InvokeError, _: str) -> HttpError:
        headers = {"x-amzn-ErrorType": error.kind, **error.headers}
        return HttpError(error.status, headers, error.to_json())

    def event(self, error: InvokeError) -> bytes:
        return error.to_frame()

    def torn_event(self) -> bytes:
        return tear(encode_chunk(b"{}", MIN_PADDING_CHARACTERS))


AWS_ERRORS = AwsErrors()
