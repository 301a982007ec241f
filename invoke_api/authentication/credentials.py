"""The accepted keys, from a file that only its owner can read, or from the environment."""

import os
import re
import stat
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

from invoke_api.yaml_files import ConfigError, Source, find_mistakes, read_config


@dataclass(frozen=True, slots=True, kw_only=True)
class AccessKey:
    """An access key. A key with a session token is temporary, like those of AWS STS.

    A key of an `operator` may also use the control routes.
    """

    access_key_id: str
    secret_access_key: str = field(repr=False)
    session_token: str | None = field(default=None, repr=False)
    expires: datetime | None = None
    account_id: str | None = None
    operator: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class ApiKey:
    """A long-term Bedrock API key."""

    api_key: str = field(repr=False)
    expires: datetime | None = None
    account_id: str | None = None
    operator: bool = False


@dataclass(frozen=True, slots=True)
class Credentials:
    """All accepted keys."""

    access_keys: Mapping[str, AccessKey] = field(default_factory=dict)
    api_keys: tuple[ApiKey, ...] = ()

    def __add__(self, other: "Credentials") -> "Credentials":
        return Credentials(
            {**self.access_keys, **other.access_keys}, self.api_keys + other.api_keys
        )

    @property
    def has_operator(self) -> bool:
        keys: list[AccessKey | ApiKey] = [*self.access_keys.values(), *self.api_keys]
        return any(key.operator for key in keys)

    def __bool__(self) -> bool:
        return bool(self.access_keys or self.api_keys)


def _is_open_to_others(path: Path) -> bool:
    """Tell whether others than the service's user and root can read or write the file."""
    status = path.stat()
    allowed = stat.S_IRWXU
    if status.st_uid == 0 != os.geteuid():
        # Kubernetes mounts a Secret as root's, and its reader is the group `fsGroup` of the pod.
        allowed |= stat.S_IRGRP
    return bool(stat.S_IMODE(status.st_mode) & ~allowed)


def load_credentials(path: Path) -> Credentials:
    """Return the keys in a YAML or JSON file, described by schemas/credentials.json.

    Raises `ConfigError` with all mistakes and without secrets.
    """
    document, source = _read(path)
    if _is_open_to_others(path):
        raise ConfigError(
            f"{path}: others can read or write this file, which holds secrets; chmod 600 {path}"
        )
    if mistakes := list(find_mistakes(document, source, "credentials.json", show_values=False)):
        raise ConfigError("\n".join(mistakes))
    access_keys: dict[str, AccessKey] = {}
    for index, entry in enumerate(document.get("access_keys", [])):
        key = AccessKey(**_dated(entry, source, ["access_keys", index]))
        if key.access_key_id in access_keys:
            where = source.where(["access_keys", index, "access_key_id"])
            raise ConfigError(f"{where}: duplicate access_key_id")
        access_keys[key.access_key_id] = key
    api_keys = (
        ApiKey(**_dated(entry, source, ["api_keys", index]))
        for index, entry in enumerate(document.get("api_keys", []))
    )
    return Credentials(access_keys, tuple(api_keys))


def _read(path: Path) -> tuple[Any, Source]:
    try:
        return read_config(path)
    except ConfigError as error:  # YAML's errors may quote a secret with * or !
        raise ConfigError(re.sub("'[^'\\n]*'", "'...'", str(error))) from None


def _dated(entry: Mapping[str, Any], source: Source, steps: Sequence[str | int]) -> dict[str, Any]:
    if "expires" not in entry:
        return dict(entry)
    try:
        return {**entry, "expires": datetime.fromisoformat(entry["expires"])}
    except ValueError as error:
        where = source.where([*steps, "expires"])
        raise ConfigError(f"{where}: {entry['expires']!r} is not a valid time: {error}") from error
