"""What a browser tells of the page behind a request, and the names that a service goes by.

A page of another origin can send requests to a service on loopback, and by DNS rebinding, a name
of its own that leads to 127.0.0.1, read the answers as well. Only the headers below tell.
"""

import ipaddress
import re
from collections.abc import Iterable
from dataclasses import dataclass

Headers = Iterable[tuple[bytes, bytes]]

AUTHORITY = re.compile(r"(\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9._-]+)(?::([0-9]*))?")
ORIGIN = re.compile(r"([A-Za-z][A-Za-z0-9+.-]*)://(\S+)")
PORTS = {"http": "80", "https": "443"}  # which neither Host nor Origin need to name
MAX_SHOWN = 100  # characters of a header in a sentence
TELLING = frozenset({b"origin", b"sec-fetch-site"})
WANTED = (b"host", b"origin", b"sec-fetch-site", b"sec-fetch-mode", b"sec-fetch-dest")


def is_loopback(host: str) -> bool:
    """Return whether only this machine can be meant: localhost, *.localhost (RFC 6761), 127/8."""
    name = host.lower().removesuffix(".")
    return name == "localhost" or name.endswith(".localhost") or _is_loopback_address(name)


@dataclass(frozen=True, slots=True, kw_only=True)
class Doors:
    """Who may use routes that are the service's own. Whoever is no browser sends no such headers.

    `host` is the address that the service listens on, `allowed` are names beside it. Without
    `checks_host` every name will do, and without `has_pages` not even pages of its own may come.
    """

    host: str = "127.0.0.1"
    allowed: frozenset[str] = frozenset()
    checks_host: bool = True
    has_pages: bool = True

    def refusal(self, method: str, headers: Headers) -> str | None:
        """Return a sentence for a request that is refused."""
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
        """Return the first Host that is none of ours. HTTP/1.0 has none, and browsers send one."""
        return next((host for host in told.all("host") if not self._knows(name_in(host))), None)

    def _knows(self, name: str) -> bool:
        # An address is no name that anybody's DNS could lead here; one that all addresses of the
        # machine are listened on goes by any of them.
        is_bound = name == self.host.lower() or (_is_any(self.host) and _is_address(name))
        return bool(name) and (is_loopback(name) or is_bound or name in self.allowed)


def foreign_page(headers: Headers, allowed: frozenset[str]) -> str | None:
    """Return the origin of a page that is not of this machine, nor of an allowed host, if any.

    Pages of http://localhost:3000 are an app under development, which calls Bedrock through its own
    server. A page of an address is its own if the request is for that address.
    """
    if TELLING.isdisjoint(dict(headers)):  # as all of the SDKs' calls; a microsecond counts here
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
    """Return the host of `host:port` in small letters, without brackets; empty if it is none."""
    found = AUTHORITY.fullmatch(authority.strip())
    return found[1].strip("[]").lower().removesuffix(".") if found else ""


class _Told:
    """The headers that tell of a page, each of them as often as it came."""

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
        """Return whether the page came from where its request goes to, port and all."""
        found = ORIGIN.fullmatch(origin)
        if not found:  # also `null`, which sandboxed pages and files send
            return False
        hosts = [_without_port(found[1], host) for host in self.all("host")]
        return hosts == [_without_port(found[1], found[2])]

    def is_followed_link(self, method: str) -> bool:
        """Return whether somebody followed a link to look: the page they left can't read it."""
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
    return _is_address(name) and ipaddress.ip_address(name).is_loopback


def _is_any(host: str) -> bool:
    return _is_address(host) and ipaddress.ip_address(host).is_unspecified


def _shown(value: str) -> str:
    return ascii(value[:MAX_SHOWN])
