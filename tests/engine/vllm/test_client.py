"""Messages of engine cores: steps go to the processor in order, all others to vLLM's task."""

import ast
import asyncio
import json
from collections.abc import AsyncIterator
from importlib.util import find_spec
from itertools import pairwise
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import pytest_asyncio
import zmq
import zmq.asyncio

from engine.vllm.client import MAX_MESSAGES_AT_ONCE, OutputSocket, read_outputs
from tests.support.waiting import until_in_loop

DEAD = b"ENGINE_CORE_DEAD"  # vLLM's


class Processor:
    """A substitute for `TokenOutputs` that records its outputs."""

    def __init__(self) -> None:
        self.seen: list[int] = []
        self.more: list[Any] = []
        self.to_abort: list[str] = []
        self.scheduled: list[Any] = []

    def process_outputs(self, outputs: list[Any], *given: Any, **more: Any) -> Any:
        if outputs[0].number < 0:
            raise ValueError("negative")
        self.seen += [output.number for output in outputs]
        self.more.append((*given, more))
        return SimpleNamespace(reqs_to_abort=self.to_abort)

    def update_scheduler_stats(self, stats: Any) -> None:
        self.scheduled.append(stats)


class Client:
    """A substitute for vLLM's client of two cores, on a real socket."""

    def __init__(self, socket: zmq.asyncio.Socket) -> None:
        self.resources = SimpleNamespace(output_socket=socket)
        self.decoder = SimpleNamespace(decode=decode)
        self.outputs_queue: asyncio.Queue[Exception] = asyncio.Queue()
        self.aborted: list[str] = []
        self.finished: list[str] = []

    async def abort_requests_async(self, names: list[str]) -> None:
        self.aborted += names

    @staticmethod
    async def process_engine_outputs(client: "Client", outputs: Any) -> None:
        client.finished += outputs.finished_requests


class Llm:
    """A substitute for an AsyncLLM."""

    log_stats = False
    is_running = True
    logger_manager: Any = None

    def __init__(self, socket: zmq.asyncio.Socket) -> None:
        self.engine_core = Client(socket)
        self.output_processor = Processor()
        self.renderer = SimpleNamespace(stat_mm_cache=lambda: "images")


def decode(frames: list[bytes]) -> Any:
    known = dict.fromkeys(("scheduler_stats", "utility_output", "finished_requests", "timestamp"))
    given = json.loads(frames[0], object_hook=lambda each: SimpleNamespace(**each))
    return SimpleNamespace(**{**known, "engine_index": 0, "outputs": [], **vars(given)})


class Core:
    """The sender of messages, with the front end's substitutes."""

    def __init__(self) -> None:
        self.context = zmq.Context()
        original = zmq.asyncio.Context(self.context).socket(zmq.PULL)
        original.bind("inproc://outputs")
        self.original = original
        self.llm = Llm(original)
        read_outputs(self.llm)
        self._sender = self.context.socket(zmq.PUSH)
        self._sender.connect("inproc://outputs")

    @property
    def socket(self) -> OutputSocket:
        socket: OutputSocket = self.llm.engine_core.resources.output_socket
        return socket

    def send(self, **message: Any) -> None:
        self._sender.send(json.dumps(message).encode())

    def send_steps(self, *numbers: int) -> None:
        for number in numbers:
            self.send(outputs=[{"number": number}])

    def die(self) -> None:
        self._sender.send(DEAD)

    def close(self) -> None:
        self.socket.close(linger=0)
        self._sender.close(linger=0)
        self.context.term()


@pytest_asyncio.fixture
async def core() -> AsyncIterator[Core]:
    made = Core()
    yield made
    made.close()


@pytest_asyncio.fixture
async def task(core: Core) -> AsyncIterator["asyncio.Task[list[bytes]]"]:
    """Start a substitute for vLLM's task that waits for a message."""

    async def ask() -> list[bytes]:
        return [frame.bytes for frame in await core.socket.recv_multipart(copy=False)]

    asking = asyncio.create_task(ask())
    await asyncio.sleep(0)
    yield asking
    asking.cancel()


async def test_steps_come_in_their_order_those_before_the_first_question_too(core: Core) -> None:
    core.send_steps(0, 1, 2)
    asking = asyncio.create_task(core.socket.recv_multipart(copy=False))
    await until_in_loop(lambda: len(core.llm.output_processor.seen) == 3)
    for number in range(3, 2_000, 2):
        core.send_steps(number, number + 1)
        if number % 5 == 0:
            await asyncio.sleep(0)
    await until_in_loop(lambda: len(core.llm.output_processor.seen) == 2_001)
    asking.cancel()

    assert core.llm.output_processor.seen == list(range(2_001))


async def test_other_callbacks_run_while_many_messages_are_read(core: Core) -> None:
    core.send_steps(*range(2 * MAX_MESSAGES_AT_ONCE + 1))
    asking = asyncio.create_task(core.socket.recv_multipart(copy=False))
    counts = []
    while len(core.llm.output_processor.seen) < 2 * MAX_MESSAGES_AT_ONCE + 1:
        await asyncio.sleep(0)
        counts.append(len(core.llm.output_processor.seen))
    asking.cancel()

    assert MAX_MESSAGES_AT_ONCE in counts
    # The loop may call the reader twice in one iteration: for the descriptor, and by `call_soon`.
    assert max(after - before for before, after in pairwise(counts)) <= 2 * MAX_MESSAGES_AT_ONCE


@pytest.mark.parametrize(
    "message",
    [
        {"utility_output": {"call_id": 1}},
        {"outputs": [{"number": 1, "mm_cache_miss_hashes": ["hash"]}]},
    ],
)
async def test_what_is_no_step_is_left_to_vllm(
    core: Core, task: "asyncio.Task[list[bytes]]", message: Any
) -> None:
    core.send_steps(1)
    core.send(**message)
    core.send_steps(2)

    assert await task == [json.dumps(message).encode()]
    await until_in_loop(lambda: core.llm.output_processor.seen == [1, 2])


async def test_the_last_message_of_a_core_is_left_to_vllm(
    core: Core, task: "asyncio.Task[list[bytes]]"
) -> None:
    core.send_steps(1)
    core.die()

    assert await task == [DEAD]
    assert core.llm.output_processor.seen == [1]


@pytest.mark.usefixtures("task")
async def test_vllm_is_told_of_a_step_that_can_not_be_handled(core: Core) -> None:
    core.send_steps(-1)

    with pytest.raises(ValueError, match="negative"):
        raise await core.llm.engine_core.outputs_queue.get()


async def test_after_vllms_handler_has_ended_only_steps_are_dropped(
    core: Core, task: "asyncio.Task[list[bytes]]"
) -> None:
    core.llm.is_running = False
    core.send_steps(1)
    core.send(utility_output={"call_id": 1})

    assert await task == [b'{"utility_output": {"call_id": 1}}']
    assert core.llm.output_processor.seen == []


@pytest.mark.usefixtures("task")
async def test_requests_that_have_ended_are_told_to_the_client_and_to_the_core(core: Core) -> None:
    core.llm.output_processor.to_abort = ["a"]
    core.send(finished_requests=["f"], outputs=[{"number": 1}])
    core.send(finished_requests=["g"])

    await until_in_loop(lambda: core.llm.engine_core.finished == ["f", "g"])
    assert core.llm.engine_core.aborted == ["a"]


@pytest.mark.usefixtures("task")
async def test_the_version_of_the_weights_is_told_where_vllm_knows_it(core: Core) -> None:
    core.send(outputs=[{"number": 1}], timestamp=2.0, weight_version="3")
    core.send(outputs=[{"number": 2}], timestamp=4.0)
    await until_in_loop(lambda: core.llm.output_processor.seen == [1, 2])

    told = core.llm.output_processor.more
    assert told == [(2.0, None, {"weight_version": "3"}), (4.0, None, {})]


@pytest.mark.usefixtures("task")
async def test_vllms_statistics_are_recorded(core: Core) -> None:
    recorded: list[dict[str, Any]] = []
    core.llm.logger_manager = SimpleNamespace(record=lambda **told: recorded.append(told))
    core.send(scheduler_stats=7, engine_index=1)
    await until_in_loop(lambda: len(recorded) == 1)

    assert core.llm.output_processor.scheduled == [7]
    assert recorded == [
        {
            "engine_idx": 1,
            "scheduler_stats": 7,
            "iteration_stats": None,
            "mm_cache_stats": "images",
        }
    ]


@pytest.mark.usefixtures("task")
async def test_a_closed_socket_is_watched_no_more(core: Core) -> None:
    descriptor = core.original.FD
    core.socket.close(linger=0)

    assert core.socket.closed
    assert core.original.closed
    assert not asyncio.get_running_loop().remove_reader(descriptor)


def test_it_can_be_closed_after_its_loop() -> None:
    async def read() -> Core:
        made = Core()
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(made.socket.recv_multipart(copy=False), 0.01)
        return made

    with asyncio.Runner() as runner:
        core = runner.run(read())
    core.close()

    assert core.original.closed


# The calls in the two tasks of vLLM 0.26 to 0.33 that read and handle outputs. If a new version has
# more, read its source: `StepHandler` replaces the second task, and leaves other messages to both.
CALLS = {
    "process_outputs_socket": {
        "_process_utility_output",
        "asyncio.create_task",
        "decoder.decode",
        "notification_callback_handler",
        "output_handler",
        "output_socket.recv_multipart",
        "outputs_queue.put_nowait",
        "resources.validate_alive",
    },
    "output_handler": {
        "asyncio.sleep",
        "engine_core.abort_requests_async",
        "engine_core.get_output_async",
        "get_elastic_ep_rank_retired",
        "logger_ref[0].record",
        "mm_processor_cache.invalidate",
        "output_processor.process_outputs",
        "output_processor.propagate_error",
        "output_processor.update_scheduler_stats",
        "renderer.queue_mm_cache_invalidations",
        "renderer.stat_mm_cache",
    },
}
TRIFLES = {"EngineDeadError", "IterationStats", "_self_ref", "isinstance", "len", "range"}


@pytest.mark.parametrize("name", CALLS)
def test_vllms_own_tasks_do_no_more_than_is_known(name: str) -> None:
    spec = find_spec("vllm")
    assert spec
    assert spec.submodule_search_locations
    folder = Path(spec.submodule_search_locations[0]) / "v1" / "engine"
    trees = [ast.parse((folder / file).read_text()) for file in ("core_client.py", "async_llm.py")]
    tasks = [
        node
        for tree in trees
        for node in ast.walk(tree)
        if isinstance(node, ast.AsyncFunctionDef) and node.name == name
    ]
    [task] = tasks
    calls = {ast.unparse(node.func) for node in ast.walk(task) if isinstance(node, ast.Call)}

    assert {call for call in calls - TRIFLES if not call.startswith("logger.")} <= CALLS[name]
