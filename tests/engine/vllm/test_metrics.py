"""vLLM's own metrics of all engines in a process: each series once, none of a closed engine."""

from collections.abc import Iterator
from types import SimpleNamespace

import pytest
from prometheus_client import REGISTRY, Counter
from prometheus_client.exposition import generate_latest
from prometheus_client.parser import text_string_to_metric_families

from engine.vllm.metrics import VllmMetrics, forget, stat_loggers


@pytest.fixture
def kept() -> Iterator[VllmMetrics]:
    kept = VllmMetrics()
    yield kept
    REGISTRY.unregister(kept)


def start(kept: VllmMetrics, owner: str, model: str, tokens: int) -> None:
    """Start an engine's statistics under a name that only one may register."""
    counter = Counter("vllm:tokens", "Tokens.", ["model_name"], registry=REGISTRY)
    kept.take(owner, model)
    counter.labels(model).inc(tokens)


def told() -> list[tuple[str, float]]:
    text = generate_latest(REGISTRY).decode()
    assert text.count("# TYPE vllm:tokens_total") <= 1
    return [
        (sample.labels["model_name"], sample.value)
        for family in text_string_to_metric_families(text)
        for sample in family.samples
        if sample.name == "vllm:tokens_total"
    ]


def test_all_engines_are_told_together(kept: VllmMetrics) -> None:
    start(kept, "one", "dense", 1)
    start(kept, "two", "moe", 2)

    assert told() == [("dense", 1), ("moe", 2)]


def test_of_two_with_one_name_the_last_is_told(kept: VllmMetrics) -> None:
    start(kept, "one", "dense", 1)
    start(kept, "two", "dense", 2)
    kept.drop("one")

    assert told() == [("dense", 2)]


def test_one_that_has_ended_is_told_no_more(kept: VllmMetrics) -> None:
    start(kept, "one", "dense", 1)
    start(kept, "two", "moe", 2)
    kept.drop("two")

    assert told() == [("dense", 1)]


def test_an_engine_without_statistics_has_nothing_to_forget() -> None:
    assert stat_loggers({"disable_log_stats": True}) is None
    forget(SimpleNamespace(logger_manager=None))

    assert told() == []
