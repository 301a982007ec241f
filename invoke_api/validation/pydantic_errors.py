"""Word unknown keys as the model servers of 2024 do, which use Pydantic.

Recorded of Converse's `additionalModelRequestFields`, one key at a time (stdapi-ai/stdapi.ai's
probes of Mistral's models, 2026-08-01). Guess: two keys and more, and the limits of what is quoted.
A document quotes a body several times, so without limits it would be many times as large.
"""

import json
from collections.abc import Iterator, Mapping
from itertools import islice
from typing import Any, NamedTuple

Json = Any
MOST_KEYS = 100  # keys of a body that are named
LONGEST_KEY = 100  # characters of a key that is named
MOST_QUOTED = 10_000  # characters of a body that is quoted with its values
MORE = "For further information visit https://errors.pydantic.dev/2.10/v/extra_forbidden"
EXTRA = "Extra inputs are not permitted"
LONGEST_REPR = 50  # characters; Pydantic cuts the middle out of a longer one
SAMPLING = {"max_tokens", "temperature", "top_p", "stop"}


class Kind(NamedTuple):
    """A kind of request that a server knows; a request of it must have `required`."""

    name: str
    required: str
    known: frozenset[str]


CHAT = "ChatCompletionRequest"
CHECKED_CHAT = f"function-after[has_tool_execution_data_for_all_tools(), {CHAT}]"
OTHERS = (
    Kind("CompletionRequest", "prompt", frozenset(SAMPLING)),
    Kind("FIMCompletionRequest", "prompt", frozenset(SAMPLING)),
)
OF_2407 = (Kind(CHECKED_CHAT, "messages", frozenset({"messages", *SAMPLING})), *OTHERS)
OF_PIXTRAL = (
    Kind(CHAT, "messages", frozenset({"messages", *SAMPLING})),
    *OTHERS,
    Kind("OCRRequest", "document", frozenset()),
)


def in_text(kind: str, extra: Mapping[str, Json]) -> str:
    """Return the lines of the servers of 7B, Mixtral and the models of 2402."""
    errors = "error" if len(extra) == 1 else "errors"
    lines = [f"Validation Error: {len(extra)} validation {errors} for {kind}"]
    for key, value in islice(extra.items(), MOST_KEYS):
        shown = repr(_sorted(value))
        if len(shown) > LONGEST_REPR:
            shown = f"{shown[:25]}...{shown[-24:]}"
        about = f"type=extra_forbidden, input_value={shown}, input_type={type(value).__name__}"
        lines += [_name(key), f"  {EXTRA} [{about}]", f"    {MORE}"]
    return "\n".join(lines)


def in_json(kinds: tuple[Kind, ...], body: Mapping[str, Json]) -> str:
    """Return the document of the servers of Large 2407 and Pixtral, which tries each kind."""
    whole = _sorted_values(body)
    if len(_written(whole)) > MOST_QUOTED:
        whole = {_name(key): None for key in islice(whole, MOST_KEYS)}
    detail = [problem for kind in kinds for problem in _problems(kind, whole)]
    return _written({"detail": detail, "body": whole})


def _name(key: str) -> str:
    return key if len(key) <= LONGEST_KEY else f"{key[:LONGEST_KEY]}..."


def _written(document: Json) -> str:
    return json.dumps(document, separators=(",", ":"), ensure_ascii=False, default=float)


def _problems(kind: Kind, body: Mapping[str, Json]) -> Iterator[dict[str, Json]]:
    if kind.required not in body:
        where = ["body", kind.name, kind.required]
        yield {"type": "missing", "loc": where, "msg": "Field required", "input": body}
    for key, value in body.items():
        if key not in kind.known:
            where = ["body", kind.name, key]
            yield {"type": "extra_forbidden", "loc": where, "msg": EXTRA, "input": value}


def _sorted_values(body: Mapping[str, Json]) -> dict[str, Json]:
    """Sort the keys inside all values but the messages, as Converse sends them on."""
    return {key: value if key == "messages" else _sorted(value) for key, value in body.items()}


def _sorted(value: Json) -> Json:
    return json.loads(json.dumps(value, sort_keys=True, default=float))
