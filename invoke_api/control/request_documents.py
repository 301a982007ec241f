"""The JSON that the control routes take, read strictly: it is kept, and goes out again."""

import json
import math
import re
from typing import Any, NoReturn

MAX_DEPTH = 32  # levels of a document
MAX_DIGITS = 100  # of a whole number

# A string, also one without an end; or a bracket between strings.
STRING_OR_BRACKET = re.compile(r'"[^"\\]*+(?:\\.[^"\\]*+)*+(?:"|\\?\Z)|[\[\]{}]', re.DOTALL)


class BadDocument(ValueError):
    """The body is no JSON, or one that no careful reader takes. The message is a sentence."""


def parse_document(body: bytes) -> Any:  # noqa: ANN401 - any JSON
    """Parse a body. Raises `BadDocument`, also for keys twice, NaN, deep nesting, huge numbers."""
    try:
        text = body.decode()
        if text.count("[") + text.count("{") > MAX_DEPTH:
            _check_depth(text)
        document = DECODER.decode(text)
        if "\\u" in text:  # half of a surrogate pair may have been spelt
            json.dumps(document, ensure_ascii=False).encode()
    except UnicodeDecodeError as error:
        raise BadDocument(f"not JSON: byte {error.start + 1} is no UTF-8") from error
    except UnicodeEncodeError as error:
        raise BadDocument("not JSON: half of a surrogate pair is no character") from error
    except json.JSONDecodeError as error:
        raise BadDocument(f"not JSON: {error}") from error
    return document


def _check_depth(text: str) -> None:
    depth = 0
    for found in STRING_OR_BRACKET.finditer(text):
        depth += 1 if found[0] in "[{" else -1 if found[0] in "]}" else 0
        if depth > MAX_DEPTH:
            raise BadDocument(f"nested deeper than {MAX_DEPTH} levels")


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    document = dict(pairs)
    if len(document) < len(pairs):
        seen: set[str] = set()
        twice = next(key for key, _ in pairs if key in seen or seen.add(key))  # type: ignore[func-returns-value]
        raise BadDocument(f"the key {twice[:100]!r} stands here twice")
    return document


def _whole(literal: str) -> int:
    if len(literal) > MAX_DIGITS:
        raise BadDocument(f"a number has more than {MAX_DIGITS} digits")
    return int(literal)


def _real(literal: str) -> float:
    number = float(literal)
    if not math.isfinite(number):
        raise BadDocument(f"{literal[:MAX_DIGITS]} is too large for a number")
    return number


def _refuse(constant: str) -> NoReturn:
    raise BadDocument(f"not JSON: {constant} is no number")


DECODER = json.JSONDecoder(
    object_pairs_hook=_unique, parse_float=_real, parse_int=_whole, parse_constant=_refuse
)
