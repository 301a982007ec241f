"""The error messages of the model servers behind Bedrock, one server per generation of models.

Recorded of Converse: stdapi-ai/stdapi.ai's probes of every model of Mistral's, 2026-08-01. Recorded
of InvokeModel: BerriAI/litellm#17471 (2025-12, Qwen behind the same server), without the `error`
object that Converse's later recordings have.
"""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

from engine.errors import PromptTooLong, RequestRefused
from invoke_api.validation.everit_errors import malformed
from invoke_api.validation.pydantic_errors import KINDS_OF_2407, KINDS_OF_PIXTRAL, in_json, in_text
from invoke_api.validation.serde_errors import DESERIALIZE_FAILED, InvalidBody, in_serdes_words

# Stands before a model server's message in Converse's errors.
CONVERSE_PREFIX = "The model returned the following errors: "
RUST_DEBUG_ESCAPES = str.maketrans(
    {
        **{code: f"\\u{{{code:x}}}" for code in (*range(32), 127)},
        "\\": "\\\\",
        '"': '\\"',
        "\n": "\\n",
        "\r": "\\r",
        "\t": "\\t",
        "\0": "\\0",
    }
)


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelServer:
    """The error messages of one kind of server.

    `word_body` describes a body that breaks its model's schema; it gets the body and a prefix.
    `word_extra` describes keys that Converse forwards and the server does not know; it gets the
    keys and the whole body. `word_taken` describes an additional field that Converse has a member
    for. `show` returns a message in the form in which Converse forwards it. `wrap` makes the
    message of a refusal; it gets the refusal, whether the answer is streamed, and the request's id.
    """

    too_long: Callable[[PromptTooLong], str]
    refused: Callable[[RequestRefused], str]
    wrap: Callable[[str, bool, str], str]
    show: Callable[[Mapping[str, Any]], Mapping[str, Any]]
    word_body: Callable[[InvalidBody, str], str]
    word_taken: Callable[[str], str]
    word_extra: Callable[[Mapping[str, Any], Mapping[str, Any]], str] | None = None


def envelope(message: str) -> str:
    """Return the error document of the server of 2025."""
    error = {
        "code": "validation_error",
        "message": message,
        "param": None,
        "type": "invalid_request_error",
    }
    return json.dumps({"error": error}, separators=(",", ":"), ensure_ascii=False)


def _too_long_of_2024(error: PromptTooLong) -> str:
    # Mistral Large 2402's message, which ends without a full stop.
    return (
        f"This model's maximum context length is {error.context_length} tokens."
        " Please reduce the length of the prompt"
    )


def _too_long_of_2025(error: PromptTooLong) -> str:
    """Return vLLM's message, recorded of Qwen and GLM behind the same server, 2026.

    vLLM stops counting once the prompt is too long.
    """
    window, output = error.context_length, error.max_tokens
    tokens = max(window - output, 0) + 1
    return (
        f"This model's maximum context length is {window} tokens. However, you requested {output}"
        f" output tokens and your prompt contains at least {tokens} input tokens, for a total of at"
        f" least {output + tokens} tokens. Please reduce the length of the input prompt or the"
        f" number of requested output tokens. (parameter=input_tokens, value={tokens})"
    )


def _wrap_of_2025(message: str, streamed: bool, request_id: str) -> str:  # noqa: FBT001 - by position
    quoted = f'"{message.translate(RUST_DEBUG_ESCAPES)}"'
    event = (
        'ErrorEvent { error: APIError { type: "BadRequestError", code: Some(400), message: '
        f"{quoted}, param: None }} }}"
    )
    if streamed:
        return f"Mantle streaming error for requestId {request_id}: {event}"
    return envelope(event)


def _in_parts(message: Mapping[str, Any]) -> Mapping[str, Any]:
    content = message.get("content")
    if not isinstance(content, str):
        return message
    return {**message, "content": [{"type": "text", "text": content}]}


def _as_it_is(message: Mapping[str, Any]) -> Mapping[str, Any]:
    return message


def _taken_of_2024(name: str) -> str:
    return (
        f"Malformed input request: #: extraneous key [{name}] is not permitted,"
        " please reformat your input and try again."
    )


def _taken_of_2025(name: str) -> str:
    return CONVERSE_PREFIX + envelope(f"{DESERIALIZE_FAILED}duplicate field `{name}`")


def _server_of_2024(
    word_extra: Callable[[Mapping[str, Any], Mapping[str, Any]], str],
    show: Callable[[Mapping[str, Any]], Mapping[str, Any]] = _as_it_is,
) -> ModelServer:
    return ModelServer(
        too_long=_too_long_of_2024,
        # The only message that these servers give for a refused request.
        refused=lambda _: "Validation Error",
        wrap=lambda message, *_: message,
        show=show,
        word_taken=_taken_of_2024,
        word_body=lambda body, _: malformed(body.errors),  # by Converse, too
        word_extra=word_extra,
    )


def _word_text(kind: str, extra: Mapping[str, Any], _: Mapping[str, Any]) -> str:
    return in_text(kind, extra)


def name_server(dialect: str, template: str, answers: str) -> str:
    """Return the key in `SERVERS` for a model of the registry."""
    if dialect == "mistral-chat":
        return answers
    if dialect == "imported":
        return dialect
    return "instruct" if template == "instruct" else "2402"


SERVERS: dict[str, ModelServer] = {
    "instruct": _server_of_2024(partial(_word_text, "TextToTextCompletionRequest")),
    "2402": _server_of_2024(partial(_word_text, "ThirdPartyChatCompletionRequest")),
    "2407": _server_of_2024(lambda _, body: in_json(KINDS_OF_2407, body)),
    "pixtral": _server_of_2024(lambda _, body: in_json(KINDS_OF_PIXTRAL, body), _in_parts),
    "2025": ModelServer(
        too_long=_too_long_of_2025,
        refused=str,
        wrap=_wrap_of_2025,
        show=_in_parts,
        word_taken=_taken_of_2025,
        word_body=lambda body, prefix: prefix + envelope(in_serdes_words(body)),
    ),
    # Guess: vLLM's messages, because imported models answer with vLLM's keys, and the front door's
    # message for an invalid body.
    "imported": ModelServer(
        too_long=_too_long_of_2025,
        refused=str,
        wrap=lambda message, *_: message,
        show=_as_it_is,
        word_taken=_taken_of_2024,
        word_body=lambda body, _: malformed(body.errors),
    ),
}
