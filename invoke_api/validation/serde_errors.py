"""The error message about a body's first mistake, as the model server of 2025 writes it with serde.

Recorded: unknown keys (BerriAI/litellm#17471, 2025-12); a wrong `reasoning_effort` and its column
(stdapi-ai/stdapi.ai's probes of Mistral's models, 2026-08-01); more than one answer (the same
probes, of Qwen). Guess: the other messages, which are serde's own in these forms.
"""

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from decimal import Decimal
from itertools import islice
from math import inf
from typing import Any, NamedTuple

from jsonschema.exceptions import ValidationError

from invoke_api.validation.everit_errors import MAX_VIOLATIONS
from invoke_api.validation.org_json import shorten

DESERIALIZE_FAILED = "Failed to deserialize the JSON body into the target type: "
SEVERAL_ANSWERS = "'n' is not supported for values greater than 1"
# Keys that the server accepts, but does not list among the known ones.
KEY_ALIASES = {"reasoning_config": "reasoning_effort"}
EFFORTS = ("high", "low", "medium", "minimal", "none", "xhigh")
# The message about efforts that serde accepts and the model server's own check refuses.
REFUSED_EFFORT = (
    "SubmitRequestFailure: SubmitRequestFailure: code=-32602, msg=1 validation error for"
    " ChatCompletionRequest\nreasoning_effort\n  Input should be 'none', 'low', 'medium' or 'high'"
    " [type=literal_error, input_value='{value}', input_type=str]\n    For further information"
    " visit https://errors.pydantic.dev/2.13/v/literal_error"
)
SERDE_TYPES = {
    "string": "a string",
    "boolean": "a boolean",
    "array": "a sequence",
    "object": "a map",
}
PLACEHOLDER = "\0place\0"


class InvalidBody(NamedTuple):
    """A body that breaks its schema.

    `errors` are jsonschema's. The server reads the body with a model and a tier in front, and with
    the members of `shown` in place of the body's own.
    """

    value: Any
    errors: Iterable[ValidationError]
    model_id: str
    shown: Mapping[str, Any] = {}


def in_serdes_words(body: InvalidBody) -> str:
    """Return the message about the mistake that a reader of the body's text meets first."""
    errors = islice(body.errors, MAX_VIOLATIONS)
    error = min(errors, key=lambda error: _position(error, body.value))
    path = list(error.absolute_path)
    if path == ["n"] and error.validator == "maximum":
        return SEVERAL_ANSWERS
    if path in (["reasoning_effort"], ["reasoning_config"]):
        return _of_effort(error, body)
    is_refused = error.validator == "enum" and error.instance is True  # `store`
    if is_refused or (error.validator == "type" and error.validator_value == "null"):
        return f"'{path[0]}' is not supported"
    said = WORDS.get(str(error.validator), _other)(error)
    if not path:
        return DESERIALIZE_FAILED + said
    where = f"at line 1 column {_column(body, path)}"
    return f"{DESERIALIZE_FAILED}Invalid '{_written(path)}': {said} {where}"


def _position(error: ValidationError, value: Any) -> tuple[float, ...]:  # noqa: ANN401 - any JSON
    """Return a sort key: where a reader of the body's text meets the mistake.

    A missing key is met at the end. Inside a member, only indexes of lists order the mistakes.
    """
    path = list(error.absolute_path)
    if error.validator == "required":
        return (inf,) if not path else (list(value).index(path[0]), inf)
    if not path and error.validator == "additionalProperties":
        path = [*_unknown(error)]
    if not path:
        return (-1,)
    inner = [step for step in path[1:] if isinstance(step, int)]
    return (list(value).index(path[0]), *inner)


def _unknown(error: ValidationError) -> list[str]:
    schema, instance = _schema(error), error.instance
    assert isinstance(instance, dict), "only objects have keys"
    known = schema.get("properties", {})
    return list(islice((key for key in instance if key not in known), 1))


def _schema(error: ValidationError) -> Mapping[str, Any]:
    assert isinstance(error.schema, dict), "a schema that is a bool has no keywords"
    return error.schema


def _type(error: ValidationError) -> str:
    kinds = _listed(error)
    kind = kinds if isinstance(kinds, str) else kinds[0]
    expected = _schema(error).get("title") or SERDE_TYPES.get(kind, kind)
    return f"invalid type: {name_value(error.instance)}, expected {expected}"


def _bound(error: ValidationError) -> str:
    expected = _schema(error).get("title", "another number")
    return f"invalid value: {name_value(error.instance)}, expected {expected}"


def _enum(error: ValidationError) -> str:
    known = [name for name in _listed(error) if isinstance(name, str)]
    if not isinstance(error.instance, str) or not known:
        expected = SERDE_TYPES["string" if known else "boolean"]
        return f"invalid type: {name_value(error.instance)}, expected {expected}"
    return _variant(error.instance, known)


def _variant(name: str, known: Sequence[str]) -> str:
    quoted = [f"`{each}`" for each in known]
    one_of = " or ".join(quoted) if len(quoted) < 3 else f"one of {', '.join(quoted)}"
    return f"unknown variant `{shorten(name)}`, expected {one_of}"


def _extra(error: ValidationError) -> str:
    [name, *_] = _unknown(error)
    known = [key for key in _schema(error).get("properties", {}) if key not in KEY_ALIASES]
    return _variant(name, known)


def _required(error: ValidationError) -> str:
    instance: Any = error.instance
    missing = [key for key in _listed(error) if key not in instance]
    return f"missing field `{missing[0]}`"


def _items(error: ValidationError) -> str:
    found = len(error.instance)  # type: ignore[arg-type]  # `maxItems` applies to lists only
    return f"invalid length {found}, expected at most {error.validator_value} elements in sequence"


def _untagged(error: ValidationError) -> str:
    return f"data did not match any variant of untagged enum {_schema(error).get('title', '')}"


def _other(error: ValidationError) -> str:
    return error.message


def _listed(error: ValidationError) -> Any:  # noqa: ANN401 - a keyword's value is any JSON
    return error.validator_value


WORDS: Mapping[str, Callable[[ValidationError], str]] = {
    "type": _type,
    "enum": _enum,
    "required": _required,
    "additionalProperties": _extra,
    "minimum": _bound,
    "maximum": _bound,
    "maxItems": _items,
    "anyOf": _untagged,
    "oneOf": _untagged,
}


def _of_effort(error: ValidationError, body: InvalidBody) -> str:
    """Return the message about a wrong effort.

    Serde takes the first key of a map as the name of a variant. The keys are sorted.
    """
    value = error.instance
    path: list[str | int] = list(error.absolute_path)
    if isinstance(value, str) and value in EFFORTS:
        return REFUSED_EFFORT.format(value=value)
    if isinstance(value, dict) and value:
        name = min(value)
        said = _variant(name, EFFORTS)
        column = _column(body, path) + len(_dump(name)) + 1  # the key and its colon
    else:
        said = _variant(value, EFFORTS) if isinstance(value, str) else _type_of_text(value)
        column = _column(body, path)
    return f"{DESERIALIZE_FAILED}Invalid 'reasoning_effort': {said} at line 1 column {column}"


def _type_of_text(value: Any) -> str:  # noqa: ANN401 - any JSON
    return f"invalid type: {name_value(value)}, expected {SERDE_TYPES['string']}"


def name_value(value: Any) -> str:  # noqa: ANN401 - any JSON
    """Return serde's name for a value."""
    if value is None or isinstance(value, bool):
        return "null" if value is None else f"boolean `{str(value).lower()}`"
    if isinstance(value, str):
        return f'string "{value[:1_000]}"'
    if isinstance(value, int):
        return f"integer `{value}`"
    if isinstance(value, float | Decimal):
        return f"floating point `{float(value)}`"
    return "sequence" if isinstance(value, list) else "map"


def _written(path: Iterable[str | int]) -> str:
    steps = [f"[{step}]" if isinstance(step, int) else f".{step}" for step in path]
    return shorten("".join(steps).removeprefix("."))


def _column(body: InvalidBody, path: Sequence[str | int]) -> int:
    """Return how many bytes of the body the server has read when it meets the mistake.

    The server reads the body in one line, with a model and a tier in front.
    """
    whole = {"model": body.model_id, "service_tier": "default", **body.value, **body.shown}
    value = body.value
    for step in path:
        value = value[step]
    text = _dump(_put(whole, path, PLACEHOLDER))
    at = text.index(_dump(PLACEHOLDER))
    # The column of a map or a sequence is where it opens, that of other values where they end.
    size = 1 if isinstance(value, dict | list) else len(_dump(value))
    return at + size


def _dump(value: Any) -> bytes:  # noqa: ANN401 - any JSON
    # `default` writes `Decimal`s.
    return json.dumps(value, separators=(",", ":"), ensure_ascii=False, default=float).encode()


def _put(whole: Any, path: Sequence[str | int], value: Any) -> Any:  # noqa: ANN401 - any JSON
    """Return a copy of `whole` with this value at the end of a path."""
    if not path:
        return value
    step, *rest = path
    copy = list(whole) if isinstance(whole, list) else dict(whole)
    copy[step] = _put(whole[step], rest, value)  # type: ignore[index]  # the path fits `whole`
    return copy
