"""The engines of all models: build, share, load and close them."""

import asyncio
import logging
from collections.abc import Callable, Collection, Coroutine, Iterable, Mapping, Sequence
from contextlib import suppress
from functools import cache
from types import MappingProxyType

from engine.demo.checkpoints import CONTEXT_LENGTH
from engine.demo.stand_in import StandIn
from engine.lifecycle.loading import load
from engine.lifecycle.lru_pool import LruPool
from engine.lifecycle.supervised import SupervisedEngine
from engine.lora import Adapter
from engine.protocol import Engine, EngineLimits
from engine.tokenization.tokenizer import Tokenizer, load_tokenizer
from engine.vllm.engine import VllmEngine
from invoke_api.models.engine_factory import (
    ALL,
    ANY,
    EngineChoice,
    Plan,
    most_loading,
    plan_engine,
)
from invoke_api.models.registry import Model

log = logging.getLogger(__name__)

READY_POLL_SECONDS = 0.05  # seconds between two polls of engines


class Engines:
    """The engines by model. Models with the same checkpoint share an engine.

    `tokenizers` names the tokenizers of prompts that differ from the engine's, by model id; demo
    checkpoints have such. `adapters` are the models' LoRA adapters, by model id.
    With `most_loading`, the first of vLLM's engines loads alone, and then so many at a time, in the
    order of `by_model`; None loads all at once. `ready_when` names the models that must accept
    calls for the service to be ready: their ids, or `ALL` or `ANY` alone.
    """

    def __init__(
        self,
        by_model: Mapping[str, Engine],
        tokenizers: Mapping[str, str] = MappingProxyType({}),
        adapters: Mapping[str, Adapter] = MappingProxyType({}),
        most_loading: int | None = None,
        ready_when: Sequence[str] = (ALL,),
    ) -> None:
        self._by_model = by_model
        self._tokenizers = tokenizers
        self._adapters = adapters
        self._most_loading = most_loading
        self._ready_when = ready_when
        self._loading: set[asyncio.Task[object]] = set()
        # Model ids that have tokenised a prompt, and whether of Converse. The first time is slow,
        # because it may load a tokenizer or template.
        self.warm: set[tuple[str, bool]] = set()

    def of(self, model: Model) -> Engine:
        return self._by_model[model.id]

    def tokenizer(self, model: Model) -> Tokenizer:
        """Return the tokenizer of a model's prompts. Raises the errors of `Engine.tokenizer`."""
        return self.tokenizers(model)[0]

    def tokenizers(self, model: Model) -> tuple[Tokenizer, Tokenizer]:
        """Return the tokenizers of a model's prompts and of its engine's answers.

        Raises the errors of `Engine.tokenizer`.
        """
        own = self._by_model[model.id].tokenizer()
        name = self._tokenizers.get(model.id)
        return (load_cached_tokenizer(name) if name else own), own

    def adapter(self, model: Model) -> Adapter | None:
        return self._adapters.get(model.id)

    def stand_in(self, model_id: str) -> str | None:
        """Return the name of the model that answers in place of this one, or None."""
        engine = self._by_model[model_id]
        return engine.label if isinstance(engine, StandIn) else None

    def items(self) -> Iterable[tuple[str, Engine]]:
        return self._by_model.items()

    def start(self) -> None:
        """Start to load every engine that does not load on demand.

        Returns at once; `Engine.state` tells the progress. An engine that waits for its turn is
        `cold`. If an engine fails, the next one begins, and the failed one is restarted beside it.
        """
        in_turn: dict[Engine, str] = {}
        for engine, names in _distinct(self._by_model).items():
            if engine.state().is_on_demand:
                continue
            if self._most_loading and isinstance(engine, SupervisedEngine):
                in_turn[engine] = self._describe(engine, names)
            else:
                self._begin(load(engine, self._describe(engine, names)))
        if in_turn:
            self._begin(self._load_in_turn(in_turn))

    def _describe(self, engine: Engine, names: Sequence[str]) -> str:
        """Return the names of an engine's models for the log, and of the model that runs."""
        stand_ins = [each for each in self._by_model.values() if isinstance(each, StandIn)]
        of = next((f"{each.label} for " for each in stand_ins if each.text is engine), "")
        return of + ", ".join(names)

    def _begin(self, work: Coroutine[None, None, object]) -> None:
        task = asyncio.create_task(work)
        self._loading.add(task)
        task.add_done_callback(self._loading.discard)

    async def _load_in_turn(self, engines: Mapping[Engine, str]) -> None:
        (first, names), *others = engines.items()
        turns = asyncio.Semaphore(self._most_loading or 1)

        async def load_later(engine: Engine, names: str) -> None:
            async with turns:
                await load(engine, names)

        if others:
            log.info("%d engines load, the first one alone", len(engines))
        await load(first, names)
        await asyncio.gather(*(load_later(*each) for each in others))

    def accept_calls(self) -> bool:
        """Tell whether the engines that matter accept calls. One that loads on demand does."""
        if self._ready_when == (ANY,):
            return any(map(self.accepts_calls, self._by_model))
        ids = self._by_model if self._ready_when == (ALL,) else self._ready_when
        return all(map(self.accepts_calls, ids))

    def accepts_calls(self, model_id: str) -> bool:
        return self._by_model[model_id].state().takes_calls

    async def wait_until_ready(
        self, seconds: float, until: Callable[[], bool] = lambda: False
    ) -> None:
        """Wait until `accept_calls`, `seconds` pass, or `until` returns True."""
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                while not self.accept_calls() and not until():  # noqa: ASYNC110 - engines set no event
                    await asyncio.sleep(READY_POLL_SECONDS)

    async def close(self) -> None:
        for task in self._loading:
            task.cancel()
        await asyncio.gather(*(engine.close() for engine in _distinct(self._by_model)))


def build_engines(models: Collection[Model], choice: EngineChoice) -> Engines:
    """Build the engines of these models without starting them. Raises `EngineDead`."""
    plans = {model.id: plan_engine(model, choice) for model in models}
    limits = {model.id: model.limits for model in models}
    built: dict[str, Engine] = {}
    names: dict[str, list[str]] = {}
    for model_id, own in plans.items():
        for plan in filter(None, (own.text, own)):
            if plan.key not in built:
                elsewhere = {"cores": choice.cores[plan.key]} if plan.key in choice.cores else {}
                built[plan.key] = plan.build(**elsewhere)
            names.setdefault(plan.key, []).append(model_id)
    # Behind a stand-in, a demo checkpoint is loaded when it is first called.
    on_demand = {plan.key for plan in plans.values() if plan.text and not choice.cores}
    supervised = _supervise(built, names, limits, choice.max_loaded, on_demand)
    # Another process has its own order for the cores that it runs.
    most = None if choice.cores else most_loading(choice)
    return Engines(
        _to_models(plans, built, supervised),
        {model_id: plan.tokenizer for model_id, plan in plans.items() if plan.tokenizer},
        {model_id: plan.adapter for model_id, plan in plans.items() if plan.adapter},
        most,
        choice.ready_when,
    )


def _to_models(
    plans: Mapping[str, Plan], built: Mapping[str, Engine], supervised: Mapping[str, Engine]
) -> dict[str, Engine]:
    """Return the engine of each model. Models with the same plan share it."""
    by_key: dict[str, Engine] = {}
    for plan in plans.values():
        if plan.key in by_key:
            continue
        tiny, own = supervised[plan.key], built[plan.key]
        by_key[plan.key] = tiny
        if plan.text:
            assert isinstance(own, VllmEngine)
            text = supervised[plan.text.key]
            by_key[plan.key] = StandIn(text, tiny, own.read_tokenizer, CONTEXT_LENGTH)
    return {model_id: by_key[plan.key] for model_id, plan in plans.items()}


def _supervise(
    built: Mapping[str, Engine],
    names: Mapping[str, Sequence[str]],
    limits: Mapping[str, EngineLimits],
    max_loaded: int | None,
    on_demand: Collection[str],
) -> dict[str, Engine]:
    """Wrap the vLLM engines in supervisors, which restart them, or load them when they are called.

    All load on demand with `max_loaded`, else those with a key in `on_demand`. Remote engines
    supervise their connection themselves.
    """
    pool = LruPool(max_loaded or max(1, len(on_demand)))
    engines = dict(built)
    for key, engine in built.items():
        if isinstance(engine, VllmEngine):
            ids = names[key]
            if max_loaded or key in on_demand:
                engines[key] = pool.add(engine, ", ".join(ids), limits[ids[0]])
            else:
                engines[key] = SupervisedEngine(engine, ", ".join(ids))
    return engines


def _distinct(by_model: Mapping[str, Engine]) -> dict[Engine, list[str]]:
    """Return each engine with the ids of its models, those behind stand-ins included."""
    engines: dict[Engine, list[str]] = {}
    for model_id, engine in by_model.items():
        parts = (engine.text, engine.tiny) if isinstance(engine, StandIn) else (engine,)
        for part in parts:
            engines.setdefault(part, []).append(model_id)
    return engines


@cache
def load_cached_tokenizer(name: str) -> Tokenizer:
    return load_tokenizer(name)
