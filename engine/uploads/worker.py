"""A worker process: it reads one upload after the other until its service ends."""

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
# Imported before memory is measured, so that libraries do not count.
LIBRARIES = {
    "html": "html.parser",
    "pdf": "pypdf",
    "docx": "docx",
    "xlsx": "openpyxl",
    "image": "PIL.Image",
    "audio": "soxr",
}
RESERVE = 4_000_000  # bytes that are left when memory is exhausted
MOST_INPUT = sys.maxsize  # the service has limits of its own


def main(lifeline: int) -> None:
    """Never returns while the service runs."""
    confinement.end_with(lifeline)
    confinement.confine()
    asked, answers = os.fdopen(0, "rb"), os.fdopen(os.dup(1), "wb")
    silence = os.open(os.devnull, os.O_WRONLY)
    os.dup2(silence, 1)  # whatever a library prints is no answer
    while message := _receive(asked):
        answers.write(encode_message(_answer(message)))
        answers.flush()


def _receive(source: BinaryIO) -> Message | None:
    raw = source.read(PRELUDE.size)
    if len(raw) < PRELUDE.size:
        return None
    head, payload = parse_prelude(raw, MOST_INPUT)
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
    except Exception as error:  # noqa: BLE001 - readers raise whatever a broken file makes them stumble over
        return _refuse("broken", f"{type(error).__name__}: {error}"[:1_000])
    return read._replace(head={**read.head, "resident": confinement.resident()})


def _read(asked: Message) -> Message:
    head = asked.head
    importlib.import_module(LIBRARIES[head["kind"]])
    reserve = [bytearray(RESERVE)]
    confinement.allow(head["cpu_seconds"], head["memory"])
    try:
        return READERS[head["kind"]](asked.payload, **head["options"])
    finally:
        reserve.clear()  # to lift the limit takes some memory, too
        confinement.lift()


def _refuse(reason: str, message: str) -> Message:
    facts: dict[str, Any] = {"refused": reason, "message": message}
    return Message({**facts, "resident": confinement.resident()})
