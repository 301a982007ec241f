"""`AsgiWriter` with any order of actions of the application, the client and the server."""

import asyncio
from collections.abc import Callable, Sequence

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from starlette.types import Message

from invoke_api.transport.asgi_writer import MAX_QUEUED_BYTES, AsgiWriter

SIZES = st.sampled_from([0, 1, 100, MAX_QUEUED_BYTES, 3 * MAX_QUEUED_BYTES])
# `go`: the loop runs. `block`: the client does not read. `fail`: `send` raises from now on, as ASGI
# 2.4 specifies for a client that has left.
STEPS = st.lists(
    st.one_of(
        st.sampled_from(["listen", "unlisten", "leave", "fail", "block", "read", "go", "drain"]),
        st.sampled_from(["go", "listen"]),
        SIZES,
    ),
    max_size=30,
)
ENDS = st.sampled_from(["complete", "cut", "cancelled"])


class Peer:
    """A server, its client and the application's listener. It records data and events."""

    def __init__(self) -> None:
        self.sent = b""
        self.types: list[str] = []
        self.has_end = False
        self.told: list[str] = []
        self.has_left = asyncio.Event()
        self.may_send = asyncio.Event()
        self.may_send.set()
        self.fails = False
        self.sent_after_leave = False
        self.is_sending = False

    async def receive(self) -> Message:
        await self.has_left.wait()
        return {"type": "http.disconnect"}

    async def send(self, message: Message) -> None:
        assert not self.is_sending, "one message after the other"
        self.is_sending = True
        try:
            await self._send(message)
        finally:
            self.is_sending = False

    async def _send(self, message: Message) -> None:
        self.sent_after_leave |= "leave" in self.told
        await self.may_send.wait()
        if self.fails:
            raise ConnectionResetError
        self.types.append(message["type"])
        if message["type"] == "http.response.body":
            assert not self.has_end, "nothing is sent behind the end"
            self.sent += message["body"]
            self.has_end = not message["more_body"]

    def fail(self) -> None:
        self.fails = True

    def leave(self) -> None:
        self.told.append("leave")

    def pause(self) -> None:
        assert self.told[-1:] != ["pause"], "it is paused already"
        self.told.append("pause")

    def resume(self) -> None:
        self.told.append("resume")


async def use(peer: Peer, writer: AsgiWriter, steps: Sequence[str | int]) -> bytes:
    """Take the steps, and return the written bytes. The head is written before the first data."""
    written = b""
    deeds: dict[str, Callable[[], None]] = {
        "listen": lambda: listen(peer, writer),
        "unlisten": lambda: writer.listen(None),
        "leave": peer.has_left.set,
        "fail": peer.fail,
        "block": peer.may_send.clear,
        "read": peer.may_send.set,
    }
    first = next((at for at, step in enumerate(steps) if isinstance(step, int)), len(steps))
    for number, step in enumerate(steps):
        if isinstance(step, int):
            if number == first:
                writer.start(200, [])
            data = bytes([number]) * step
            written += data
            writer.write(data)
        elif step == "drain":
            await drain(peer, writer)
        elif step == "go":
            await asyncio.sleep(0)
        else:
            deeds[step]()
    if first == len(steps):
        writer.start(200, [])
    return written


def listen(peer: Peer, writer: AsgiWriter) -> None:
    peer.told.clear()
    writer.listen(peer)


async def drain(peer: Peer, writer: AsgiWriter) -> None:
    draining = asyncio.create_task(writer.drain())
    await asyncio.sleep(0)
    peer.may_send.set()  # otherwise `drain` would correctly wait forever
    await asyncio.wait_for(draining, 5)


async def run(steps: Sequence[str | int], end: str) -> None:
    peer = Peer()
    before = asyncio.all_tasks()
    writer = AsgiWriter(peer.receive, peer.send)
    written = await use(peer, writer, steps)
    if end == "complete":
        writer.write(b"the end", is_last=True)
        writer.write(b"nothing comes behind it", is_last=True)
        written += b"the end"
    writer.listen(None)
    if end == "cancelled":
        finishing = asyncio.create_task(writer.finish())
        await asyncio.sleep(0)
        finishing.cancel()
        await asyncio.wait([finishing])
    else:
        peer.may_send.set()
        await asyncio.wait_for(writer.finish(), 5)
    writer.close()
    writer.close()
    await asyncio.sleep(0)
    await asyncio.sleep(0)

    assert asyncio.all_tasks() <= before, "tasks are left behind"
    assert not peer.sent_after_leave
    assert written.startswith(peer.sent), "all bytes in their order"
    assert peer.types[:1] in ([], ["http.response.start"])
    assert peer.types.count("http.response.start") <= 1
    if not (peer.fails or peer.has_left.is_set() or end == "cancelled"):
        assert peer.sent == written
        assert peer.has_end == (end == "complete")
    await asyncio.wait_for(writer.drain(), 5)


@given(STEPS, ENDS)
@example(["listen", 100, "go", "block", 1, "go", "leave", "go", "go"], "complete")
@example(["listen", "go", "block", 100, "go", 1], "complete")  # the end is written during a message
@example([3 * MAX_QUEUED_BYTES, "drain"], "complete")  # without a listener
@example(["block", 3 * MAX_QUEUED_BYTES, "listen", "unlisten", "go"], "cut")
@example(["listen", 100, "go", "fail", 1, "go", 1], "complete")
@example(["listen", "block", 3 * MAX_QUEUED_BYTES, "leave", "go", "go", 1, "drain"], "complete")
def test_any_order_ends_with_all_bytes_or_with_a_client_that_has_left(
    steps: Sequence[str | int], end: str
) -> None:
    asyncio.run(run(steps, end))


async def test_a_fault_of_the_server_frees_the_engine_and_is_raised() -> None:
    # Uvicorn raises so for an answer that is longer than its Content-Length.
    peer = Peer()

    async def refuse(_: Message) -> None:
        raise RuntimeError("Response content longer than Content-Length")

    writer = AsgiWriter(peer.receive, refuse)
    writer.listen(peer)
    writer.start(200, [])
    writer.write(b"a")
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    assert peer.told == ["leave"]
    with pytest.raises(RuntimeError, match="longer than Content-Length"):
        await writer.finish()
    writer.close()


async def test_a_disconnect_behind_the_last_message_is_no_client_that_has_left() -> None:
    # Hypercorn sends the disconnect while it still completes the answer.
    peer = Peer()
    ended = []

    async def send(message: Message) -> None:
        await peer.send(message)
        if peer.has_end:
            peer.has_left.set()
            for _ in range(5):
                await asyncio.sleep(0)
            ended.append(True)

    writer = AsgiWriter(peer.receive, send)
    writer.listen(peer)
    writer.start(200, [])
    writer.write(b"a", is_last=True)
    await writer.finish()
    writer.close()

    assert ended == [True]
    assert peer.told == []


async def test_a_server_that_raises_in_receive_has_no_client() -> None:
    peer = Peer()

    async def receive() -> Message:
        raise RuntimeError("the connection is closed")

    writer = AsgiWriter(receive, peer.send)
    writer.listen(peer)
    await asyncio.sleep(0)
    writer.close()

    assert peer.told == ["leave"]
