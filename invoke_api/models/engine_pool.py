"""Which engine speaks for which model, and the life of them all."""

import asyncio
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from functools import cache
from types import MappingProxyType

from engine.lifecycle.loading import load
from engine.lifecycle.lru_pool import Places
from engine.lifecycle.supervised import KeptEngine
from engine.lora import Adapter
from engine.protocol import Engine, Limits
from engine.tokenization.tokenizer import Tokenizer, load_tokenizer
from engine.vllm.engine import VllmEngine
from invoke_api.models.engine_factory import EngineChoice, plan_engine
from invoke_api.models.registry import Model

SETTLE_LOOK = 0.05  # seconds between two polls of engines


class Engines:
    """One engine for each distinct checkpoint; models that share one share its engine.

    `tokenizers` names, by model id, those that differ from their engine's: in them, the demo
    checkpoints are asked. `adapters` are what a model puts on its engine's weights, by model id.
    """

    def __init__(
        self,
        by_model: Mapping[str, Engine],
        tokenizers: Mapping[str, str] = MappingProxyType({}),
        adapters: Mapping[str, Adapter] = MappingProxyType({}),
    ) -> None:
        self._by_model = by_model
        self._tokenizers = tokenizers
        self._adapters = adapters
        self._loading: set[asyncio.Task[str | None]] = set()
        # Those that have read a prompt, by Converse or not: the first may load what takes a second.
        self.warm: set[tuple[str, bool]] = set()

    def of(self, model: Model) -> Engine:
        return self._by_model[model.id]

    def tokenizer(self, model: Model) -> Tokenizer:
        """Of this model's prompts. Raises what `Engine.tokenizer` raises."""
        own = self.of(model).tokenizer()
        name = self._tokenizers.get(model.id)
        return load_once(name) if name else own

    def adapter(self, model: Model) -> Adapter | None:
        return self._adapters.get(model.id)

    def items(self) -> Iterable[tuple[str, Engine]]:
        return self._by_model.items()

    def start(self) -> None:
        """Begin to load every engine that is not to be loaded on demand.

        Returns at once, `Engine.state` tells how it goes.
        """
        for engine, names in _distinct(self._by_model).items():
            if engine.state().is_on_demand:
                continue
            task = asyncio.create_task(load(engine, ", ".join(names)))
            self._loading.add(task)
            task.add_done_callback(self._loading.discard)

    def take_calls(self) -> bool:
        """Tell whether each engine accepts calls; one that loads on demand does."""
        return all(engine.state().takes_calls for engine in self._by_model.values())

    async def settle(self, seconds: float, until: Callable[[], bool] = lambda: False) -> None:
        """Wait until all engines accept calls, `seconds` pass, or `until` returns True."""
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                while not self.take_calls() and not until():  # noqa: ASYNC110 - engines set no event
                    await asyncio.sleep(SETTLE_LOOK)

    async def close(self) -> None:
        for task in self._loading:
            task.cancel()
        await asyncio.gather(*(engine.close() for engine in _distinct(self._by_model)))


def build_engines(models: Iterable[Model], choice: EngineChoice) -> Engines:
    """Engines for these models, none of them started. Raises `EngineDead` if one can't be."""
    engines: dict[str, Engine] = {}
    by_model: dict[str, Engine] = {}
    limits: dict[str, Limits] = {}
    tokenizers: dict[str, str] = {}
    adapters: dict[str, Adapter] = {}
    for model in models:
        plan = plan_engine(model, choice)
        if plan.key not in engines:
            elsewhere = {"cores": choice.cores[plan.key]} if plan.key in choice.cores else {}
            engines[plan.key] = plan.build(**elsewhere)
        by_model[model.id] = engines[plan.key]
        limits[model.id] = model.limits
        if plan.tokenizer:
            tokenizers[model.id] = plan.tokenizer
        if plan.adapter:
            adapters[model.id] = plan.adapter
    return Engines(_looked_after(by_model, limits, choice.max_loaded), tokenizers, adapters)


def _looked_after(
    by_model: Mapping[str, Engine], limits: Mapping[str, Limits], max_loaded: int | None
) -> dict[str, Engine]:
    """Those that hold weights are started again when they fail, or take turns in some places.

    A server is looked for by its own engine.
    """
    engines = dict(by_model)
    places = Places(max_loaded) if max_loaded else None
    for engine, ids in _distinct(by_model).items():
        if isinstance(engine, VllmEngine):
            names = ", ".join(ids)
            shared: Engine = KeptEngine(engine, names)
            if places:
                shared = places.add(engine, names, limits[ids[0]])
            engines |= dict.fromkeys(ids, shared)
    return engines


def _distinct(by_model: Mapping[str, Engine]) -> dict[Engine, list[str]]:
    """Each engine with the models that share it."""
    engines: dict[Engine, list[str]] = {}
    for model_id, engine in by_model.items():
        engines.setdefault(engine, []).append(model_id)
    return engines


@cache
def load_once(name: str) -> Tokenizer:
    return load_tokenizer(name)
