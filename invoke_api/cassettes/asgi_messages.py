"""Headers and paths of ASGI requests and of forwarded responses."""

from collections.abc import Iterable, Iterator

from starlette.types import Scope

# Headers of one connection (RFC 9110, 7.6.1). The server writes its own.
HOP_BY_HOP = {"keep-alive", "proxy-connection", "te", "trailer", "transfer-encoding", "upgrade"}


def forwarded_headers(
    http_version: str, headers: Iterable[tuple[str, str]]
) -> list[tuple[bytes, bytes]]:
    """Return the headers of a response without those of its connection, in their order."""
    return [
        (name.encode("latin-1"), value.encode("latin-1"))
        for name, value in _kept(headers, http_version)
    ]


def _kept(headers: Iterable[tuple[str, str]], http_version: str) -> Iterator[tuple[str, str]]:
    for name, value in headers:
        key = name.lower()
        if key == "connection":  # not in HTTP/2 (RFC 9113, 8.2.2)
            if http_version != "2" and value.lower() == "keep-alive":
                yield name, value
        elif key not in HOP_BY_HOP:
            yield name, value


def request_headers(scope: Scope) -> list[tuple[str, str]]:
    """Return the headers of a request as text."""
    return [(name.decode("latin-1"), value.decode("latin-1")) for name, value in scope["headers"]]


def raw_path(scope: Scope) -> str:
    """Return the path with its escapes and its query."""
    query: bytes = scope["query_string"]
    raw: bytes = scope["raw_path"] + (b"?" + query if query else b"")
    return raw.decode("latin-1")
