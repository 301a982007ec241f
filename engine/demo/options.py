"""vLLM's options for the demo checkpoints: little memory, and no compilation."""

from collections.abc import Mapping
from typing import Any

OPTIONS: Mapping[str, Any] = {
    "enforce_eager": True,
    "kv_cache_memory_bytes": 256 * 1024**2,
    "use_tqdm_on_load": False,
    # Structured outputs need the tokenizer.
    "skip_tokenizer_init": False,
    "tokenizer_mode": "mistral",
    # For models that take images or audio; the others ignore it.
    "limit_mm_per_prompt": {"image": 20, "audio": 5},
    "mm_processor_cache_gb": 0.25,  # vLLM's default is 4 GiB for each process
    "structured_outputs_config": {"backend": "xgrammar", "disable_any_whitespace": True},
}

# Tokenizers that replace the registry's. The dense checkpoint has the ids of v3: v1 keeps its own
# pieces with these ids; a Tekken, whose vocabulary is four times as large, is replaced by v3.
TOKENIZERS: Mapping[str, str] = {"v1": "v1-in-v3"}

ENVIRONMENT: Mapping[str, str] = {
    # Even an eager vLLM compiles a small function for tensor parallelism, with a C++ compiler
    # that a fresh machine does not have.
    "TORCHDYNAMO_DISABLE": "1",
    # Warnings of vLLM and torch about a demo model do not matter.
    "VLLM_LOGGING_LEVEL": "ERROR",
    "PYTHONWARNINGS": "ignore",
}

# For several demo engines. On a CPU vLLM (0.32) runs the model in a second process, with threads
# bound to processors, unless the first of these is 0. A demo model needs one unbound thread.
# Without the second process an engine starts with 19 s of CPU time instead of 28 s, takes 440 MB
# less, and generates a tenth faster.
ONE_PROCESS: Mapping[str, str] = {"VLLM_ENABLE_V1_MULTIPROCESSING": "0", "OMP_NUM_THREADS": "1"}

# For SmolLM2. A token takes 46 KB of the KV cache in float32, and half of that in bfloat16.
SMOLLM2_OPTIONS: Mapping[str, Any] = {
    **{name: OPTIONS[name] for name in ("enforce_eager", "use_tqdm_on_load")},
    "kv_cache_memory_bytes": 512 * 1024**2,
    "skip_tokenizer_init": False,
    "structured_outputs_config": OPTIONS["structured_outputs_config"],
}


def smollm2_environment(processors: int) -> dict[str, str]:
    """Return the variables for SmolLM2's engine, which computes with half of the processors.

    OpenMP's threads wait for each other in busy loops. On two busy processors, two threads
    generated 2 tokens/s in float32, and one thread 6 to 9.
    """
    return {**ENVIRONMENT, **ONE_PROCESS, "OMP_NUM_THREADS": str(max(1, processors // 2))}
