"""TGI's request body: its types, in the words of axum and serde, which read it. Pure.

Recorded: a missing `inputs` with its line and column. Guess: the other sentences, which are serde's
own, and the columns, as in `validation/serde_errors.py`.
"""

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any, NamedTuple

from invoke_api.sagemaker.containers import Container
from invoke_api.validation.json_document import NotJson, parse_json
from invoke_api.validation.serde_errors import DESERIALIZE_FAILED, name_value

BLANKS = re.compile(r"[ \t\r\n]*")
DECODER = json.JSONDecoder(parse_int=str, parse_float=str)  # finds places only
MAX_F32 = 3.4028235e38


class BodyRefused(Exception):
    """The container's refusal of a body that it can't read: an HTTP status and a plain text."""

    def __init__(self, status: int, text: str) -> None:
        super().__init__(text)
        self.status = status
        self.text = text


class Integer(NamedTuple):
    """An integer type of Rust: its name and its bounds."""

    name: str
    least: int
    most: int


U32 = Integer("u32", 0, 2**32 - 1)
U64 = Integer("u64", 0, 2**64 - 1)
USIZE = Integer("usize", 0, 2**64 - 1)
I32 = Integer("i32", -(2**31), 2**31 - 1)
F32, BOOL, STRING, STRINGS, MAP = "f32", "a boolean", "a string", "a sequence", "a map"
Kind = Integer | str


class Parameter(NamedTuple):
    """A parameter's type and default. Only those that `may_be_null` take null."""

    kind: Kind
    default: Any = None
    may_be_null: bool = True


PARAMETERS: Mapping[str, Parameter] = {
    "best_of": Parameter(USIZE),
    "temperature": Parameter(F32),
    "repetition_penalty": Parameter(F32),
    "top_k": Parameter(I32),
    "top_p": Parameter(F32),
    "typical_p": Parameter(F32),
    "do_sample": Parameter(BOOL, default=False, may_be_null=False),
    "max_new_tokens": Parameter(U32, may_be_null=False),
    "return_full_text": Parameter(BOOL),
    "stop": Parameter(STRINGS, default=(), may_be_null=False),
    "truncate": Parameter(USIZE),
    "watermark": Parameter(BOOL, default=False, may_be_null=False),
    "details": Parameter(BOOL, default=False, may_be_null=False),
    "decoder_input_details": Parameter(BOOL, default=False, may_be_null=False),
    "seed": Parameter(U64),
    "top_n_tokens": Parameter(U32),
}
# Further ones of TGI 3.
LATER_PARAMETERS: Mapping[str, Parameter] = {
    "frequency_penalty": Parameter(F32),
    "grammar": Parameter(MAP),
    "adapter_id": Parameter(STRING),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class TgiRequest:
    """A body of the right types. `parameters` has every parameter of the container."""

    inputs: str
    stream: bool = False
    parameters: Mapping[str, Any] = field(default_factory=dict)


def read_tgi_body(raw: bytes, content_type: str, container: Container) -> TgiRequest:
    """Return the request in a body. Raises `BodyRefused`. Unknown keys are ignored."""
    kind = content_type.partition(";")[0].strip().lower()
    if kind != "application/json" and not re.fullmatch(r"application/[^;]*\+json", kind):
        raise BodyRefused(415, "Expected request with `Content-Type: application/json`")
    try:
        body = parse_json(raw)
    except NotJson as error:
        said = _syntax_error(raw, str(error))
        raise BodyRefused(400, f"Failed to parse the request body as JSON: {said}") from None
    text = raw.decode()
    if not isinstance(body, dict):
        raise _mismatch(body, "struct CompatGenerateRequest", text, ())
    _check(body.get("parameters", {}), MAP, "struct GenerateParameters", text, ["parameters"])
    if "inputs" in body:
        _check(body["inputs"], STRING, STRING, text, ["inputs"])
    _check(body.get("stream", False), BOOL, BOOL, text, ["stream"])
    parameters = _read_parameters(body.get("parameters", {}), container, text)
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


def _read_parameters(given: Mapping[str, Any], container: Container, text: str) -> dict[str, Any]:
    known = {**PARAMETERS, **(LATER_PARAMETERS if container.penalizes else {})}
    known["max_new_tokens"] = known["max_new_tokens"]._replace(default=container.default_tokens)
    parameters = {}
    for name, parameter in known.items():
        key = container.stop if name == "stop" else name
        value = given.get(key, parameter.default)
        if value is not parameter.default and not (value is None and parameter.may_be_null):
            _check(value, parameter.kind, _expected(parameter.kind), text, ["parameters", key])
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
    if kind == STRINGS:
        for each in value:
            if not isinstance(each, str):
                raise _mismatch(each, STRING, text, path)


TYPES: Mapping[str, type | tuple[type, ...]] = {
    F32: (int, float, Decimal),
    BOOL: bool,
    STRING: str,
    STRINGS: list,
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
