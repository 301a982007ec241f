"""The places where the configuration of a checkpoint is found on this machine."""

import json
from pathlib import Path
from typing import Any

import pytest

from engine.vllm.checkpoint_config import find_config

HUB_ID = "mistralai/Mistral-7B-Instruct-v0.2"


def write(folder: Path, **files: dict[str, Any]) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    for name, content in files.items():
        (folder / f"{name}.json").write_text(json.dumps(content))
    return folder


@pytest.mark.parametrize(
    ("options", "name"), [({}, "config"), ({"config_format": "mistral"}, "params")]
)
def test_a_folder_with_both_layouts(tmp_path: Path, options: dict[str, Any], name: str) -> None:
    folder = write(tmp_path, config={"is": "config"}, params={"is": "params"})

    assert find_config(str(folder), options) == (folder / f"{name}.json", {"is": name})


def test_a_folder_in_mistrals_layout_only(tmp_path: Path) -> None:
    folder = write(tmp_path, params={"dim": 1})

    assert find_config(str(folder), {}) == (folder / "params.json", {"dim": 1})


def test_the_hubs_local_cache(tmp_path: Path) -> None:
    pytest.importorskip("huggingface_hub")
    cached = tmp_path / "models--mistralai--Mistral-7B-Instruct-v0.2"
    folder = write(cached / "snapshots" / "abc", config={"hidden_size": 2})
    (cached / "refs").mkdir()
    (cached / "refs" / "main").write_text("abc")

    found = find_config(HUB_ID, {"download_dir": str(tmp_path)})

    assert found == (folder / "config.json", {"hidden_size": 2})
    assert find_config("mistralai/another", {"download_dir": str(tmp_path)}) is None


@pytest.mark.parametrize("weights", ["", "/nowhere/at-all", "s3://bucket/model", "a b"])
def test_what_is_not_here_has_none(weights: str, tmp_path: Path) -> None:
    assert find_config(weights or str(tmp_path), {}) is None


@pytest.mark.parametrize(("text", "words"), [("{", "can't be read"), ("3", "is no JSON object")])
def test_a_file_that_is_no_configuration_is_named(tmp_path: Path, text: str, words: str) -> None:
    (tmp_path / "config.json").write_text(text)

    with pytest.raises(ValueError, match=f"config.json {words}"):
        find_config(str(tmp_path), {})
