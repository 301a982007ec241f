"""Scripted answers a second at 32 connections, beside a bare Starlette application on Hypercorn.

usage: python bench/rate.py [--seconds S] [--rounds N]
Both servers run at once, each in a process of its own, and are asked in short turns, for the speed
of a shared machine changes from second to second. Fails with status 1 if the scripted service comes
below 0.9 of the bare application's rate for whole answers, or is slower with streams.
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

CONNECTIONS = 32
LEAST = {"invoke": 0.9, "invoke-with-response-stream": 1.0}  # share of the bare rate
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
        wait_until_ready(scripted)
        body = asyncio.run(ask(scripted, "invoke"))
        stream = asyncio.run(ask(scripted, "invoke-with-response-stream"))
        program = BARE.format(body=body, frames=list(split(stream)))
        with running([sys.executable, "-c", program]) as bare:
            is_slow = [
                compare(operation, scripted, bare, given.seconds, given.rounds) < least
                for operation, least in LEAST.items()
            ]
    sys.exit(any(is_slow))


def wait_until_ready(port: int) -> None:
    """The scripted engines read their tokenizers once the service listens."""
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


def compare(operation: str, scripted: int, bare: int, seconds: float, rounds: int) -> float:
    """The share of the bare application's rate, in the median of some rounds."""
    pairs = [
        [asyncio.run(rate(port, operation, seconds)) for port in (scripted, bare)]
        for _ in range(rounds)
    ]
    share = median(ours / theirs for ours, theirs in pairs)
    mine, other = (median(column) for column in zip(*pairs, strict=True))
    print(f"{operation:<28} scripted {mine:5.0f}/s, bare {other:5.0f}/s, share {share:.2f}")
    return share


async def rate(port: int, operation: str, seconds: float) -> float:
    deadline = time.perf_counter() + seconds
    began = time.perf_counter()
    counts = await asyncio.gather(*(hammer(port, operation, deadline) for _ in range(CONNECTIONS)))
    return sum(counts) / (time.perf_counter() - began)


async def hammer(port: int, operation: str, deadline: float) -> int:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    count = 0
    while time.perf_counter() < deadline:
        writer.write(request(operation))
        await read(reader)
        count += 1
    writer.close()
    await writer.wait_closed()
    return count


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
    """The body of one response, which must be a good one."""
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
def running(command: list[str]) -> Iterator[int]:
    """The port that this command says it listens on."""
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    try:
        assert process.stdout
        found = re.search(r"http://127.0.0.1:(\d+)", process.stdout.readline())
        assert found, "the server did not say where it listens"
        yield int(found[1])
    finally:
        process.terminate()
        process.communicate()


if __name__ == "__main__":
    main()
