"""The calls that fit beside the weights on a GPU, with the figures of each step of the arithmetic.

vLLM measures the memory of a forward pass when it starts. `WORKING` and `_activations` estimate it;
everything else follows vLLM's own arithmetic.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from engine.memory.network import Network
from engine.memory.precision import Precision, weight_bytes

GIB = 1024**3
BLOCK_SIZE = 16  # tokens of a block of the KV cache, vLLM's default on GPUs
GPU_MEMORY_UTILIZATION = 0.92  # vLLM's default
BATCHES_IN_FLIGHT = 2  # vLLM schedules a step while the one before runs
# Guess, from what vLLM logs on one GPU: CUDA's context, NCCL's buffers, CUDA graphs, fragments.
WORKING = 2 * GIB


@dataclass(frozen=True, slots=True)
class Card:
    """A kind of GPU. `memory` is in bytes, `capability` the compute capability in tenths."""

    name: str
    memory: int
    capability: int


@dataclass(frozen=True, slots=True)
class Batch:
    """The most tokens and calls of one step of vLLM."""

    tokens: int
    calls: int


# vLLM's defaults by the GPU's least memory, for its servers; guess: `AsyncLLM` has the same. vLLM
# takes the smallest on an A100 of any size, which is no matter here: it needs less memory.
BATCHES = (
    (160 * GIB, Batch(16_384, 1_024)),
    (70 * GIB, Batch(8_192, 1_024)),
    (0, Batch(2_048, 256)),
)


@dataclass(frozen=True, slots=True)
class Layout:
    """GPUs of one engine: `tensor` for each stage, and `stages` of layers."""

    tensor: int = 1
    stages: int = 1

    @property
    def gpus(self) -> int:
        return self.tensor * self.stages


@dataclass(frozen=True, slots=True)
class Fit:
    """One engine on GPUs of one kind. Bytes are those of one GPU.

    `blocks` is 0 if the weights leave no room. `calls` of the asked length fit at once. The engine
    `starts` if one call of the whole context fits; vLLM refuses to start otherwise.
    """

    precision: Precision
    layout: Layout
    budget: int
    weights: int
    working: int
    token_bytes: int
    block_size: int
    blocks: int
    calls: int
    starts: bool

    @property
    def cache(self) -> int:
        """Return the bytes left for the KV cache; negative if there are too few."""
        return self.budget - self.weights - self.working

    @property
    def tokens(self) -> int:
        return self.blocks * self.block_size


def can_divide(network: Network, tensor: int) -> bool:
    """Tell whether vLLM can divide the attention by this tensor parallel size."""
    if network.heads % tensor:
        return False
    if network.latent:
        return True
    return network.kv_heads % tensor == 0 or tensor % network.kv_heads == 0


def token_bytes(network: Network, options: Mapping[str, Any], layout: Layout) -> int:
    """Return the bytes of one token in the KV cache of one GPU.

    A GPU has at least one KV head. Each GPU holds the whole latent vector of MLA.
    """
    layers = -(-network.layers // layout.stages)
    if network.latent:
        values = network.latent.kv_rank + network.latent.rope
    else:
        values = 2 * max(1, network.kv_heads // layout.tensor) * network.head_size
    return layers * values * _cache_value_bytes(options)


def _cache_value_bytes(options: Mapping[str, Any]) -> int:
    if str(options.get("kv_cache_dtype", "auto")).startswith("fp8"):
        return 1
    return 4 if options.get("dtype") in ("float32", "float") else 2


def blocks_of_call(network: Network, tokens: int, block_size: int, in_flight: int) -> int:
    """Return the blocks that a call of so many tokens holds at its end, or at most.

    With a sliding window, a call holds the window and the tokens of steps in flight, and one block
    more, because the window may begin inside a block.
    """
    whole = -(-tokens // block_size)
    if network.window is None or tokens <= network.window:
        return whole
    held = min(network.window - 1 + in_flight, tokens)
    return min(-(-held // block_size) + 1, whole + 1)


def count_blocks(cache: int, block_size: int, bytes_of_token: int) -> int:
    """Return the blocks of a KV cache of so many bytes, as vLLM counts them."""
    return max(0, cache) // (block_size * bytes_of_token)


def fit(
    network: Network,
    precision: Precision,
    card: Card,
    layout: Layout,
    options: Mapping[str, Any],
    *,
    tokens: int,
    context: int,
) -> Fit:
    """Return how an engine with these engine arguments fits on GPUs of this kind."""
    batch = _batch(card, options)
    budget = int(card.memory * (options.get("gpu_memory_utilization") or GPU_MEMORY_UTILIZATION))
    weights = weight_bytes(network, precision, tensor=layout.tensor, stages=layout.stages)
    working = WORKING + _activations(network, batch, layout.tensor)
    of_token = token_bytes(network, options, layout)
    block_size = options.get("block_size") or BLOCK_SIZE
    cache = options.get("kv_cache_memory_bytes") or budget - weights - working
    blocks = count_blocks(cache, block_size, of_token) if weights + working < card.memory else 0
    free = max(0, blocks - 1)  # vLLM keeps one block empty
    in_flight = BATCHES_IN_FLIGHT * batch.tokens
    longest = blocks_of_call(network, context, block_size, in_flight)
    asked = blocks_of_call(network, min(tokens, context), block_size, in_flight)
    return Fit(
        precision=precision,
        layout=layout,
        budget=budget,
        weights=weights,
        working=working,
        token_bytes=of_token,
        block_size=block_size,
        blocks=blocks,
        calls=min(free // asked, batch.calls),
        starts=free >= longest,
    )


def _batch(card: Card, options: Mapping[str, Any]) -> Batch:
    default = next(batch for least, batch in BATCHES if card.memory >= least)
    tokens = options.get("max_num_batched_tokens") or default.tokens
    return Batch(tokens, options.get("max_num_seqs") or default.calls)


def _activations(network: Network, batch: Batch, tensor: int) -> int:
    """Estimate the bytes that a step of the largest batch needs at once.

    Guess: two bytes for each of the layer's inputs and outputs, the queries, and both halves of the
    MLP; and two copies of the odds of all words in four bytes.
    """
    values = 6 * network.hidden + 2 * max(network.intermediate, network.expert_size) // tensor
    return batch.tokens * values * 2 + batch.calls * network.vocabulary * 4 * 2
