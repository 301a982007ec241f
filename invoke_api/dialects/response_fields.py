"""`additionalModelResponseFieldPaths`: parts of the model's own answer, named by JSON pointers.

Guess: nobody has been heard to ask Mistral's models for any. As for others, a field goes by its
name, and one that is not there is left out.
"""

from collections.abc import Sequence
from typing import Any

from invoke_api.wire.errors import ValidationException


def check_pointers(pointers: Sequence[str]) -> None:
    """Raises `ValidationException` for one that is no JSON pointer (RFC 6901)."""
    for pointer in pointers:
        if not pointer.startswith("/"):
            raise ValidationException(
                f"The value {pointer} in additionalModelResponseFieldPaths is not a JSON pointer."
            )


def select(answer: Any, pointers: Sequence[str]) -> dict[str, Any]:  # noqa: ANN401 - any JSON
    """The fields of the model's own answer that these point to."""
    fields = {}
    for pointer in pointers:
        steps = [step.replace("~1", "/").replace("~0", "~") for step in pointer.split("/")[1:]]
        try:
            fields[steps[-1]] = _follow(answer, steps)
        except (KeyError, IndexError, ValueError, TypeError):
            continue
    return fields


def _follow(value: Any, steps: Sequence[str]) -> Any:  # noqa: ANN401 - any JSON
    for step in steps:
        value = value[int(step)] if isinstance(value, list) else value[step]
    return value
