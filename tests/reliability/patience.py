"""Slow clients: idle, slow to send heads or bodies, or not reading. All at once, in a thread.

Their timeouts take a minute or more; other trials run meanwhile.
"""

import asyncio
import socket
import threading
from collections.abc import Awaitable, Callable
from contextlib import ExitStack, suppress
from dataclasses import dataclass, field
from functools import partial
from time import monotonic
from urllib.parse import urlsplit

import h2.connection
from h2.settings import SettingCodes

from tests.reliability.answers import ANSWERED
from tests.reliability.calls import SETTLE_SECONDS, ask, ask_once, rule
from tests.reliability.http1 import FAILURES, Http1, encode
from tests.reliability.mix import INVOKE, STREAM, WORDS, to
from tests.reliability.service import SCRIPTED, Service, seconds_until, service_running
from tests.reliability.trials import (
    CALLS_MEANWHILE,
    DRIPPING,
    IDLE,
    NON_READERS,
    SLOW_CLIENT_SECONDS,
    SLOW_HEADS,
)

DRIP_SECONDS = 2.0  # between two bytes
EARLY_SECONDS, LATE_SECONDS = 15.0, 138.0  # after which the service is observed
ADDRESSES = 20  # of the clients, as from so many machines
RECEIVE_BUFFER_BYTES = 4_096  # of a client that does not read
PIPELINED_REQUESTS = 4  # the kernel's buffers may take a whole first answer
STORY = {"when": {"prompt": "story"}, "reply": " ".join(WORDS * 500)}
HEAD, _, BODY = ask(INVOKE, "Hi " * 200).partition(b"\r\n\r\n")


@dataclass(slots=True)
class Group:
    """A group of connections, with the seconds that each was open; None if it still is."""

    seconds: list[float | None] = field(default_factory=list)

    def longer_than(self, most: float) -> int:
        """Count the connections that were open for longer than so many seconds."""
        return sum(each is None or each > most for each in self.seconds)


class SlowClients:
    """All slow clients of one service, from `start` to `end`."""

    def __init__(self) -> None:
        self.idle, self.heads, self.bodies = Group(), Group(), Group()
        self.under_way: list[float] = []  # calls in flight, early and late
        self.between: list[tuple[str, float]] = []  # outcomes and seconds of calls meanwhile
        self.memory = 0.0  # growth in MiB while all are connected
        self.left = -1.0  # calls in flight afterwards
        self._running = ExitStack()
        self._thread = threading.Thread(target=self._run)

    def start(self) -> None:
        self._service: Service = self._running.enter_context(service_running(*SCRIPTED))
        rule(self._service.url, **STORY)
        self._thread.start()

    def end(self) -> None:
        """Wait for the last of them."""
        self._thread.join(timeout=2 * SLOW_CLIENT_SECONDS)
        assert not self._thread.is_alive()
        self._running.close()

    def _run(self) -> None:
        before = self._service.seen().memory_info().rss
        asyncio.run(self._all(before))
        with suppress(AssertionError):  # the test asserts that none is left
            seconds_until(lambda: self._service.under_way() == 0, most=SETTLE_SECONDS)
        self.left = self._service.under_way()

    async def _all(self, before: int) -> None:
        url = self._service.url
        kinds: list[tuple[Group, int, Callable[[str, int], Awaitable[None]]]] = [
            (self.idle, IDLE, idle),
            (self.heads, SLOW_HEADS, drip_head),
            (self.bodies, DRIPPING, drip_body),
            (Group(), NON_READERS, hear_nothing),
        ]
        works = [
            self._one(group, partial(work, url, number))
            for group, times, work in kinds
            for number in range(times)
        ]
        await asyncio.gather(self._call_between(url, before), *works)

    async def _one(self, group: Group, work: Callable[[], Awaitable[None]]) -> None:
        began = monotonic()
        try:
            async with asyncio.timeout(SLOW_CLIENT_SECONDS):
                await work()
            group.seconds.append(monotonic() - began)
        except TimeoutError:
            group.seconds.append(None)

    async def _call_between(self, url: str, before: int) -> None:
        """Call like an ordinary client while all of them are connected."""
        await asyncio.sleep(EARLY_SECONDS)
        self.under_way.append(await asyncio.to_thread(self._service.under_way))
        self.memory = (self._service.seen().memory_info().rss - before) / (1024 * 1024)
        for number in range(CALLS_MEANWHILE):
            began = monotonic()
            answer = await ask_once(url, ask((INVOKE, STREAM)[number % 2]))
            self.between.append((answer.outcome, monotonic() - began))
        await asyncio.sleep(LATE_SECONDS - EARLY_SECONDS)
        self.under_way.append(await asyncio.to_thread(self._service.under_way))


def source(number: int) -> str:
    return f"127.0.1.{number % ADDRESSES + 1}"


async def idle(url: str, number: int) -> None:
    """Send nothing; every second connection has made a call before."""
    connection = Http1(url, source(number))
    await connection.open()
    if number % 2:
        assert (await connection.ask(ask(INVOKE))).outcome == ANSWERED
    await ended(connection)


async def drip_head(url: str, number: int) -> None:
    connection = Http1(url, source(number))
    await drip(connection, HEAD * 10)


async def drip_body(url: str, number: int) -> None:
    connection = Http1(url, source(number))
    (await connection.open()).write(HEAD + b"\r\n\r\n")
    await drip(connection, BODY)


async def drip(connection: Http1, data: bytes) -> None:
    """Send single bytes until the service closes the connection."""
    writer = await connection.open()
    ending = asyncio.create_task(ended(connection))
    try:
        for byte in data:
            if ending.done():
                break
            writer.write(bytes([byte]))
            await asyncio.wait([ending], timeout=DRIP_SECONDS)
        await ending
    finally:
        ending.cancel()
        connection.leave()


async def ended(connection: Http1) -> None:
    """Return once the service has closed the connection."""
    assert connection.reader
    with suppress(*FAILURES):
        while await connection.reader.read(65_536):
            pass
    connection.leave()


async def hear_nothing(url: str, number: int) -> None:
    """Ask for a long stream and read none of it: over HTTP/1.1, or without a window in HTTP/2."""
    loop = asyncio.get_running_loop()
    with socket.socket() as connection:
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, RECEIVE_BUFFER_BYTES)
        connection.setblocking(False)  # noqa: FBT003 - socket's signature
        connection.bind((source(number), 0))
        await loop.sock_connect(connection, (urlsplit(url).hostname, urlsplit(url).port))
        long = {"prompt": "A long story", "max_tokens": 8_192}
        raw = (
            deaf_http_2(long)
            if number % 2
            else PIPELINED_REQUESTS * encode("POST", to(STREAM), long)
        )
        await loop.sock_sendall(connection, raw)
        await asyncio.Event().wait()  # until it is cancelled


def deaf_http_2(body: object) -> bytes:
    connection = h2.connection.H2Connection()
    connection.local_settings[SettingCodes.INITIAL_WINDOW_SIZE] = 0
    connection.initiate_connection()
    named = [(":method", "POST"), (":path", to(STREAM)), (":scheme", "http"), (":authority", "x")]
    connection.send_headers(1, named)
    connection.send_data(1, encode("POST", "/", body).partition(b"\r\n\r\n")[2], end_stream=True)
    return connection.data_to_send()
