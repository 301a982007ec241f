"""What the servers behind Bedrock's models say of a request that they refuse.

Bedrock has a server for each generation of models. Each sentence here was recorded of Converse
(stdapi-ai/stdapi.ai, us-east-1 and us-west-2, 2026-08-01), where not marked otherwise.
"""

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

Json = dict[str, Any]

FORBIDDEN = "Extra inputs are not permitted"
LONGEST = 50  # characters of a value that pydantic quotes
LARGEST = 10_000  # characters of a body that is quoted: guess
NOT_LAST = (
    "Cannot set `add_generation_prompt` to True when the last message is from the assistant."
    " Consider using `continue_final_message` instead."
)
# Fields that the two completions take beside `prompt`. Guess for all but `max_tokens`.
COMPLETION = ("max_tokens", "temperature", "top_p", "stop")


def refuse_fields(server: str, unknown: Mapping[str, Any], body: Json) -> str | None:
    """Return the server's sentence for fields that it does not know, or None if it takes them.

    `body` is all that Bedrock sends to the server, with these fields.
    """
    refuse = SERVERS.get(server)
    return refuse(unknown, body) if refuse and unknown else None


def word_refusal(server: str, sentence: str, request_id: str, *, stream: bool) -> str:
    """Return a refusal as Bedrock passes it on. In a stream it was heard of other vendors' models.

    The servers of 2025 put their own `sentence` into an error event; the others say it as it is.
    """
    if server != "2025":
        return sentence
    quoted = json.dumps(sentence, ensure_ascii=False)
    fields = f'type: "BadRequestError", code: Some(400), message: {quoted}, param: None'
    event = f"ErrorEvent {{ error: APIError {{ {fields} }} }}"
    if stream:
        return f"Mantle streaming error for requestId {request_id}: {event}"
    told = {"code": "validation_error", "message": event, "param": None}
    return _written({"error": {**told, "type": "invalid_request_error"}})


def _written(document: Json) -> str:
    return json.dumps(document, ensure_ascii=False, separators=(",", ":"))


def sort_keys(value: Any) -> Any:  # noqa: ANN401 - any JSON
    """Return the value as Bedrock hands it on: every object with its keys sorted."""
    # Loops, as in `to_plain`, because bodies may be nested 512 levels deep.
    if isinstance(value, dict):
        members: Json = {}
        for key in sorted(value):
            members[key] = sort_keys(value[key])
        return members
    if isinstance(value, list):
        row: list[Any] = []
        for each in value:
            row.append(sort_keys(each))  # noqa: PERF401 - as above
        return row
    return value


def _by_pydantic(model: str) -> Callable[[Mapping[str, Any], Json], str]:
    """Return a server that quotes pydantic's error of this model of its own."""

    def refuse(unknown: Mapping[str, Any], _: Json) -> str:
        many = "" if len(unknown) == 1 else "s"
        errors = "\n".join(_quote(name, value) for name, value in unknown.items())
        return f"Validation Error: {len(unknown)} validation error{many} for {model}\n{errors}"

    return refuse


def _quote(name: str, value: Any) -> str:  # noqa: ANN401 - any JSON
    return (
        f"{name}\n  {FORBIDDEN} [type=extra_forbidden, input_value={_shorten(repr(value))},"
        f" input_type={type(value).__name__}]\n"
        "    For further information visit https://errors.pydantic.dev/2.10/v/extra_forbidden"
    )


def _shorten(text: str) -> str:
    if len(text) <= LONGEST:
        return text
    return f"{text[: LONGEST // 2]}...{text[1 - LONGEST // 2 :]}"


def _by_detail(chat: str, *others: tuple[str, str, Sequence[str]]) -> Callable[..., str]:
    """Return a server that takes several kinds of request and lists why a body is none of them.

    `chat` is its name for a chat. `others` are a name, the field that it requires, and those that
    it takes beside.
    """

    def refuse(unknown: Mapping[str, Any], body: Json) -> str:
        detail = [_forbidden(chat, name, value) for name, value in unknown.items()]
        if len(_written(body)) > LARGEST:
            body = {}
        for name, required, taken in others:
            detail += _lacks(name, required, taken, body)
        return _written({"detail": detail, "body": body})

    return refuse


def _lacks(name: str, required: str, taken: Sequence[str], body: Json) -> Iterator[Json]:
    location = ["body", name, required]
    yield {"type": "missing", "loc": location, "msg": "Field required", "input": body}
    for key, value in body.items():
        if key not in taken:
            yield _forbidden(name, key, value)


def _forbidden(name: str, key: str, value: Any) -> Json:  # noqa: ANN401 - any JSON
    location = ["body", name, key]
    return {"type": "extra_forbidden", "loc": location, "msg": FORBIDDEN, "input": value}


COMPLETIONS = (
    ("CompletionRequest", "prompt", COMPLETION),
    ("FIMCompletionRequest", "prompt", COMPLETION),
)
# By the generation of a model. The servers of 2025 take fields that they do not know.
SERVERS: dict[str, Callable[[Mapping[str, Any], Json], str]] = {
    "instruct": _by_pydantic("TextToTextCompletionRequest"),
    "2402": _by_pydantic("ThirdPartyChatCompletionRequest"),
    "2407": _by_detail(
        "function-after[has_tool_execution_data_for_all_tools(), ChatCompletionRequest]",
        *COMPLETIONS,
    ),
    "pixtral": _by_detail("ChatCompletionRequest", *COMPLETIONS, ("OCRRequest", "document", ())),
}
