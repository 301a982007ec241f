"""Servers that many tests share, each started once."""

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import settings

from invoke_api.testing import Bedrock
from tests.support import scheduling
from tests.support.adapters import make_adapter
from tests.support.clients import client
from tests.support.servers import (
    COMMAND,
    GUARDRAILS,
    command_running,
    wait_until_ready,
    watch_loading,
)
from tests.support.vllm_server import vllm_running

pytest_plugins = ["pytester"]

# The same examples each time, so that what passed here passes there. `make fuzz` takes other ones,
# and `full`; `deep` is for looking further.
settings.register_profile("steady", derandomize=True, deadline=None, max_examples=60)
settings.register_profile("full", deadline=None, max_examples=300)
settings.register_profile("deep", deadline=None, max_examples=5_000)
settings.load_profile("steady")


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--examples", type=int, default=5_000, help="mutated requests to try")
    parser.addoption("--seed", type=int, default=2_402, help="where their chance begins")


def pytest_xdist_auto_num_workers() -> int:
    return scheduling.workers()


def pytest_ignore_collect(collection_path: Path, config: pytest.Config) -> bool | None:
    """Import nothing of what is left out anyway."""
    is_left_out = "not slow" in config.option.markexpr and scheduling.is_slow(collection_path)
    return True if is_left_out else None


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> Iterator[None]:
    collected = [*items]
    scheduling.mark(items)  # before pytest-xdist reads the groups
    yield
    # After pytest has put those together that share fixtures.
    scheduling.sort(items, collected)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_teardown(item: pytest.Item, nextitem: pytest.Item | None) -> Iterator[None]:
    yield
    scheduling.end(item, nextitem)


@pytest.fixture
def examples(request: pytest.FixtureRequest) -> int:
    count: int = request.config.getoption("--examples")
    return count


@pytest.fixture
def seed(request: pytest.FixtureRequest) -> int:
    number: int = request.config.getoption("--seed")
    return number


@pytest.fixture(scope="session")
def scripted() -> Iterator[str]:
    """Yield the URL of `invoke-api serve --engine scripted`, which knows the tests' guardrails."""
    options = ["--engine", "scripted", "--guardrails", str(GUARDRAILS)]
    with command_running([*COMMAND, *options]) as url:
        wait_until_ready(url, seconds=30)
        yield url


@pytest.fixture
def bedrock(scripted: str) -> Iterator[Bedrock]:
    """Yield the scripted service for one test, in the region that has every model."""
    emulated = Bedrock(scripted, region="us-west-2")
    yield emulated
    emulated.reset()


@pytest.fixture
def runtime(bedrock: Bedrock) -> Iterator[Any]:
    """Yield a boto3 client of the scripted service."""
    with client(bedrock.url, bedrock.access_key_id) as made:
        yield made


@pytest.fixture(scope="session")
def demo_loading(
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[tuple[str, list[dict[str, str]]]]:
    """Yield the URL of `make serve DEMO=tiny`, and the states of its models while they loaded."""
    env = {
        "INVOKE_API_PORT": "0",
        "INVOKE_API_CACHE_DIR": str(tmp_path_factory.mktemp("cache")),
        "PYTHON": sys.executable,
    }
    with scheduling.until_group_ends("demo") as stack:
        url = stack.enter_context(command_running(["make", "serve", "DEMO=tiny"], env, seconds=60))
        yield url, watch_loading(url, seconds=280)


@pytest.fixture(scope="session")
def demo(demo_loading: tuple[str, list[dict[str, str]]]) -> str:
    """Return the URL of `make serve DEMO=tiny`: real vLLM on tiny networks, made anew."""
    return demo_loading[0]


@pytest.fixture(scope="session")
def smollm2(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Yield the URL of `make serve`: SmolLM2 on real vLLM in place of all models."""
    env = {
        "INVOKE_API_PORT": "0",
        "INVOKE_API_CACHE_DIR": str(tmp_path_factory.mktemp("smollm2")),
        "PYTHON": sys.executable,
    }
    with scheduling.until_group_ends("smollm2") as stack:
        url = stack.enter_context(command_running(["make", "serve"], env, seconds=60))
        wait_until_ready(url, seconds=280)
        yield url


@pytest.fixture(
    params=["scripted", pytest.param("demo", id="vllm", marks=scheduling.on_engine("demo"))]
)
def service(request: pytest.FixtureRequest) -> str:
    """Return the URL of a service, once on the scripted engine and once on real vLLM."""
    url: str = request.getfixturevalue(request.param)
    return url


@pytest.fixture(scope="session")
def checkpoints(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a cache folder for the demo checkpoints of engines that a test starts itself."""
    return tmp_path_factory.mktemp("checkpoints")


@pytest.fixture(scope="session")
def vllm_server(checkpoints: Path) -> Iterator[str]:
    """Yield the URL of vLLM's own server: the dense demo checkpoint, as `demo` and as Small 2402.

    It has an adapter, `tuned`, too.
    """
    names = ["demo", "mistralai/Mistral-Small-Instruct-2409"]
    adapters = {"tuned": make_adapter(checkpoints / "tuned")}
    with scheduling.until_group_ends("vllm_server") as stack:
        yield stack.enter_context(vllm_running(checkpoints, names, adapters=adapters))
