"""Checks of browser requests: the origin of the page, and the host names of the service.

A page of another origin can send requests to a service on loopback. With DNS rebinding, where its
host name resolves to 127.0.0.1, it can also read the answers. Only the headers below reveal such
requests.
"""

import ipaddress
import re
from collections.abc import Iterable
from dataclasses import dataclass

Headers = Iterable[tuple[bytes, bytes]]

AUTHORITY = re.compile(r"(\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9._-]+)(?::([0-9]*))?")
ORIGIN = re.compile(r"([A-Za-z][A-Za-z0-9+.-]*)://(\S+)")
DEFAULT_PORTS = {"http": "80", "https": "443"}  # default ports, which Host and Origin may leave out
MAX_SHOWN_CHARACTERS = 100  # characters of a header in an error message
BROWSER_HEADERS = frozenset({b"origin", b"sec-fetch-site"})
PAGE_HEADERS = (b"host", b"origin", b"sec-fetch-site", b"sec-fetch-mode", b"sec-fetch-dest")


def is_loopback(host: str) -> bool:
    """Tell whether this host is loopback: localhost, *.localhost (RFC 6761), 127/8."""
    name = host.lower().removesuffix(".")
    return name == "localhost" or name.endswith(".localhost") or _is_loopback_address(name)


@dataclass(frozen=True, slots=True, kw_only=True)
class BrowserAccess:
    """Access rules for browsers on the service's own routes.

    `host` is the address that the service listens on. `allowed` are further host names. Without
    `checks_host` every host name is accepted. Without `has_pages` the service's own pages are
    refused, too.
    """

    host: str = "127.0.0.1"
    allowed: frozenset[str] = frozenset()
    checks_host: bool = True
    has_pages: bool = True

    def refusal(self, method: str, headers: Headers) -> str | None:
        """Return an error message if the request is refused, otherwise None."""
        page = _PageHeaders(headers)
        if self.checks_host and (wrong := self._wrong_host(page)) is not None:
            return f"This service has no host name {_shown(wrong)}; --allowed-host adds one."
        foreign = not self.has_pages or not all(map(page.is_own, page.all("origin")))
        if page.all("origin") and foreign:
            return f"Web pages of {_shown(page.all('origin')[0])} may not use this route."
        own = ("", "none", "same-origin") if self.has_pages else ("", "none")
        is_read = self.has_pages and page.is_followed_link(method)
        if page.one("sec-fetch-site") not in own and not is_read:
            return "Web pages of other origins may not use this route."
        return None

    def _wrong_host(self, page: "_PageHeaders") -> str | None:
        """Return the first unknown Host, or None. HTTP/1.0 needs no Host; browsers send one."""
        return next((host for host in page.all("host") if not self._knows(name_in(host))), None)

    def _knows(self, name: str) -> bool:
        # DNS rebinding needs a name, so addresses are safe. A service that listens on all addresses
        # of the machine can be reached by any of them.
        is_bound = name == self.host.lower() or (_is_any(self.host) and _is_address(name))
        return bool(name) and (is_loopback(name) or is_bound or name in self.allowed)


def foreign_page(headers: Headers, allowed: frozenset[str]) -> str | None:
    """Return the origin of a page that is neither from this machine nor an allowed host, or None.

    Pages of http://localhost:3000 belong to an app under development, which calls Bedrock through
    its own server. A page from an IP address is accepted if the request is for that address.
    """
    if BROWSER_HEADERS.isdisjoint(dict(headers)):  # true for all SDK calls
        return None
    page = _PageHeaders(headers)
    for origin in page.all("origin"):
        scheme, name = _split(origin)
        own = page.is_own(origin) and _is_address(name)
        if not scheme or not (is_loopback(name) or name in allowed or own):
            return _shown(origin)
    if not page.all("origin") and page.one("sec-fetch-site") == "cross-site":
        return "another site"
    return None


def name_in(authority: str) -> str:
    """Return the host of `host:port` in lower case, without brackets; empty if invalid."""
    found = AUTHORITY.fullmatch(authority.strip())
    return found[1].strip("[]").lower().removesuffix(".") if found else ""


class _PageHeaders:
    """The headers of a request that describe its page, repeated ones included."""

    def __init__(self, headers: Headers) -> None:
        self._pairs = [
            (name.decode(), value.decode("latin-1").strip())
            for name, value in headers
            if name in PAGE_HEADERS
        ]

    def all(self, name: str) -> list[str]:
        return [value for key, value in self._pairs if key == name]

    def one(self, name: str) -> str:
        return ", ".join(self.all(name)).lower()

    def is_own(self, origin: str) -> bool:
        """Tell whether the page's origin is the host and port of the request."""
        found = ORIGIN.fullmatch(origin)
        if not found:  # also `null`, which sandboxed pages and files send
            return False
        hosts = [_without_port(found[1], host) for host in self.all("host")]
        return hosts == [_without_port(found[1], found[2])]

    def is_followed_link(self, method: str) -> bool:
        """Tell whether the user followed a link; the page with the link can't read the answer."""
        way = (self.one("sec-fetch-mode"), self.one("sec-fetch-dest"))
        return (
            method in ("GET", "HEAD") and way == ("navigate", "document") and not self.all("origin")
        )


def _split(origin: str) -> tuple[str, str]:
    """Return the scheme of an origin, empty for `null`, and its host."""
    found = ORIGIN.fullmatch(origin)
    return (found[1], name_in(found[2])) if found else ("", "")


def _without_port(scheme: str, authority: str) -> str:
    return authority.lower().removesuffix(f":{DEFAULT_PORTS.get(scheme.lower(), '')}")


def _is_address(name: str) -> bool:
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return False
    return True


def _is_loopback_address(name: str) -> bool:
    if not _is_address(name):
        return False
    address = ipaddress.ip_address(name)
    # A socket for both IP versions reports clients of IPv4 so; Python 3.11 ignores that.
    mapped = address.ipv4_mapped if isinstance(address, ipaddress.IPv6Address) else None
    return (mapped or address).is_loopback


def _is_any(host: str) -> bool:
    return _is_address(host) and ipaddress.ip_address(host).is_unspecified


def _shown(value: str) -> str:
    return ascii(value[:MAX_SHOWN_CHARACTERS])
