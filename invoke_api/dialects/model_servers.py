"""The model servers behind Bedrock, one a generation of models, and their error messages.

Recorded of Converse: stdapi-ai/stdapi.ai's probes of every model of Mistral's, 2026-08-01. Recorded
of InvokeModel: BerriAI/litellm#17471 (2025-12, of Qwen, which the same server has), without the
`error` around it that Converse's recordings have by now.
"""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

from engine.errors import PromptTooLong, RequestRefused
from invoke_api.validation.everit_errors import malformed
from invoke_api.validation.pydantic_errors import OF_2407, OF_PIXTRAL, in_json, in_text
from invoke_api.validation.serde_errors import HEAD, Body, in_serdes_words

# Before what a model server has to say to a conversation.
CONVERSE_PREFIX = "The model returned the following errors: "
ESCAPES = str.maketrans(
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
    """The words of one kind of server.

    `word_body` words a body that breaks its model's schema, with a prefix where Converse has one.
    `word_extra` words keys that Converse passes on and the server does not know; it gets the keys,
    and the whole body. `word_taken` words a key that Converse has its own place for. `show` makes a
    message as Converse sends it on. `wrap` makes the message of a refusal; it gets the refusal,
    whether the answer is streamed, and the id of the request.
    """

    too_long: Callable[[PromptTooLong], str]
    refused: Callable[[RequestRefused], str]
    wrap: Callable[[str, bool, str], str]
    show: Callable[[Mapping[str, Any]], Mapping[str, Any]]
    word_body: Callable[[Body, str], str]
    word_taken: Callable[[str], str]
    word_extra: Callable[[Mapping[str, Any], Mapping[str, Any]], str] | None = None


def envelope(message: str) -> str:
    """Return the document that the server of 2025 answers with instead of a stream."""
    error = {
        "code": "validation_error",
        "message": message,
        "param": None,
        "type": "invalid_request_error",
    }
    return json.dumps({"error": error}, separators=(",", ":"), ensure_ascii=False)


def _too_long_of_2024(error: PromptTooLong) -> str:
    # Mistral Large 2402's sentence, which ends without a full stop.
    return (
        f"This model's maximum context length is {error.context_length} tokens."
        " Please reduce the length of the prompt"
    )


def _too_long_of_2025(error: PromptTooLong) -> str:
    """Return vLLM's sentence. vLLM reads a prompt no further than to where it is too long.

    Recorded of Qwen and GLM behind the same server, 2026.
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
    quoted = f'"{message.translate(ESCAPES)}"'  # as Rust's Debug writes a text
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
    return CONVERSE_PREFIX + envelope(f"{HEAD}duplicate field `{name}`")


def _server_of_2024(
    word_extra: Callable[[Mapping[str, Any], Mapping[str, Any]], str],
    show: Callable[[Mapping[str, Any]], Mapping[str, Any]] = _as_it_is,
) -> ModelServer:
    return ModelServer(
        too_long=_too_long_of_2024,
        # The model server's only words to anything it does not take. What Bedrock's own takes
        # offence at is not known; ours has this one reason.
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
    """Name the server in `SERVERS` of a model of the registry."""
    if dialect == "mistral-chat":
        return answers
    if dialect == "imported":
        return dialect
    return "instruct" if template == "instruct" else "2402"


SERVERS: dict[str, ModelServer] = {
    "instruct": _server_of_2024(partial(_word_text, "TextToTextCompletionRequest")),
    "2402": _server_of_2024(partial(_word_text, "ThirdPartyChatCompletionRequest")),
    "2407": _server_of_2024(lambda _, body: in_json(OF_2407, body)),
    "pixtral": _server_of_2024(lambda _, body: in_json(OF_PIXTRAL, body), _in_parts),
    "2025": ModelServer(
        too_long=_too_long_of_2025,
        refused=str,
        wrap=_wrap_of_2025,
        show=_in_parts,
        word_taken=_taken_of_2025,
        word_body=lambda body, prefix: prefix + envelope(in_serdes_words(body)),
    ),
    # Guess: vLLM's words, whose keys its answers have, and the front door's for a body.
    "imported": ModelServer(
        too_long=_too_long_of_2025,
        refused=str,
        wrap=lambda message, *_: message,
        show=_as_it_is,
        word_taken=_taken_of_2024,
        word_body=lambda body, _: malformed(body.errors),
    ),
}
