"""Control of a worker process by the service: start, read one upload at a time, kill."""

import os
import select
import signal
import subprocess
import sys
from contextlib import suppress
from time import monotonic
from typing import get_args

from engine.uploads.limits import UploadLimits
from engine.uploads.messages import (
    PRELUDE,
    BadMessage,
    Message,
    encode_message,
    parse_message,
    parse_prelude,
)
from engine.uploads.refusals import Reason, UploadRefused

# `-I` ignores the folder and the environment; the worker gets the module path of the service.
PROGRAM = "import sys; sys.path[:] = {path!r}; from engine.uploads.worker import main; main({fd})"
CHUNK_BYTES = 1 << 20  # read or written at once
CLIENT_MESSAGES: dict[Reason, str] = {
    "cpu": "it takes too long to read",
    "time": "it takes too long to read",
    "memory": "it takes too much memory to read",
    "output": "there is too much in it",
    "broken": "it is damaged",
    "cancelled": "the call has ended",
}
REASONS: tuple[Reason, ...] = get_args(Reason)


class UploadWorker:
    """One worker process. `read` blocks; another thread may call `kill` meanwhile."""

    def __init__(self) -> None:
        """Start the process, which takes some milliseconds; it imports libraries on demand."""
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
        self._lifeline = lifeline  # the kernel closes it when this process ends
        assert self._process.stdin, "it is a pipe"
        assert self._process.stdout, "it is a pipe"
        self._stdin, self._stdout = self._process.stdin.fileno(), self._process.stdout.fileno()
        os.set_blocking(self._stdin, False)
        os.set_blocking(self._stdout, False)
        self.resident = 0  # bytes, as of the last answer
        self.is_fit = False  # to read another upload

    @property
    def pid(self) -> int:
        return self._process.pid

    def is_alive(self) -> bool:
        return self._process.poll() is None

    def read(
        self,
        kind: str,
        raw: bytes,
        limits: UploadLimits,
        seconds: float,
        options: dict[str, object],
    ) -> Message:
        """Have the worker read an upload. Raises `UploadRefused`, and kills a worker that fails."""
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
            refused = _refusal_of(answer)
            self.resident = _resident_of(answer)
        except TimeoutError:
            raise self._end("time") from None
        except BadMessage:
            raise self._end("output") from None
        except (EOFError, BrokenPipeError):
            raise self._end(None) from None
        self.is_fit = refused is None or refused.reason != "memory"
        if refused:
            raise refused
        return answer

    def kill(self) -> None:
        """Kill the process; a `read` that waits for it ends."""
        with suppress(ProcessLookupError):
            self._process.kill()

    def close(self) -> None:
        """Kill the process and wait for its end. Only for the thread that calls `read`."""
        self.kill()
        self._process.wait()
        for pipe in (self._process.stdin, self._process.stdout):
            assert pipe, "it is a pipe"
            pipe.close()
        if self._lifeline >= 0:
            os.close(self._lifeline)
            self._lifeline = -1

    def _end(self, reason: Reason | None) -> UploadRefused:
        """Kill the process. Without a `reason`, its exit status tells the reason."""
        if reason is None:
            with suppress(subprocess.TimeoutExpired):  # it closed its pipe, so it is about to end
                self._process.wait(1.0)
            reason = "cpu" if self._process.returncode == -signal.SIGXCPU else "broken"
        self.kill()
        return UploadRefused(reason, CLIENT_MESSAGES[reason])

    def _send(self, message: bytes, deadline: float) -> None:
        rest = memoryview(message)
        while rest:
            self._wait(self._stdin, select.POLLOUT, deadline)
            with suppress(BlockingIOError):
                rest = rest[os.write(self._stdin, rest[:CHUNK_BYTES]) :]

    def _receive(self, most: int, deadline: float) -> Message:
        lengths = parse_prelude(self._receive_exactly(PRELUDE.size, deadline), most)
        head, payload = (self._receive_exactly(length, deadline) for length in lengths)
        return parse_message(head, payload)

    def _receive_exactly(self, size: int, deadline: float) -> bytes:
        received = bytearray()
        while len(received) < size:
            self._wait(self._stdout, select.POLLIN, deadline)
            with suppress(BlockingIOError):
                part = os.read(self._stdout, min(CHUNK_BYTES, size - len(received)))
                if not part:
                    raise EOFError("the worker has ended")
                received += part
        return bytes(received)

    def _wait(self, pipe: int, event: int, deadline: float) -> None:
        """Wait until the pipe is ready. Raises `TimeoutError`."""
        poll = select.poll()
        poll.register(pipe, event)
        if not poll.poll(max(0.0, deadline - monotonic()) * 1_000):
            raise TimeoutError


def _refusal_of(answer: Message) -> UploadRefused | None:
    """Return the worker's refusal, if any. Raises `BadMessage`."""
    refused = answer.head.get("refused")
    if refused is None:
        return None
    if refused not in REASONS:
        raise BadMessage("a worker refuses for an unknown reason")
    return UploadRefused(refused, CLIENT_MESSAGES.get(refused) or str(answer.head.get("message")))


def _resident_of(answer: Message) -> int:
    """Return the worker's memory in bytes. Raises `BadMessage`."""
    resident = answer.head.get("resident")
    if not isinstance(resident, int):
        raise BadMessage("a worker does not report its memory")
    return resident
