"""Requests on new connections, with parsers for each kind of answer."""

import asyncio
import json
import re
from base64 import b64decode
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from time import perf_counter

from bench.streams.batch import Batch, Sample

HEAD_END = b"\r\n\r\n"
END = b"0\r\n\r\n"  # of a chunked body
Counts = tuple[int, int]  # tokens of the prompt and of the answer


@dataclass(frozen=True, slots=True)
class Kind:
    """A kind of request with `path` and `body`. In a stream, `mark` is in all data with tokens.

    `count` finds the token counts in a whole answer, and raises `ValueError` if it has none.
    """

    path: str
    body: Callable[[str, int], dict[str, object]]
    mark: bytes | None
    count: Callable[[bytes], Counts]


def of_metrics(answer: bytes) -> Counts:
    """Return the counts from the metrics in the last chunk of a Bedrock stream."""
    last = json.loads(b64decode(_find(rb'"bytes":"([^"]*)"', answer)))
    metrics = last.get("amazon-bedrock-invocationMetrics")
    if metrics is None:
        raise ValueError("the stream has no end")
    return metrics["inputTokenCount"], metrics["outputTokenCount"]


def of_headers(answer: bytes) -> Counts:
    """Return the counts from InvokeModel's headers."""
    head = answer.partition(HEAD_END)[0].lower()
    read = _find(rb"x-amzn-bedrock-input-token-count: (\d+)", head)
    return int(read), int(_find(rb"x-amzn-bedrock-output-token-count: (\d+)", head))


def of_usage(answer: bytes) -> Counts:
    """Return the counts from the usage of OpenAI's API."""
    read = _find(rb'"prompt_tokens":\s*(\d+)', answer)
    return int(read), int(_find(rb'"completion_tokens":\s*(\d+)', answer))


def _find(pattern: bytes, answer: bytes) -> bytes:
    """Return the last match. Raises `ValueError`."""
    found: list[bytes] = re.findall(pattern, answer)
    if not found:
        raise ValueError("the answer does not count its tokens")
    return found[-1]


def invoke_body(prompt: str, tokens: int) -> dict[str, object]:
    return {"prompt": prompt, "max_tokens": tokens, "temperature": 0}


def completions_body(prompt: str, tokens: int, *, stream: bool) -> dict[str, object]:
    asked = {"model": "bench", **invoke_body(prompt, tokens), "ignore_eos": True}
    return {**asked, "stream": True, "stream_options": {"include_usage": True}} if stream else asked


def invoke_kinds(model_id: str) -> dict[str, Kind]:
    """Return Bedrock's two operations by name."""
    path = f"/model/{model_id.replace(':', '%3A')}/invoke"
    stream = Kind(f"{path}-with-response-stream", invoke_body, b":event-type", of_metrics)
    return {
        "InvokeModelWithResponseStream": stream,
        "InvokeModel": Kind(path, invoke_body, None, of_headers),
    }


COMPLETIONS = {  # by streaming; the chunk with the usage has no text
    stream: Kind("/v1/completions", partial(completions_body, stream=stream), mark, of_usage)
    for stream, mark in ((True, b'"text":'), (False, None))
}


async def ask(port: int, kind: Kind, batch: Batch, prompt: str) -> Sample:
    """Make one request, from its connection to its last byte. The sample has any failure."""
    body = json.dumps(kind.body(prompt, batch.tokens)).encode()
    head = (
        f"POST {kind.path} HTTP/1.1\r\nHost: bench\r\nContent-Type: application/json\r\n"
        f"Content-Length: {len(body)}\r\n\r\n"
    )
    loop = asyncio.get_running_loop()
    began = perf_counter()
    answer = Answer(head.encode() + body, kind.mark, loop.create_future())
    failure = None
    try:
        async with asyncio.timeout(batch.timeout):
            await loop.create_connection(lambda: answer, "127.0.0.1", port)
            await answer.whole
    except TimeoutError:
        failure = "timed out"
    except OSError:
        failure = "connection lost"
    took = perf_counter() - began
    answer.close()
    arrivals = [arrival - began for arrival in answer.arrivals]
    read, written, wrong = judge(b"".join(answer.parts), kind, batch.tokens)
    return Sample(arrivals, took, read, written, failure or wrong)


def judge(answer: bytes, kind: Kind, tokens: int) -> tuple[int, int, str | None]:
    """Return the tokens of prompt and answer, and why the answer is invalid, if it is."""
    status = answer[9:12].decode("latin-1")  # after "HTTP/1.1 "
    if status != "200":
        return 0, 0, f"status {status}"
    try:
        read, written = kind.count(answer)
    except ValueError:
        return 0, 0, "broken off"
    return read, written, None if written == tokens else "of another length"


class Answer(asyncio.Protocol):
    """A protocol that sends a request and keeps the answer, with the times of its tokens.

    asyncio's streams need a task switch for each write of a server; at 128 users the load must
    leave the CPU to the servers.
    """

    def __init__(self, request: bytes, mark: bytes | None, whole: asyncio.Future[None]) -> None:
        self.whole = whole
        self.parts: list[bytes] = []
        self.arrivals: list[float] = []
        self._request = request
        self._mark = mark
        self._transport: asyncio.Transport | None = None
        self._wanted: int | None = None  # bytes of head and body, if known from the head
        self._got = 0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        transport.write(self._request)

    def data_received(self, data: bytes) -> None:
        if self._mark is not None and self._mark in data:
            self.arrivals.append(perf_counter())
        if not self._got:
            self._wanted = length(data)
        self.parts.append(data)
        self._got += len(data)
        if self._is_whole(data) and not self.whole.done():
            self.whole.set_result(None)

    def connection_lost(self, _: Exception | None) -> None:
        if not self.whole.done():
            self.whole.set_exception(ConnectionError("the connection was lost"))

    def close(self) -> None:
        if self._transport:
            self._transport.abort()
        if not self.whole.cancelled() and not self.whole.cancel():
            self.whole.exception()  # is known by now

    def _is_whole(self, data: bytes) -> bool:
        if self._wanted is not None:
            return self._got >= self._wanted
        end = data if len(data) >= len(END) else b"".join(self.parts[-len(END) :])
        return end.endswith(END)


def length(first: bytes) -> int | None:
    """Return the bytes of head and body, of a complete head; None for a chunked body."""
    head = first.partition(HEAD_END)[0]
    found = re.search(rb"(?i)\r\ncontent-length: *(\d+)", head)
    return len(head) + len(HEAD_END) + int(found[1]) if found else None
