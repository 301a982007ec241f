"""Clients that take their time: idle, slow to ask, slow to send, deaf. All at once, in a thread.

What ends them is a matter of a minute or more, during which other trials run.
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
from tests.reliability.calls import SETTLED, ask, ask_once, rule
from tests.reliability.http1 import FAILURES, Http1, encode
from tests.reliability.mix import INVOKE, STREAM, WORDS, to
from tests.reliability.service import SCRIPTED, Service, seconds_until, service_running
from tests.reliability.trials import BETWEEN, DEAF, DRIPPING, IDLE, PATIENCE, SLOW_HEADS

DRIP = 2.0  # seconds between two bytes
EARLY, LATE = 15.0, 138.0  # seconds after which the service is looked at
ADDRESSES = 20  # that they come from, as from so many machines
SMALL = 4_096  # bytes of the buffer that a deaf client has
AHEAD = 4  # requests that it sends at once: the kernel may take the whole of a first answer
STORY = {"when": {"prompt": "story"}, "reply": " ".join(WORDS * 500)}
HEAD, _, BODY = ask(INVOKE, "Hi " * 200).partition(b"\r\n\r\n")


@dataclass(slots=True)
class Group:
    """Seconds for which each of its connections was open; None for one that still was."""

    seconds: list[float | None] = field(default_factory=list)

    def longer_than(self, most: float) -> int:
        """Return how many were open for longer than so many seconds."""
        return sum(each is None or each > most for each in self.seconds)


class Patience:
    """All slow clients on one service, from `start` to `end`."""

    def __init__(self) -> None:
        self.idle, self.heads, self.bodies = Group(), Group(), Group()
        self.under_way: list[float] = []  # calls, early and late
        self.between: list[tuple[str, float]] = []  # outcomes and seconds of calls meanwhile
        self.memory = 0.0  # MiB, how much more the service has while all are there
        self.left = -1.0  # calls under way after it all
        self._running = ExitStack()
        self._thread = threading.Thread(target=self._run)

    def start(self) -> None:
        self._service: Service = self._running.enter_context(service_running(*SCRIPTED))
        rule(self._service.url, **STORY)
        self._thread.start()

    def end(self) -> None:
        """Wait for the last of them."""
        self._thread.join(timeout=2 * PATIENCE)
        assert not self._thread.is_alive()
        self._running.close()

    def _run(self) -> None:
        before = self._service.seen().memory_info().rss
        asyncio.run(self._all(before))
        with suppress(AssertionError):  # which the test makes of what is left
            seconds_until(lambda: self._service.under_way() == 0, most=SETTLED)
        self.left = self._service.under_way()

    async def _all(self, before: int) -> None:
        url = self._service.url
        kinds: list[tuple[Group, int, Callable[[str, int], Awaitable[None]]]] = [
            (self.idle, IDLE, idle),
            (self.heads, SLOW_HEADS, drip_head),
            (self.bodies, DRIPPING, drip_body),
            (Group(), DEAF, hear_nothing),
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
            async with asyncio.timeout(PATIENCE):
                await work()
            group.seconds.append(monotonic() - began)
        except TimeoutError:
            group.seconds.append(None)

    async def _call_between(self, url: str, before: int) -> None:
        """Call as an ordinary client does while all of them are there."""
        await asyncio.sleep(EARLY)
        self.under_way.append(await asyncio.to_thread(self._service.under_way))
        self.memory = (self._service.seen().memory_info().rss - before) / (1024 * 1024)
        for number in range(BETWEEN):
            began = monotonic()
            answer = await ask_once(url, ask((INVOKE, STREAM)[number % 2]))
            self.between.append((answer.outcome, monotonic() - began))
        await asyncio.sleep(LATE - EARLY)
        self.under_way.append(await asyncio.to_thread(self._service.under_way))


def source(number: int) -> str:
    return f"127.0.1.{number % ADDRESSES + 1}"


async def idle(url: str, number: int) -> None:
    """Say nothing; every second one has made a call before."""
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
    """Send a byte and another, until the service has had enough."""
    writer = await connection.open()
    ending = asyncio.create_task(ended(connection))
    try:
        for byte in data:
            if ending.done():
                break
            writer.write(bytes([byte]))
            await asyncio.wait([ending], timeout=DRIP)
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
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, SMALL)
        connection.setblocking(False)  # noqa: FBT003 - the socket module's own signature
        connection.bind((source(number), 0))
        await loop.sock_connect(connection, (urlsplit(url).hostname, urlsplit(url).port))
        long = {"prompt": "A long story", "max_tokens": 8_192}
        raw = deaf_http_2(long) if number % 2 else AHEAD * encode("POST", to(STREAM), long)
        await loop.sock_sendall(connection, raw)
        await asyncio.Event().wait()  # until its time is over


def deaf_http_2(body: object) -> bytes:
    connection = h2.connection.H2Connection()
    connection.local_settings[SettingCodes.INITIAL_WINDOW_SIZE] = 0
    connection.initiate_connection()
    named = [(":method", "POST"), (":path", to(STREAM)), (":scheme", "http"), (":authority", "x")]
    connection.send_headers(1, named)
    connection.send_data(1, encode("POST", "/", body).partition(b"\r\n\r\n")[2], end_stream=True)
    return connection.data_to_send()
