"""TGI's request body: its types, in the words of axum and serde, which read it. Pure.

Recorded: a missing `inputs` with its line and column. Guess: the other sentences, which are serde's
own, and the columns, as in `validation/serde_errors.py`.
"""

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

from invoke_api.sagemaker.containers.grammar import is_grammar
from invoke_api.sagemaker.containers.kinds import Container
from invoke_api.sagemaker.containers.parameters import (
    BOOL,
    F32,
    INTEGERS,
    MAP,
    NUMBERS,
    STRING,
    STRINGS,
    Integer,
    Kind,
    Table,
)
from invoke_api.validation.json_document import NotJson, parse_json
from invoke_api.validation.serde_errors import DESERIALIZE_FAILED, name_value

BLANKS = re.compile(r"[ \t\r\n]*")
DECODER = json.JSONDecoder(parse_int=str, parse_float=str)  # finds places only
MAX_F32 = 3.4028235e38
MAX_TOKEN_ID = 2**31  # no vocabulary is as large


class BodyRefused(Exception):
    """The container's refusal of a body that it can't read: an HTTP status and a plain text."""

    def __init__(self, status: int, text: str) -> None:
        super().__init__(text)
        self.status = status
        self.text = text


@dataclass(frozen=True, slots=True, kw_only=True)
class TgiRequest:
    """A body of the right types. `parameters` has every parameter of the container."""

    inputs: str
    stream: bool = False
    parameters: Mapping[str, Any] = field(default_factory=dict)


def parse_body(raw: bytes, content_type: str) -> Any:  # noqa: ANN401 - any JSON
    """Return the JSON of a body. Raises `BodyRefused`."""
    kind = content_type.partition(";")[0].strip().lower()
    if kind != "application/json" and not re.fullmatch(r"application/[^;]*\+json", kind):
        raise BodyRefused(415, "Expected request with `Content-Type: application/json`")
    try:
        return parse_json(raw)
    except NotJson as error:
        said = _syntax_error(raw, str(error))
        raise BodyRefused(400, f"Failed to parse the request body as JSON: {said}") from None


def read_tgi_body(
    body: Any,  # noqa: ANN401 - any JSON
    text: str,
    container: Container,
    *,
    full_text: bool = False,
) -> TgiRequest:
    """Return the request in a parsed body with this text. Unknown keys are ignored.

    `full_text` is the default of `return_full_text`. Raises `BodyRefused`.
    """
    if not isinstance(body, dict):
        raise _mismatch(body, "struct CompatGenerateRequest", text, ())
    _check(body.get("parameters", {}), MAP, "struct GenerateParameters", text, ["parameters"])
    if "inputs" in body:
        _check(body["inputs"], STRING, STRING, text, ["inputs"])
    _check(body.get("stream", False), BOOL, BOOL, text, ["stream"])
    parameters = read_members(
        body.get("parameters", {}), container.parameters, text, ["parameters"]
    )
    grammar = parameters.get("grammar")
    if grammar is not None and not is_grammar(grammar):
        raise _at("unknown grammar", grammar, text, ["parameters", "grammar"])
    if parameters["return_full_text"] is None:
        parameters["return_full_text"] = full_text
    if "inputs" not in body:
        raise _data_error("missing field `inputs`", text, len(text.rstrip(" \t\r\n")), ())
    return TgiRequest(
        inputs=body["inputs"], stream=body.get("stream", False), parameters=parameters
    )


def _syntax_error(raw: bytes, found: str) -> str:
    """Return serde's words for what Python's parser has found. Guess: of which serde has many."""
    place = re.search(r"line (\d+) column (\d+) \(char (\d+)\)", found)
    line, column, at = map(int, place.groups()) if place else (1, 1, 0)
    said = "EOF while parsing a value" if at >= len(raw.rstrip()) else "expected value"
    return f"{said} at line {line} column {column}"


def read_members(
    given: Mapping[str, Any], table: Table, text: str, path: Sequence[str]
) -> dict[str, Any]:
    """Return the members of an object at a path, with their defaults. Raises `BodyRefused`."""
    parameters = {}
    for name, parameter in table.items():
        key = parameter.key or name
        value = given.get(key, parameter.default)
        if value is None and parameter.may_be_null:
            value = parameter.default
        if value is not parameter.default:
            _check(value, parameter.kind, _expected(parameter.kind), text, [*path, key])
        parameters[name] = float(value) if isinstance(value, Decimal) else value
    return parameters


def _expected(kind: Kind) -> str:
    return kind.name if isinstance(kind, Integer) else kind


def _check(value: Any, kind: Kind, expected: str, text: str, path: Sequence[str]) -> None:  # noqa: ANN401 - any JSON
    """Raise `BodyRefused` if a value has another type."""
    if isinstance(kind, Integer):
        is_integer = isinstance(value, int) and not isinstance(value, bool)
        if is_integer and not kind.least <= value <= kind.most:
            raise _at(f"invalid value: {name_value(value)}, expected {expected}", value, text, path)
        fits = is_integer
    else:
        fits = isinstance(value, TYPES[kind]) and isinstance(value, bool) == (kind == BOOL)
    if not fits:
        raise _mismatch(value, expected, text, path)
    if kind == F32 and not -MAX_F32 <= value <= MAX_F32:
        raise _at("number out of range", value, text, path)
    if isinstance(value, list):
        _check_items(value, kind, text, path)


def _check_items(values: Sequence[Any], kind: Kind, text: str, path: Sequence[str]) -> None:
    for each in values if kind == STRINGS else ():
        if not isinstance(each, str):
            raise _mismatch(each, STRING, text, path)
    for each in values if kind == NUMBERS else ():
        _check(each, F32, F32, text, path)
    for each in values if kind == INTEGERS else ():
        if not isinstance(each, int) or isinstance(each, bool) or not 0 <= each < MAX_TOKEN_ID:
            raise _mismatch(each, "a token id", text, path)


TYPES: Mapping[str, type | tuple[type, ...]] = {
    F32: (int, float, Decimal),
    BOOL: bool,
    STRING: str,
    STRINGS: list,
    INTEGERS: list,
    NUMBERS: list,
    MAP: dict,
}


def _mismatch(value: Any, expected: str, text: str, path: Sequence[str]) -> BodyRefused:  # noqa: ANN401 - any JSON
    return _at(f"invalid type: {name_value(value)}, expected {expected}", value, text, path)


def _at(said: str, value: Any, text: str, path: Sequence[str]) -> BodyRefused:  # noqa: ANN401 - any JSON
    start, end = _place(text, path)
    # A map or a sequence is refused where it opens, another value where it ends.
    return _data_error(said, text, start + 1 if isinstance(value, dict | list) else end, path)


def _data_error(said: str, text: str, end: int, path: Sequence[str]) -> BodyRefused:
    line = text.count("\n", 0, end) + 1
    column = len(text[text.rfind("\n", 0, end) + 1 : end].encode())
    where = f"{'.'.join(path)}: " if path else ""
    return BodyRefused(
        422,
        f"{DESERIALIZE_FAILED}{where}{said} at line {line} column {column}",
    )


def _place(text: str, path: Sequence[str]) -> tuple[int, int]:
    """Return the start and the end of the value at a path of a valid JSON document."""
    start = _skip(text, 0)
    end = len(text.rstrip(" \t\r\n"))
    for step in path:
        for key, begin, stop in _members(text, start):
            if key == step:
                start, end = begin, stop
                break
    return start, end


def _members(text: str, start: int) -> Iterator[tuple[str, int, int]]:
    """Yield the key, the start and the end of each member of the object that begins at `start`."""
    at = _skip(text, start + 1)
    while text[at] == '"':
        key, at = DECODER.raw_decode(text, at)
        begin = _skip(text, _skip(text, at) + 1)  # behind the colon
        _, end = DECODER.raw_decode(text, begin)
        yield key, begin, end
        at = _skip(text, end)
        if text[at] != ",":
            return
        at = _skip(text, at + 1)


def _skip(text: str, at: int) -> int:
    found = BLANKS.match(text, at)
    return found.end() if found else at
