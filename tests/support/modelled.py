"""A validator of responses against botocore's service model."""

import re
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import botocore.session

SESSION = botocore.session.get_session()
SERVICES = ("bedrock-runtime", "bedrock")
# By operation: its model. No two services share a name.
OPERATIONS = {
    name: model.operation_model(name)
    for model in (SESSION.get_service_model(service) for service in SERVICES)
    for name in model.operation_names
}
PLAIN: dict[str, type | tuple[type, ...]] = {
    "boolean": bool,
    "integer": int,
    "long": int,
    "float": (int, float),
    "double": (int, float),
}
TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z")


def violations(operation: str, headers: Mapping[str, str], body: Any) -> Iterator[str]:
    """Return what is missing, of a wrong type, or not in the model. `body` is None for no JSON."""
    shape = OPERATIONS[operation].output_shape
    named = {name.lower() for name in headers}
    in_body = {}
    for name, member in shape.members.items():
        if member.serialization.get("location") != "header":
            in_body[name] = member
        elif name in shape.required_members and member.serialization["name"].lower() not in named:
            yield f"{name}: no header {member.serialization['name']}"
    if "payload" not in shape.serialization:
        required = [name for name in shape.required_members if name in in_body]
        yield from _structure(in_body, required, body, "")


def _structure(members: Mapping[str, Any], required: Any, value: Any, path: str) -> Iterator[str]:
    if not isinstance(value, dict):
        yield f"{path}: no structure"
        return
    yield from (f"{path}.{name}: missing" for name in required if name not in value)
    for name, inner in value.items():
        if name not in members:
            yield f"{path}.{name}: not modelled"
        else:
            yield from _value(members[name], inner, f"{path}.{name}")


def _value(shape: Any, value: Any, path: str) -> Iterator[str]:
    yield from READERS[shape.type_name](shape, value, path)


def _structure_value(shape: Any, value: Any, path: str) -> Iterator[str]:
    return _structure(shape.members, shape.required_members, value, path)


def _list(shape: Any, value: Any, path: str) -> Iterator[str]:
    if not isinstance(value, list):
        yield f"{path}: no list"
        return
    yield from _bounds(shape, len(value), path)
    for inner in value:
        yield from _value(shape.member, inner, f"{path}[]")


def _map(shape: Any, value: Any, path: str) -> Iterator[str]:
    for inner in value.values():
        yield from _value(shape.value, inner, f"{path}{{}}")


def _timestamp(_: Any, value: Any, path: str) -> Iterator[str]:
    if not TIME.fullmatch(value):
        yield f"{path}: no time"


def _string(shape: Any, value: Any, path: str) -> Iterator[str]:
    if not isinstance(value, str):
        yield f"{path}: no string"
        return
    yield from _bounds(shape, len(value), path)
    if shape.enum and value not in shape.enum:
        yield f"{path}: {value} is not modelled"
    if not re.fullmatch(shape.metadata.get("pattern", ".*"), value, re.DOTALL):
        yield f"{path}: {value} does not match"


def _plain(shape: Any, value: Any, path: str) -> Iterator[str]:
    if not isinstance(value, PLAIN[shape.type_name]):
        yield f"{path}: no {shape.type_name}"


READERS: dict[str, Callable[[Any, Any, str], Iterator[str]]] = {
    "structure": _structure_value,
    "list": _list,
    "map": _map,
    "timestamp": _timestamp,
    "string": _string,
    "blob": _string,  # in base64
    **dict.fromkeys(PLAIN, _plain),
}


def _bounds(shape: Any, length: int, path: str) -> Iterator[str]:
    if not shape.metadata.get("min", 0) <= length <= shape.metadata.get("max", length):
        yield f"{path}: {length} long"
