"""Sizes of networks, held against checkpoints that are written and against published figures."""

import json
from pathlib import Path

import pytest
from safetensors import safe_open

from engine.demo.checkpoints import DEMOS, make_demo
from engine.memory.network import Network, UnknownNetwork, read_network
from engine.memory.precision import PRECISIONS, precision_of, weight_bytes
from tests.support.servers import ROOT

CHECKPOINTS = json.loads((ROOT / "schemas" / "checkpoints.json").read_text())["checkpoints"]
SEVEN_B = "mistralai/Mistral-7B-Instruct-v0.2"
MIXTRAL = "mistralai/Mixtral-8x7B-Instruct-v0.1"
CONFIG = CHECKPOINTS[SEVEN_B]["config"]


def network_of(weights: str) -> Network:
    facts = CHECKPOINTS[weights]
    return read_network(facts["config"], facts.get("encoder"))


# Billions of parameters as the model cards and announcements round them.
PUBLISHED = {
    "mistralai/Mistral-7B-v0.1": 7.24,
    SEVEN_B: 7.24,
    "TheBloke/Mistral-7B-Instruct-v0.2-AWQ": 7.24,
    MIXTRAL: 46.7,  # mistral.ai/news/mixtral-of-experts: 46.7B
    "mistralai/Mistral-Small-Instruct-2409": 22.2,
    "mistralai/Mistral-Large-Instruct-2407": 123,
    "mistralai/Pixtral-Large-Instruct-2411": 124,
    "mistralai/Mistral-Large-3-675B-Instruct-2512": 675,
    "mistralai/Ministral-3-3B-Instruct-2512": 3.4 + 0.4,
    "mistralai/Ministral-3-8B-Instruct-2512": 8.4 + 0.4,
    "mistralai/Ministral-3-14B-Instruct-2512": 13.5 + 0.4,
    "mistralai/Magistral-Small-2509": 24,
    "mistralai/Devstral-2-123B-Instruct-2512": 125,
    "mistralai/Voxtral-Mini-3B-2507": 4.7,
    "mistralai/Voxtral-Small-24B-2507": 24.3,
}


@pytest.mark.parametrize("weights", CHECKPOINTS)
def test_each_bundled_network_has_the_published_number_of_parameters(weights: str) -> None:
    assert network_of(weights).parameters / 1e9 == pytest.approx(PUBLISHED[weights], rel=0.015)
    assert CHECKPOINTS[weights]["source"]


# Bytes of published files: `total_size` of model.safetensors.index.json of the two in bf16; sizes
# of model.safetensors on Hugging Face's hub, in GB, of the others.
@pytest.mark.parametrize(
    ("weights", "precision", "published", "error"),
    [
        (SEVEN_B, "bf16", 14_483_464_192, 0),
        (MIXTRAL, "bf16", 93_405_585_408, 0),
        (SEVEN_B, "awq", 4.15e9, 0.002),  # TheBloke/Mistral-7B-Instruct-v0.2-AWQ
        (MIXTRAL, "awq", 24.65e9, 0.002),  # TheBloke/Mixtral-8x7B-Instruct-v0.1-AWQ
        (SEVEN_B, "gptq", 4.16e9, 0.005),  # TheBloke/Mistral-7B-Instruct-v0.2-GPTQ
        ("mistralai/Ministral-3-3B-Instruct-2512", "fp8", 4.67e9, 0.002),
    ],
)
def test_weights_have_the_size_of_published_files(
    weights: str, precision: str, published: float, error: float
) -> None:
    found = weight_bytes(network_of(weights), PRECISIONS[precision])

    assert found == pytest.approx(published, rel=error or 1e-12)


@pytest.mark.vllm
@pytest.mark.filterwarnings("default")  # torch warns of its own deprecations
@pytest.mark.parametrize("name", DEMOS)
def test_a_written_checkpoint_has_as_many_parameters(name: str, checkpoints: Path) -> None:
    folder = make_demo(name, checkpoints)
    [path] = folder.glob("*.safetensors")
    with safe_open(path, framework="pt") as file:
        counts = [file.get_tensor(key).numel() for key in file.keys()]  # noqa: SIM118 - no dict
    [config] = [
        each for each in map(folder.joinpath, ("config.json", "params.json")) if each.exists()
    ]

    network = read_network(json.loads(config.read_text()))

    # Biases and norms of encoders are not counted.
    error = 0.001 if DEMOS[name].encoder else 0
    assert network.parameters == pytest.approx(sum(counts), rel=error or 1e-12)
    assert bool(network.encoder) == bool(DEMOS[name].encoder)
    assert network.experts == DEMOS[name].experts


def test_both_layouts_of_a_checkpoint_tell_the_same_network() -> None:
    params = {
        "dim": 4096,
        "n_layers": 32,
        "head_dim": 128,
        "hidden_dim": 14336,
        "n_heads": 32,
        "n_kv_heads": 8,
        "vocab_size": 32000,
    }
    moe = params | {"moe": {"num_experts": 8, "num_experts_per_tok": 2}}

    assert read_network(params) == network_of(SEVEN_B)
    assert read_network(moe) == network_of(MIXTRAL)
    fp8 = read_network(params | {"quantization": {"qformat_weight": "fp8_e4m3"}})
    assert fp8.quantization == "fp8"


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"hidden_size": None}, "it has no 'hidden_size'"),
        ({"num_hidden_layers": "32"}, "'num_hidden_layers' is '32'"),
        ({"num_attention_heads": 0}, "'num_attention_heads' is 0"),
        ({"quantization_config": "fp8"}, "no configuration of a known network"),
        ({"text_config": 5}, "no configuration of a known network"),
    ],
)
def test_a_configuration_without_a_size_is_refused(changes: dict[str, object], words: str) -> None:
    with pytest.raises(UnknownNetwork, match=words):
        read_network(CONFIG | changes)


@pytest.mark.parametrize(
    ("quantized", "options", "name", "bits"),
    [
        (None, {}, "bf16", 16),
        (None, {"dtype": "float32"}, "float32", 32),
        (None, {"quantization": "fp8"}, "fp8", 8),
        (None, {"quantization": "gptq_marlin"}, "gptq", 4.15625),
        ({"quant_method": "fp8"}, {}, "fp8", 8),
        ({"quant_method": "awq", "bits": 4}, {"quantization": "awq"}, "awq", 4.15625),
        ({"quant_method": "gptq", "bits": 8}, {}, "gptq", 8),
        ({"quant_method": "something"}, {}, "something", 16),
    ],
)
def test_the_checkpoint_and_the_options_tell_the_precision(
    quantized: dict[str, object] | None, options: dict[str, object], name: str, bits: float
) -> None:
    network = read_network(CONFIG | {"quantization_config": quantized})
    precision = precision_of(network, options)

    assert (precision.name, precision.bits) == (name, bits)
