"""The choice of the dtype for vLLM's CPU build, by the instructions of this machine's processors.

Without instructions for bfloat16, vLLM (0.32) generates four to five times as fast in float32:
1,836 tokens/s instead of 395, measured with the dense demo checkpoint and 32 greedy streams.
"""

import logging
import re
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any

from engine.vllm.options import runs_on_cpu

log = logging.getLogger(__name__)

CPUINFO = Path("/proc/cpuinfo")  # Linux only
# The line of /proc/cpuinfo that names a processor's instruction sets, on x86 and on arm64.
FLAGS = re.compile(r"^(?:flags|Features)\s*:(.*)$", re.MULTILINE)
NATIVE = {"avx512_bf16", "amx_bf16", "bf16"}  # two of x86, one of arm64


def computes_bfloat16(cpuinfo: str) -> bool | None:
    """Tell whether each processor in the text of /proc/cpuinfo has instructions for bfloat16.

    Return None if the text names no instruction sets.
    """
    processors = FLAGS.findall(cpuinfo)
    return all(NATIVE & set(flags.split()) for flags in processors) if processors else None


@cache
def is_slow_in_bfloat16() -> bool:
    """Tell whether vLLM runs on this machine's processors and these lack bfloat16.

    Return False if this is unknown.
    """
    if not runs_on_cpu():
        return False
    try:
        return computes_bfloat16(CPUINFO.read_text()) is False
    except OSError:
        return False


def instead_of_bfloat16() -> dict[str, str]:
    """Return the engine argument for weights in bfloat16 if this machine needs one."""
    return {"dtype": "float32"} if is_slow_in_bfloat16() else {}


def fit_dtype(arguments: Mapping[str, Any]) -> dict[str, Any]:
    """Return vLLM's engine arguments, with float32 where bfloat16 would be slow.

    A `dtype` among them stays, and so does vLLM's choice for weights that are quantized or not in
    bfloat16. May import vLLM and read the weights' configuration; raises what vLLM raises.
    """
    given = dict(arguments)
    if "dtype" in given or not is_slow_in_bfloat16():
        return given
    from vllm.engine.arg_utils import AsyncEngineArgs

    config = AsyncEngineArgs(**given).create_model_config()
    if str(config.dtype) != "torch.bfloat16" or config.quantization:
        return given
    tell_once()
    return given | instead_of_bfloat16()


@cache
def tell_once() -> None:
    log.info(
        "vLLM computes in float32, for this processor has no instructions for bfloat16"
        " (avx512_bf16, amx_bf16, on arm64 bf16), in which it would be four times slower;"
        " vLLM's option `dtype: bfloat16` keeps it, and needs half the memory"
    )
