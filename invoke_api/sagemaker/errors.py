"""Errors of SageMaker Runtime: the container's, wrapped, and SageMaker's own. Pure.

Source: botocore's service model of sagemaker-runtime. Recorded: ModelError with its members, and
its sentence for a client error of TGI. Guess: the other sentences, unless said otherwise.
"""

from collections.abc import Callable, Mapping
from typing import Any

import orjson

from invoke_api.sagemaker.containers.errors import (
    LMI_STATUS,
    lmi_error,
    tgi_chat_error,
    tgi_error,
)
from invoke_api.sagemaker.containers.kinds import CONTAINERS, Container
from invoke_api.wire.error_format import HttpError
from invoke_api.wire.errors import (
    JSON_CONTENT_TYPE,
    FrontDoorError,
    InvokeError,
    KeyDenied,
    ModelError,
    ValidationException,
)
from invoke_api.wire.eventstream import encode_frame, encode_headers, encode_payloads, tear

PART_HEADERS = encode_headers(
    {
        ":event-type": "PayloadPart",
        ":content-type": "application/octet-stream",
        ":message-type": "event",
    }
)
TIMED_OUT = (  # reported often, as SageMaker's answer after 60 seconds
    "Your invocation timed out while waiting for a response from container primary. Review the"
    " latency metrics for each container in Amazon CloudWatch, resolve the issue, and try again."
)
# By the exception of Bedrock's API: SageMaker's name, and the HTTP status.
OWN_ERRORS: Mapping[str, tuple[str, int]] = {
    "ValidationException": ("ValidationError", 400),
    "ResourceNotFoundException": ("ValidationError", 400),
    "ThrottlingException": ("ThrottlingException", 400),
    "ServiceQuotaExceededException": ("ThrottlingException", 400),
    "ModelNotReadyException": ("ModelNotReadyException", 429),
    "InternalServerException": ("InternalFailure", 500),
    "ServiceUnavailableException": ("ServiceUnavailable", 503),
}
# By the exception of Bedrock's API: the status and `error_type` of the container's error.
CONTAINER_ERRORS: Mapping[str, tuple[int, str]] = {
    "ModelErrorException": (500, "generation"),
    "ModelStreamErrorException": (500, "generation"),
    "ModelTimeoutException": (0, ""),
}
# By the exception: the name and the `ErrorCode` of the frame that ends a stream.
STREAM_ERRORS: Mapping[str, tuple[str, str | None]] = {
    "ModelErrorException": ("ModelStreamError", "StreamBroken"),
    "ModelStreamErrorException": ("ModelStreamError", "StreamBroken"),
    "ModelTimeoutException": ("ModelStreamError", "ModelInvocationTimeExceeded"),
}


class MissingAuthenticationTokenException(FrontDoorError):
    """The front door's error for a call without a signature, in services that take no keys."""

    default = "Missing Authentication Token"


def _without_keys(error: InvokeError) -> InvokeError:
    """Return the error in the words of services that take no API keys."""
    is_unsigned = isinstance(error, KeyDenied) and error.message == KeyDenied.default
    return MissingAuthenticationTokenException() if is_unsigned else error


class SageMakerErrors:
    """The form of errors of SageMaker's own, for calls that reach no endpoint."""

    refuses_in_stream = False

    def answer(self, error: InvokeError, _: str) -> HttpError:
        error = _without_keys(error)
        name, status = OWN_ERRORS.get(error.code, (error.code, error.status))
        key = "Message" if error.code in OWN_ERRORS else error.message_key
        document = {**error.members, key: error.message}
        return HttpError(status, _headers(name, error), orjson.dumps(document))

    def event(self, error: InvokeError) -> bytes:
        name, code = STREAM_ERRORS.get(error.code, ("InternalStreamFailure", None))
        document = {"Message": error.message, **({"ErrorCode": code} if code else {})}
        headers = {
            ":exception-type": name,
            ":content-type": JSON_CONTENT_TYPE,
            ":message-type": "exception",
        }
        return encode_frame(headers, orjson.dumps(document))

    def torn_event(self) -> bytes:
        return tear(encode_payloads(PART_HEADERS, [b"data:"]))


class EndpointErrors(SageMakerErrors):
    """The form of errors of an endpoint in a region and an account.

    TGI refuses a stream inside it, with an event. `enclose` makes the bytes of a stream's part.
    `done` is the container's last event after an error. TGI's chats have errors of their own.
    """

    done = b""
    is_chat = False

    def __init__(
        self,
        name: str,
        region: str,
        account: str,
        container: Container | None = None,
        *,
        enclose: Callable[[bytes], bytes] | None = None,
    ) -> None:
        self.refuses_in_stream = False
        self._container = container or CONTAINERS["tgi-1.1"]
        self._is_lmi = container is CONTAINERS["lmi"]
        self._name = name
        self._region = region
        self._account = account
        self._enclose = enclose

    def answer(self, error: InvokeError, request_id: str) -> HttpError:
        if isinstance(error, ModelError):
            return self._wrapped(error, error.container_status, error.message)
        if is_refusal(error):
            return self._wrapped(error, LMI_STATUS if self._is_lmi else 422, error.message)
        if error.code in CONTAINER_ERRORS:
            status, kind = CONTAINER_ERRORS[error.code]
            body = self._failure(error.message, kind) if status else TIMED_OUT
            return self._wrapped(error, LMI_STATUS if status and self._is_lmi else status, body)
        return super().answer(error, request_id)

    def event(self, error: InvokeError) -> bytes:
        if not self._enclose:  # the container's own bytes, without frames
            if is_refusal(error):
                return self._line(error.message)
            fails = tgi_chat_error if self.is_chat else self._failure
            return self._line(fails(error.message))
        if is_refusal(error):
            return self._enclose(self._line(error.message))
        return super().event(error)

    def torn_event(self) -> bytes:
        return super().torn_event() if self._enclose else self._container.begin + b'{"token":'

    def _failure(self, message: str, kind: str = "generation") -> str:
        """Return the container's own error about a generation that has failed."""
        return lmi_error(message) if self._is_lmi else tgi_error(message, kind)

    def _line(self, body: str) -> bytes:
        return self._container.begin + body.encode() + self._container.end + self.done

    def _wrapped(self, error: InvokeError, status: int, body: str) -> HttpError:
        """Return the ModelError about an answer of the container. Guess: for server errors."""
        side = "client" if 400 <= status < 500 else "server"
        group = f"/aws/sagemaker/Endpoints/{self._name}"
        place = f"https://{self._region}.console.aws.amazon.com/cloudwatch/home"
        document: dict[str, Any] = {
            "ErrorCode": f"{side.upper()}_ERROR_FROM_MODEL",
            "LogStreamArn": f"arn:aws:logs:{self._region}:{self._account}:log-group:{group}",
            "Message": (
                f'Received {side} error ({status}) from primary with message "{body}". See'
                f" {place}?region={self._region}#logEventViewer:group={group} in account"
                f" {self._account} for more information."
            ),
            "OriginalMessage": body,
            "OriginalStatusCode": status,
        }
        return HttpError(424, _headers("ModelError", error), orjson.dumps(document))


def is_refusal(error: InvokeError) -> bool:
    """Tell whether the container has refused the request. Its body is the message then."""
    return isinstance(error, ValidationException) and error.in_stream


def _headers(name: str, error: InvokeError) -> dict[str, str]:
    return {"x-amzn-ErrorType": name, **error.headers}


class JsonErrors(SageMakerErrors):
    """The form of errors of the control plane, which speaks AWS JSON 1.1."""

    def answer(self, error: InvokeError, _: str) -> HttpError:
        error = _without_keys(error)
        document = {"__type": error.code, "message": error.message}
        return HttpError(error.status, _headers(error.code, error), orjson.dumps(document))


SAGEMAKER_ERRORS = SageMakerErrors()
JSON_ERRORS = JsonErrors()
