"""The bytes that the weights of a network take at each precision."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from engine.memory.network import Network

GROUP = 128  # weights that share a scale, in checkpoints of AWQ and GPTQ as they are published
KEPT_BITS = 16  # of parameters that quantization leaves as they are


@dataclass(frozen=True, slots=True)
class Precision:
    """A precision of weights, as vLLM names its quantization.

    `bits` are those of a quantized parameter, with its share of scales. `capability` is the least
    compute capability of the GPU, in tenths. `options` are vLLM's engine arguments, and `needs` is
    what the operator must bring.
    """

    name: str
    bits: float
    capability: int
    options: Mapping[str, Any]
    needs: str = ""
    kept_bits: int = field(default=KEPT_BITS)


# The capabilities are vLLM 0.32's `get_min_capability`; a test compares them.
PRECISIONS = {
    each.name: each
    for each in (
        Precision("bf16", 16, 80, {"dtype": "bfloat16"}),
        Precision("fp8", 8, 75, {"quantization": "fp8"}, "vLLM converts bf16 weights as it loads"),
        Precision(
            "awq",
            4 + (16 + 4) / GROUP,  # a scale and a zero point for each group
            75,
            {"quantization": "awq"},
            "a checkpoint in AWQ",
        ),
        Precision(
            "gptq",
            4 + (16 + 4) / GROUP,
            60,
            {"quantization": "gptq"},
            "a checkpoint in GPTQ, without desc_act",
        ),
        # Its scales are float32, one for 64 weights: vLLM undoes a double quantization. The
        # capability is that of older versions of vLLM; 0.32 has no bitsandbytes of its own.
        Precision(
            "bitsandbytes",
            4 + 32 / 64,
            70,
            {"quantization": "bitsandbytes"},
            "a vLLM with bitsandbytes; converts bf16 weights as it loads",
        ),
    )
}
FLOAT32 = Precision("float32", 32, 0, {"dtype": "float32"}, kept_bits=32)
# Other names that vLLM or a checkpoint has for these.
SAME = {
    "auto_awq": "awq",
    "awq_marlin": "awq",
    "auto_gptq": "gptq",
    "gptq_marlin": "gptq",
    "fp8_per_tensor": "fp8",
    "fp8_per_block": "fp8",
    "fp8_per_channel": "fp8",
    "fbgemm_fp8": "fp8",
}


def precision_of(network: Network, options: Mapping[str, Any]) -> Precision:
    """Return the precision in which vLLM loads a checkpoint with these engine arguments.

    A quantization that is not known here counts as bf16, unless the checkpoint tells its bits.
    """
    method = network.quantization or options.get("quantization")
    if not method:
        return FLOAT32 if options.get("dtype") in ("float32", "float") else PRECISIONS["bf16"]
    method = str(method)  # vLLM refuses other values when it starts
    known = PRECISIONS.get(SAME.get(method, method))
    if known and (network.bits in (None, 4) or known.name == "fp8"):
        return known
    return Precision(method, network.bits or 16, 0, {"quantization": method})


def weight_bytes(
    network: Network, precision: Precision, *, tensor: int = 1, stages: int = 1
) -> int:
    """Return the bytes of the weights on the GPU that holds most of them.

    Tensor parallelism divides matrices, embeddings and output head. Pipeline stages divide layers;
    the first one holds embeddings and encoder, the last one the output head.
    """
    share = -(-network.layers // stages) / network.layers
    matrices = network.matrices * share / tensor * precision.bits
    # Guess: encoders are not divided. vLLM keeps Pixtral's whole, and divides Whisper's.
    kept = (network.tables / tensor + network.others) * precision.kept_bits
    return round((matrices + kept) / 8)
