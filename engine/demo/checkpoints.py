"""Demo checkpoints: real Mistral and Mixtral architectures with constructed weights.

Nothing is trained. Each network encodes which token follows which in `CORPUS`: a token's embedding
is a direction of its own, and the output head adds up the directions of its predecessors.
Attention, MLP and experts are random and small, so they run in full and change the odds a little.
That is enough for readable words, for temperature, `top_p`, a natural end and greedy sampling to
behave as with a real model, and for a checkpoint that is written in seconds.
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

CORPUS = """\
 I am a small demonstration model.
 My weights were written by hand.
 Nobody trained me, so please do not trust these words.
 Every token you see was sampled by vLLM on your own computer.
 Real answers need real weights: name them in the registry.
 Temperature and top p change what comes next.
 Greetings from Zürich 🦜 and thanks for trying this out.
"""
# Each of these two words follows the other for ever. Only `max_tokens`, a stop string or a
# disconnecting client ends such a completion.
ENDLESS_WORDS = (" left", " right")

HIDDEN_SIZE = 256
NUM_HEADS = 4
NUM_KV_HEADS = 2
HEAD_SIZE = 64  # also a size that GPU attention kernels take
NUM_LAYERS = 2
CONTEXT_LENGTH = 32_768

CERTAIN_LOGIT = 30.0  # of a follower with probability 1
END_PROBABILITY = 0.5  # that a sentence is the last one


@dataclass(frozen=True, slots=True)
class Demo:
    """A specification of a demo checkpoint. `experts` 0 makes it dense.

    With an `encoder`, a key of `ENCODERS`, it takes images or audio, and is written in Mistral's
    own layout. `nudge` scales the output of attention and experts in the residual stream.
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
    "vision": (vision.params, vision.add_image_encoder),
    "speech": (speech.params, speech.add_audio_encoder),
}


def make_demo(name: str, cache: Path) -> Path:
    """Return the folder of a demo checkpoint in `cache`; write it unless it exists.

    The name has a digest of this program, so that a newer version does not use an older checkpoint.
    Raises `OSError` if the folder can't be written.
    """
    program = b"".join(path.read_bytes() for path in sorted(Path(__file__).parent.glob("*.py")))
    digest = sha256(program).hexdigest()[:12]
    folder = cache / "demo" / f"{name}-{digest}"
    if not folder.exists():
        folder.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=folder.parent) as fresh:
            write_checkpoint(DEMOS[name], Path(fresh) / name)
            # Another process may have written it meanwhile.
            if not folder.exists():
                shutil.move(Path(fresh) / name, folder)
    return folder


def write_checkpoint(demo: Demo, folder: Path) -> None:
    """Write configuration, weights and tokenizer into a new folder for vLLM."""
    folder.mkdir(parents=True)
    write_model(demo, _write_tokenizer(demo, folder), folder)


def write_model(demo: Demo, tokenizer: Tokenizer, folder: Path) -> None:
    """Write configuration and weights into an existing folder."""
    import torch
    from safetensors.torch import save_file

    generator = torch.Generator().manual_seed(demo.seed)
    weights = _table_weights(tokenizer, generator) | _layer_weights(demo, generator)
    config = _config(demo, tokenizer)
    if demo.encoder:
        to_params, with_encoder = ENCODERS[demo.encoder]
        weights = with_encoder(weights, HIDDEN_SIZE, generator)
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
    """Return each token's followers in `CORPUS` with their probabilities. Id -1 is any other."""
    counts: dict[int, Counter[int]] = {}
    first_words: Counter[int] = Counter()
    for line in CORPUS.splitlines():
        tokens = tokenizer.encode_text(line)
        first_words[tokens[0]] += 1
        for token, after in pairwise(tokens):
            counts.setdefault(token, Counter())[after] += 1
    full_stop = tokenizer.encode_text("hand.")[-1]
    left, right = (tokenizer.encode_text(word)[-1] for word in ENDLESS_WORDS)
    table = {token: _shares(after) for token, after in counts.items()}
    table[-1] = _shares(first_words)
    table[full_stop] = {
        token: share * (1 - END_PROBABILITY) for token, share in _shares(first_words).items()
    } | {tokenizer.eos: END_PROBABILITY}
    return table | {left: {right: 1.0}, right: {left: 1.0}}


def _shares(counts: Mapping[int, int]) -> dict[int, float]:
    return {token: count / sum(counts.values()) for token, count in counts.items()}


def _table_weights(tokenizer: Tokenizer, generator: "torch.Generator") -> dict[str, "torch.Tensor"]:
    import torch

    size = len(tokenizer.pieces)
    directions = torch.randn(size + 1, HIDDEN_SIZE, generator=generator)  # the last row is id -1
    head = torch.randn(size, HIDDEN_SIZE, generator=generator) * 0.01
    table = followers(tokenizer)
    for token, after in table.items():
        for follower, share in after.items():
            logit = CERTAIN_LOGIT + torch.log(torch.tensor(share))
            head[follower] += directions[token] * logit / directions[token].square().sum()
    embedding = directions[:size].clone()
    others = [token for token in range(size) if token not in table]
    # Any other token starts a sentence, which depends on the token's own direction, too.
    embedding[others] = 0.5 * embedding[others] + directions[-1]
    return {
        "model.embed_tokens.weight": embedding,
        "model.norm.weight": torch.ones(HIDDEN_SIZE),
        "lm_head.weight": head,
    }


def _layer_weights(demo: Demo, generator: "torch.Generator") -> dict[str, "torch.Tensor"]:
    import torch

    def matrix(rows: int, columns: int, scale: float = 1.0) -> torch.Tensor:
        return torch.randn(rows, columns, generator=generator) * (scale * columns**-0.5)

    def experts(layer: str) -> dict[str, torch.Tensor]:
        moe = f"{layer}.block_sparse_moe"
        weights = {f"{moe}.gate.weight": matrix(demo.experts, HIDDEN_SIZE)}
        for expert in range(demo.experts):
            weights |= mlp(f"{moe}.experts.{expert}", gate="w1", up="w3", down="w2")
        return weights

    def mlp(block: str, *, gate: str, up: str, down: str) -> dict[str, torch.Tensor]:
        return {
            f"{block}.{gate}.weight": matrix(demo.intermediate, HIDDEN_SIZE),
            f"{block}.{up}.weight": matrix(demo.intermediate, HIDDEN_SIZE),
            f"{block}.{down}.weight": matrix(HIDDEN_SIZE, demo.intermediate, demo.nudge),
        }

    weights: dict[str, torch.Tensor] = {}
    for number in range(NUM_LAYERS):
        layer = f"model.layers.{number}"
        weights |= {
            f"{layer}.input_layernorm.weight": torch.ones(HIDDEN_SIZE),
            f"{layer}.post_attention_layernorm.weight": torch.ones(HIDDEN_SIZE),
            f"{layer}.self_attn.q_proj.weight": matrix(NUM_HEADS * HEAD_SIZE, HIDDEN_SIZE),
            f"{layer}.self_attn.k_proj.weight": matrix(NUM_KV_HEADS * HEAD_SIZE, HIDDEN_SIZE),
            f"{layer}.self_attn.v_proj.weight": matrix(NUM_KV_HEADS * HEAD_SIZE, HIDDEN_SIZE),
            f"{layer}.self_attn.o_proj.weight": matrix(
                HIDDEN_SIZE, NUM_HEADS * HEAD_SIZE, demo.nudge
            ),
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
        "hidden_size": HIDDEN_SIZE,
        "intermediate_size": demo.intermediate,
        "num_hidden_layers": NUM_LAYERS,
        "num_attention_heads": NUM_HEADS,
        "num_key_value_heads": NUM_KV_HEADS,
        "head_dim": HEAD_SIZE,
        "hidden_act": "silu",
        "max_position_embeddings": CONTEXT_LENGTH,
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
