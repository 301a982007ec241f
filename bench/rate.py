"""Compare scripted answers a second at 32 connections with a bare Starlette application.

usage: python -m bench.rate [--seconds S] [--rounds N]
The bare application runs on Hypercorn. Both servers run at once, each in its own process, and are
called in short turns, because the speed of a shared machine varies. The clients parse only the end
of an answer, so that the servers are the bottleneck. The servers' CPU time for an answer is printed
as well. Exits with status 1 if the scripted service is slower than the bare application.
"""

import argparse
import asyncio
import json
import re
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.client import HTTPConnection
from pathlib import Path
from statistics import median
from typing import NamedTuple

import psutil

CONNECTIONS = 32
MIN_SHARE = {"invoke": 1.0, "invoke-with-response-stream": 1.0}  # of the bare application's rate
ENDS = {"invoke": b"]}", "invoke-with-response-stream": b"\r\n0\r\n\r\n"}
BARE = """
import asyncio
from hypercorn.asyncio import serve
from hypercorn.config import Config
from starlette.applications import Starlette
from starlette.responses import Response, StreamingResponse
from starlette.routing import Route

BODY = {body!r}
FRAMES = {frames!r}

async def whole(request):
    await request.body()
    return Response(BODY, media_type="application/json")

async def stream(request):
    await request.body()
    async def frames():
        for frame in FRAMES:
            yield frame
    return StreamingResponse(frames(), media_type="application/vnd.amazon.eventstream")

app = Starlette(routes=[
    Route("/model/{{model_id:path}}/invoke", whole, methods=["POST"]),
    Route("/model/{{model_id:path}}/invoke-with-response-stream", stream, methods=["POST"]),
])
config = Config()
config.bind = ["127.0.0.1:0"]
config.keep_alive_max_requests = 10**9
config.accesslog = None
sockets = config.create_sockets()
print("listens on http://127.0.0.1:%d" % sockets.insecure_sockets[0].getsockname()[1], flush=True)
config.bind = ["fd://%d" % sockets.insecure_sockets[0].fileno()]
asyncio.run(serve(app, config))
"""
PATH = "/model/mistral.mistral-7b-instruct-v0%3A2/"
ASKED = json.dumps({"prompt": "Say this is a test", "max_tokens": 20}).encode()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seconds", type=float, default=0.5)
    parser.add_argument("--rounds", type=int, default=24)
    given = parser.parse_args()
    ours = [str(Path(sys.executable).parent / "invoke-api"), "serve", "--engine", "scripted"]
    with running([*ours, "--port", "0"]) as scripted:
        wait_until_ready(scripted.port)
        body = asyncio.run(ask(scripted.port, "invoke"))
        stream = asyncio.run(ask(scripted.port, "invoke-with-response-stream"))
        program = BARE.format(body=body, frames=list(split(stream)))
        with running([sys.executable, "-c", program]) as bare:
            is_slow = [
                compare(operation, scripted, bare, given.seconds, given.rounds) < least
                for operation, least in MIN_SHARE.items()
            ]
    sys.exit(any(is_slow))


def wait_until_ready(port: int) -> None:
    """Wait for the scripted engines, which load tokenizers after the service listens."""
    deadline = time.monotonic() + 30
    while True:
        connection = HTTPConnection("127.0.0.1", port, timeout=30)
        connection.request("GET", "/_emulator/ready")
        is_ready = connection.getresponse().status == 200
        connection.close()
        if is_ready:
            return
        assert time.monotonic() < deadline, "the service does not get ready"
        time.sleep(0.01)


class Server(NamedTuple):
    port: int
    process: psutil.Process


def compare(operation: str, scripted: Server, bare: Server, seconds: float, rounds: int) -> float:
    """Return the median share of the bare application's rate."""
    pairs = [
        [measure(server, operation, seconds) for server in (scripted, bare)] for _ in range(rounds)
    ]
    share = median(ours[0] / theirs[0] for ours, theirs in pairs)
    cost = median(ours[1] / theirs[1] for ours, theirs in pairs)
    mine, other = (
        (median(one[0] for one in column), median(one[1] for one in column))
        for column in zip(*pairs, strict=True)
    )
    print(
        f"{operation:<28} scripted {mine[0]:5.0f}/s, bare {other[0]:5.0f}/s, share {share:.2f};"
        f" CPU {mine[1]:.0f} µs an answer, bare {other[1]:.0f} µs, share {cost:.2f}"
    )
    return share


def measure(server: Server, operation: str, seconds: float) -> tuple[float, float]:
    """Return the answers a second, and the microseconds of the server's CPU time for one."""
    before = sum(server.process.cpu_times()[:2])
    began = time.perf_counter()
    count = asyncio.run(hammer(server.port, operation, seconds))
    took = time.perf_counter() - began
    used = sum(server.process.cpu_times()[:2]) - before
    assert count, f"no answer to {operation} in {seconds} s: the machine is too busy to measure"
    return count / took, 1e6 * used / count


async def hammer(port: int, operation: str, seconds: float) -> int:
    """Return the number of answers on all connections in so many seconds."""
    loop = asyncio.get_running_loop()
    connections = [
        (await loop.create_connection(lambda: Client(operation), "127.0.0.1", port))[1]
        for _ in range(CONNECTIONS)
    ]
    await asyncio.sleep(seconds)
    for connection in connections:
        connection.transport.abort()
    return sum(connection.count for connection in connections)


class Client(asyncio.Protocol):
    """A client that calls again after each answer, which must be valid."""

    transport: asyncio.Transport

    def __init__(self, operation: str) -> None:
        self._request = request(operation)
        self._end = ENDS[operation]
        self._tail = self._end  # of the received bytes
        self.count = 0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self.transport = transport
        transport.write(self._request)

    def data_received(self, data: bytes) -> None:
        assert self._tail != self._end or data.startswith(b"HTTP/1.1 200"), data
        self._tail = (self._tail + data)[-len(self._end) :]
        if self._tail == self._end:
            self.count += 1
            self.transport.write(self._request)


async def ask(port: int, operation: str) -> bytes:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(request(operation))
    body = await read(reader)
    writer.close()
    await writer.wait_closed()
    return body


def request(operation: str) -> bytes:
    head = f"POST {PATH}{operation} HTTP/1.1\r\nHost: x\r\nContent-Length: {len(ASKED)}\r\n\r\n"
    return head.encode() + ASKED


async def read(reader: asyncio.StreamReader) -> bytes:
    """Return the body of one response, which must be valid."""
    head = (await reader.readuntil(b"\r\n\r\n")).lower()
    assert head.startswith(b"http/1.1 200"), head
    if found := re.search(rb"content-length: (\d+)", head):
        return await reader.readexactly(int(found[1]))
    parts = []
    while size := int(await reader.readuntil(b"\r\n"), 16):
        parts.append((await reader.readexactly(size + 2))[:-2])
    await reader.readexactly(2)
    return b"".join(parts)


def split(stream: bytes) -> Iterator[bytes]:
    while stream:
        size = int.from_bytes(stream[:4])
        yield stream[:size]
        stream = stream[size:]


@contextmanager
def running(command: list[str]) -> Iterator[Server]:
    """Run a server that prints its address."""
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    try:
        assert process.stdout
        found = re.search(r"http://127.0.0.1:(\d+)", process.stdout.readline())
        assert found, "the server did not say where it listens"
        yield Server(int(found[1]), psutil.Process(process.pid))
    finally:
        process.terminate()
        process.communicate()


if __name__ == "__main__":
    main()
