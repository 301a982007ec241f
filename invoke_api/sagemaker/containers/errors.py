"""Errors of containers: their bodies, and their words for requests that the engine refuses. Pure.

Guess: all refusals of LMI have one form and one status.
"""

from dataclasses import replace

import orjson

from engine.errors import PromptTooLong
from invoke_api.dialects.model_servers import SERVERS, ModelServer

PREFIX = "Input validation error: "
LMI_STATUS = 424  # of all refusals of LMI


def tgi_error(message: str, kind: str) -> str:
    """Return the body of TGI's errors."""
    return orjson.dumps({"error": message, "error_type": kind}).decode()


def tgi_chat_error(message: str) -> str:
    """Return the error in a stream of TGI's chats, which has OpenAI's form."""
    error = {"message": message, "http_status_code": 422}
    return orjson.dumps({"error": error}).decode()


def lmi_error(message: str) -> str:
    """Return the body of LMI's errors."""
    return orjson.dumps({"error": message, "code": LMI_STATUS}).decode()


def _too_long(error: PromptTooLong) -> str:
    """Return the words for a prompt that the model's context is too short for."""
    return f"{PREFIX}`inputs` tokens + `max_new_tokens` must be <= {error.context_length}"


def _wrap(message: str, *_: object) -> str:
    """Return TGI's refusal. The engine's own refusals have no prefix yet."""
    return tgi_error(f"{PREFIX}{message.removeprefix(PREFIX)}", "validation")


def _wrap_chat(message: str, streams: bool, _: str) -> str:  # noqa: FBT001 - as `ModelServer.wrap` has it
    """Return TGI's refusal of a chat."""
    if not streams:
        return _wrap(message)
    return tgi_chat_error(f"{PREFIX}{message.removeprefix(PREFIX)}")


TGI_SERVER: ModelServer = ModelServer(
    too_long=_too_long,
    refused=str,
    wrap=_wrap,
    show=SERVERS["2025"].show,
    word_body=SERVERS["2025"].word_body,
    word_taken=SERVERS["2025"].word_taken,
)
TGI_CHAT_SERVER = replace(TGI_SERVER, wrap=_wrap_chat)
LMI_SERVER = replace(SERVERS["2025"], wrap=lambda message, *_: lmi_error(message))
