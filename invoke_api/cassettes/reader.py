"""Cassette files, read: one recording, or several one after the other."""

import json
import re
from collections.abc import Iterator
from itertools import pairwise
from math import inf
from pathlib import Path
from typing import Any

from jsonschema import ValidationError

from invoke_api.cassettes.recording import Recording, to_recording
from invoke_api.validation.schema import Validator
from invoke_api.yaml_files import ConfigError, load_schema

GAP = re.compile(r"\s*")
NUMBER = re.compile(r"[0-9]+")
DECODER = json.JSONDecoder()


def load_recordings(path: Path) -> list[tuple[str, Recording]]:
    """The recordings of a file, or of all `*.json` below a folder in order of their numbers.

    Names that begin with no number come behind those that do, in order of their letters.

    Each comes with where it stands, as `file` or `file:line`. Raises `ConfigError` with every
    mistake.
    """
    if not path.exists():
        raise ConfigError(f"{path}: there is no such file or folder")
    files = sorted(path.rglob("*.json"), key=to_rank) if path.is_dir() else [path]
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


def to_rank(path: Path) -> list[tuple[float, str]]:
    """By number, where the name of the file or of a folder begins with one: 9999 before 10000."""
    found = ((NUMBER.match(name), name) for name in path.parts)
    return [(int(number[0]) if number else inf, name) for number, name in found]


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
