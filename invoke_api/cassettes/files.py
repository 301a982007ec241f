"""Cassette files, read and written: one recording, or several one after the other."""

import json
import re
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from threading import Lock
from typing import Any
from urllib.parse import unquote

from jsonschema import ValidationError

from invoke_api.cassettes.recording import Recording, to_recording
from invoke_api.config_files import ConfigError, load_schema
from invoke_api.validation.schema import Validator

GAP = re.compile(r"\s*")
DECODER = json.JSONDecoder()


def load_recordings(path: Path) -> list[tuple[str, Recording]]:
    """The recordings of a file, or of all `*.json` below a folder in order of their names.

    Each comes with where it stands, as `file` or `file:line`. Raises `ConfigError` with every
    mistake.
    """
    if not path.exists():
        raise ConfigError(f"{path}: there is no such file or folder")
    files = sorted(path.rglob("*.json")) if path.is_dir() else [path]
    if not files:
        raise ConfigError(f"{path}: there is no cassette (*.json) below this folder")
    validator = Validator(load_schema("cassette.json"))
    found: list[tuple[str, Recording]] = []
    mistakes: list[str] = []
    for file in files:
        try:
            for line, document in _documents(file):
                where = f"{file}:{line}"
                errors = [_sentence(error) for error in validator.iter_errors(document)]
                if errors:
                    mistakes += [f"{where}: {error}" for error in errors]
                else:
                    found.append((where, _to_recording(where, document)))
        except ConfigError as error:
            mistakes.append(str(error))
    if mistakes:
        raise ConfigError("\n".join(mistakes))
    return found


def _to_recording(where: str, document: dict[str, Any]) -> Recording:
    try:
        return to_recording(document)
    except ValueError as error:  # base64 that is none, a header that is too long
        raise ConfigError(f"{where}: {error}") from error


def _documents(file: Path) -> Iterator[tuple[int, Any]]:
    try:
        text = file.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"{file}: {error}") from error
    at = _skip_gap(text, 0)
    while at < len(text):
        line = text.count("\n", 0, at) + 1
        try:
            document, at = DECODER.raw_decode(text, at)
        except json.JSONDecodeError as error:
            raise ConfigError(f"{file}:{error.lineno}: not JSON: {error.msg}") from error
        except ValueError as error:  # an integer of over 4,300 digits
            raise ConfigError(f"{file}:{line}: not JSON that can be read: {error}") from error
        except RecursionError as error:
            raise ConfigError(f"{file}:{line}: nested too deep") from error
        yield line, document
        at = _skip_gap(text, at)


def _skip_gap(text: str, at: int) -> int:
    gap = GAP.match(text, at)
    return gap.end() if gap else at


def _sentence(error: ValidationError) -> str:
    return f"{'/'.join(str(step) for step in error.absolute_path) or 'it'}: {error.message}"


def load_waits(path: Path) -> tuple[float, ...]:
    """Seconds that the parts of a file's first recording let wait. Raises `ConfigError`."""
    if not path.is_file():
        raise ConfigError(f"{path}: there is no such file")
    recordings = load_recordings(path)
    if not recordings:
        raise ConfigError(f"{path}: there is no recording in it")
    _, recording = recordings[0]
    moments = [0, *(part.at for part in recording.parts)]
    return tuple((after - before) / 1000 for before, after in pairwise(moments))


class CassetteWriter:
    """Writes recordings below a folder, a file each; or to one `*.json`, one after the other.

    Used by one process only, from any of its threads. What is there already stays.
    Raises `OSError`.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._is_file = path.suffix == ".json" and not path.is_dir()
        (path.parent if self._is_file else path).mkdir(parents=True, exist_ok=True)
        names = () if self._is_file else (file.name for file in path.glob("*.json"))
        numbers = (int(found[1]) for found in map(re.compile(r"(\d+)-").match, names) if found)
        self._last = max(numbers, default=0)
        self._lock = Lock()

    def write(self, recording: Recording) -> Path:
        """The file that keeps it now."""
        text = to_text(recording.to_document())
        with self._lock:
            return self._write(to_slug(recording.path), text)

    def _write(self, slug: str, text: str) -> Path:
        if self._is_file:
            with self._path.open("a", encoding="utf-8") as file:
                file.write(text)
            return self._path
        self._last += 1
        path = self._path / f"{self._last:04}-{slug}.json"
        part = path.with_suffix(".part")  # so that nobody reads one that is half written
        part.write_text(text, encoding="utf-8")
        part.rename(path)
        return path


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
