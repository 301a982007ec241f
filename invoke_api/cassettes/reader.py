"""Read cassette files, which hold one recording or several one after the other."""

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

WHITESPACE = re.compile(r"\s*")
LEADING_NUMBER = re.compile(r"[0-9]+")
CASSETTE_DECODER = json.JSONDecoder()


def load_recordings(path: Path) -> list[tuple[str, Recording]]:
    """Return the recordings of a file, or of all `*.json` files below a folder.

    Files are in order of the numbers that their names begin with. Names without a number come last,
    in alphabetical order. Each recording comes with its place, as `file:line`. Raises `ConfigError`
    with every mistake.
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
    """Return a sort key that orders names by the numbers they begin with: 9999 before 10000."""
    found = ((LEADING_NUMBER.match(name), name) for name in path.parts)
    return [(int(number[0]) if number else inf, name) for number, name in found]


def _to_recording(where: str, document: dict[str, Any]) -> Recording:
    try:
        return to_recording(document)
    except ValueError as error:  # invalid base64, a header that is too long
        raise ConfigError(f"{where}: {error}") from error


def _documents(file: Path) -> Iterator[tuple[int, Any]]:
    try:
        text = file.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"{file}: {error}") from error
    at = _skip_whitespace(text, 0)
    while at < len(text):
        line = text.count("\n", 0, at) + 1
        try:
            document, at = CASSETTE_DECODER.raw_decode(text, at)
        except json.JSONDecodeError as error:
            raise ConfigError(f"{file}:{error.lineno}: not JSON: {error.msg}") from error
        except ValueError as error:  # an integer of over 4,300 digits
            raise ConfigError(f"{file}:{line}: not JSON that can be read: {error}") from error
        except RecursionError as error:
            raise ConfigError(f"{file}:{line}: nested too deeply") from error
        yield line, document
        at = _skip_whitespace(text, at)


def _skip_whitespace(text: str, at: int) -> int:
    gap = WHITESPACE.match(text, at)
    return gap.end() if gap else at


def _sentence(error: ValidationError) -> str:
    return f"{'/'.join(str(step) for step in error.absolute_path) or 'it'}: {error.message}"


def load_waits(path: Path) -> tuple[float, ...]:
    """Return the seconds before each part of a file's first recording. Raises `ConfigError`."""
    if not path.is_file():
        raise ConfigError(f"{path}: there is no such file")
    recordings = load_recordings(path)
    if not recordings:
        raise ConfigError(f"{path}: there is no recording in it")
    _, recording = recordings[0]
    moments = [0, *(part.at for part in recording.parts)]
    return tuple((after - before) / 1000 for before, after in pairwise(moments))
