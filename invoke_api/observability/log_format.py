"""Formats of the log: lines of text, or one JSON object per line."""

import json
import logging

import orjson

from invoke_api.observability.log_repeats import RepeatFilter


class JsonFormatter(logging.Formatter):
    """A formatter that writes one JSON object per line."""

    def format(self, record: logging.LogRecord) -> str:
        entry: dict[str, str | int] = {
            "time": self.formatTime(record),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
        }
        if record.exc_info:
            entry["exception"] = self.formatException(record.exc_info)
        if repeated := getattr(record, "repeated", None):
            entry["repeated"] = repeated
        return _to_json(entry)


def _to_json(entry: dict[str, str | int]) -> str:
    try:
        return orjson.dumps(entry).decode()
    except TypeError:  # a lone surrogate, for example in a file name
        return json.dumps(entry)


FORMATTERS: dict[str, logging.Formatter] = {
    "text": logging.Formatter("%(asctime)s %(levelname)-7s %(message)s", "%H:%M:%S"),
    "json": JsonFormatter(datefmt="%Y-%m-%dT%H:%M:%S%z"),
}


def set_up_logs(log_format: str) -> None:
    """Log to standard error: our own lines from INFO, lines of libraries from WARNING.

    Repeated lines are counted.
    """
    handler = logging.StreamHandler()
    handler.setFormatter(FORMATTERS[log_format])
    logging.basicConfig(level=logging.WARNING, handlers=[RepeatFilter(handler)], force=True)
    for name in ("invoke_api", "engine"):
        logging.getLogger(name).setLevel(logging.INFO)
