"""Work that a disconnect cancels, on any ASGI server, and bodies of requests."""

import asyncio
from collections.abc import Awaitable

import pytest
from starlette.types import Message, Receive

from invoke_api.models.engine_pool import Engines
from invoke_api.models.registry import DEFAULT_REGISTRY, load_registry
from invoke_api.pipeline.request_body import ClientDisconnected, InFlightCalls
from invoke_api.server.app import create_app
from invoke_api.transport.asgi_writer import MAX_QUEUED_BYTES, AsgiWriter
from invoke_api.wire.errors import ServiceUnavailableException
from tests.support.servers import SEVEN_B
from tests.support.stubs import StubEngine


async def never() -> Message:
    await asyncio.Event().wait()
    raise AssertionError


async def gone() -> Message:
    return {"type": "http.disconnect"}


async def drop(_: Message) -> None:
    await asyncio.sleep(0)


async def work() -> str:
    await asyncio.sleep(0.01)
    return "done"


async def race(
    receive: Receive, awaited: Awaitable[str], calls: InFlightCalls | None = None
) -> str:
    writer = AsgiWriter(receive, drop)
    try:
        return await (calls or InFlightCalls()).wait(writer, awaited)
    finally:
        await writer.finish()
        writer.close()


async def test_a_client_that_stays_gets_the_result() -> None:
    assert await race(never, work()) == "done"


async def test_a_client_that_leaves_with_the_result_under_way_has_left() -> None:
    with pytest.raises(ClientDisconnected):
        await race(gone, work())


async def test_work_for_a_client_that_left_is_cancelled_and_waited_for() -> None:
    ended = asyncio.Event()

    async def long_work() -> str:
        try:
            await asyncio.Event().wait()
        finally:
            await asyncio.sleep(0)
            ended.set()
        return ""

    with pytest.raises(ClientDisconnected):
        await race(gone, long_work())

    assert ended.is_set()


async def test_an_error_of_the_work_is_raised() -> None:
    async def broken() -> str:
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        await race(never, broken())


async def test_the_end_of_the_service_ends_the_work_with_an_answer() -> None:
    calls = InFlightCalls()
    asyncio.get_running_loop().call_later(0.01, calls.end)

    async def long_work() -> str:
        await asyncio.Event().wait()
        return ""

    with pytest.raises(ServiceUnavailableException):
        await race(never, long_work(), calls)


async def test_a_cancellation_from_elsewhere_stays_one() -> None:
    async def long_work() -> str:
        await asyncio.Event().wait()
        return ""

    racing = asyncio.create_task(race(never, long_work()))
    await asyncio.sleep(0.01)
    racing.cancel()
    with pytest.raises(asyncio.CancelledError):
        await racing


class Reader:
    """A listener and client that notes the signals it gets and the bytes it is sent."""

    def __init__(self) -> None:
        self.may_read, self.left = asyncio.Event(), asyncio.Event()
        self.sent: list[Message] = []
        self.told: list[str] = []

    async def receive(self) -> Message:
        await self.left.wait()
        return {"type": "http.disconnect"}

    async def send(self, message: Message) -> None:
        await self.may_read.wait()
        self.sent.append(message)

    def leave(self) -> None:
        self.told.append("leave")

    def pause(self) -> None:
        self.told.append("pause")

    def resume(self) -> None:
        self.told.append("resume")


async def test_a_client_that_does_not_read_pauses_the_answer() -> None:
    client = Reader()
    writer = AsgiWriter(client.receive, client.send)
    writer.listen(client)
    writer.start(200, [])
    for _ in range(3):
        writer.write(b"a" * MAX_QUEUED_BYTES)
    await asyncio.sleep(0)
    assert client.told == ["pause"]
    client.may_read.set()
    await writer.drain()
    assert client.told == ["pause", "resume"]
    writer.write(b"b", is_last=True)
    await writer.finish()
    writer.close()

    assert [message["type"] for message in client.sent] == [
        "http.response.start",
        *["http.response.body"] * 4,
    ]
    assert [message["more_body"] for message in client.sent[1:]] == [True, True, True, False]


async def test_nothing_is_sent_to_a_client_that_has_left() -> None:
    client = Reader()
    writer = AsgiWriter(client.receive, client.send)
    writer.listen(client)
    client.left.set()
    await asyncio.sleep(0.01)
    client.may_read.set()
    writer.start(200, [])
    writer.write(b"a", is_last=True)
    await writer.finish()
    writer.close()

    assert client.told == ["leave"]
    assert client.sent == []


async def test_a_late_listener_learns_that_the_client_has_left() -> None:
    client, other = Reader(), Reader()
    writer = AsgiWriter(client.receive, client.send)
    writer.listen(client)
    client.left.set()
    await asyncio.sleep(0.01)
    writer.listen(other)
    await writer.finish()
    writer.close()

    assert other.told == ["leave"]


@pytest.mark.parametrize(
    "path", [f"/model/{SEVEN_B}/invoke", "/foundation-models", "/_emulator/health"]
)
async def test_a_server_may_leave_out_the_raw_path(path: str) -> None:
    registry = load_registry(DEFAULT_REGISTRY).only([SEVEN_B])
    app = create_app(registry, Engines({SEVEN_B: StubEngine([" a"])}), InFlightCalls())
    method, sent = ("POST" if path.endswith("invoke") else "GET"), list[Message]()
    came = [{"type": "http.request", "body": b'{"prompt": "Hi"}', "more_body": False}]

    async def receive() -> Message:
        return came.pop() if came else await never()

    async def send(message: Message) -> None:
        sent.append(message)

    async with app.router.lifespan_context(app):
        scope = {
            "type": "http",
            "http_version": "1.1",
            "method": method,
            "path": path,
            "query_string": b"",
            "headers": [(b"host", b"localhost")],
        }
        await app(scope, receive, send)

    assert sent[0]["status"] == 200
