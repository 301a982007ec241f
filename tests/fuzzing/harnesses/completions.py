"""Answers of a remote server: any bytes are read as events, or raise the engine's error."""

from contextlib import suppress

from engine.errors import EngineDead, EngineError, PromptTooLong
from engine.protocol import GenerationRequest
from engine.remote.completions import (
    EventLines,
    ServerUnavailable,
    ServerUnusable,
    find_window,
    parse_event,
    to_error,
)

REQUEST = GenerationRequest(request_id="request", prompt=(1, 2), max_tokens=5)
HELD = GenerationRequest(request_id="request", prompt=(1, 2), max_tokens=5, schema="{}")


def check(data: bytes) -> None:
    lines = _split(data)
    for line in [*lines, data]:
        with suppress(EngineError, ServerUnavailable):
            step = parse_event(line, REQUEST)
            assert all(type(token) is int and 0 <= token < 2**31 for token in step.tokens)
            assert isinstance(step.text, str)
            assert step.finish in (None, "stop", "length")
    for status in (400, 401, 429, 500, 503):
        for request in (REQUEST, HELD):
            error = to_error(status, data, request)
            assert isinstance(error, EngineError | ServerUnavailable)
            assert len(str(error)) < 700
            assert not isinstance(error, PromptTooLong) or error.context_length > 0
    with suppress(ServerUnusable):
        window = find_window(data, "model")
        assert window is None or window > 0


def _split(data: bytes) -> list[bytes]:
    """Check that single bytes give the same lines as all bytes at once."""
    with suppress(EngineDead):
        whole = EventLines().push(data)
        slow = EventLines()
        assert [line for at in range(len(data)) for line in slow.push(data[at : at + 1])] == whole
        return whole
    return []
