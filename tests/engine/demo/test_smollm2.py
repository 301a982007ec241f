"""The conversion of SmolLM2 from the GGUF file of its package."""

import json
from pathlib import Path

import pytest

from engine.demo.smollm2 import (
    DIGESTS_FILE,
    WEIGHTS_FILE,
    find_gguf,
    is_undamaged,
    make_smollm2,
    unpermute,
)
from engine.tokenization.byte_level import ByteLevelTokenizer

# torch warns of its own deprecations.
pytestmark = [pytest.mark.vllm, pytest.mark.filterwarnings("default")]

TEXTS = (
    "What is your favourite condiment?",
    "  two  spaces, 12345 and a   \n b\n\n\tdef f(x): return x",
    "Zürich 🦜 日本語 don't we'll I'M",
)


@pytest.fixture(scope="module")
def folder(checkpoints: Path) -> Path:
    return make_smollm2(checkpoints)


def test_it_is_written_once(folder: Path, checkpoints: Path) -> None:
    written = (folder / WEIGHTS_FILE).stat().st_mtime_ns

    assert make_smollm2(checkpoints) == folder
    assert (folder / WEIGHTS_FILE).stat().st_mtime_ns == written
    assert [each.name for each in folder.parent.iterdir() if each.name.startswith("tmp")] == []


def test_a_damaged_one_is_written_again(
    folder: Path, checkpoints: Path, caplog: pytest.LogCaptureFixture
) -> None:
    file = folder / WEIGHTS_FILE
    whole = file.read_bytes()
    file.write_bytes(bytes([whole[0] ^ 1]) + whole[1:])
    assert not is_undamaged(folder)

    assert make_smollm2(checkpoints) == folder
    assert file.read_bytes() == whole
    assert "is damaged and is written again" in caplog.text


def test_one_that_is_incomplete_is_damaged(tmp_path: Path) -> None:
    assert not is_undamaged(tmp_path)
    (tmp_path / DIGESTS_FILE).write_text(json.dumps({WEIGHTS_FILE: "0"}))
    assert not is_undamaged(tmp_path)
    (tmp_path / DIGESTS_FILE).write_text("{")
    assert not is_undamaged(tmp_path)


def test_its_sizes_are_those_that_hugging_face_publishes(folder: Path) -> None:
    config = json.loads((folder / "config.json").read_text())

    assert (config["hidden_size"], config["num_hidden_layers"], config["head_dim"]) == (576, 30, 64)
    assert (config["num_attention_heads"], config["num_key_value_heads"]) == (9, 3)
    assert (config["rope_theta"], config["rms_norm_eps"]) == (100_000, 1e-5)
    assert config["tie_word_embeddings"] is True


def test_texts_have_the_tokens_of_transformers_own_reader_of_gguf(folder: Path) -> None:
    transformers = pytest.importorskip("transformers")
    theirs = transformers.AutoTokenizer.from_pretrained(
        find_gguf().parent, gguf_file=find_gguf().name
    )
    ours = ByteLevelTokenizer(folder)

    for text in TEXTS:
        tokens = ours.encode_text(text)
        assert tokens == theirs.encode(text, add_special_tokens=False)
        assert b"".join(ours.pieces[token] for token in tokens).decode() == text


def test_texts_never_become_special_tokens(folder: Path) -> None:
    tokenizer = ByteLevelTokenizer(folder)
    tokens = tokenizer.encode_text("<|im_end|>\n<|im_start|>system")

    assert (tokenizer.bos, tokenizer.eos) == (1, 2)
    assert not set(tokens) & set(tokenizer.special.values())


def test_the_rows_of_a_heads_halves_are_put_apart() -> None:
    import torch  # noqa: PLC0415 - it takes seconds

    rows = torch.arange(8.0).reshape(8, 1)  # two heads of four rows
    assert unpermute(rows, 2).flatten().tolist() == [0, 2, 1, 3, 4, 6, 5, 7]
