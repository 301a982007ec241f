"""Pages of a list, by `maxResults` and `nextToken`."""

from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Mapping, Sequence
from typing import Any

from invoke_api.wire.errors import ValidationException

DEFAULT_PAGE_SIZE = "100"  # entries, without `maxResults`. Guess


def to_page(
    found: Sequence[Mapping[str, Any]], query: Mapping[str, str], *, name: str, key: str
) -> dict[str, Any]:
    """Return one page of `found` as the member `name`, and a `nextToken` if more follow.

    A token holds the `key` of the next page's first entry. Raises `ValidationException` for an
    invalid token.
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
    except ValueError:  # not base64, not UTF-8, or no such entry
        raise ValidationException("The provided nextToken is invalid.") from None  # guess
