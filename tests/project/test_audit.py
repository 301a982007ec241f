"""`make audit` fails if it can't search, and does not report that it found nothing."""

import subprocess
from pathlib import Path

import pytest

from tests.support.servers import ROOT

VULNERABLE = 'echo "jinja2 2.11.1 CVE-2020-28493 2.11.3"; exit 1'
UNKNOWN = 'echo "jinja2 Dependency not found on PyPI and could not be audited"'
OFFLINE = 'echo "connection refused" >&2; exit 1'
CLEAN = 'echo "No known vulnerabilities found"'


@pytest.mark.parametrize(
    ("canary", "installed", "status", "told"),
    [
        (VULNERABLE, CLEAN, 0, "No known vulnerabilities found"),
        (VULNERABLE, VULNERABLE, 1, "CVE-2020-28493"),
        (UNKNOWN, CLEAN, 75, "nothing was audited"),
        (OFFLINE, CLEAN, 75, "nothing was audited"),
    ],
)
def test_the_status_tells_clean_from_vulnerable_from_unknown(
    canary: str, installed: str, status: int, told: str, tmp_path: Path
) -> None:
    stand_in = tmp_path / "pip-audit"
    stand_in.write_text(
        f'#!/bin/sh\ncase "$*" in *--requirement*) {canary} ;; *) {installed} ;; esac\n'
    )
    stand_in.chmod(0o755)
    done = subprocess.run(
        [ROOT / "scripts" / "audit"],
        env={"PIP_AUDIT": str(stand_in), "PATH": "/usr/bin:/bin"},
        capture_output=True,
        text=True,
        check=False,
    )

    assert done.returncode == status
    assert told in done.stdout + done.stderr
