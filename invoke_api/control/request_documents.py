"""Strict parsing of JSON bodies on control routes, which the service keeps and sends again."""

import json
import math
import re
from typing import Any, NoReturn

MAX_DOCUMENT_DEPTH = 32
MAX_INTEGER_DIGITS = 100

# A string, also an unterminated one, or a bracket outside strings.
STRING_OR_BRACKET = re.compile(r'"[^"\\]*+(?:\\.[^"\\]*+)*+(?:"|\\?\Z)|[\[\]{}]', re.DOTALL)


class BadDocument(ValueError):
    """The error of a body that is not JSON or exceeds a limit. The message is for the client."""


def parse_document(body: bytes) -> Any:  # noqa: ANN401 - any JSON
    """Parse a body. Raises `BadDocument`, also for duplicate keys, NaN, and exceeded limits."""
    try:
        text = body.decode()
        if text.count("[") + text.count("{") > MAX_DOCUMENT_DEPTH:
            _check_depth(text)
        document = STRICT_DECODER.decode(text)
        if "\\u" in text:  # a lone surrogate may be escaped
            json.dumps(document, ensure_ascii=False).encode()
    except UnicodeDecodeError as error:
        raise BadDocument(f"not JSON: byte {error.start + 1} is not UTF-8") from error
    except UnicodeEncodeError as error:
        raise BadDocument("not JSON: a lone surrogate is not a character") from error
    except json.JSONDecodeError as error:
        raise BadDocument(f"not JSON: {error}") from error
    return document


def _check_depth(text: str) -> None:
    depth = 0
    for found in STRING_OR_BRACKET.finditer(text):
        depth += 1 if found[0] in "[{" else -1 if found[0] in "]}" else 0
        if depth > MAX_DOCUMENT_DEPTH:
            raise BadDocument(f"nested deeper than {MAX_DOCUMENT_DEPTH} levels")


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    document = dict(pairs)
    if len(document) < len(pairs):
        seen: set[str] = set()
        twice = next(key for key, _ in pairs if key in seen or seen.add(key))  # type: ignore[func-returns-value]
        raise BadDocument(f"the key {twice[:100]!r} occurs twice")
    return document


def _whole(literal: str) -> int:
    if len(literal) > MAX_INTEGER_DIGITS:
        raise BadDocument(f"a number has more than {MAX_INTEGER_DIGITS} digits")
    return int(literal)


def _real(literal: str) -> float:
    number = float(literal)
    if not math.isfinite(number):
        raise BadDocument(f"{literal[:MAX_INTEGER_DIGITS]} is too large for a number")
    return number


def _refuse(constant: str) -> NoReturn:
    raise BadDocument(f"not JSON: {constant} is not a number")


STRICT_DECODER = json.JSONDecoder(
    object_pairs_hook=_unique, parse_float=_real, parse_int=_whole, parse_constant=_refuse
)
