"""Formats and levels of the log: lines of text, or one JSON object per line."""

import json
import logging
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import NamedTuple

import orjson

from invoke_api.observability.log_repeats import RepeatFilter

FIRST_PROCESS = "MainProcess"  # multiprocessing's name of a process that no other one has started


class JsonFormatter(logging.Formatter):
    """A formatter that writes one JSON object per line.

    `process` names a worker or a process of vLLM's. The first process has no name.
    """

    def format(self, record: logging.LogRecord) -> str:
        entry: dict[str, object] = {
            "time": rfc3339(record.created),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
        }
        # vLLM (0.32) gives its records the names of its processes.
        process = getattr(record, "vllm_process_name", None) or record.processName
        if process and process != FIRST_PROCESS:
            entry["process"] = process
        if record.exc_info:
            entry["exception"] = self.formatException(record.exc_info)
        if repeated := getattr(record, "repeated", None):
            entry["repeated"] = repeated
        return to_json_text(entry)


def rfc3339(seconds: float) -> str:
    """Return a time, in seconds since the epoch, as RFC 3339 writes it: in UTC, with milliseconds.

    RFC 3339, 5.6: `date-time`, with the offset `Z`.
    """
    moment = datetime.fromtimestamp(seconds, UTC)
    return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")


def to_json_text(entry: Mapping[str, object]) -> str:
    """Return the entry as JSON on one line."""
    try:
        return orjson.dumps(entry).decode()
    except TypeError:  # a lone surrogate, for example in a file name
        return json.dumps(entry)


FORMATTERS: dict[str, logging.Formatter] = {
    "text": logging.Formatter("%(asctime)s %(levelname)-7s %(message)s", "%H:%M:%S"),
    "json": JsonFormatter(),
}


class Levels(NamedTuple):
    """The levels of the lines that are logged: our own ones, and those of libraries and of vLLM."""

    own: int
    libraries: int


# By the values of --log-level.
LEVELS = {
    "debug": Levels(logging.DEBUG, logging.INFO),
    "info": Levels(logging.INFO, logging.WARNING),
    "warning": Levels(logging.WARNING, logging.WARNING),
    "error": Levels(logging.ERROR, logging.ERROR),
}


def set_up_logs(log_format: str, log_level: str = "info") -> None:
    """Log to standard error: the lines from `LEVELS` on. Repeated lines are counted."""
    handler = logging.StreamHandler()
    handler.setFormatter(FORMATTERS[log_format])
    own, libraries = LEVELS[log_level]
    logging.basicConfig(level=libraries, handlers=[RepeatFilter(handler)], force=True)
    for name in ("invoke_api", "engine"):
        logging.getLogger(name).setLevel(own)
