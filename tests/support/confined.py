"""A program in a file system of its own, as in a container: read-only, and not as root."""

import subprocess
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryFile

from tests.support.servers import read_url

# Makes a read-only mount of the folder, with /proc, /dev and an empty /tmp, for this process only.
CONFINE = """\
set -eu
mount --bind "$1" "$1"
mount --bind /proc "$1/proc"
mount --rbind /dev "$1/dev"
mount -t tmpfs -o mode=1777 none "$1/tmp"
mount -o remount,bind,ro "$1"
root=$1
shift
cd "$root/home/invoke"
exec "$(command -v chroot)" --userspec=1000:1000 "$root" "$@"
"""


def can_confine() -> bool:
    """Tell whether this process may mount in a mount namespace of its own."""
    tried = ["unshare", "--mount", "mount", "-t", "tmpfs", "none", "/tmp"]
    try:
        return subprocess.run(tried, capture_output=True, check=False).returncode == 0
    except FileNotFoundError:
        return False


def confined(root: Path, *command: str) -> list[str]:
    """Return a command that runs another one with `root` as its read-only file system."""
    for name in ("proc", "dev"):
        (root / name).mkdir(exist_ok=True)
    return ["unshare", "--mount", "sh", "-c", CONFINE, "sh", str(root), *command]


@contextmanager
def confined_running(root: Path, *command: str, environment: Mapping[str, str]) -> Iterator[str]:
    """Run a service in `root`. Yield the URL that it prints."""
    with TemporaryFile("w+") as log:
        process = subprocess.Popen(
            confined(root, *command), stdout=log, stderr=log, env=environment
        )
        try:
            yield read_url(process, log.fileno(), time.monotonic() + 60)
        finally:
            process.terminate()
            process.wait(timeout=60)
