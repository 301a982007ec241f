"""Error messages about unknown keys, as the model servers of 2024 write them with Pydantic.

Recorded of Converse's `additionalModelRequestFields`, one key at a time (stdapi-ai/stdapi.ai's
probes of Mistral's models, 2026-08-01). Guess: several keys, and the limits of quoted bodies.
A message quotes a body several times, so without limits it would be many times as large.
"""

import json
from collections.abc import Iterator, Mapping
from itertools import islice
from typing import Any, NamedTuple

Json = Any
MAX_NAMED_KEYS = 100  # per message
MAX_KEY_CHARACTERS = 100  # longer keys are cut
MAX_BODY_CHARACTERS = 10_000  # of longer bodies only the keys are quoted
FURTHER_INFORMATION = (
    "For further information visit https://errors.pydantic.dev/2.10/v/extra_forbidden"
)
EXTRA_FORBIDDEN = "Extra inputs are not permitted"
MAX_REPR_CHARACTERS = 50  # Pydantic cuts the middle out of a longer value
SAMPLING_KEYS = {"max_tokens", "temperature", "top_p", "stop"}


class RequestKind(NamedTuple):
    """A kind of request that a server accepts. Such a request must have the key `required`."""

    name: str
    required: str
    known: frozenset[str]


CHAT = "ChatCompletionRequest"
CHECKED_CHAT = f"function-after[has_tool_execution_data_for_all_tools(), {CHAT}]"
OTHER_KINDS = (
    RequestKind("CompletionRequest", "prompt", frozenset(SAMPLING_KEYS)),
    RequestKind("FIMCompletionRequest", "prompt", frozenset(SAMPLING_KEYS)),
)
KINDS_OF_2407 = (
    RequestKind(CHECKED_CHAT, "messages", frozenset({"messages", *SAMPLING_KEYS})),
    *OTHER_KINDS,
)
KINDS_OF_PIXTRAL = (
    RequestKind(CHAT, "messages", frozenset({"messages", *SAMPLING_KEYS})),
    *OTHER_KINDS,
    RequestKind("OCRRequest", "document", frozenset()),
)


def in_text(kind: str, extra: Mapping[str, Json]) -> str:
    """Return the message of the servers of 7B, Mixtral and the models of 2402."""
    errors = "error" if len(extra) == 1 else "errors"
    lines = [f"Validation Error: {len(extra)} validation {errors} for {kind}"]
    for key, value in islice(extra.items(), MAX_NAMED_KEYS):
        shown = repr(_sorted(value))
        if len(shown) > MAX_REPR_CHARACTERS:
            shown = f"{shown[:25]}...{shown[-24:]}"
        about = f"type=extra_forbidden, input_value={shown}, input_type={type(value).__name__}"
        lines += [_name(key), f"  {EXTRA_FORBIDDEN} [{about}]", f"    {FURTHER_INFORMATION}"]
    return "\n".join(lines)


def in_json(kinds: tuple[RequestKind, ...], body: Mapping[str, Json]) -> str:
    """Return the message of the servers of Large 2407 and Pixtral, which try each kind."""
    whole = _sorted_values(body)
    if len(_written(whole)) > MAX_BODY_CHARACTERS:
        whole = {_name(key): None for key in islice(whole, MAX_NAMED_KEYS)}
    detail = [problem for kind in kinds for problem in _problems(kind, whole)]
    return _written({"detail": detail, "body": whole})


def _name(key: str) -> str:
    return key if len(key) <= MAX_KEY_CHARACTERS else f"{key[:MAX_KEY_CHARACTERS]}..."


def _written(document: Json) -> str:
    return json.dumps(document, separators=(",", ":"), ensure_ascii=False, default=float)


def _problems(kind: RequestKind, body: Mapping[str, Json]) -> Iterator[dict[str, Json]]:
    if kind.required not in body:
        where = ["body", kind.name, kind.required]
        yield {"type": "missing", "loc": where, "msg": "Field required", "input": body}
    for key, value in body.items():
        if key not in kind.known:
            where = ["body", kind.name, key]
            yield {"type": "extra_forbidden", "loc": where, "msg": EXTRA_FORBIDDEN, "input": value}


def _sorted_values(body: Mapping[str, Json]) -> dict[str, Json]:
    """Return the body with sorted keys inside all values but the messages, as Converse does."""
    return {key: value if key == "messages" else _sorted(value) for key, value in body.items()}


def _sorted(value: Json) -> Json:
    return json.loads(json.dumps(value, sort_keys=True, default=float))
