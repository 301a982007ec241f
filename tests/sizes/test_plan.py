"""`invoke-api plan`, the GPUs that it knows, and the warnings of `invoke-api check`."""

import json
import os
from pathlib import Path
from subprocess import CompletedProcess
from typing import Any

import pytest
import yaml

from invoke_api.models.registry import DEFAULT_REGISTRY, load_registry
from invoke_api.sizes.devices import Devices, find_devices, known_cards, parse_devices
from invoke_api.sizes.misfits import find_misfits
from invoke_api.sizes.planning import plan_model
from tests.engine.memory.test_network import CONFIG, MIXTRAL
from tests.support.servers import BASE, ROOT, SEVEN_B, run_command
from tests.support.servers import MIXTRAL as MIXTRAL_ID

NO_GPU = {**os.environ, "PATH": "/nowhere"}
ENTRIES = {each["id"]: each for each in yaml.safe_load(DEFAULT_REGISTRY.read_text())["models"]}


def run(*arguments: str, env: dict[str, str] | None = None) -> CompletedProcess[str]:
    return run_command(*arguments, env=env or NO_GPU)


def planned(*arguments: str) -> list[dict[str, Any]]:
    done = run("plan", "--json", *arguments)
    assert done.returncode == 0, done.stderr
    models: list[dict[str, Any]] = json.loads(done.stdout)["models"]
    return models


def registry_with(folder: Path, *changes: dict[str, Any]) -> Path:
    """Write a registry of copies of the first model, each with its changes."""
    path = folder / "registry.yaml"
    entries = [{**ENTRIES[SEVEN_B], "id": f"x.y-{n}"} | each for n, each in enumerate(changes)]
    path.write_text(yaml.safe_dump({"models": entries}))
    return path


def misfits(folder: Path, gpus: str, *changes: dict[str, Any]) -> list[str]:
    registry = load_registry(registry_with(folder, *changes))
    return [*find_misfits(registry.models.values(), parse_devices(gpus))]


def test_the_arithmetic_can_be_followed() -> None:
    done = run("plan", "--model", MIXTRAL_ID, "--gpu", "H100-80GB:4", "--tokens", "4096")

    for line in (
        "  parameters    46.70 billion",
        "  KV cache      2 x 32 layers x 8 KV heads x 128 x 2 bytes = 131,072 bytes a token",
        "  a call        of 4,096 tokens: 0.54 GB",
        "    for vLLM      85.5 GB x 0.90 = 77.0 GB a GPU",
        "    - weights     46.7 GB",
        "    / a block     16 tokens x 65,536 bytes = 25,956 blocks = 415,296 tokens",
        "    calls at once 101 of 4,096 tokens",
    ):
        assert line in done.stdout.splitlines()
    rows = [line.split() for line in done.stdout.splitlines()]
    assert ["fp8", "1", "47.0", "GB"] in [row[:4] for row in rows]
    assert ["bf16", "1"] not in [row[:2] for row in rows]  # 93 GB do not fit on one card


def test_each_model_of_the_registry_is_planned_without_a_gpu() -> None:
    models = planned()

    assert [each["model"] for each in models] == [*ENTRIES]
    for each in models:
        assert each["source"]
        assert set(each["smallest"]) == {card.name for card in known_cards().values()}
        assert any(cell for row in each["smallest"].values() for cell in row.values())


# Mistral's own table (docs.mistral.ai, "Weights": the least GPU memory for inference) has 16 GB
# for Mistral 7B, 100 GB for Mixtral 8x7B and 228 GB for Mistral Large 2407, all in bf16. vLLM's
# recipe runs Mistral Large 3 in fp8 on 8 H200. JumpStart runs Mistral 7B on one A10G.
@pytest.mark.parametrize(
    ("model", "gpu", "precision", "size"),
    [
        (SEVEN_B, "A10G-24GB", "bf16", 1),
        (MIXTRAL_ID, "H100-80GB", "bf16", 2),
        (MIXTRAL_ID, "H100-80GB", "fp8", 1),
        (MIXTRAL_ID, "H200-141GB", "bf16", 1),
        ("mistral.mistral-large-2407-v1:0", "H100-80GB", "bf16", 4),
        ("mistral.mistral-large-3-675b-instruct", "H200-141GB", "fp8", 8),
        ("mistral.mistral-large-3-675b-instruct", "H200-141GB", "bf16", None),
        (SEVEN_B, "T4-16GB", "bf16", None),  # its compute capability is 7.5
    ],
)
def test_models_fit_where_they_are_known_to_run(
    model: str, gpu: str, precision: str, size: int | None
) -> None:
    [found] = planned("--model", model)

    cell = found["smallest"][gpu][precision]
    assert (cell and cell["tensor_parallel_size"]) == size


def test_the_config_of_weights_on_this_machine_wins(tmp_path: Path) -> None:
    changed = CONFIG | {"num_hidden_layers": 4, "sliding_window": 1_024}
    (tmp_path / "config.json").write_text(json.dumps(changed))
    path = registry_with(tmp_path, {"weights": str(tmp_path)})

    [found] = planned("--registry", str(path), "--gpu", "L4-24GB")

    assert found["source"] == str(tmp_path / "config.json")
    assert found["kv_bytes_per_token"] == 131_072 // 8
    assert found["sliding_window"] == 1_024


@pytest.mark.parametrize(
    ("config", "words"),
    [
        (None, "is not on this machine, and its config.json is not bundled"),
        ("{", "config.json can't be read"),
        ("[]", "config.json is no JSON object"),
        ("{}", "it has no 'hidden_size'"),
        (json.dumps(CONFIG | {"num_key_value_heads": "8"}), "'num_key_value_heads' is '8'"),
    ],
)
def test_a_model_without_sizes_is_named_with_the_reason(
    tmp_path: Path, config: str | None, words: str
) -> None:
    if config is not None:
        (tmp_path / "config.json").write_text(config)
    path = registry_with(tmp_path, {"weights": str(tmp_path)}, {})

    done = run("plan", "--registry", str(path), "--gpu", "L4-24GB")
    models = planned("--registry", str(path))

    assert done.returncode == 0
    assert f"x.y-0  {tmp_path}\n  not planned   " in done.stdout
    assert words in done.stdout
    assert words in models[0]["problem"]
    assert models[1]["parameters"] == 7_241_732_096


def test_the_registrys_arguments_are_those_of_the_plan(tmp_path: Path) -> None:
    options = {"tensor_parallel_size": 2, "data_parallel_size": 2, "kv_cache_dtype": "fp8"}
    path = registry_with(tmp_path, {"vllm": options | {"quantization": "awq"}})

    [found] = planned("--registry", str(path), "--gpu", "L4-24GB:4")

    row = found["registry"]
    assert (row["precision"], row["tensor_parallel_size"], row["engines"]) == ("awq", 2, 2)
    assert row["kv_bytes_per_token"] == 131_072 // 2 // 2


@pytest.mark.parametrize(
    ("gpu", "words"),
    [
        ("H100", "there is no GPU 'H100' in the table. Did you mean H100-80GB?"),
        ("", "there is no GPU '' in the table. It has T4-16GB,"),
        ("H100-80GB:0", "'0' is no number of GPUs from 1 to 4096"),
        ("H100-80GB:", "'' is no number of GPUs"),
        ("H100-80GB:4x", "'4x' is no number of GPUs"),
        ("H100-80GB:99999999999999999999", "is no number of GPUs"),
    ],
)
@pytest.mark.parametrize("command", ["plan", "check"])
def test_gpus_that_are_not_known_are_refused(command: str, gpu: str, words: str) -> None:
    done = run(command, "--gpu", gpu)

    assert done.returncode == 2
    assert words in done.stderr


def test_the_names_of_gpus_do_not_depend_on_case() -> None:
    assert parse_devices(" h100-80gb:4 ") == Devices(known_cards()["h100-80gb"], 4)
    assert parse_devices("L4-24GB").number == 1


def test_check_warns_of_models_that_do_not_fit(tmp_path: Path) -> None:
    path = registry_with(tmp_path, {"weights": MIXTRAL, "vllm": {"tensor_parallel_size": 2}})

    done = run("check", "--registry", str(path), "--gpu", "A100-40GB:2")
    fits = run("check", "--registry", str(path), "--gpu", "A100-80GB:2")

    assert done.returncode == 0
    [warning] = [line for line in done.stdout.splitlines() if line.startswith("warning: ")]
    assert warning.startswith("warning: x.y-0: does not fit on A100-40GB: of 39.5 GB, bf16 weights")
    assert "warning" not in fits.stdout
    assert "warning" not in run("check", "--registry", str(path)).stdout


def test_a_registry_with_too_few_gpus_is_told(tmp_path: Path) -> None:
    options = {"tensor_parallel_size": 2, "pipeline_parallel_size": 2, "data_parallel_size": 2}
    words = "x.y-0: needs 8 GPUs (tensor x pipeline x data: 2 x 2 x 2), not 4 x H100-80GB"
    assert misfits(tmp_path, "H100-80GB:4", {"vllm": options}) == [words]
    assert misfits(tmp_path, "H100-80GB:8", {"vllm": options}) == []
    local = options | {"data_parallel_size_local": 1}  # the rest is on other machines
    assert misfits(tmp_path, "H100-80GB:4", {"vllm": local}) == []


def test_a_precision_that_a_gpu_can_not_do_is_told(tmp_path: Path) -> None:
    words = "x.y-0: fp8 needs compute capability 7.5, not 7.0"

    assert misfits(tmp_path, "V100-32GB", {"vllm": {"quantization": "fp8"}}) == [words]


def test_engines_that_share_a_gpu_are_told(tmp_path: Path) -> None:
    half, other = {"gpu_memory_utilization": 0.45}, {"gpu_memory_utilization": 0.55}
    two = {"vllm": half}, {"vllm": other}
    three = (*two, {"vllm": {"gpu_memory_utilization": 0.3}})
    own = {"vllm": {"device_ids": [0]}}, {"vllm": {"device_ids": [1]}}

    assert misfits(tmp_path, "H100-80GB", *two) == []
    [sentence] = misfits(tmp_path, "H100-80GB", *three)
    assert sentence.startswith(
        "GPU 0 is used by 3 engines, whose gpu_memory_utilization is 1.30 in"
    )
    assert misfits(tmp_path, "H100-80GB:2", *own) == []
    # Models that share an engine count once.
    assert misfits(tmp_path, "H100-80GB", {"vllm": half}, {"vllm": half}, {"vllm": half}) == []


def fake_nvidia_smi(folder: Path, program: str) -> dict[str, str]:
    path = folder / "nvidia-smi"
    path.write_text(f"#!/bin/sh\n{program}\n")
    path.chmod(0o755)
    return {**os.environ, "PATH": f"{folder}:{os.environ['PATH']}"}


def test_the_gpus_of_this_machine_are_those_of_nvidia_smi(tmp_path: Path) -> None:
    lines = "NVIDIA L4, 23034, 8.9\\nNVIDIA L40S, 46068, 8.9\\n"
    env = fake_nvidia_smi(tmp_path, f"printf '{lines}'")

    done = run("plan", "--model", SEVEN_B, env=env)
    checked = run("check", env=env)

    assert "on 2 x NVIDIA L4\n" in done.stdout
    assert "warning: mistral.mistral-large-2407-v1:0: needs 8 GPUs" in checked.stdout


@pytest.mark.parametrize("program", ["exit 9", "echo 'No devices were found'", "echo"])
def test_an_nvidia_smi_without_gpus_means_none(
    tmp_path: Path, program: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", fake_nvidia_smi(tmp_path, program)["PATH"])

    assert find_devices() is None


def test_a_size_that_is_no_number_is_told(tmp_path: Path) -> None:
    model = load_registry(registry_with(tmp_path, {})).models["x.y-0"]
    wrong = {**model.vllm, "tensor_parallel_size": -1}
    object.__setattr__(model, "vllm", wrong)

    with pytest.raises(ValueError, match="tensor_parallel_size is -1"):
        plan_model(model)


def test_values_that_vllm_refuses_at_its_start_are_no_traceback(tmp_path: Path) -> None:
    model = load_registry(registry_with(tmp_path, {})).models["x.y-0"]
    object.__setattr__(model, "vllm", {"quantization": ["fp8"], "device_ids": 3})

    assert plan_model(model).precision.name == "['fp8']"
    assert [*find_misfits([model], parse_devices("H100-80GB"))] == []


def test_a_sliding_window_makes_long_calls_cheap() -> None:
    [sliding] = planned("--model", BASE, "--gpu", "L4-24GB", "--tokens", "32768")
    [full] = planned("--model", SEVEN_B, "--gpu", "L4-24GB", "--tokens", "32768")

    assert sliding["registry"]["blocks"] == full["registry"]["blocks"]
    assert sliding["registry"]["calls"] > 2 * full["registry"]["calls"]


def test_the_page_has_what_the_command_prints() -> None:
    page = (ROOT / "docs" / "operate" / "sizes.md").read_text()
    done = run("plan", "--model", MIXTRAL_ID, "--gpu", "H100-80GB:4")
    [shown] = [part for part in page.split("```") if part.startswith("\nmistral.mixtral")]

    printed = done.stdout.partition("\n\n")[0]
    assert shown.strip() == printed.strip()
