"""Reload of keys and the TLS certificate on SIGHUP, without a restart."""

import logging
import ssl
from collections.abc import Callable, Hashable, Mapping
from dataclasses import dataclass, field
from threading import Lock

import click

from invoke_api.authentication.credentials import Credentials
from invoke_api.authentication.gate import Gate
from invoke_api.transport.listener import Acceptor

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Changes:
    """The numbers of keys that a reload adds, removes, changes and leaves as they are."""

    added: int
    removed: int
    changed: int
    unchanged: int

    def __str__(self) -> str:
        return (
            f"{self.added} added, {self.removed} removed, {self.changed} changed,"
            f" {self.unchanged} unchanged"
        )


def compare_keys(before: Credentials, after: Credentials) -> Changes:
    """Compare two sets of keys. An access key is known by its id, an API key by its value."""
    old, new = _by_identity(before), _by_identity(after)
    both = old.keys() & new.keys()
    changed = sum(old[key] != new[key] for key in both)
    return Changes(len(new.keys() - both), len(old.keys() - both), changed, len(both) - changed)


def _by_identity(keys: Credentials) -> Mapping[Hashable, object]:
    found: dict[Hashable, object] = {key.api_key: key for key in keys.api_keys}
    for key_id, key in keys.access_keys.items():
        found["access key", key_id] = key
    return found


@dataclass(slots=True)
class Reloader:
    """The files of one process that can be read again, and the parts that use them.

    `read_keys` and `read_certificate` raise `click.ClickException` for a mistake.
    `read_certificate` is None without TLS. `acceptor` is None until the
    service accepts connections.
    """

    gate: Gate
    read_keys: Callable[[], Credentials]
    read_certificate: Callable[[], ssl.SSLContext] | None
    acceptor: Acceptor | None = None
    _lock: Lock = field(default_factory=Lock)

    def reload(self) -> None:
        """Read all files, then use what they say. If one has a mistake, nothing changes.

        In-flight calls and open connections go on with what they began with. Any thread may call
        this; a second reload waits for the first.
        """
        with self._lock:
            self._reload()

    def _reload(self) -> None:
        try:
            keys = self.read_keys()
            context = self.read_certificate() if self.read_certificate else None
        except click.ClickException as error:
            log.error("not reloaded, nothing has changed: %s", error.format_message())  # noqa: TRY400 - without a traceback
            return
        changes = compare_keys(self.gate.credentials, keys)
        self.gate.credentials = keys
        if self.acceptor and context:
            self.acceptor.encryption = context
        certificate = "; the certificate was read again" if context else ""
        log.info("reloaded: keys: %s%s", changes, certificate)


def refuse_reload() -> None:
    log.error("not reloaded, nothing has changed: SIGHUP needs --workers 1; restart the service")
