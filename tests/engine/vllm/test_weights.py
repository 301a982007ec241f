"""Missing files of a model's weights, in folders and in a cache of the hub."""

import json
import sys
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any

import pytest

from engine.demo import options as demo
from engine.demo.checkpoints import DEMOS, make_demo
from engine.vllm import weights
from engine.vllm.weights import MissingFiles, find_missing

HUB_ID = "mistralai/Mistral-7B-Instruct-v0.2"
ALL = ("config.json", "model.safetensors", "tekken.json")


def make_folder(path: Path, names: tuple[str, ...] = ALL) -> Path:
    path.mkdir(parents=True, exist_ok=True)
    for name in names:
        (path / name).write_text("{}")
    return path


def sentence(
    folder: object, version: str = "v3", options: Mapping[str, Any] = MappingProxyType({})
) -> str | None:
    found = find_missing(str(folder), version, options)
    assert found is None or found.is_fatal
    assert found is None or found.hub_id is None
    return found and found.sentence


@pytest.mark.parametrize(
    ("names", "options"),
    [
        (ALL, {}),
        (("params.json", "consolidated.safetensors", "tekken.json"), {}),
        (("config.json", "pytorch_model.bin", "tekken.json"), {}),
        (("config.json", "tekken.json"), {"load_format": "dummy"}),
        (("config.json", "tekken.json"), {"load_format": "tensorizer"}),  # not checked
        (ALL, {"skip_tokenizer_init": False}),
        (ALL, {"tokenizer": "/elsewhere"}),
    ],
)
def test_a_folder_that_has_all_is_none(
    tmp_path: Path, names: tuple[str, ...], options: dict[str, Any]
) -> None:
    assert sentence(make_folder(tmp_path, names), "tekken", options) is None


@pytest.mark.parametrize(
    ("names", "tokenizer", "options", "told"),
    [
        ((), "v3", {}, "has neither config.json nor params.json, so it holds no model"),
        (("config.json",), "v3", {}, "has no weights (*.safetensors, *.bin, *.pt)"),
        (("config.json", "m.bin"), "v3", {"load_format": "safetensors"}, "has no weights (*.saf"),
        (("config.json", "m.bin"), "tekken", {}, "has no tekken.json, and 'tokenizer: tekken' is"),
        (("config.json", "m.bin"), "v3", {"skip_tokenizer_init": False}, "has no tokenizer ("),
    ],
)
def test_what_a_folder_lacks_is_named(
    tmp_path: Path, names: tuple[str, ...], tokenizer: str, options: dict[str, Any], told: str
) -> None:
    found = sentence(make_folder(tmp_path, names), tokenizer, options) or ""

    assert found.startswith(f"the folder {tmp_path} {told}")


@pytest.mark.parametrize("path", ["/nowhere/at/all", "./nowhere", "~/nowhere", "models/of/mine"])
def test_a_folder_that_is_not_there_is_named(path: str) -> None:
    assert sentence(path) == f"there is no folder {Path(path)}"


def test_a_file_is_no_folder_but_for_one_kind(tmp_path: Path) -> None:
    for name in ("model.safetensors", "model.gguf"):
        (tmp_path / name).touch()

    assert sentence(tmp_path / "model.gguf") is None
    assert "is a file, and vLLM reads a folder" in (sentence(tmp_path / "model.safetensors") or "")


def test_a_download_that_was_broken_off_is_named(tmp_path: Path) -> None:
    make_folder(tmp_path, ("config.json", "model-1.safetensors"))
    index = {"weight_map": {"a": "model-1.safetensors", "b": "model-2.safetensors"}}
    (tmp_path / "model.safetensors.index.json").write_text(json.dumps(index))

    assert "lacks model-2.safetensors, which its index names" in (sentence(tmp_path) or "")


@pytest.mark.parametrize("index", ["", "[]", "{}", '{"weight_map": 7}', '{"weight_map": {"a": 1}}'])
def test_a_strange_index_is_no_bug_of_ours(tmp_path: Path, index: str) -> None:
    make_folder(tmp_path)
    (tmp_path / "model.safetensors.index.json").write_text(index)

    assert "lacks 1" in (sentence(tmp_path) or "lacks 1")


@pytest.mark.parametrize("name", ["a b", "", "a/b?", "mistralai/"])
def test_what_can_be_neither_is_named(name: str) -> None:
    assert sentence(name) == f"{name!r} is neither a folder nor an id of Hugging Face's hub"


@pytest.mark.parametrize(
    "name",
    ["tokenizer.model", "tokenizer.model.v3", "mistral_tokenizer.model.v7m1", "tokenizer.json"],
)
def test_a_tokenizer_may_have_many_names(tmp_path: Path, name: str) -> None:
    folder = make_folder(tmp_path, ("config.json", "model.safetensors", name))

    assert sentence(folder, options={"skip_tokenizer_init": False}) is None


@pytest.mark.vllm
def test_the_demo_checkpoints_have_all(checkpoints: Path) -> None:
    pytest.importorskip("torch")
    for name, checkpoint in DEMOS.items():
        folder = make_demo(name, checkpoints)

        assert sentence(folder, checkpoint.tokenizer, demo.OPTIONS) is None


def test_of_other_places_nothing_is_said() -> None:
    assert sentence("s3://bucket/model") is None


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return the hub's folder of one model in a new cache, without a network."""
    pytest.importorskip("huggingface_hub")
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path))
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", False)
    monkeypatch.setattr("socket.socket.connect", None)
    return tmp_path / f"models--{HUB_ID.replace('/', '--')}"


def fill(cache: Path, names: tuple[str, ...]) -> None:
    make_folder(cache / "refs")
    (cache / "refs" / "main").write_text("abc")
    make_folder(cache / "snapshots" / "abc", names)


def test_what_the_hub_has_and_the_cache_has_not_is_downloaded(cache: Path) -> None:
    where = f"{HUB_ID} is not in the cache of Hugging Face's hub ({cache.parent})"
    expected = MissingFiles(
        f"{where}; the engine downloads it when it starts", is_fatal=False, hub_id=HUB_ID
    )

    assert find_missing(HUB_ID, "v3", {}) == expected


def test_offline_it_is_missing_for_good(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    fill(cache, ("config.json",))
    found = find_missing(HUB_ID, "v3", {})

    assert found
    assert found.is_fatal
    assert found.sentence.startswith(f"{HUB_ID} is not all in the cache of Hugging Face's hub")
    assert found.sentence.endswith(", and HF_HUB_OFFLINE forbids to download it")


def test_what_is_in_the_cache_is_there(cache: Path) -> None:
    fill(cache, ALL)

    assert find_missing(HUB_ID, "tekken", {}) is None


def test_another_revision_is_another_model(cache: Path) -> None:
    fill(cache, ALL)

    assert find_missing(HUB_ID, "v3", {"revision": "abc"}) is None
    assert find_missing(HUB_ID, "v3", {"revision": "def"}) is not None


def test_without_the_hubs_library_or_with_another_hub_nothing_is_said(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(weights, "uses_other_hub", lambda: True)
    assert find_missing(HUB_ID, "v3", {}) is None
    monkeypatch.setattr(weights, "uses_other_hub", lambda: False)
    monkeypatch.setitem(sys.modules, "huggingface_hub", None)
    assert find_missing(HUB_ID, "v3", {}) is None
