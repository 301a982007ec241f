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
    """Return the headers.

    `now` is in seconds since 1970. `length` is the body's size in bytes, None for a stream.
    """
    headers = [(b"Date", http_date(int(now)).encode()), (b"Content-Type", content_type.encode())]
    if length is not None:
        headers.append((b"Content-Length", b"%d" % length))
    if http_version != "2":  # RFC 9113, 8.2.2: no connection-specific headers in HTTP/2
        headers.append((b"Connection", b"keep-alive"))
    headers.append((b"x-amzn-RequestId", request_id.encode()))
    if more:
        headers += [(name.encode(), value.encode("latin-1")) for name, value in more.items()]
    return headers


@lru_cache(maxsize=1)
def http_date(second: int) -> str:
    """Return the value of a Date header. `second` is in seconds since 1970."""
    return formatdate(second, usegmt=True)
