"""vLLM's arguments, quantizations and numbers of processes, as checked without vLLM."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from engine.vllm import options
from engine.vllm.arguments import supported
from engine.vllm.device_counts import count_problems
from tests.engine.vllm.arguments import Source, merge

NO_VLLM = "no vLLM from 0.26 to 0.33 has the"


@pytest.mark.skipif(not options.is_installed(), reason="the list is compared with vLLM's source")
def test_the_list_is_that_of_the_installed_vllm() -> None:
    known = supported()
    installed = Source()

    assert installed.version in known.versions
    assert installed.arguments.keys() <= known.types.keys()
    assert [
        name for name, kind in installed.arguments.items() if kind not in known.types[name]
    ] == []
    assert {*installed.quantizations} <= {*known.quantizations}


@pytest.mark.skipif(not options.is_installed(), reason="the list is compared with vLLM's source")
def test_the_list_of_one_version_alone_would_be_its_own() -> None:
    installed = Source()
    merged = merge([installed])

    assert merged["versions"] == [installed.version]
    assert merged["arguments"] == {name: [kind] for name, kind in installed.arguments.items()}
    assert len(merged["arguments"]) > 200


def test_the_list_has_the_versions_that_the_package_allows() -> None:
    wanted = (Path(__file__).parents[3] / "pyproject.toml").read_text()
    first, last = supported().versions[0], supported().versions[-1]
    after = f"0.{int(last.removeprefix('0.')) + 1}"

    assert f'"vllm>={first},<{after}"' in wanted


WITHOUT = [
    ("tensor_size", 2, f"{NO_VLLM} engine argument 'tensor_size'; did you mean 'tensor_para"),
    ("zzz", None, f"{NO_VLLM} engine argument 'zzz'"),
    ("tensor_parallel_size", "2", "'tensor_parallel_size' is '2', and vLLM takes int"),
    ("quantization", "fp9", f"{NO_VLLM} quantization 'fp9'; did you mean 'fp8'?"),
    ("quantization", "bitsandbytes", None),  # of 0.27
    ("quantization", None, None),
    ("gpu_memory_utilization", 0.8, None),
    ("tensor_parallel_size", 2, None),
    ("distributed_executor_backend", "ray", None),  # it is installed where vLLM is
]


@pytest.mark.parametrize(("name", "value", "sentence"), WITHOUT)
def test_options_are_checked_without_vllm(
    monkeypatch: pytest.MonkeyPatch, name: str, value: object, sentence: str | None
) -> None:
    monkeypatch.setattr(options, "is_installed", lambda: False)
    monkeypatch.setattr(options, "has_other_plugins", lambda: False)
    told = options.explain_option(name, value)

    assert told == sentence if sentence is None else (told or "").startswith(sentence)


def test_a_plugin_may_bring_a_quantization(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(options, "has_other_plugins", lambda: True)

    assert options.explain_option("quantization", "fp9") is None


CONFIG = {"config.json": {"num_attention_heads": 32}}
COUNTS: list[tuple[Mapping[str, Any], Mapping[str, Any], str | None]] = [
    (CONFIG, {"tensor_parallel_size": 3}, "3, which does not divide the 32 attention heads"),
    (CONFIG, {"tensor_parallel_size": 8}, None),
    ({"params.json": {"n_heads": 12}}, {"tensor_parallel_size": 8}, "the 12 attention heads"),
    (
        {"config.json": {"text_config": {"num_attention_heads": 10}}},
        {"tensor_parallel_size": 4},
        "does not divide the 10 attention heads",
    ),
    ({"config.json": []}, {"tensor_parallel_size": 3}, None),
    ({"config.json": {"num_attention_heads": "x"}}, {"tensor_parallel_size": 3}, None),
    ({}, {"tensor_parallel_size": 3}, None),
    ({}, {"data_parallel_size_local": 2}, "local is 2, and data_parallel_size only 1"),
    ({}, {"data_parallel_size": 2, "data_parallel_size_local": 2}, None),
    ({}, {"nnodes": 2, "tensor_parallel_size": 3}, "nnodes is 2, which does not divide"),
    ({}, {"nnodes": 2, "tensor_parallel_size": 2, "node_rank": 2}, "may be from 0 to 1"),
    ({}, {"nnodes": 2, "tensor_parallel_size": 2, "node_rank": 1}, None),
]


@pytest.mark.parametrize(("files", "given", "sentence"), COUNTS)
def test_numbers_of_processes_that_cannot_be(
    tmp_path: Path, files: Mapping[str, Any], given: Mapping[str, Any], sentence: str | None
) -> None:
    for name, content in files.items():
        (tmp_path / name).write_text(json.dumps(content))
    told = [problem for _, problem in count_problems(str(tmp_path), given)]

    assert len(told) == (sentence is not None)
    assert all((sentence or "") in problem for problem in told)
