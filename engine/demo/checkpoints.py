"""The demo checkpoints: real Mistral and Mixtral architectures, their weights written by hand.

Nothing is trained. Each network carries a table of which token follows which in `TEXT`: a
token's embedding is its own direction, and the output head adds up the directions of its
predecessors. Attention, MLP and experts are random and small, so they run in full and nudge the
odds. That is enough for temperature, `top_p`, a natural end and a greedy path to behave as with
a model, for words one can read, and for a checkpoint that is made in seconds.
"""

import json
import shutil
import tempfile
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from hashlib import sha256
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING

from engine.demo import speech, vision
from engine.tokenization.mistral_files import carried, is_tekken
from engine.tokenization.tokenizer import MISTRAL, Tokenizer, load_tokenizer

if TYPE_CHECKING:
    import torch

TEXT = """\
 I am a small demonstration model.
 My weights were written by hand.
 Nobody trained me, so please do not trust these words.
 Every token you see was sampled by vLLM on your own computer.
 Real answers need real weights: name them in the registry.
 Temperature and top p change what comes next.
 Greetings from Zürich 🦜 and thanks for trying this out.
"""
# A prompt that ends in one of these two words is answered by the other, and so on for ever:
# a completion that only `max_tokens`, a stop string or a leaving client can end.
ENDLESS = (" left", " right")

HIDDEN = 256
HEADS = 4
KV_HEADS = 2
HEAD_SIZE = 64  # also a size that GPU attention kernels take
LAYERS = 2
CONTEXT = 32_768

SURE = 30.0  # the logit of a follower that is certain
END_OF_TEXT = 0.5  # how likely a sentence is the last one


@dataclass(frozen=True, slots=True)
class Demo:
    """One demo checkpoint; `experts` 0 makes it dense. `tokenizer` is the one of its ids.

    One with an `encoder`, a key of `ENCODERS`, takes images or audio, too, and is written in
    Mistral's own layout. `nudge` is the scale of what attention and experts add to the residual
    stream.
    """

    name: str
    tokenizer: str
    seed: int
    experts: int
    intermediate: int
    encoder: str | None = None
    nudge: float = 0.1


DEMOS = {
    demo.name: demo
    for demo in (
        Demo("dense", "v3", seed=2, experts=0, intermediate=512),
        Demo("moe", "v1", seed=8, experts=8, intermediate=256),
        Demo("vision", "v7", seed=2, experts=0, intermediate=512, encoder="vision", nudge=0.3),
        Demo(
            "speech", "tekken-v7", seed=5, experts=0, intermediate=512, encoder="speech", nudge=0.3
        ),
    )
}
# The functions that write params.json and that add the encoder's weights.
ENCODERS = {
    "vision": (vision.params, vision.with_eyes),
    "speech": (speech.params, speech.with_ears),
}


def make_demo(name: str, cache: Path) -> Path:
    """The folder of a demo checkpoint below `cache`; made now unless it is there.

    Its name carries a digest of its program, so a newer version never meets an older checkpoint.
    Raises `OSError` when the folder cannot be written.
    """
    program = b"".join(path.read_bytes() for path in sorted(Path(__file__).parent.glob("*.py")))
    digest = sha256(program).hexdigest()[:12]
    folder = cache / "demo" / f"{name}-{digest}"
    if not folder.exists():
        folder.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=folder.parent) as fresh:
            write_checkpoint(DEMOS[name], Path(fresh) / name)
            # Two processes may get here at once; whoever comes second finds the work done.
            if not folder.exists():
                shutil.move(Path(fresh) / name, folder)
    return folder


def write_checkpoint(demo: Demo, folder: Path) -> None:
    """Write configuration, weights and tokenizer, as vLLM looks for them."""
    folder.mkdir(parents=True)
    write_model(demo, _write_tokenizer(demo, folder), folder)


def write_model(demo: Demo, tokenizer: Tokenizer, folder: Path) -> None:
    """Write configuration and weights into a folder that is there."""
    import torch
    from safetensors.torch import save_file

    generator = torch.Generator().manual_seed(demo.seed)
    weights = _table_weights(tokenizer, generator) | _layer_weights(demo, generator)
    config = _config(demo, tokenizer)
    if demo.encoder:
        to_params, with_encoder = ENCODERS[demo.encoder]
        weights = with_encoder(weights, HIDDEN, generator)
        (folder / "params.json").write_text(json.dumps(to_params(config), indent=2))
    else:
        (folder / "config.json").write_text(json.dumps(config, indent=2))
        (folder / "generation_config.json").write_text("{}")
    halves = {key: weight.to(torch.bfloat16).contiguous() for key, weight in weights.items()}
    name = "consolidated.safetensors" if demo.encoder else "model.safetensors"
    save_file(halves, folder / name, metadata={"format": "pt"})


def _write_tokenizer(demo: Demo, folder: Path) -> Tokenizer:
    if is_tekken(demo.tokenizer):
        speech.write_tokenizer(folder)
        return load_tokenizer(demo.tokenizer, str(folder))
    shutil.copy(carried(MISTRAL[demo.tokenizer].file), folder)
    return load_tokenizer(demo.tokenizer)


def followers(tokenizer: Tokenizer) -> dict[int, dict[int, float]]:
    """For each token of the text, what may follow and how likely. Id -1 stands for any other."""
    counts: dict[int, Counter[int]] = {}
    first_words: Counter[int] = Counter()
    for line in TEXT.splitlines():
        tokens = tokenizer.encode_text(line)
        first_words[tokens[0]] += 1
        for token, after in pairwise(tokens):
            counts.setdefault(token, Counter())[after] += 1
    full_stop = tokenizer.encode_text("hand.")[-1]
    left, right = (tokenizer.encode_text(word)[-1] for word in ENDLESS)
    table = {token: _shares(after) for token, after in counts.items()}
    table[-1] = _shares(first_words)
    table[full_stop] = {
        token: share * (1 - END_OF_TEXT) for token, share in _shares(first_words).items()
    } | {tokenizer.eos: END_OF_TEXT}
    return table | {left: {right: 1.0}, right: {left: 1.0}}


def _shares(counts: Mapping[int, int]) -> dict[int, float]:
    return {token: count / sum(counts.values()) for token, count in counts.items()}


def _table_weights(tokenizer: Tokenizer, generator: "torch.Generator") -> dict[str, "torch.Tensor"]:
    import torch

    size = len(tokenizer.pieces)
    directions = torch.randn(size + 1, HIDDEN, generator=generator)  # the last one is id -1
    head = torch.randn(size, HIDDEN, generator=generator) * 0.01
    table = followers(tokenizer)
    for token, after in table.items():
        for follower, share in after.items():
            logit = SURE + torch.log(torch.tensor(share))
            head[follower] += directions[token] * logit / directions[token].square().sum()
    embedding = directions[:size].clone()
    others = [token for token in range(size) if token not in table]
    # Any other token opens a sentence; which one depends on the token's own direction too.
    embedding[others] = 0.5 * embedding[others] + directions[-1]
    return {
        "model.embed_tokens.weight": embedding,
        "model.norm.weight": torch.ones(HIDDEN),
        "lm_head.weight": head,
    }


def _layer_weights(demo: Demo, generator: "torch.Generator") -> dict[str, "torch.Tensor"]:
    import torch

    def matrix(rows: int, columns: int, scale: float = 1.0) -> torch.Tensor:
        return torch.randn(rows, columns, generator=generator) * (scale * columns**-0.5)

    def experts(layer: str) -> dict[str, torch.Tensor]:
        moe = f"{layer}.block_sparse_moe"
        weights = {f"{moe}.gate.weight": matrix(demo.experts, HIDDEN)}
        for expert in range(demo.experts):
            weights |= mlp(f"{moe}.experts.{expert}", gate="w1", up="w3", down="w2")
        return weights

    def mlp(block: str, *, gate: str, up: str, down: str) -> dict[str, torch.Tensor]:
        return {
            f"{block}.{gate}.weight": matrix(demo.intermediate, HIDDEN),
            f"{block}.{up}.weight": matrix(demo.intermediate, HIDDEN),
            f"{block}.{down}.weight": matrix(HIDDEN, demo.intermediate, demo.nudge),
        }

    weights: dict[str, torch.Tensor] = {}
    for number in range(LAYERS):
        layer = f"model.layers.{number}"
        weights |= {
            f"{layer}.input_layernorm.weight": torch.ones(HIDDEN),
            f"{layer}.post_attention_layernorm.weight": torch.ones(HIDDEN),
            f"{layer}.self_attn.q_proj.weight": matrix(HEADS * HEAD_SIZE, HIDDEN),
            f"{layer}.self_attn.k_proj.weight": matrix(KV_HEADS * HEAD_SIZE, HIDDEN),
            f"{layer}.self_attn.v_proj.weight": matrix(KV_HEADS * HEAD_SIZE, HIDDEN),
            f"{layer}.self_attn.o_proj.weight": matrix(HIDDEN, HEADS * HEAD_SIZE, demo.nudge),
        }
        names = {"gate": "gate_proj", "up": "up_proj", "down": "down_proj"}
        weights |= experts(layer) if demo.experts else mlp(f"{layer}.mlp", **names)
    return weights


def _config(demo: Demo, tokenizer: Tokenizer) -> dict[str, object]:
    kind = "Mixtral" if demo.experts else "Mistral"
    config: dict[str, object] = {
        "architectures": [f"{kind}ForCausalLM"],
        "model_type": kind.lower(),
        "vocab_size": len(tokenizer.pieces),
        "hidden_size": HIDDEN,
        "intermediate_size": demo.intermediate,
        "num_hidden_layers": LAYERS,
        "num_attention_heads": HEADS,
        "num_key_value_heads": KV_HEADS,
        "head_dim": HEAD_SIZE,
        "hidden_act": "silu",
        "max_position_embeddings": CONTEXT,
        "rms_norm_eps": 1e-5,
        "rope_theta": 1_000_000.0,
        "sliding_window": None,
        "tie_word_embeddings": False,
        "bos_token_id": tokenizer.bos,
        "eos_token_id": tokenizer.eos,
        "torch_dtype": "bfloat16",
    }
    if demo.experts:
        config |= {"num_local_experts": demo.experts, "num_experts_per_tok": 2}
    return config
