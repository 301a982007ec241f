"""Cassettes as they are written: each recording whole or not at all, by one recorder at a time."""

import json
import logging
import os
import re
from pathlib import Path
from threading import Lock
from typing import Any
from urllib.parse import unquote

from invoke_api.appending import append_whole
from invoke_api.cassettes.lock import PlaceLock
from invoke_api.cassettes.recording import Recording

log = logging.getLogger(__name__)

NUMBER = re.compile(r"([0-9]+)-")
BEGIN, END = (
    b'{\n "cassette"',
    b"\n}\n",
)  # of a recording in a file of several; nothing inside is so


class CassetteWriter:
    """Writes recordings below a folder, a file each; or to one `*.json`, one after the other.

    Used by one process only, from any of its threads. What is there already stays, but for half a
    recording at the end of a file, which a process that was killed has left.
    Raises `OSError`, `PlaceTaken` where another process is recording.
    """

    def __init__(self, path: Path) -> None:
        self._path = path = path.resolve()
        self._is_file = path.suffix == ".json" and not path.is_dir()
        folder = path.parent if self._is_file else path
        folder.mkdir(parents=True, exist_ok=True)
        name = f".{path.name}.lock" if self._is_file else ".recording.lock"
        self._place = PlaceLock(folder / name)
        if self._is_file:
            cut_half(path)
        names = () if self._is_file else (file.name for file in path.glob("*.json"))
        numbers = (int(found[1]) for found in map(NUMBER.match, names) if found)
        self._last = max(numbers, default=0)
        self._lock = Lock()

    def write(self, recording: Recording) -> Path:
        """The file that keeps it now. Raises `OSError`, and then no file has any of it."""
        raw = to_text(recording.to_document()).encode()
        with self._lock:
            if self._is_file:
                append_whole(self._path, raw)
                return self._path
            return self._write(to_slug(recording.path), raw)

    def _write(self, slug: str, raw: bytes) -> Path:
        self._last += 1
        path = self._path / f"{self._last:04}-{slug}.json"
        while path.exists():  # somebody has put it there meanwhile
            self._last += 1
            path = self._path / f"{self._last:04}-{slug}.json"
        part = path.with_suffix(".part")  # so that nobody reads one that is half written
        try:
            part.write_bytes(raw)
            part.rename(path)
        except OSError:
            self._last -= 1
            part.unlink(missing_ok=True)
            raise
        return path


def cut_half(path: Path) -> None:
    """Cut off the half of a recording that the file ends with, if it does. Raises `OSError`."""
    raw = path.read_bytes() if path.exists() else b""
    end = raw.rfind(END) + len(END) if END in raw else 0
    rest = raw[end:]
    if is_half(rest):
        os.truncate(path, end)
        log.warning("%s ended with half a recording, which is cut off: %d bytes", path, len(rest))


def is_half(raw: bytes) -> bool:
    """Whether this is the beginning of a recording of ours, and no whole one."""
    if not raw or not (raw.startswith(BEGIN) or BEGIN.startswith(raw)):
        return False
    try:
        json.loads(raw)
    except ValueError:
        return True
    return False  # whose last line break somebody has taken away


def to_text(document: dict[str, Any]) -> str:
    """Spread over lines, but a frame a line: a stream has many, and they are alike."""
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
    """What a file may be called on any system: `converse-mistral.mistral-7b-instruct-v0-2`."""
    steps = [step for step in unquote(path.partition("?")[0]).split("/") if step]
    if len(steps) > 2 and steps[0] == "model":
        steps = [steps[-1], *steps[1:-1]]
    return re.sub(r"[^A-Za-z0-9._]+", "-", "-".join(steps))[:100].strip("-.") or "call"
