"""Our arithmetic of memory, held against what vLLM reports and computes."""

import re
from importlib import import_module
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from urllib.request import urlopen

import pytest
import yaml

from engine.demo import options as demo
from engine.demo.checkpoints import make_demo
from engine.memory.fit import (
    BLOCK_SIZE,
    GPU_MEMORY_UTILIZATION,
    Layout,
    blocks_of_call,
    count_blocks,
    token_bytes,
)
from engine.memory.network import read_network
from engine.memory.precision import PRECISIONS
from engine.vllm.checkpoint_config import find_config
from engine.vllm.dtype import instead_of_bfloat16
from engine.vllm.options import engine_arguments
from tests.support.servers import ROOT

# torch and vLLM warn of deprecations; elsewhere a warning is an error.
pytestmark = [pytest.mark.vllm, pytest.mark.filterwarnings("default")]

LABEL = re.compile(r'(\w+)="([^"]*)"')


def test_vllm_reports_as_many_blocks_of_its_kv_cache(vllm_server: str, checkpoints: Path) -> None:
    with urlopen(f"{vllm_server}/metrics", timeout=10) as response:
        text = response.read().decode()
    [line] = [each for each in text.splitlines() if each.startswith("vllm:cache_config_info{")]
    reported = dict(LABEL.findall(line))
    found = find_config(str(make_demo("dense", checkpoints)), {})
    assert found
    network = read_network(found[1])
    options = instead_of_bfloat16()

    of_token = token_bytes(network, options, Layout())
    size = int(reported["block_size"])

    expected = count_blocks(demo.OPTIONS["kv_cache_memory_bytes"], size, of_token)
    assert int(reported["num_gpu_blocks"]) == expected > 100


@pytest.mark.parametrize("name", ["dense", "moe", "vision", "speech"])
def test_vllm_counts_the_same_kv_heads_layers_and_window(name: str, checkpoints: Path) -> None:
    folder = make_demo(name, checkpoints)
    own = {**demo.OPTIONS, **({"config_format": "mistral"} if name in ("vision", "speech") else {})}
    arguments = engine_arguments(str(folder), 4_096, own)
    config = (
        import_module("vllm.engine.arg_utils").AsyncEngineArgs(**arguments).create_model_config()
    )
    found = find_config(str(folder), own)
    assert found
    network = read_network(found[1])

    for size in (1, 2, 4):
        parallel = SimpleNamespace(tensor_parallel_size=size, pipeline_parallel_size=1)
        values = 2 * config.get_num_kv_heads(parallel) * config.get_head_size() * 2
        layers = config.hf_text_config.num_hidden_layers
        assert token_bytes(network, {}, Layout(size)) == layers * values
    assert config.get_sliding_window() == network.window


def test_vllm_bounds_the_blocks_of_a_sliding_window_likewise() -> None:
    interface = import_module("vllm.v1.kv_cache_interface")
    torch = import_module("torch")
    network = read_network(
        {
            "hidden_size": 4096,
            "intermediate_size": 14336,
            "num_hidden_layers": 32,
            "num_attention_heads": 32,
            "num_key_value_heads": 8,
            "vocab_size": 32000,
            "sliding_window": 4096,
        }
    )
    spec = interface.SlidingWindowSpec(
        block_size=16, num_kv_heads=8, head_size=128, dtype=torch.bfloat16, sliding_window=4096
    )

    for in_flight in (2_048, 16_384):
        theirs = spec.max_admission_blocks_per_request(in_flight, 32_768)
        assert blocks_of_call(network, 32_768, 16, in_flight) == theirs


def test_vllms_defaults_and_capabilities_are_those_of_the_tables() -> None:
    cache = import_module("vllm.config.cache").CacheConfig
    methods = import_module("vllm.model_executor.layers.quantization")

    assert cache.DEFAULT_BLOCK_SIZE == BLOCK_SIZE
    assert cache().gpu_memory_utilization == GPU_MEMORY_UTILIZATION
    for name in ("fp8", "awq", "gptq"):
        found = methods.get_quantization_config(name).get_min_capability()
        assert PRECISIONS[name].capability == found, name


EXAMPLE = ROOT / "examples" / "quantization" / "registry.yaml"
ENTRIES = {
    each["vllm"]["quantization"]: each for each in yaml.safe_load(EXAMPLE.read_text())["models"]
}
# The `quantization_config` in the config.json of such a checkpoint.
QUANTIZED = {
    "awq": {"quant_method": "awq", "bits": 4, "group_size": 128, "zero_point": True},
    "gptq": {"quant_method": "gptq", "bits": 4, "group_size": 128, "desc_act": False, "sym": True},
}


def engine_args(name: str, folder: Path) -> Any:
    """Return vLLM's arguments for the example, on a checkpoint without weights."""
    dense = import_module("bench.streams.checkpoints").CONFIG_7B
    quantized = {"quantization_config": QUANTIZED[name]} if name in QUANTIZED else {}
    json = import_module("json")
    (folder / "config.json").write_text(json.dumps(dense | quantized))
    entry = ENTRIES[name]
    arguments = engine_arguments(str(folder), entry["context_length"], entry["vllm"])
    return import_module("vllm.engine.arg_utils").AsyncEngineArgs(**arguments)


@pytest.mark.parametrize("name", ["fp8", "awq", "gptq"])
def test_this_vllm_accepts_the_examples_options(name: str, tmp_path: Path) -> None:
    config = engine_args(name, tmp_path).create_engine_config()

    assert name in config.model_config.quantization  # "auto_gptq" for gptq
    assert config.quant_config.get_min_capability() == PRECISIONS[name].capability


def test_this_vllm_takes_bitsandbytes_as_an_argument_only(tmp_path: Path) -> None:
    arguments = engine_args("bitsandbytes", tmp_path)  # fails for arguments that vLLM lacks
    assert arguments.quantization == "bitsandbytes"

    # If this fails, vLLM has it again: correct docs/operate/sizes.md and the example.
    with pytest.raises(ValueError, match="Unknown quantization method: bitsandbytes"):
        arguments.create_model_config()
