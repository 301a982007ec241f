"""The beginning of an answer's bytes, as the client got them, with the time of each write."""

from dataclasses import dataclass, field
from time import monotonic

from invoke_api.transport.writer_extension import Headers

MAX_KEPT_BYTES = 65_536  # of one answer


@dataclass(slots=True)
class KeptAnswer:
    """The answer to one call. `writes` have times in seconds of the monotonic clock.

    `status` is None until the answer begins. A write beyond `MAX_KEPT_BYTES` is counted in
    `left_out` and not kept, and so is each later write. `began` is when the call came.
    """

    began: float = field(default_factory=monotonic)
    status: int | None = None
    headers: Headers = ()
    writes: list[tuple[float, bytes]] = field(default_factory=list)
    is_stream: bool = False
    left_out: int = 0
    _size: int = 0

    def start(self, status: int, headers: Headers) -> None:
        """Note the head of an answer that is written in parts."""
        self.status, self.headers, self.is_stream = status, headers, True

    def keep(self, status: int, headers: Headers, body: bytes) -> None:
        """Note a whole answer. Only the beginning of a long body is kept."""
        self.status, self.headers, self.is_stream = status, headers, False
        self.writes = [(monotonic(), body[:MAX_KEPT_BYTES])]
        self.left_out = int(len(body) > MAX_KEPT_BYTES)

    def add(self, data: bytes) -> None:
        """Note the frames that were written together."""
        self._size += len(data)
        if self._size > MAX_KEPT_BYTES:
            self.left_out += 1
        elif data:
            self.writes.append((monotonic(), data))

    def to_milliseconds(self, moment: float) -> float:
        """Return the milliseconds from the call's arrival to a moment."""
        return round(1000 * (moment - self.began), 1)
