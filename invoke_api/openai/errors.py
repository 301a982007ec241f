"""Errors of the OpenAI API, in the shapes of Bedrock's two hosts and of vLLM's own server. Pure.

Seen: bodies of 404 and of a refused parameter (400). Guess: type and code of every other status,
which are OpenAI's own, and errors inside a stream, which are vLLM's.
Seen of vLLM 0.32: its 400, 401 and 404. Guess: the other statuses, which have HTTP's own phrases.
"""

import re
from collections.abc import Mapping
from http import HTTPStatus
from typing import Any

import orjson

from invoke_api.wire.error_format import HttpError
from invoke_api.wire.errors import FrontDoorError, InvokeError, ValidationException
from invoke_api.wire.json_text import write_json

NO_MODEL = (
    "The model doesn't exist or doesn't support this API. Retry your request with a different model"
    " ID."
)
# By the exception of Bedrock's own API: status, type and code.
Kind = tuple[int, str, str]
KINDS: Mapping[str, Kind] = {
    "AccessDeniedException": (403, "permission_denied_error", "access_denied"),
    "UnrecognizedClientException": (401, "authentication_error", "invalid_api_key"),
    "ExpiredTokenException": (401, "authentication_error", "invalid_api_key"),
    "InvalidSignatureException": (401, "authentication_error", "invalid_api_key"),
    "IncompleteSignatureException": (401, "authentication_error", "invalid_api_key"),
    "ThrottlingException": (429, "rate_limit_error", "rate_limit_exceeded"),
    "ModelNotReadyException": (429, "rate_limit_error", "rate_limit_exceeded"),
    "ServiceQuotaExceededException": (429, "rate_limit_error", "rate_limit_exceeded"),
    "ModelTimeoutException": (408, "server_error", "model_timeout"),
    "RequestTimeoutException": (408, "invalid_request_error", "request_timeout"),
    "ModelErrorException": (500, "server_error", "model_error"),
    "ModelStreamErrorException": (500, "server_error", "model_error"),
    "InternalServerException": (500, "server_error", "internal_server_error"),
    "ServiceUnavailableException": (503, "server_error", "service_unavailable"),
}
CORS = {
    "vary": "origin, access-control-request-method, access-control-request-headers",
    "access-control-allow-origin": "*",
    "access-control-expose-headers": (
        "x-amzn-requestid,x-request-id,date,x-amzn-usage-reservation-quota,"
        "x-amzn-usage-reservation-remaining-quota,x-amzn-usage-reservation-spillover"
    ),
}
VALIDATION: Kind = (400, "invalid_request_error", "validation_error")


class OpenAIErrors:
    """The form of errors of bedrock-mantle or of bedrock-runtime."""

    refuses_in_stream = False  # guess

    def __init__(self, *, is_mantle: bool) -> None:
        self.is_mantle = is_mantle

    def answer(self, error: InvokeError, request_id: str) -> HttpError:
        status, document = self._document(error)
        headers = {**self.headers(request_id), **error.headers}
        return HttpError(status, headers, orjson.dumps(document))

    def no_model(self, name: str) -> str:
        """Return the sentence about a model that the host does not serve."""
        return f"The model '{name}' does not exist" if self.is_mantle else NO_MODEL

    def headers(self, request_id: str) -> Mapping[str, str]:
        """Return the headers that every answer of the host has; recorded of mantle's."""
        return {"x-request-id": request_id, **CORS} if self.is_mantle else {}

    def event(self, error: InvokeError) -> bytes:
        _, document = self._document(error)
        return b"data: " + orjson.dumps(document) + b"\n\n"

    def torn_event(self) -> bytes:
        return b'data: {"id": "chatcmpl-'

    def _document(self, error: InvokeError) -> tuple[int, dict[str, Any]]:
        status, kind, code = KINDS.get(error.code, VALIDATION)
        message = error.message
        if error.code == "ResourceNotFoundException":
            status, kind, code = 404, "not_found_error", "model_not_found"
            if self.is_mantle:
                kind, code = "invalid_request_error", "not_found_error"
        if self.is_mantle:
            return status, {"error": {"code": code, "message": _inner(message), "type": kind}}
        inner = {"message": message, "type": kind, "param": None, "code": code}
        return status, {"error": inner}


def _inner(message: str) -> str:
    """Return the message of an error that a model server has put into a JSON object."""
    try:
        inner = orjson.loads(message)["error"]["message"]
    except (orjson.JSONDecodeError, TypeError, KeyError):
        return message
    return inner if isinstance(inner, str) else message


RUNTIME_ERRORS = OpenAIErrors(is_mantle=False)
MANTLE_ERRORS = OpenAIErrors(is_mantle=True)
ABSENT = object()


def vllm_refusal(
    message: str,
    parameter: str | None = None,
    value: object = ABSENT,
    *,
    kind: str = "BadRequestError",
    in_stream: bool = False,
    tells_parameter: bool = True,
) -> ValidationException:
    """Return vLLM's refusal of a request. Unless told otherwise, the message names the parameter.

    `in_stream` is for what vLLM's engine refuses, after the head of a stream has been sent.
    """
    if tells_parameter and parameter:
        shown = "" if value is ABSENT else f", value={value}"
        message = f"{message} (parameter={parameter}{shown})"
    members = {"type": kind, **({"param": parameter} if parameter else {})}
    return ValidationException(message, members=members, in_stream=in_stream)


class VllmErrors:
    """The form of errors of vLLM's own server."""

    refuses_in_stream = True

    def answer(self, error: InvokeError, _: str) -> HttpError:
        if isinstance(error, FrontDoorError) and error.status in UNAUTHORIZED:
            return HttpError(401, error.headers, orjson.dumps({"error": "Unauthorized"}))
        status, document = self._document(error)
        return HttpError(status, error.headers, write_json(document))

    def event(self, error: InvokeError) -> bytes:
        return b"data: " + write_json(self._document(error)[1]) + b"\n\ndata: [DONE]\n\n"

    def torn_event(self) -> bytes:
        return b'data: {"id":"cmpl-'

    def _document(self, error: InvokeError) -> tuple[int, dict[str, Any]]:
        status = VLLM_STATUSES.get(error.code, error.status)
        kind = VLLM_KINDS.get(status) or HTTPStatus(status).phrase
        inner = {
            "message": PATHS.sub("<path>", error.message).strip(),
            "type": error.members.get("type", kind),
            "param": error.members.get("param"),
            "code": status,
        }
        return status, {"error": inner}


PATHS = re.compile(r"(?:/[\w\-]+)+/[\w\-]+\.\w+")  # vLLM hides paths of files, such as xgrammar's
UNAUTHORIZED = (400, 403)  # statuses of the front door's errors about signatures and keys
VLLM_STATUSES = {"ModelErrorException": 500, "ModelStreamErrorException": 500}
VLLM_KINDS = {400: "BadRequestError", 404: "NotFoundError", 500: "InternalServerError"}
VLLM_ERRORS = VllmErrors()
