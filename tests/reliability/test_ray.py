"""Ray Serve in front of two vLLM engines, of which one dies while it has calls."""

import time
from collections.abc import Iterator
from contextlib import ExitStack
from typing import NamedTuple

import psutil
import pytest

from tests.reliability.load import MODELLED, Load
from tests.support.ray_server import RayServer, ray_running
from tests.support.servers import COMMAND, SEVEN_B, command_running, wait_until_ready
from tests.support.waiting import until

WEIGHTS = "mistralai/Mistral-7B-Instruct-v0.2"  # as the registry names them
# A new replica serves after some 50 s. A busy machine takes longer.
RETURN_SECONDS = 300

pytestmark = [pytest.mark.vllm, pytest.mark.xdist_group("ray")]


class Service(NamedTuple):
    url: str
    ray: RayServer


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    """Run the replicas of examples/ray_serve on the CPU, and our service in front of them."""
    with ExitStack() as stack:
        ray = stack.enter_context(ray_running(tmp_path_factory.mktemp("checkpoints"), WEIGHTS))
        command = [*COMMAND, "--model", SEVEN_B, "--engine", "remote", "--remote", ray.url]
        url = stack.enter_context(command_running(command))
        wait_until_ready(url, seconds=60)
        yield Service(url, ray)


def test_a_replica_that_dies_loses_no_call_without_an_answer(service: Service) -> None:
    ray = service.ray
    load = Load(service.url)
    with load.running():
        until(lambda: len(ray.served()) == 2, seconds=60)
        dead, other = ray.replicas()
        cores = dead.children(recursive=True)

        killed = time.monotonic()
        dead.kill()
        load.wait_for_more()  # the other replica answers
        _, left = psutil.wait_procs(cores, timeout=60)
        assert left == [], "the dead replica's engine runs on"

        until(lambda: len(ray.served()) == 3, seconds=RETURN_SECONDS)
        returned = load.wait_for_more()

    [new] = ray.served() - {dead.pid, other.pid}
    assert {each.pid for each in ray.replicas()} == {new, other.pid}
    assert {each.error for each in load.answers} <= {None, *MODELLED}
    assert all(each.error is None for each in load.answers if each.ended < killed)
    assert any(each.began < killed < each.ended for each in load.answers)
    assert all(each.error is None for each in load.since(returned))
