"""A guard against calls to the real AWS while a test has an emulated Bedrock."""

import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

AWS_DOMAINS = (".amazonaws.com", ".amazonaws.com.cn", ".api.aws")


class RealAwsCallError(RuntimeError):
    """The error of a call to the real AWS in a test."""


class AwsGuard:
    """A guard that refuses to look up hosts of AWS while it is `on`.

    An audit hook of CPython sees every look-up of this process, whichever client makes it. Hooks
    can't be removed, so there is one for all guards. It sees no other process and no proxy.
    """

    def __init__(self) -> None:
        self._allowed: list[tuple[str, ...]] = []
        self._is_installed = False

    @contextmanager
    def on(self, allowed: Sequence[str] = ()) -> Iterator[None]:
        """Refuse hosts of AWS but these. Guards may be nested; the last one counts."""
        if not self._is_installed:
            self._is_installed = True
            sys.addaudithook(self._check)
        self._allowed.append(tuple(host.lower() for host in allowed))
        try:
            yield
        finally:
            self._allowed.pop()

    def _check(self, event: str, arguments: tuple[Any, ...]) -> None:
        if event != "socket.getaddrinfo" or not self._allowed:
            return
        host = arguments[0]
        told = host.decode("latin-1") if isinstance(host, bytes) else str(host)
        name = told.lower().rstrip(".")
        if name.endswith(AWS_DOMAINS) and name not in self._allowed[-1]:
            raise RealAwsCallError(
                f"this test would call the real AWS: the client's endpoint is {told}. Make the"
                " client while the fixture `bedrock` is active, run pytest with --bedrock for"
                " clients that are made at import, or add the host to bedrock_allowed_hosts"
            )


AWS_GUARD = AwsGuard()
