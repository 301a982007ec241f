"""The service under several ASGI servers, with a common client."""

import asyncio
import base64
import re
import sys
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from http.client import HTTPException
from importlib import import_module
from pathlib import Path
from typing import Any, NamedTuple

import httpx
import pytest
from starlette.applications import Starlette

from tests.support.http2 import Session
from tests.support.servers import COMMAND, GUARDRAILS, command_running, connect, wait_until_ready
from tests.support.streams import split_frames
from tests.support.waiting import until

BIN = Path(sys.executable).parent
APP = "invoke_api.asgi:app"
VARIABLES = {"INVOKE_API_ENGINE": "scripted", "INVOKE_API_GUARDRAILS": str(GUARDRAILS)}
COMMANDS = {
    "ours": COMMAND,
    "ours-h2c": COMMAND,
    "hypercorn": (str(BIN / "hypercorn"), "--bind", "127.0.0.1:0", APP),
    "hypercorn-h2c": (str(BIN / "hypercorn"), "--bind", "127.0.0.1:0", APP),
    "uvicorn": (str(BIN / "uvicorn"), "--port", "0", APP),
}
# Added by the server itself, or different each time.
SERVERS_OWN = {"date", "server", "connection", "transfer-encoding"}
TIMES = {"x-amzn-requestid", "x-amzn-bedrock-invocation-latency", "content-length"}


class Asked(NamedTuple):
    path: str
    body: bytes = b""
    method: str = "POST"
    headers: Mapping[str, str] = {}


class Answer(NamedTuple):
    """A response. Names of headers are in lower case."""

    status: int
    headers: dict[str, str]
    body: bytes


class Broken(Exception):
    """An incomplete response."""


Ask = Callable[[Asked], Answer]


class Server(NamedTuple):
    """A running server. `url` is empty in process."""

    url: str
    ask: Ask


@contextmanager
def server_running(name: str, env: Mapping[str, str] = VARIABLES) -> Iterator[Server]:
    """Run one of `COMMANDS`, or `in-process`, and yield it."""
    if name == "in-process":
        with app_in_process(env) as ask:
            yield Server("", ask)
        return
    with command_running(COMMANDS[name], env) as url:
        wait_until_ready(url, seconds=60)
        yield Server(url, asker(name, url))


def asker(name: str, url: str) -> Ask:
    ask = ask_http2 if name.endswith("h2c") else ask_http1
    return lambda asked: ask(url, asked)


def ask_http1(url: str, asked: Asked) -> Answer:
    connection = connect(url)
    try:
        connection.request(asked.method, asked.path, asked.body, dict(asked.headers))
        response = connection.getresponse()
        headers = {name.lower(): value for name, value in response.getheaders()}
        return Answer(response.status, headers, response.read())
    except (HTTPException, ConnectionError) as error:
        raise Broken from error
    finally:
        connection.close()


def ask_http2(url: str, asked: Asked) -> Answer:
    session = Session(url)
    try:
        pairs, body = session.ask(asked.method, asked.path, asked.headers.items(), asked.body)
    except (ConnectionError, ValueError) as error:
        raise Broken from error
    finally:
        session.close()
    if session.was_reset:
        raise Broken
    headers = dict(pairs)
    return Answer(int(headers.pop(":status")), headers, body)


@contextmanager
def app_in_process(env: Mapping[str, str]) -> Iterator[Ask]:
    """Run the application in this process without a server; httpx calls it by ASGI."""
    with pytest.MonkeyPatch.context() as patch:
        for name, value in env.items():
            patch.setenv(name, value)
        app: Starlette = import_module("invoke_api.asgi").build_app()
    with loop_running() as run:
        lifespan = app.router.lifespan_context(app)
        run(lifespan.__aenter__())

        async def ask(asked: Asked) -> Answer:
            async with client_of(app) as client:
                response = await client.request(
                    asked.method,
                    asked.path,
                    content=asked.body or None,
                    headers=dict(asked.headers),
                )
            return Answer(response.status_code, dict(response.headers), response.content)

        def ask_and_wait(asked: Asked) -> Answer:
            try:
                return run(ask(asked))  # type: ignore[no-any-return]
            except AssertionError as error:  # httpx: the application did not complete its response
                raise Broken from error

        until(lambda: ask_and_wait(Asked("/_emulator/ready", method="GET")).status == 200, 60)
        yield ask_and_wait
        run(lifespan.__aexit__(None, None, None))


def client_of(app: Any, address: str = "127.0.0.1") -> httpx.AsyncClient:
    """Return a client with this address that calls an application by ASGI."""
    transport = httpx.ASGITransport(app, client=(address, 1))
    return httpx.AsyncClient(transport=transport, base_url="http://localhost", timeout=30)


@contextmanager
def loop_running() -> Iterator[Callable[..., Any]]:
    """Yield a function that runs a coroutine in another thread's event loop and waits for it."""
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever)
    thread.start()
    try:
        yield lambda work: asyncio.run_coroutine_threadsafe(work, loop).result(60)
    finally:
        loop.call_soon_threadsafe(loop.stop)
        thread.join()
        loop.close()


class Comparable(NamedTuple):
    """A response without ids, dates, times, padding and the server's own headers."""

    status: int
    headers: dict[str, str]
    frames: list[tuple[dict[str, object], bytes]]


def comparable(answer: Answer) -> Comparable:
    dropped = SERVERS_OWN | TIMES
    headers = {name: value for name, value in answer.headers.items() if name not in dropped}
    if "content-length" in answer.headers:
        assert int(answer.headers["content-length"]) == len(answer.body)
    if headers.get("content-type") != "application/vnd.amazon.eventstream":
        return Comparable(answer.status, headers, [({}, _plain(answer.body))])
    frames = split_frames(answer.body)
    return Comparable(
        answer.status, headers, [(dict(each.headers), _plain(each.payload)) for each in frames]
    )


def _plain(payload: bytes) -> bytes:
    payload = re.sub(rb',?"p":"[^"]*"', b"", payload)
    if found := re.fullmatch(rb'\{"bytes":"([^"]*)"\}', payload):
        payload = base64.b64decode(found[1])
    payload = re.sub(rb'(?i)("\w*latency(ms)?":)\d+', rb"\g<1>0", payload)
    return re.sub(rb'"(id|request_id)":"[^"]*"', rb'"\1":""', payload)
