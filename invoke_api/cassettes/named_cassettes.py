"""Recordings that HTTP clients name, confined to the operator's folders."""

import os
import stat
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from invoke_api.cassettes.reader import load_waits
from invoke_api.yaml_files import ConfigError

MAX_CASSETTE_BYTES = 16 << 20
CASSETTE_SUFFIX = ".json"


@dataclass(frozen=True, slots=True)
class NamedRecordings:
    """The recordings in `places`, which are folders or single files that the operator named."""

    places: Sequence[Path] = ()

    def waits(self, name: str) -> tuple[float, ...]:
        """Return the seconds before each part of this recording.

        Raises `ConfigError`, whose message reveals nothing about other files on the disk.
        """
        if not self.places:
            raise ConfigError(
                "rules over HTTP can use recordings only if --recordings names their folder"
            )
        path = self._find(name)
        if path is None:
            raise ConfigError(
                f"there is no recording {name[:100]!r} in the folders of --recordings"
            )
        try:
            return load_waits(path)
        except ConfigError:
            raise ConfigError(f"{name!r} is not a recording of invoke-api record") from None

    def _find(self, name: str) -> Path | None:
        is_odd = "\0" in name or "\\" in name or {"", ".", ".."} & set(name.split("/"))
        if is_odd or not name.endswith(CASSETTE_SUFFIX):
            return None
        found = (_inside(place, name) for place in self.places)
        return next((path for path in found if path), None)


def _inside(place: Path, name: str) -> Path | None:
    """Return the regular file of this name below the folder, symlinks resolved, or None."""
    try:
        root = place.resolve(strict=True)
        if root.is_file():
            return root if name == place.name and _is_plain(root) else None
        path = (root / name).resolve(strict=True)
        return path if path.is_relative_to(root) and _is_plain(path) else None
    except (OSError, RuntimeError, ValueError):  # no such file, a loop of symlinks, a name too long
        return None


def _is_plain(path: Path) -> bool:
    """Tell whether this is a regular file of at most `MAX_CASSETTE_BYTES`, not a device or FIFO."""
    # O_NONBLOCK: otherwise opening a FIFO without a writer blocks.
    opened = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_NOFOLLOW)
    try:
        status = os.fstat(opened)
    finally:
        os.close(opened)
    return stat.S_ISREG(status.st_mode) and status.st_size <= MAX_CASSETTE_BYTES
