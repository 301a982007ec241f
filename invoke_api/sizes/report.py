"""The report of `invoke-api plan`, in lines for people and as JSON."""

from collections.abc import Iterator
from typing import Any

from engine.memory.fit import BLOCK_SIZE, Fit, Layout, blocks_of_call, token_bytes
from engine.memory.network import Network
from engine.memory.precision import PRECISIONS, weight_bytes
from invoke_api.sizes.devices import Devices, known_cards
from invoke_api.sizes.planning import ModelPlan, possible_fits, smallest_fit
from invoke_api.sizes.words import billions, gigabytes, table

SHORTER = "*"  # marks a fit that needs a shorter context_length
CAN_NOT = "-"
KINDS = tuple(PRECISIONS.values())


def lines_of(plan: ModelPlan, devices: Devices | None, tokens: int) -> Iterator[str]:
    """Yield the report of one model: its sizes, and on which GPUs it fits."""
    tokens = min(tokens, plan.context)
    yield f"{plan.model_id}  {plan.weights}"
    yield f"  sizes from    {plan.source}"
    if plan.guess:
        yield f"  guess         {plan.guess}"
    for title, text in _sizes(plan, tokens):
        yield f"  {title:<13} {text}"
    if devices is None:
        yield from _indented(_cards(plan, tokens))
    else:
        yield from (f"  {line}" for line in _arithmetic(plan, devices, tokens))
        yield from _indented(_choices(plan, devices, tokens))


def _indented(lines: list[str]) -> Iterator[str]:
    yield from (f"    {line}" for line in lines)


def _sizes(plan: ModelPlan, tokens: int) -> Iterator[tuple[str, str]]:
    network = plan.network
    kept = network.tables + network.others
    weights = [f"{each.name} {gigabytes(weight_bytes(network, each))}" for each in KINDS]
    of_token = token_bytes(network, plan.options, Layout())
    yield "network", _network(network)
    yield "parameters", f"{billions(network.parameters)}"
    yield (
        "quantization",
        f"shrinks {billions(network.matrices)}, leaves {billions(kept)} as they are",
    )
    yield "weights", ", ".join(weights)
    if network.quantization:
        yield "checkpoint", f"in {network.quantization}; another precision needs another checkpoint"
    yield "KV cache", f"{_cache_product(plan)} = {of_token:,} bytes a token"
    if network.window:
        yield "", f"a call keeps {network.window:,} tokens, and those of steps in flight"
    yield "a call", f"of {tokens:,} tokens: {gigabytes(_call_bytes(plan, tokens))}"


def _call_bytes(plan: ModelPlan, tokens: int) -> int:
    """Return the KV cache of a call at its end, without a sliding window's tokens in flight."""
    size = plan.options.get("block_size") or BLOCK_SIZE
    blocks = blocks_of_call(plan.network, tokens, size, in_flight=0)
    return blocks * size * token_bytes(plan.network, plan.options, Layout())


def _network(network: Network) -> str:
    experts = f", {network.experts} experts of {network.expert_size}" if network.experts else ""
    window = f", sliding window {network.window}" if network.window else ""
    return (
        f"{network.layers} layers of {network.hidden}, MLP {network.intermediate}{experts},"
        f" {network.heads} heads of {network.head_size}, {network.kv_heads} KV heads, vocabulary"
        f" {network.vocabulary}{window}"
    )


def _cache_product(plan: ModelPlan) -> str:
    network = plan.network
    values = token_bytes(network, plan.options, Layout()) // network.layers
    if network.latent:
        width = network.latent.kv_rank + network.latent.rope
        return f"{network.layers} layers x {width} x {values // width} bytes"
    width = network.kv_heads * network.head_size
    return (
        f"2 x {network.layers} layers x {network.kv_heads} KV heads x {network.head_size}"
        f" x {values // (2 * width)} bytes"
    )


def _arithmetic(plan: ModelPlan, devices: Devices, tokens: int) -> Iterator[str]:
    """Yield the steps from a GPU's memory to the calls, with the registry's engine arguments."""
    found, card = plan.fit(devices.card, tokens), devices.card
    layout, engines = plan.layout, plan.engines
    yield (
        f"as in the registry: {plan.precision.name}, tensor_parallel_size {layout.tensor},"
        f" pipeline_parallel_size {layout.stages}, data_parallel_size {engines}, on {devices}"
    )
    if layout.gpus * engines > devices.number:
        yield f"  needs {layout.gpus * engines} GPUs"
    part = f"{gigabytes(card.memory)} x {found.budget / card.memory:.2f}"
    yield f"  for vLLM      {part} = {gigabytes(found.budget)} a GPU"
    yield f"  - weights     {gigabytes(found.weights)}"
    yield f"  - a step      {gigabytes(found.working)} (estimate: activations, CUDA, NCCL, graphs)"
    yield f"  = KV cache    {gigabytes(found.cache)}"
    yield (
        f"  / a block     {found.block_size} tokens x {found.token_bytes:,} bytes"
        f" = {found.blocks:,} blocks = {found.tokens:,} tokens"
    )
    times = f", {found.calls * engines} on {engines} engines" if engines > 1 else ""
    yield f"  calls at once {found.calls} of {tokens:,} tokens{times}"
    if not found.starts:
        yield f"  vLLM refuses to start: one call of context_length {plan.context:,} does not fit"


def _choices(plan: ModelPlan, devices: Devices, tokens: int) -> list[str]:
    """Return a table of what fits on these GPUs."""
    rows = [
        ("WEIGHTS IN", "TENSOR_PARALLEL_SIZE", "WEIGHTS/GPU", "KV CACHE/GPU", "TOKENS", "CALLS"),
        *(
            (
                each.precision.name,
                f"{each.layout.tensor}{'' if each.starts else SHORTER}",
                gigabytes(each.weights),
                gigabytes(each.cache),
                f"{each.tokens:,}",
                str(each.calls),
            )
            for each in possible_fits(plan, devices, tokens)
        ),
    ]
    if len(rows) == 1:
        return [f"nothing fits on {devices}"]
    return table(rows)


def _cards(plan: ModelPlan, tokens: int) -> list[str]:
    """Return a table of the smallest tensor parallel sizes by GPU and precision."""
    rows = [("GPU", *(f"{each.name}" for each in KINDS))]
    for card in known_cards().values():
        found = [smallest_fit(plan, card, each, tokens) for each in KINDS]
        rows.append((card.name, *(_cell(each) for each in found)))
    return ["smallest tensor_parallel_size:", *table(rows)]


def _cell(found: Fit | None) -> str:
    return f"{found.layout.tensor}{'' if found.starts else SHORTER}" if found else CAN_NOT


def legend() -> Iterator[str]:
    yield "GB are 1,000,000,000 bytes. The memory of a step is an estimate: leave a tenth."
    yield f"{SHORTER}  fits if context_length is shorter; vLLM refuses to start otherwise"
    yield from (f"{each.name}: {each.needs}" for each in KINDS if each.needs)


def document_of(plan: ModelPlan, devices: Devices | None, tokens: int) -> dict[str, Any]:
    """Return the report of one model as JSON."""
    tokens = min(tokens, plan.context)
    network = plan.network
    document: dict[str, Any] = {
        "model": plan.model_id,
        "weights": plan.weights,
        "source": plan.source,
        "guess": plan.guess,
        "parameters": network.parameters,
        "weight_bytes": {each.name: weight_bytes(network, each) for each in KINDS},
        "kv_bytes_per_token": token_bytes(network, plan.options, Layout()),
        "sliding_window": network.window,
        "tokens": tokens,
    }
    if devices is None:
        cells = {
            card.name: {
                each.name: smallest and _fit_document(smallest)
                for each in KINDS
                for smallest in [smallest_fit(plan, card, each, tokens)]
            }
            for card in known_cards().values()
        }
        return document | {"smallest": cells}
    return document | {
        "gpu": devices.card.name,
        "gpus": devices.number,
        "registry": _fit_document(plan.fit(devices.card, tokens)) | {"engines": plan.engines},
        "fits": [_fit_document(each) for each in possible_fits(plan, devices, tokens)],
    }


def _fit_document(found: Fit) -> dict[str, Any]:
    return {
        "precision": found.precision.name,
        "tensor_parallel_size": found.layout.tensor,
        "pipeline_parallel_size": found.layout.stages,
        "budget_bytes": found.budget,
        "weight_bytes": found.weights,
        "step_bytes": found.working,
        "kv_cache_bytes": max(0, found.cache),
        "kv_bytes_per_token": found.token_bytes,
        "block_size": found.block_size,
        "blocks": found.blocks,
        "tokens": found.tokens,
        "calls": found.calls,
        "starts": found.starts,
    }
