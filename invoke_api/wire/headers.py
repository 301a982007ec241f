"""Response headers, in Bedrock's spelling and order."""

from collections.abc import Mapping
from email.utils import formatdate
from functools import lru_cache

EVENT_STREAM = "application/vnd.amazon.eventstream"


def response_headers(
    *,
    now: float,
    request_id: str,
    content_type: str,
    http_version: str,
    length: int | None = None,
    more: Mapping[str, str] | None = None,
) -> list[tuple[bytes, bytes]]:
    """`now` in seconds since the epoch; `length` of the body in bytes, None for a stream."""
    headers = {"Date": http_date(int(now)), "Content-Type": content_type}
    if length is not None:
        headers["Content-Length"] = str(length)
    if http_version != "2":  # RFC 9113, 8.2.2: no connection-specific headers in HTTP/2
        headers["Connection"] = "keep-alive"
    headers["x-amzn-RequestId"] = request_id
    return [
        (name.encode(), value.encode("latin-1"))
        for name, value in (headers | dict(more or {})).items()
    ]


@lru_cache(maxsize=1)
def http_date(second: int) -> str:
    """Seconds since the epoch as a Date header has them."""
    return formatdate(second, usegmt=True)
