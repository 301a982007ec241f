"""Bodies that are structures of the service model: read, and checked as Coral checks them.

A wrong type is a SerializationException, said at once; what a member must be like besides is said
of all members together. Members that the model does not have are dropped.
"""

from base64 import b64decode
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Protocol, TypeVar

import orjson

from invoke_api.validation.constraints import Member, refuse
from invoke_api.wire.front_door_errors import SerializationException

T = TypeVar("T")


class Shape(Protocol):
    """`read` gives the value as this service has it, or raises; `violations` says what is wrong."""

    def read(self, value: object) -> Any: ...  # noqa: ANN401 - each has its own

    def violations(self, value: Any, path: str) -> Iterator[str]: ...  # noqa: ANN401 - what `read` gave


@dataclass(frozen=True, slots=True, kw_only=True)
class Text:
    pattern: str = ""
    shortest: int = 0
    longest: int | None = None

    def read(self, value: object) -> str:
        return _checked(value, str, "String")

    def violations(self, value: str, path: str) -> Iterator[str]:
        member = Member(
            name=path, pattern=self.pattern, shortest=self.shortest, longest=self.longest
        )
        return member.violations(value)


@dataclass(frozen=True, slots=True)
class Flag:
    def read(self, value: object) -> bool:
        return _checked(value, bool, "Boolean")

    def violations(self, _: bool, __: str) -> Iterator[str]:  # noqa: FBT001
        return iter(())


@dataclass(frozen=True, slots=True)
class Blob:
    def read(self, value: object) -> bytes:
        try:
            return b64decode(_checked(value, str, "Blob"), validate=True)
        except ValueError:
            raise SerializationException("Blob is no valid base64") from None  # guess

    def violations(self, _: bytes, __: str) -> Iterator[str]:
        return iter(())


@dataclass(frozen=True, slots=True)
class Anything:
    """A structure whose inside is another's business."""

    def read(self, value: object) -> dict[str, Any]:
        return _checked(value, dict, "Structure")

    def violations(self, _: object, __: str) -> Iterator[str]:
        return iter(())


@dataclass(frozen=True, slots=True)
class Structure:
    members: Mapping[str, Shape]
    required: tuple[str, ...] = ()

    def read(self, value: object) -> dict[str, Any]:
        given = _checked(value, dict, "Structure")
        return {
            name: shape.read(given[name])
            for name, shape in self.members.items()
            if given.get(name) is not None
        }

    def violations(self, value: Mapping[str, Any], path: str) -> Iterator[str]:
        for name, shape in self.members.items():
            inside = f"{path}.{name}" if path else name
            if name in value:
                yield from shape.violations(value[name], inside)
            elif name in self.required:
                yield (
                    f"Value null at '{inside}' failed to satisfy constraint: Member must not be"
                    " null"
                )


def read_body(shape: Structure, body: bytes) -> dict[str, Any]:
    """Raises `SerializationException`, and `ValidationException` that names all violations."""
    try:
        document = orjson.loads(body or b"{}")
    except orjson.JSONDecodeError:
        raise SerializationException from None
    value = shape.read(document)
    refuse(list(shape.violations(value, "")))
    return value


# What Coral calls a JSON value that stands where another is wanted. Guess in all its wording.
TOKENS: dict[type, str] = {
    str: "STRING_VALUE",
    bool: "BOOLEAN_VALUE",
    int: "NUMBER_VALUE",
    float: "NUMBER_VALUE",
}
STARTS: dict[type, str] = {dict: "Start of structure or map", list: "Start of list"}


def _checked(value: object, kind: type[T], name: str) -> T:
    if isinstance(value, kind):
        return value
    if start := STARTS.get(type(value)):
        raise SerializationException(f"{start} found where not expected.")
    token = TOKENS.get(type(value), "NULL_VALUE")
    raise SerializationException(f"{token} can not be converted to a {name}")
