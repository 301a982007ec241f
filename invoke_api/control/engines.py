"""`/_emulator/engines`: each engine with its state, load and last errors."""

import asyncio
from collections.abc import Iterable, Sequence
from math import ceil
from time import monotonic
from typing import Any

from prometheus_client.parser import text_string_to_metric_families
from starlette.requests import Request
from starlette.responses import Response

from engine.protocol import Engine
from invoke_api.control.responses import json_answer
from invoke_api.observability.journal import Entry
from invoke_api.pipeline.services import Services, services_of

WINDOW_SECONDS = 60.0  # of the tokens a second
MAX_ERRORS = 3
KV_CACHE_USE = "vllm:kv_cache_usage_perc"  # vLLM's gauge, a share of 1
# Errors that say nothing about the engine.
REFUSALS = frozenset({"ValidationException", "AccessDeniedException", "ResourceNotFoundException"})


async def engines(request: Request, _: bytes) -> Response:
    """List the engines. The figures are of the journal's calls, and of vLLM's metrics."""
    services = services_of(request)
    by_engine: dict[Engine, list[str]] = {}
    for model_id, engine in services.engines.items():
        by_engine.setdefault(engine, []).append(model_id)
    cache_use = await _read_cache_use(services)
    waiting = services.calls.waiting()
    entries = services.journal.found()
    cards = [
        {
            **_to_card(services, engine, model_ids, cache_use, entries),
            "waiting": sum(waiting[model_id] for model_id in model_ids),
        }
        for engine, model_ids in by_engine.items()
    ]
    return json_answer({"engines": cards})


def _to_card(
    services: Services,
    engine: Engine,
    model_ids: Sequence[str],
    cache_use: dict[str, float],
    entries: Iterable[Entry],
) -> dict[str, Any]:
    state = engine.state()
    own = [entry for entry in entries if entry.model_id in model_ids]
    # Calls that a rule answered say nothing about the engine's speed.
    served = [entry for entry in own if entry.engine == engine.name]
    firsts = [entry.first_byte_latency for entry in served if entry.first_byte_latency is not None]
    names = {services.registry.models[model_id].weights for model_id in model_ids}
    return {
        "engine": engine.name,
        "models": list(model_ids),
        "stand_in": services.engines.stand_in(model_ids[0]),
        "status": state.status,
        "reason": state.reason,
        "retry_in_seconds": None if state.retry_in is None else round(state.retry_in, 1),
        "running": engine.running(),
        "kv_cache_use": next((cache_use[name] for name in names if name in cache_use), None),
        "calls": len(own),
        "tokens_per_second": measure_rate(served, monotonic()),
        "first_token_ms": {"p50": percentile(firsts, 50), "p99": percentile(firsts, 99)},
        "errors": [_to_error(entry) for entry in own if _is_failure(entry)][-MAX_ERRORS:][::-1],
    }


async def _read_cache_use(services: Services) -> dict[str, float]:
    """Return the use of vLLM's KV caches, by the name under which vLLM serves the model."""
    if all(engine.name != "vllm" for _, engine in services.engines.items()):
        return {}
    body, _ = await services.metrics.render("text/plain")
    return await asyncio.to_thread(parse_cache_use, body.decode())


def parse_cache_use(text: str) -> dict[str, float]:
    """Return the values of vLLM's gauge in exported metrics, by model name."""
    lines = (line for line in text.splitlines(keepends=True) if KV_CACHE_USE in line)
    return {
        sample.labels.get("model_name", ""): sample.value
        for family in text_string_to_metric_families("".join(lines))
        for sample in family.samples
    }


def measure_rate(entries: Iterable[Entry], now: float) -> float | None:
    """Return the tokens a second since the first call of the last minute, or None without one."""
    recent = [
        entry
        for entry in entries
        if entry.first_token is not None and (entry.last_token or now) >= now - WINDOW_SECONDS
    ]
    if not recent:
        return None
    since = max(now - WINDOW_SECONDS, min(entry.answer.began for entry in recent))
    tokens = sum(
        len(entry.texts) if entry.output_tokens is None else entry.output_tokens for entry in recent
    )
    return round(tokens / max(now - since, 0.001), 1)


def percentile(values: Sequence[int], share: int) -> int | None:
    """Return a percentile by nearest rank, or None without values."""
    return sorted(values)[max(0, ceil(len(values) * share / 100) - 1)] if values else None


def _is_failure(entry: Entry) -> bool:
    return entry.error is not None and entry.error.type not in REFUSALS


def _to_error(entry: Entry) -> dict[str, Any]:
    summary = entry.to_json()
    return {key: summary[key] for key in ("request_id", "time", "rule_id", "error")}
