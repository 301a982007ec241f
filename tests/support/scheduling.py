"""Order of the tests: those that need vLLM, slow ones, and those that share a pytest-xdist worker.

Workers take groups of tests, in order. The tests of a group share a server: those on one vLLM
engine, those of a folder with its own servers, else those of a file.
"""

import os
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest
from hypothesis import is_hypothesis_test

TESTS = Path(__file__).parents[1]
# Fixtures that start vLLM, and the groups of the tests that ask what they start.
ENGINES = {"demo": "demo", "smollm2": "smollm2", "vllm_server": "vllm server"}
FOLDERS = ("fidelity", "fuzzing", "operations", "reliability")
RUNNING: dict[str, ExitStack] = {}
ENGINE_KIND = "vllm-"  # the beginning of the groups of test_contract.py
# The longest group begins first, so that no worker runs it alone at the end.
LONGEST = (
    *("demo", "reliability", "ray", "server/test_workers.py", "vllm-data-parallel"),
    *("vllm-tensor-parallel", "vllm-pipeline-parallel", "models/test_on_demand.py", "vllm-dense"),
    *("engine/uploads/test_bombs.py", "vllm server", "sdk/test_clients.py"),
    *("models/test_own_weights.py", "vllm-moe", "vllm-vision", "vllm-speech", "vllm-tekken"),
    *("engine/vllm/test_plugins.py", "testing/test_documented.py", "smollm2"),
)
# These are slow: they take their time, are real clients or browsers, or start many processes.
# `make check` leaves them out.
SLOW = (
    *("engine/uploads", "fuzzing", "recording", "reliability", "replay", "sdk", "testing"),
    *(
        "control/page",
        "control/test_browser.py",
        "engine/tokenization/test_audio.py",
        "fidelity/test_engines.py",
    ),
    *("models/test_remote.py", "project/test_bench.py", "project/test_examples.py"),
    *("project/test_images.py", "project/test_monitoring.py", "project/test_supply.py"),
    *("project/test_install.py", "server/test_other_servers.py", "server/test_watchdog.py"),
    *("server/test_workers.py", "site/test_troubleshooting.py", "site/test_tutorial.py"),
)


def workers() -> int:
    """Return how many workers share the tests: two more than cores, as many tests wait for time.

    No more than four: each has servers of its own, and a small machine little memory.
    """
    return min(4, (os.cpu_count() or 1) + 2)


def on_engine(fixture: str) -> list[pytest.MarkDecorator]:
    """Return the marks of tests that ask what this fixture starts: none if it starts no vLLM."""
    if fixture not in ENGINES:
        return []
    return [pytest.mark.vllm, pytest.mark.xdist_group(ENGINES[fixture])]


def mark(items: list[pytest.Item]) -> None:
    """Mark tests that need vLLM and tests that are slow, and give each test a group."""
    for item in items:
        for fixture in getattr(item, "fixturenames", ()):
            for each in on_engine(fixture):
                item.add_marker(each)
        path = item.path.relative_to(TESTS)
        if is_slow(item.path):
            item.add_marker(pytest.mark.slow)
        if _is_property(item):
            item.add_marker(pytest.mark.property)
        if not item.get_closest_marker("xdist_group"):
            group = path.parts[0] if path.parts[0] in FOLDERS else str(path)
            item.add_marker(pytest.mark.xdist_group(group))


def is_slow(path: Path) -> bool:
    return any(path.is_relative_to(TESTS / each) for each in SLOW)


def _is_property(item: pytest.Item) -> bool:
    """Tell whether the test is a property test with a configurable number of random examples."""
    draws = "examples" in getattr(item, "fixturenames", ())
    return draws or is_hypothesis_test(getattr(item, "obj", None))


def sort(items: list[pytest.Item], collected: Sequence[pytest.Item]) -> None:
    """Put groups one after another, the longest first, and keep the order within a group.

    The tests of one kind of vLLM engine get the order of their file back, as `collected` has it:
    the last ones kill the engine, and pytest sorts tests by their parameters.
    """
    order = {group: number for number, group in enumerate([*LONGEST, *map(group_of, items)][::-1])}
    places = {item: place for place, item in enumerate(collected)}

    def key(item: pytest.Item) -> tuple[int, int]:
        group = group_of(item)
        return -order[group], places[item] if group.startswith(ENGINE_KIND) else 0

    items.sort(key=key)


@contextmanager
def until_group_ends(fixture: str) -> Iterator[ExitStack]:
    """Yield a stack of what the fixture starts. It is closed with the last test of the group.

    The end of the session would be later, and engines of vLLM's are not idle when nobody asks.
    """
    with ExitStack() as stack:
        RUNNING[ENGINES[fixture]] = stack
        yield stack


def end(item: pytest.Item, following: pytest.Item | None) -> None:
    """End the servers of the test's group after its last test."""
    group = group_of(item)
    if group in RUNNING and (following is None or group_of(following) != group):
        RUNNING.pop(group).close()


def group_of(item: pytest.Item) -> str:
    found = item.get_closest_marker("xdist_group")
    assert found
    name: str = found.args[0]
    return name
