"""HTTP client of one OpenAI-compatible server: probes and streamed completions."""

import asyncio
import ssl
from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing, suppress
from dataclasses import dataclass, field
from http import HTTPStatus
from time import monotonic
from zlib import crc32

import httpx

from engine.errors import EngineDead, EngineTimeout, SchemaRefused
from engine.protocol import EngineLimits, GenerationRequest
from engine.remote.completions import (
    EventLines,
    ServerUnavailable,
    ServerUnusable,
    Step,
    find_window,
    parse_event,
    to_error,
)

# Seconds before each retry of a call that no server has begun to answer.
RETRY_DELAYS = (0.05, 0.2, 0.8)
PROBE_TIMEOUT_SECONDS = 10.0  # a server under load may answer /health slowly
# Below the 5 seconds of uvicorn, and so of vLLM, which could close a connection while we write.
KEEP_ALIVE_SECONDS = 4.0
# For the [DONE] after the last token, which makes the connection reusable.
DRAIN_SECONDS = 0.1
# Longer answers to a probe are refused. The rest of a longer error is not read.
MAX_PROBE_BYTES = 4_194_304
MAX_ERROR_BYTES = 65_536
REQUEST_HEADERS = {"Content-Type": "application/json", "Accept-Encoding": "identity"}
# A balancer can send calls with the same value to the same server, which has the beginning of the
# prompt in its prefix cache. The first bytes of a body are the model's name and some 200 tokens.
PREFIX_HEADER = "X-Prompt-Prefix"
PREFIX_BYTES = 1_024
REQUEST_ID_HEADER = "X-Request-Id"  # vLLM takes it into its own ids, and so into its log


@dataclass(frozen=True, slots=True, kw_only=True)
class RemoteServer:
    """The address of a model: `url` without `/v1`, and `model` by its name on that server.

    `token_ids` tells whether the server takes and returns token ids, as vLLM does. Opening a
    connection may take `connect_seconds`. At the start, the server may take `start_seconds` to
    become available.
    """

    url: str
    model: str
    token_ids: bool = True
    api_key: str | None = field(default=None, repr=False)
    connect_seconds: float = 5.0
    start_seconds: float = 600.0


class ConnectionPool:
    """A pool of connections to a server, one for each possible call and one for probes.

    For an `https:` URL its creation reads the system's certificates, which takes some 20 ms.
    """

    def __init__(self, server: RemoteServer, limits: EngineLimits) -> None:
        self._server = server
        self._token_seconds = limits.first_token_seconds
        headers = {**REQUEST_HEADERS}
        if server.api_key:
            headers["Authorization"] = f"Bearer {server.api_key}"
        most = limits.calls + 1  # one for probes
        self._client = httpx.AsyncClient(
            base_url=server.url,
            headers=headers,
            timeout=httpx.Timeout(self._token_seconds, connect=server.connect_seconds, pool=None),
            limits=httpx.Limits(
                max_connections=most,
                max_keepalive_connections=most,
                keepalive_expiry=KEEP_ALIVE_SECONDS,
            ),
            # The system's certificate authorities, and no proxy from the environment.
            verify=ssl.create_default_context() if server.url.startswith("https:") else False,
            trust_env=False,
        )

    async def close(self) -> None:
        await self._client.aclose()

    async def probe(self) -> int | None:
        """Return the model's context length, or None if the server does not tell it.

        Raises `ServerUnavailable` if a later probe may succeed, and `ServerUnusable` otherwise.
        """
        try:
            # httpx has a timeout for each read only.
            async with asyncio.timeout(PROBE_TIMEOUT_SECONDS):
                health, _ = await self._get("health")
                status, models = await self._get("v1/models")
        except httpx.HTTPError as error:
            raise _unavailable(error) from error
        except TimeoutError as error:
            slow = EngineTimeout(f"it has not answered a probe within {PROBE_TIMEOUT_SECONDS:g} s")
            raise ServerUnavailable(slow) from error
        if health >= HTTPStatus.INTERNAL_SERVER_ERROR:  # Ollama answers 404: it has no /health
            raise ServerUnavailable(EngineDead(f"its /health answers {health}"), is_lost=True)
        if status in (HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN):
            raise ServerUnusable(
                "it refuses the API key" if self._server.api_key else "it requires an API key"
            )
        if status != HTTPStatus.OK:
            raise ServerUnavailable(EngineDead(f"its /v1/models answers {status}"), is_lost=True)
        if len(models) > MAX_PROBE_BYTES:
            raise ServerUnusable(f"its /v1/models answers more than {MAX_PROBE_BYTES} bytes")
        return find_window(models, self._server.model)

    async def _get(self, path: str) -> tuple[int, bytes]:
        """Return status and body, which is cut off after `MAX_PROBE_BYTES` or a little more."""
        async with self._client.stream("GET", path, timeout=PROBE_TIMEOUT_SECONDS) as response:
            return response.status_code, await _read_some(response, MAX_PROBE_BYTES)

    async def complete(
        self, bodies: Sequence[bytes], request: GenerationRequest
    ) -> AsyncGenerator[list[Step], None]:
        """Yield the steps that arrive together; the last one has a finish.

        Retries until the first steps have arrived. If the server refuses the structured outputs of
        a body, the next body is tried. Raises `ServerUnavailable` and `EngineError`s.
        """
        body, *others = bodies
        pauses = iter(RETRY_DELAYS)
        has_begun = False
        while True:
            try:
                async with aclosing(self._ask(body, request)) as answer:
                    async for steps in answer:
                        has_begun = True
                        yield steps
            except ServerUnavailable:
                pause = None if has_begun else next(pauses, None)
                if pause is None:
                    raise
                await asyncio.sleep(pause)
            except SchemaRefused:
                if has_begun or not others:
                    raise
                body = others.pop(0)
            else:
                return

    async def _ask(
        self, body: bytes, request: GenerationRequest
    ) -> AsyncGenerator[list[Step], None]:
        try:
            headers = {
                PREFIX_HEADER: f"{crc32(body[:PREFIX_BYTES]):08x}",
                REQUEST_ID_HEADER: request.request_id,
                **(request.trace_headers or {}),
            }
            async with self._client.stream(
                "POST", "v1/completions", content=body, headers=headers
            ) as response:
                if response.status_code != HTTPStatus.OK:
                    async with asyncio.timeout(self._token_seconds):
                        said = await _read_some(response, MAX_ERROR_BYTES)
                    raise to_error(response.status_code, said, request)
                async with aclosing(_read(response, request, self._token_seconds)) as answer:
                    async for steps in answer:
                        yield steps
        except (httpx.ReadTimeout, TimeoutError) as error:
            raise EngineTimeout("no token came in time") from error
        except httpx.TransportError as error:
            raise _unavailable(error) from error


async def _read_some(response: httpx.Response, most: int) -> bytes:
    """Return the raw body, or a beginning of it that has more than `most` bytes."""
    body = bytearray()
    async for chunk in response.aiter_raw():
        body += chunk
        if len(body) > most:
            break
    return bytes(body)


async def _read(
    response: httpx.Response, request: GenerationRequest, token_seconds: float
) -> AsyncGenerator[list[Step], None]:
    """Yield the steps of a response.

    Raises `EngineTimeout` after `token_seconds` seconds without a step, even if other data arrives:
    httpx bounds the time without any data only. Raises `EngineDead` for an incomplete stream.
    """
    lines, chunks, is_whole = EventLines(), response.aiter_raw(), False
    last_step_at = monotonic()
    try:
        async for chunk in chunks:
            events = [parse_event(data, request) for data in lines.push(chunk)]
            steps = [step for step in events if any(step)]
            is_whole = any(step.finish for step in steps)
            if steps:
                yield steps
                last_step_at = monotonic()
            elif monotonic() - last_step_at > token_seconds:
                raise EngineTimeout("no token came in time")
            if is_whole:
                return
        raise EngineDead("it ended the stream without a finish_reason")
    finally:
        if is_whole:  # else the connection is closed, which aborts the completion
            with suppress(TimeoutError, httpx.HTTPError):
                async with asyncio.timeout(DRAIN_SECONDS):
                    async for _ in chunks:
                        pass


def _unavailable(error: Exception) -> ServerUnavailable:
    is_lost = isinstance(error, httpx.ConnectError | httpx.ConnectTimeout)
    return ServerUnavailable(EngineDead(_explain(error)), is_lost=is_lost)


def _explain(error: BaseException) -> str:
    """Return the system's error, if any: httpx itself says only that all attempts failed."""
    said, cause = error, error.__cause__
    while cause:
        if isinstance(cause, OSError) and cause.errno:
            said = cause
        if isinstance(cause, BaseExceptionGroup):  # one for each address of a name
            cause = cause.exceptions[0]
        else:
            cause = cause.__cause__ or cause.__context__  # httpcore's pool drops its causes
    return f"{type(said).__name__}: {said}".removesuffix(": ")
