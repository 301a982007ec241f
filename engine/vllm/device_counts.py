"""Numbers of processes that vLLM refuses, found without vLLM and without a GPU."""

import json
from collections.abc import Iterator, Mapping
from math import prod
from pathlib import Path
from typing import Any

TENSOR, PIPELINE, DATA = "tensor_parallel_size", "pipeline_parallel_size", "data_parallel_size"
LOCAL, NODES, NODE = "data_parallel_size_local", "nnodes", "node_rank"
FACTORS = (TENSOR, PIPELINE, DATA, "prefill_context_parallel_size")


def count_problems(weights: str, options: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """Yield each argument whose number cannot be, and a sentence.

    The sentences follow the checks of vLLM 0.32: `ModelConfig.verify_with_parallel_config`,
    `ParallelConfig` and `EngineArgs`. `weights` is read if it is a folder.
    """
    given = {name: each for name, each in options.items() if type(each) is int}
    tensor = given.get(TENSOR, 1)
    heads = attention_heads(Path(weights)) if tensor > 1 else None
    if heads and heads % tensor:
        yield TENSOR, f"{TENSOR} is {tensor}, which does not divide the {heads} attention heads"
    if LOCAL in given and given[LOCAL] > (most := given.get(DATA, 1)):
        yield LOCAL, f"{LOCAL} is {given[LOCAL]}, and {DATA} only {most}"
    nodes = given.get(NODES, 1)
    if nodes > 1:
        processes = prod(given.get(name, 1) for name in FACTORS)
        if processes % nodes:
            product = " * ".join(FACTORS[: 3 + (FACTORS[3] in given)])
            yield NODES, f"{NODES} is {nodes}, which does not divide {product} = {processes}"
        if not 0 <= given.get(NODE, 0) < nodes:
            yield NODE, f"{NODE} is {given[NODE]}, and may be from 0 to {nodes - 1}"


def attention_heads(folder: Path) -> int | None:
    """Return the attention heads of a checkpoint, or None if the folder does not tell."""
    for name, key in (("config.json", "num_attention_heads"), ("params.json", "n_heads")):
        try:
            config = json.loads((folder / name).read_bytes())
            # A model that sees has the configuration of its text model inside.
            heads = config.get("text_config", config).get(key)
        except (OSError, ValueError, AttributeError):
            continue
        if type(heads) is int:
            return heads
    return None
