"""A worker process that reads one upload after the other until the service ends."""

import importlib
import os
import sys
from collections.abc import Callable, Mapping
from typing import Any, BinaryIO

from engine.uploads import confinement, pixels, sounds, texts
from engine.uploads.messages import PRELUDE, Message, encode_message, parse_message, parse_prelude
from engine.uploads.refusals import UploadRefused

READERS: Mapping[str, Callable[..., Message]] = {
    **texts.READERS,
    **pixels.READERS,
    **sounds.READERS,
}
# Imported before the memory limit is set, so that libraries do not count.
LIBRARIES = {
    "html": "html.parser",
    "pdf": "pypdf",
    "docx": "docx",
    "xlsx": "openpyxl",
    "image": "PIL.Image",
    "audio": "soxr",
}
RESERVE_BYTES = 4_000_000  # kept free for the answer when memory is exhausted
MAX_INPUT_BYTES = sys.maxsize  # the service has checked the size


def main(lifeline: int) -> None:
    """Read uploads until the service ends."""
    confinement.end_with(lifeline)
    confinement.confine()
    asked, answers = os.fdopen(0, "rb"), os.fdopen(os.dup(1), "wb")
    silence = os.open(os.devnull, os.O_WRONLY)
    os.dup2(silence, 1)  # a library that prints must not write into the answers
    while message := _receive(asked):
        answers.write(encode_message(_answer(message)))
        answers.flush()


def _receive(source: BinaryIO) -> Message | None:
    raw = source.read(PRELUDE.size)
    if len(raw) < PRELUDE.size:
        return None
    head, payload = parse_prelude(raw, MAX_INPUT_BYTES)
    return parse_message(source.read(head), source.read(payload))


def _answer(asked: Message) -> Message:
    try:
        read = _read(asked)
    except UploadRefused as refusal:
        return _refuse(refusal.reason, str(refusal))
    except ImportError as error:
        return _refuse("missing", str(error))
    except MemoryError:
        return _refuse("memory", "out of memory")
    except Exception as error:  # noqa: BLE001 - libraries raise many kinds for a broken file
        return _refuse("broken", f"{type(error).__name__}: {error}"[:1_000])
    return read._replace(head={**read.head, "resident": confinement.resident_bytes()})


def _read(asked: Message) -> Message:
    head = asked.head
    importlib.import_module(LIBRARIES[head["kind"]])
    reserve = [bytearray(RESERVE_BYTES)]
    confinement.limit_upload(head["cpu_seconds"], head["memory"])
    try:
        return READERS[head["kind"]](asked.payload, **head["options"])
    finally:
        reserve.clear()  # lifting the limit takes memory, too
        confinement.lift_memory_limit()


def _refuse(reason: str, message: str) -> Message:
    facts: dict[str, Any] = {"refused": reason, "message": message}
    return Message({**facts, "resident": confinement.resident_bytes()})
