"""One OpenAI-compatible server over HTTP: whether it is there, and completions as they come."""

import asyncio
import ssl
from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing, suppress
from dataclasses import dataclass, field
from http import HTTPStatus
from time import monotonic

import httpx

from engine.errors import EngineDead, EngineTimeout, SchemaRefused
from engine.protocol import GenerationRequest, Limits
from engine.remote.completions import (
    Lines,
    NoAnswer,
    Step,
    Unfit,
    find_window,
    parse_event,
    to_error,
)

# Seconds before each further attempt of a call that nobody has answered yet.
PAUSES = (0.05, 0.2, 0.8)
LOOK_SECONDS = 10.0  # for one look: a server under load may be slow to say that it is well
# Below the 5 seconds of uvicorn, and so of vLLM, lest it closes what is just being written to.
KEEP_ALIVE = 4.0
# Seconds for what follows the last token, [DONE]: it comes at once, and frees the connection.
REST = 0.1
# Bytes. A look reads no more, and takes longer answers for none; of an error, the rest is left.
LONGEST_LOOK = 4_194_304
LONGEST_ERROR = 65_536
HEADERS = {"Content-Type": "application/json", "Accept-Encoding": "identity"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Server:
    """Where a model is served: `url` without `/v1`, `model` by the name it has there.

    `token_ids` tells whether it takes and gives token ids, as vLLM does. Times are in seconds:
    for a connection, and for a server to be there at the start.
    """

    url: str
    model: str
    token_ids: bool = True
    api_key: str | None = field(default=None, repr=False)
    connect_seconds: float = 5.0
    start_seconds: float = 600.0


class Connections:
    """A pool of connections to a server, of as many as there may be calls.

    Making one reads the system's certificates, some 20 ms where they are needed.
    """

    def __init__(self, server: Server, limits: Limits) -> None:
        self._server = server
        self._patience = limits.first_token_seconds
        headers = {**HEADERS}
        if server.api_key:
            headers["Authorization"] = f"Bearer {server.api_key}"
        most = limits.calls + 1  # so that the server can be looked at, whatever is going on
        self._client = httpx.AsyncClient(
            base_url=server.url,
            headers=headers,
            timeout=httpx.Timeout(self._patience, connect=server.connect_seconds, pool=None),
            limits=httpx.Limits(
                max_connections=most, max_keepalive_connections=most, keepalive_expiry=KEEP_ALIVE
            ),
            # The system's authorities, and no proxy that happens to stand in the environment.
            verify=ssl.create_default_context() if server.url.startswith("https:") else False,
            trust_env=False,
        )

    async def close(self) -> None:
        await self._client.aclose()

    async def look(self) -> int | None:
        """How many tokens the model takes, if the server tells.

        Raises `NoAnswer` while it can't be used, and `Unfit` if waiting won't help.
        """
        try:
            async with asyncio.timeout(LOOK_SECONDS):  # httpx has one for each read only
                health, _ = await self._get("health")
                status, models = await self._get("v1/models")
        except httpx.HTTPError as error:
            raise _no_answer(error) from error
        except TimeoutError as error:
            slow = EngineTimeout(f"it has not said in {LOOK_SECONDS:g} s how it is")
            raise NoAnswer(slow) from error
        if health >= HTTPStatus.INTERNAL_SERVER_ERROR:  # Ollama has none at all
            raise NoAnswer(EngineDead(f"its /health answers {health}"), is_lost=True)
        if status in (HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN):
            raise Unfit(
                "it wants another API key" if self._server.api_key else "it wants an API key"
            )
        if status != HTTPStatus.OK:
            raise NoAnswer(EngineDead(f"its /v1/models answers {status}"), is_lost=True)
        if len(models) > LONGEST_LOOK:
            raise Unfit(f"its /v1/models answers more than {LONGEST_LOOK} bytes")
        return find_window(models, self._server.model)

    async def _get(self, path: str) -> tuple[int, bytes]:
        """Status and body; of a body over `LONGEST_LOOK` its beginning."""
        async with self._client.stream("GET", path, timeout=LOOK_SECONDS) as response:
            return response.status_code, await _read_some(response, LONGEST_LOOK)

    async def complete(
        self, bodies: Sequence[bytes], request: GenerationRequest
    ) -> AsyncGenerator[list[Step], None]:
        """What comes together, the last with a finish. Asks again only before the first has come.

        If the server does not take what holds the answer in a body, the next body is tried.

        Raises `NoAnswer` in the end, and `EngineError`s.
        """
        body, *others = bodies
        pauses = iter(PAUSES)
        has_begun = False
        while True:
            try:
                async with aclosing(self._ask(body, request)) as answer:
                    async for steps in answer:
                        has_begun = True
                        yield steps
            except NoAnswer:
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
            async with self._client.stream("POST", "v1/completions", content=body) as response:
                if response.status_code != HTTPStatus.OK:
                    async with asyncio.timeout(self._patience):
                        said = await _read_some(response, LONGEST_ERROR)
                    raise to_error(response.status_code, said, request)
                async with aclosing(_read(response, request, self._patience)) as answer:
                    async for steps in answer:
                        yield steps
        except (httpx.ReadTimeout, TimeoutError) as error:
            raise EngineTimeout("no token came in time") from error
        except httpx.TransportError as error:
            raise _no_answer(error) from error


async def _read_some(response: httpx.Response, most: int) -> bytes:
    """The body, as it stands on the wire, or its beginning of at least `most` bytes."""
    body = bytearray()
    async for chunk in response.aiter_raw():
        body += chunk
        if len(body) > most:
            break
    return bytes(body)


async def _read(
    response: httpx.Response, request: GenerationRequest, patience: float
) -> AsyncGenerator[list[Step], None]:
    """`patience` is in seconds, for what says nothing: httpx has it for silence only."""
    lines, chunks, is_whole = Lines(), response.aiter_raw(), False
    heard = monotonic()
    try:
        async for chunk in chunks:
            events = [parse_event(data, request) for data in lines.push(chunk)]
            steps = [step for step in events if any(step)]
            is_whole = any(step.finish for step in steps)
            if steps:
                yield steps
                heard = monotonic()
            elif monotonic() - heard > patience:
                raise EngineTimeout("no token came in time")
            if is_whole:
                return
        raise EngineDead("it ended the stream without a finish_reason")
    finally:
        if is_whole:  # else the connection is closed, and the completion so ended where it is
            with suppress(TimeoutError, httpx.HTTPError):
                async with asyncio.timeout(REST):
                    async for _ in chunks:
                        pass


def _no_answer(error: Exception) -> NoAnswer:
    is_lost = isinstance(error, httpx.ConnectError | httpx.ConnectTimeout)
    return NoAnswer(EngineDead(_explain(error)), is_lost=is_lost)


def _explain(error: BaseException) -> str:
    """What the system said, where it did: httpx itself says that all attempts failed."""
    said, cause = error, error.__cause__
    while cause:
        if isinstance(cause, OSError) and cause.errno:
            said = cause
        if isinstance(cause, BaseExceptionGroup):  # one for each address of a name
            cause = cause.exceptions[0]
        else:
            cause = cause.__cause__ or cause.__context__  # httpcore's pool drops its causes
    return f"{type(said).__name__}: {said}".removesuffix(": ")
