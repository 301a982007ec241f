"""Pages of a list: `maxResults` and `nextToken`."""

from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Mapping, Sequence
from typing import Any

from invoke_api.wire.errors import ValidationException

DEFAULT_PAGE_SIZE = "100"  # guess: what a page holds when nobody says


def to_page(
    found: Sequence[Mapping[str, Any]], query: Mapping[str, str], *, name: str, key: str
) -> dict[str, Any]:
    """Return an answer with one page of `found` under this name, and a token if more follow.

    A token is the `key` of the entry that the next page begins with. Raise `ValidationException`
    for a token that is none.
    """
    begin = _find_begin([entry[key] for entry in found], query.get("nextToken"))
    end = begin + int(query.get("maxResults", DEFAULT_PAGE_SIZE))
    answer: dict[str, Any] = {name: found[begin:end]}
    if end < len(found):
        answer["nextToken"] = urlsafe_b64encode(found[end][key].encode()).decode()
    return answer


def _find_begin(keys: Sequence[str], token: str | None) -> int:
    if token is None:
        return 0
    try:
        return keys.index(urlsafe_b64decode(token).decode())
    except ValueError:  # no base64, no UTF-8, or no entry
        raise ValidationException("The provided nextToken is invalid.") from None  # guess
