"""Write cassettes: one recorder at a time, and each recording completely or not at all."""

import json
import logging
import os
import re
from pathlib import Path
from threading import Lock
from typing import Any
from urllib.parse import unquote

from invoke_api.append_file import append_whole
from invoke_api.cassettes.lock import RecordingLock
from invoke_api.cassettes.recording import Recording

log = logging.getLogger(__name__)

NUMBER_PREFIX = re.compile(r"([0-9]+)-")
RECORDING_START, RECORDING_END = (
    b'{\n "cassette"',
    b"\n}\n",
)  # neither occurs inside a recording


class CassetteWriter:
    """A writer of recordings to a folder, one file each, or to a single `*.json` file.

    Thread-safe, and used by one process only. Existing recordings are kept. An incomplete recording
    at the end of the file, left by a killed process, is cut off. Raises `OSError`, and `LockHeld`
    if another process is recording.
    """

    def __init__(self, path: Path) -> None:
        self._path = path = path.resolve()
        self._is_file = path.suffix == ".json" and not path.is_dir()
        folder = path.parent if self._is_file else path
        folder.mkdir(parents=True, exist_ok=True)
        name = f".{path.name}.lock" if self._is_file else ".recording.lock"
        self._place = RecordingLock(folder / name)
        if self._is_file:
            remove_incomplete_recording(path)
        names = () if self._is_file else (file.name for file in path.glob("*.json"))
        numbers = (int(found[1]) for found in map(NUMBER_PREFIX.match, names) if found)
        self._last = max(numbers, default=0)
        self._lock = Lock()

    def write(self, recording: Recording) -> Path:
        """Write a recording and return its file. Raises `OSError`, and then writes nothing."""
        raw = to_text(recording.to_document()).encode()
        with self._lock:
            if self._is_file:
                append_whole(self._path, raw)
                return self._path
            return self._write(to_slug(recording.path), raw)

    def _write(self, slug: str, raw: bytes) -> Path:
        self._last += 1
        path = self._path / f"{self._last:04}-{slug}.json"
        while path.exists():  # created by another program since the start
            self._last += 1
            path = self._path / f"{self._last:04}-{slug}.json"
        part = path.with_suffix(".part")  # so that no reader sees an incomplete file
        try:
            part.write_bytes(raw)
            part.rename(path)
        except OSError:
            self._last -= 1
            part.unlink(missing_ok=True)
            raise
        return path


def remove_incomplete_recording(path: Path) -> None:
    """Cut off an incomplete recording at the end of the file, if any. Raises `OSError`."""
    raw = path.read_bytes() if path.exists() else b""
    end = raw.rfind(RECORDING_END) + len(RECORDING_END) if RECORDING_END in raw else 0
    rest = raw[end:]
    if is_incomplete(rest):
        os.truncate(path, end)
        log.warning("%s ended with an incomplete recording; removed its %d bytes", path, len(rest))


def is_incomplete(raw: bytes) -> bool:
    """Tell whether this is an incomplete recording that this module began to write."""
    if not raw or not (raw.startswith(RECORDING_START) or RECORDING_START.startswith(raw)):
        return False
    try:
        json.loads(raw)
    except ValueError:
        return True
    return False  # complete; only the last line break is missing


def to_text(document: dict[str, Any]) -> str:
    """Return indented JSON, with each frame on one line, because a stream has many frames."""
    answer = document["response"]
    frames = answer.get("frames", [])
    spread = {**document, "response": {**answer, "frames": []} if frames else answer}
    text = json.dumps(spread, indent=1, ensure_ascii=False)
    if frames:
        lines = ",\n   ".join(json.dumps(frame, ensure_ascii=False) for frame in frames)
        end = "]\n }\n}"
        text = f"{text.removesuffix(end)}\n   {lines}\n  {end}"
    return text + "\n"


def to_slug(path: str) -> str:
    """Return a portable file name, such as `converse-mistral.mistral-7b-instruct-v0-2`."""
    steps = [step for step in unquote(path.partition("?")[0]).split("/") if step]
    if len(steps) > 2 and steps[0] == "model":
        steps = [steps[-1], *steps[1:-1]]
    return re.sub(r"[^A-Za-z0-9._]+", "-", "-".join(steps))[:100].strip("-.") or "call"
