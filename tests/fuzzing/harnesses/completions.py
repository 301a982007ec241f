"""What a remote server answers: any bytes are events, or an error of the engine's own."""

from contextlib import suppress

from engine.errors import EngineDead, EngineError, PromptTooLong
from engine.protocol import GenerationRequest
from engine.remote.completions import Lines, NoAnswer, Unfit, find_window, parse_event, to_error

REQUEST = GenerationRequest(request_id="request", prompt=(1, 2), max_tokens=5)
HELD = GenerationRequest(request_id="request", prompt=(1, 2), max_tokens=5, schema="{}")


def check(data: bytes) -> None:
    lines = _split(data)
    for line in [*lines, data]:
        with suppress(EngineError, NoAnswer):
            step = parse_event(line, REQUEST)
            assert all(type(token) is int and 0 <= token < 2**31 for token in step.tokens)
            assert isinstance(step.text, str)
            assert step.finish in (None, "stop", "length")
    for status in (400, 401, 429, 500, 503):
        for request in (REQUEST, HELD):
            error = to_error(status, data, request)
            assert isinstance(error, EngineError | NoAnswer)
            assert len(str(error)) < 700
            assert not isinstance(error, PromptTooLong) or error.context_length > 0
    with suppress(Unfit):
        window = find_window(data, "model")
        assert window is None or window > 0


def _split(data: bytes) -> list[bytes]:
    """The lines are the same at once and by single bytes."""
    with suppress(EngineDead):
        whole = Lines().push(data)
        slow = Lines()
        assert [line for at in range(len(data)) for line in slow.push(data[at : at + 1])] == whole
        return whole
    return []
