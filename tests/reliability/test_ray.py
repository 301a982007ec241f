"""Ray Serve in front of two vLLM engines, of which one dies while it has calls."""

import json
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager
from http.client import HTTPResponse
from typing import NamedTuple
from urllib.parse import quote

import psutil
import pytest

from tests.reliability.load import BODY, MODELLED, STREAM, USERS, Load, error_of
from tests.support.ray_server import RayServer, ray_running
from tests.support.servers import COMMAND, SEVEN_B, command_running, connect, wait_until_ready
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
    with ExitStack() as stack:
        # Serve gives each call to the replica with fewer calls, so both have some.
        streams = [stack.enter_context(long_stream(service.url)) for _ in range(USERS)]
        dead, other = ray.replicas()
        cores = dead.children(recursive=True)
        dead.kill()
        with load.running():
            errors = [error_of(b"\0" + stream.read()) for stream in streams]
            load.wait_for_more()  # the other replica answers
            _, left = psutil.wait_procs(cores, timeout=60)
            assert left == [], "the dead replica's engine runs on"

            until(lambda: bool(ray.served() - {dead.pid, other.pid}), seconds=RETURN_SECONDS)
            returned = load.wait_for_more()

    [new] = ray.served() - {dead.pid, other.pid}
    assert {each.pid for each in ray.replicas()} == {new, other.pid}
    # The streams of the dead replica broke off, those of the other one came whole.
    assert {*errors} == {None, "modelStreamErrorException"}
    assert {each.error for each in load.answers} <= {None, *MODELLED}
    assert all(each.error is None for each in load.since(returned))


@contextmanager
def long_stream(url: str) -> Iterator[HTTPResponse]:
    """Make a call of some seconds. Yield its answer once its first token is there.

    The first byte, which is a zero, is read.
    """
    with closing(connect(url)) as connection:
        path = f"/model/{quote(SEVEN_B, safe='')}/{STREAM}"
        connection.request("POST", path, json.dumps(BODY | {"max_tokens": 3_500}))
        response = connection.getresponse()
        assert response.status == 200, response.read()
        assert response.read(1) == b"\0"
        yield response
