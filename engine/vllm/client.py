"""Reading of messages from vLLM's engine cores in callbacks of the event loop.

For each step of an engine vLLM's client (0.26 to 0.33) resumes two tasks, and pyzmq (27) creates a
future for the first: a fifth of the CPU time of a front end without HTTP. Here the loop calls
`OutputSocket` when its socket has messages, and a step's outputs reach `llm.output_processor`
within that call. vLLM's two tasks still run. They get all other messages: results of utility
calls, the last message of a core that has died, and reports of missing images. They also get
errors.
"""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any
from weakref import ref

import zmq
import zmq.asyncio

MAX_MESSAGES_AT_ONCE = 8  # then other callbacks run


def read_outputs(llm: Any) -> None:  # noqa: ANN401 - an AsyncLLM
    """Read the outputs of an `AsyncLLM`'s cores here. Call it before the AsyncLLM is first used.

    Like vLLM's own tasks, this keeps neither the AsyncLLM nor its client alive.
    """
    resources = llm.engine_core.resources
    resources.output_socket = OutputSocket(resources.output_socket, StepHandler(llm).take)


class OutputSocket(zmq.asyncio.Socket):
    """The socket that engine cores send to. Replaces `resources.output_socket` of vLLM's client.

    `take` gets each message and returns whether it has handled it; vLLM's task receives the others.
    The class must be the one that it replaces, because vLLM's shutdown depends on it.
    """

    # pyzmq takes undeclared attributes for options of the socket.
    _loop: asyncio.AbstractEventLoop | None = None
    _left: asyncio.Queue[list[zmq.Frame]]
    _original: zmq.asyncio.Socket
    _plain: zmq.Socket[bytes]
    _take: Callable[[list[bytes]], bool]

    def __init__(self, original: zmq.asyncio.Socket, take: Callable[[list[bytes]], bool]) -> None:
        # All three are one socket of ZeroMQ's, which `original` owns.
        super().__init__(original)  # type: ignore[misc]  # pyzmq's types have no async ones
        self._original = original
        self._plain = zmq.Socket.shadow(original.underlying)
        self._take = take
        self._left = asyncio.Queue()

    async def recv_multipart(  # type: ignore[override]  # vLLM says copy=False, and no more
        self, *, copy: bool
    ) -> list[zmq.Frame]:
        """Return the next message that `take` has not handled. The first call starts reading."""
        assert not copy
        if self._loop is None:
            self._loop = asyncio.get_running_loop()
            self._loop.add_reader(self._plain.FD, self._read)
            self._read()  # the loop is not notified of messages that have arrived already
        return await self._left.get()

    def _read(self) -> None:
        """Read all messages: the file descriptor is edge-triggered."""
        plain, taken = self._plain, 0
        while not self.closed and int(plain.get(zmq.EVENTS)) & zmq.POLLIN:
            if taken == MAX_MESSAGES_AT_ONCE:
                assert self._loop
                self._loop.call_soon(self._read)
                return
            frames = plain.recv_multipart(zmq.NOBLOCK)
            if not self._take(frames):
                self._left.put_nowait([zmq.Frame(frame) for frame in frames])
            taken += 1

    def close(self, linger: int | None = None) -> None:
        if self._loop and not self.closed and not self._loop.is_closed():
            self._loop.remove_reader(self._plain.FD)
        super().close(linger)
        self._plain.close(linger)
        self._original.close(linger)


class StepHandler:
    """A handler of each step's outputs, in the place of vLLM's `output_handler`."""

    def __init__(self, llm: Any) -> None:  # noqa: ANN401 - an AsyncLLM
        self._llm = ref(llm)
        self._new_stats: Callable[[], Any] = lambda: None
        if llm.log_stats:
            from vllm.v1.metrics.stats import IterationStats

            self._new_stats = IterationStats
        self._decode: Callable[[list[bytes]], Any] = llm.engine_core.decoder.decode
        self._tasks: set[asyncio.Task[None]] = set()

    def take(self, frames: list[bytes]) -> bool:
        """Handle a message with the outputs of a step. Return False for any other message."""
        llm = self._llm()
        try:
            outputs = self._decode(frames)
        except Exception:  # noqa: BLE001 - vLLM's task gets the same error
            return False
        if llm is None or outputs.utility_output or _lacks_images(outputs):
            return False
        if llm.is_running:  # else all calls have failed already
            try:
                self._handle(llm, outputs)
            except Exception as error:  # noqa: BLE001 - vLLM fails all calls with it
                llm.engine_core.outputs_queue.put_nowait(error)
        return True

    def _handle(self, llm: Any, outputs: Any) -> None:  # noqa: ANN401 - vLLM's
        client, processor = llm.engine_core, llm.output_processor
        # Only with data parallelism.
        balance = getattr(type(client), "process_engine_outputs", None)
        if balance and outputs.finished_requests:
            self._start(client, balance(client, outputs))
        if not (outputs.outputs or outputs.scheduler_stats):
            return
        stats = self._new_stats() if outputs.outputs else None
        if outputs.outputs:
            version = getattr(outputs, "weight_version", None)  # not in vLLM 0.26
            more = {} if version is None else {"weight_version": version}
            done = processor.process_outputs(outputs.outputs, outputs.timestamp, stats, **more)
            if done.reqs_to_abort:
                self._start(client, client.abort_requests_async(done.reqs_to_abort))
        processor.update_scheduler_stats(outputs.scheduler_stats)
        if llm.logger_manager:
            llm.logger_manager.record(
                engine_idx=outputs.engine_index,
                scheduler_stats=outputs.scheduler_stats,
                iteration_stats=stats,
                mm_cache_stats=llm.renderer.stat_mm_cache(),
            )

    def _start(self, client: Any, work: Awaitable[None]) -> None:  # noqa: ANN401 - vLLM's
        async def run() -> None:
            try:
                await work
            except Exception as error:  # noqa: BLE001 - vLLM fails all calls with it
                client.outputs_queue.put_nowait(error)

        task = asyncio.create_task(run())
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)


def _lacks_images(outputs: Any) -> bool:  # noqa: ANN401 - vLLM's
    """Tell whether the core lacks images that vLLM expected in its cache.

    vLLM 0.32 and 0.33 handle this differently, and 0.26 never reports it. Such a request has no
    tokens, so a later message can't overtake it.
    """
    return any(getattr(each, "mm_cache_miss_hashes", None) for each in outputs.outputs)
