"""Recordings named by somebody who may not see the disk: by names in folders of the operator's."""

import os
import stat
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from invoke_api.cassettes.reader import load_waits
from invoke_api.yaml_files import ConfigError

MAX_RECORDING = 16 << 20  # bytes of a file
NAME = ".json"  # what the name of a recording ends with


@dataclass(frozen=True, slots=True)
class NamedRecordings:
    """`places` are folders, or single files, that the operator named."""

    places: Sequence[Path] = ()

    def waits(self, name: str) -> tuple[float, ...]:
        """Seconds between the parts of this recording.

        Raises `ConfigError`, which tells nothing of what is on the disk but such a recording.
        """
        if not self.places:
            raise ConfigError(
                "a pace over HTTP takes no recording here; --recordings names a folder of them"
            )
        path = self._find(name)
        if path is None:
            raise ConfigError(
                f"there is no recording {name[:100]!r} in the folders that the operator named"
            )
        try:
            return load_waits(path)
        except ConfigError:
            raise ConfigError(f"{name!r} is no recording; invoke-api record writes them") from None

    def _find(self, name: str) -> Path | None:
        steps = name.split("/")
        if not name.endswith(NAME) or "\0" in name or "\\" in name or {"", ".", ".."} & set(steps):
            return None
        found = (_inside(place, name) for place in self.places)
        return next((path for path in found if path), None)


def _inside(place: Path, name: str) -> Path | None:
    """Return the file if it is a plain one that really lies below the folder, else None."""
    try:
        root = place.resolve(strict=True)
        if root.is_file():
            return root if name == place.name and _is_plain(root) else None
        path = (root / name).resolve(strict=True)  # symlinks followed
        return path if path.is_relative_to(root) and _is_plain(path) else None
    except (OSError, RuntimeError, ValueError):  # none there, a loop of links, a name too long
        return None


def _is_plain(path: Path) -> bool:
    """Return whether reading it ends soon: no device, no FIFO, and not large."""
    # O_NONBLOCK: opening a FIFO without a writer would wait for one.
    opened = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_NOFOLLOW)
    try:
        status = os.fstat(opened)
    finally:
        os.close(opened)
    return stat.S_ISREG(status.st_mode) and status.st_size <= MAX_RECORDING
