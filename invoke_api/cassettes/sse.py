"""Server-sent events, the streams of the OpenAI API."""

SSE = "text/event-stream"
BLANK_LINE = b"\n\n"


class SseReader:
    """A buffer that splits a stream into whole events, each with the blank line at its end."""

    def __init__(self) -> None:
        self._held = b""

    def feed(self, data: bytes) -> list[bytes]:
        """Return the events that these bytes complete."""
        *whole, self._held = (self._held + data).split(BLANK_LINE)
        return [event + BLANK_LINE for event in whole]

    def take(self) -> bytes:
        """Return the bytes of an incomplete event, and clear the buffer."""
        held, self._held = self._held, b""
        return held


def event_data(event: bytes) -> bytes | None:
    """Return the data of an event, or None if the bytes are no event with data."""
    return event[len(b"data:") :].strip() if event.startswith(b"data:") else None
