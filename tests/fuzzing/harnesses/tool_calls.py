"""Tool calls in a model's text: the same calls for any split of the text."""

import json

from engine.tokenization.tool_calls import CallStream, NotCalls, split_calls, write_calls
from invoke_api.dialects.tool_call_reader import CallReader
from invoke_api.wire.events import encode_sorted


def check(data: bytes) -> None:
    text = data.decode("utf-8", "replace")
    _check_split(text)
    for forced in (False, True):
        for spaced in (False, True):
            _check_reader(text, forced=forced, spaced=spaced)
    stream = CallStream()
    pieces = [*stream.take(text), *stream.finish()]
    assert [piece.kind for piece in pieces].count("begin") == stream.begun
    assert [piece.kind for piece in pieces].count("end") == stream.begun


def _check_split(text: str) -> None:
    try:
        before, calls = split_calls(text)
    except NotCalls:
        return
    assert text.startswith(before)
    for call in calls:
        assert json.loads(encode_sorted({"a": call.arguments}))
    written = write_calls("list", before, calls) if calls else text
    assert split_calls(written)[1] == calls


def _check_reader(text: str, *, forced: bool, spaced: bool) -> None:
    """Check that the reader adds nothing to the model's text."""
    reader = CallReader(forced, spaced)
    step = 1 + len(text) // 200
    out = "".join(reader.take(text[at : at + step]) for at in range(0, len(text), step))
    rest, calls = reader.finish()
    assert len(out + rest) <= len(text) + len("[TOOL_CALLS]")
    assert calls or set(out + rest) <= set(text)
