"""A worker process from the service's side: started, given one upload at a time, killed."""

import os
import select
import signal
import subprocess
import sys
from contextlib import suppress
from time import monotonic

from engine.uploads.limits import Limits
from engine.uploads.messages import (
    PRELUDE,
    BadMessage,
    Message,
    encode_message,
    parse_message,
    parse_prelude,
)
from engine.uploads.refusals import Reason, UploadRefused

# A worker has the path of the service, whatever its folder and environment say.
PROGRAM = "import sys; sys.path[:] = {path!r}; from engine.uploads.worker import main; main({fd})"
CHUNK = 1 << 20  # bytes that are read or written at once
EXCEEDED: dict[Reason, str] = {
    "cpu": "it takes too long to read",
    "time": "it takes too long to read",
    "memory": "it takes too much memory to read",
    "output": "there is too much in it",
    "broken": "it is damaged",
    "cancelled": "the call has ended",
}


class Reader:
    """One worker process. `read` blocks; `kill` may be called from any thread meanwhile."""

    def __init__(self) -> None:
        """Start it, which takes some milliseconds; it imports what it needs by itself."""
        ours, lifeline = os.pipe()
        try:
            program = PROGRAM.format(path=sys.path, fd=ours)
            self._process = subprocess.Popen(  # noqa: S603 - our own program
                [sys.executable, "-I", "-c", program],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
                pass_fds=[ours],
                bufsize=0,
            )
        except BaseException:
            os.close(lifeline)
            raise
        finally:
            os.close(ours)
        self._lifeline = lifeline  # open as long as this process is
        assert self._process.stdin, "it is a pipe"
        assert self._process.stdout, "it is a pipe"
        self._stdin, self._stdout = self._process.stdin.fileno(), self._process.stdout.fileno()
        os.set_blocking(self._stdin, False)
        os.set_blocking(self._stdout, False)
        self.resident = 0  # bytes, once it has answered
        self.is_fit = False  # for another upload

    @property
    def pid(self) -> int:
        return self._process.pid

    def is_alive(self) -> bool:
        return self._process.poll() is None

    def read(
        self, kind: str, raw: bytes, limits: Limits, seconds: float, options: dict[str, object]
    ) -> Message:
        """Return what it has read. Raises `UploadRefused`; unless it said so itself, it is dead."""
        head = {
            "kind": kind,
            "options": options,
            "cpu_seconds": limits.cpu_seconds,
            "memory": limits.memory,
        }
        self.is_fit = False
        deadline = monotonic() + seconds
        try:
            self._send(encode_message(Message(head, raw)), deadline)
            answer = self._receive(limits.output, deadline)
        except TimeoutError:
            raise self._end("time") from None
        except BadMessage:
            raise self._end("output") from None
        except (EOFError, BrokenPipeError):
            raise self._end(None) from None
        self.resident = int(answer.head.get("resident", 0))
        refused = answer.head.get("refused")
        self.is_fit = refused != "memory"
        if refused:
            raise UploadRefused(refused, EXCEEDED.get(refused) or str(answer.head["message"]))
        return answer

    def kill(self) -> None:
        """End it at once, and whoever waits for its answer."""
        with suppress(ProcessLookupError):
            self._process.kill()

    def close(self) -> None:
        """Kill it, and wait for it to be gone. Not for a thread other than the one that reads."""
        self.kill()
        self._process.wait()
        for pipe in (self._process.stdin, self._process.stdout):
            assert pipe, "it is a pipe"
            pipe.close()
        if self._lifeline >= 0:
            os.close(self._lifeline)
            self._lifeline = -1

    def _end(self, reason: Reason | None) -> UploadRefused:
        """Kill it. Without a `reason`, its own end tells."""
        if reason is None:
            with suppress(subprocess.TimeoutExpired):  # its pipe is closed, so it ends
                self._process.wait(1.0)
            reason = "cpu" if self._process.returncode == -signal.SIGXCPU else "broken"
        self.kill()
        return UploadRefused(reason, EXCEEDED[reason])

    def _send(self, message: bytes, deadline: float) -> None:
        rest = memoryview(message)
        while rest:
            self._wait(self._stdin, select.POLLOUT, deadline)
            with suppress(BlockingIOError):
                rest = rest[os.write(self._stdin, rest[:CHUNK]) :]

    def _receive(self, most: int, deadline: float) -> Message:
        lengths = parse_prelude(self._receive_exactly(PRELUDE.size, deadline), most)
        head, payload = (self._receive_exactly(length, deadline) for length in lengths)
        return parse_message(head, payload)

    def _receive_exactly(self, size: int, deadline: float) -> bytes:
        received = bytearray()
        while len(received) < size:
            self._wait(self._stdout, select.POLLIN, deadline)
            with suppress(BlockingIOError):
                part = os.read(self._stdout, min(CHUNK, size - len(received)))
                if not part:
                    raise EOFError("the worker has ended")
                received += part
        return bytes(received)

    def _wait(self, pipe: int, event: int, deadline: float) -> None:
        """Raises `TimeoutError`."""
        poll = select.poll()
        poll.register(pipe, event)
        if not poll.poll(max(0.0, deadline - monotonic()) * 1_000):
            raise TimeoutError
