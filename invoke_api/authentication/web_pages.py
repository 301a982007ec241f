"""Checks of browser requests: the origin of the page, and the host names of the service.

A page of another origin can send requests to a service on loopback. By DNS rebinding, with a host
name of its own that resolves to 127.0.0.1, it can also read the answers. Only the headers below
reveal such requests.
"""

import ipaddress
import re
from collections.abc import Iterable
from dataclasses import dataclass

Headers = Iterable[tuple[bytes, bytes]]

AUTHORITY = re.compile(r"(\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9._-]+)(?::([0-9]*))?")
ORIGIN = re.compile(r"([A-Za-z][A-Za-z0-9+.-]*)://(\S+)")
PORTS = {"http": "80", "https": "443"}  # default ports, which Host and Origin may leave out
MAX_SHOWN = 100  # characters of a header in an error message
TELLING = frozenset({b"origin", b"sec-fetch-site"})
WANTED = (b"host", b"origin", b"sec-fetch-site", b"sec-fetch-mode", b"sec-fetch-dest")


def is_loopback(host: str) -> bool:
    """Tell whether this host is loopback: localhost, *.localhost (RFC 6761), 127/8."""
    name = host.lower().removesuffix(".")
    return name == "localhost" or name.endswith(".localhost") or _is_loopback_address(name)


@dataclass(frozen=True, slots=True, kw_only=True)
class Doors:
    """Access rules for the service's own routes. Clients other than browsers send no such headers.

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
        told = _Told(headers)
        if self.checks_host and (wrong := self._wrong_host(told)) is not None:
            return f"Nothing here is called {_shown(wrong)}; --allowed-host adds a name."
        foreign = not self.has_pages or not all(map(told.is_own, told.all("origin")))
        if told.all("origin") and foreign:
            return f"Pages of {_shown(told.all('origin')[0])} may not use this."
        own = ("", "none", "same-origin") if self.has_pages else ("", "none")
        is_read = self.has_pages and told.is_followed_link(method)
        if told.one("sec-fetch-site") not in own and not is_read:
            return "Pages of other origins may not use this."
        return None

    def _wrong_host(self, told: "_Told") -> str | None:
        """Return the first unknown Host, or None. HTTP/1.0 needs no Host; browsers send one."""
        return next((host for host in told.all("host") if not self._knows(name_in(host))), None)

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
    if TELLING.isdisjoint(dict(headers)):  # true for all SDK calls; a microsecond counts here
        return None
    told = _Told(headers)
    for origin in told.all("origin"):
        scheme, name = _split(origin)
        own = told.is_own(origin) and _is_address(name)
        if not scheme or not (is_loopback(name) or name in allowed or own):
            return _shown(origin)
    if not told.all("origin") and told.one("sec-fetch-site") == "cross-site":
        return "another site"
    return None


def name_in(authority: str) -> str:
    """Return the host of `host:port` in lower case, without brackets; empty if invalid."""
    found = AUTHORITY.fullmatch(authority.strip())
    return found[1].strip("[]").lower().removesuffix(".") if found else ""


class _Told:
    """The headers that describe the page of a request, with repeated ones."""

    def __init__(self, headers: Headers) -> None:
        self._pairs = [
            (name.decode(), value.decode("latin-1").strip())
            for name, value in headers
            if name in WANTED
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
    return authority.lower().removesuffix(f":{PORTS.get(scheme.lower(), '')}")


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
    # How a socket for both versions shows a client of IPv4; Python 3.11 does not look inside.
    mapped = address.ipv4_mapped if isinstance(address, ipaddress.IPv6Address) else None
    return (mapped or address).is_loopback


def _is_any(host: str) -> bool:
    return _is_address(host) and ipaddress.ip_address(host).is_unspecified


def _shown(value: str) -> str:
    return ascii(value[:MAX_SHOWN])
