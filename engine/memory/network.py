"""The sizes of a network, from the configuration of a checkpoint: Hugging Face's or Mistral's.

Parameters are of two kinds. Quantization shrinks the matrices of attention, MLPs and experts. It
leaves embeddings, the output head, norms, routers and encoders as they are.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

Config = Mapping[str, Any]

# Keys of Mistral's params.json, and those of Hugging Face's config.json for the same facts.
MISTRAL_KEYS = {
    "dim": "hidden_size",
    "n_layers": "num_hidden_layers",
    "hidden_dim": "intermediate_size",
    "n_heads": "num_attention_heads",
    "n_kv_heads": "num_key_value_heads",
    "tied_embeddings": "tie_word_embeddings",
    "vision_encoder": "vision_config",
}
MISTRAL_EXPERT_KEYS = {
    "num_experts": "n_routed_experts",
    "expert_hidden_dim": "moe_intermediate_size",
    "num_shared_experts": "n_shared_experts",
    "first_k_dense_replace": "first_k_dense_replace",
}
# Names of the number of experts, in the order of preference.
EXPERTS = ("num_local_experts", "n_routed_experts", "num_experts")


class UnknownNetwork(ValueError):
    """A configuration that lacks a size. The message names it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Latent:
    """Ranks and head sizes of multi-head latent attention (MLA)."""

    query_rank: int
    kv_rank: int
    nope: int
    rope: int
    value: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Network:
    """The sizes of a decoder and the parameters of its encoder.

    `experts` is 0 for a dense network, else each layer after `dense_layers` has so many routed and
    `shared_experts` shared ones of width `expert_size`. `window` is the sliding window in tokens,
    or None. `quantization` is the method by which the checkpoint is quantized, or None, and `bits`
    those of its quantized weights, if it says so.
    """

    layers: int
    hidden: int
    intermediate: int
    heads: int
    kv_heads: int
    head_size: int
    vocabulary: int
    is_tied: bool
    window: int | None
    experts: int
    shared_experts: int
    expert_size: int
    dense_layers: int
    latent: Latent | None
    encoder: int
    quantization: str | None
    bits: int | None

    @property
    def matrices(self) -> int:
        """Return the parameters that quantization shrinks."""
        mlp = 3 * self.hidden * self.intermediate
        if not self.experts:
            return self.layers * (self._attention + mlp)
        experts = 3 * self.hidden * self.expert_size * (self.experts + self.shared_experts)
        sparse = self.layers - self.dense_layers
        return self.layers * self._attention + self.dense_layers * mlp + sparse * experts

    @property
    def tables(self) -> int:
        """Return the parameters of embeddings and output head."""
        return self.vocabulary * self.hidden * (1 if self.is_tied else 2)

    @property
    def others(self) -> int:
        """Return the parameters of norms, routers and encoder, which each GPU holds whole."""
        norms = self.layers * 2 * self.hidden + self.hidden
        if self.latent:
            norms += self.layers * (self.latent.query_rank + self.latent.kv_rank)
        routers = (self.layers - self.dense_layers) * self.hidden * self.experts
        return norms + routers + self.encoder

    @property
    def parameters(self) -> int:
        return self.matrices + self.tables + self.others

    @property
    def _attention(self) -> int:
        """Return the parameters of one layer's attention."""
        if (latent := self.latent) is None:
            return 2 * self.hidden * self.head_size * (self.heads + self.kv_heads)
        queries = latent.query_rank * (self.hidden + self.heads * (latent.nope + latent.rope))
        keys = self.hidden * (latent.kv_rank + latent.rope)
        values = latent.kv_rank * self.heads * (latent.nope + latent.value)
        return queries + keys + values + self.heads * latent.value * self.hidden


def read_network(config: Config, encoder: int | None = None) -> Network:
    """Return the sizes that a config.json or params.json tells.

    `encoder` is the encoder's number of parameters if the configuration does not tell its sizes.
    Raises `UnknownNetwork` if a size is missing or is no number.
    """
    try:
        return _read(config, encoder)
    except (AttributeError, KeyError, TypeError, ZeroDivisionError) as error:
        what = f"{type(error).__name__}: {error}"
        raise UnknownNetwork(f"it is no configuration of a known network ({what})") from error


def _read(config: Config, encoder: int | None) -> Network:
    whole = _with_hugging_face_keys(config) if "dim" in config else dict(config)
    text = {**whole, **(whole.get("text_config") or {})}
    hidden, heads = _size(text, "hidden_size"), _size(text, "num_attention_heads")
    experts = next((_size(text, name) for name in EXPERTS if text.get(name)), 0)
    intermediate = _size(text, "intermediate_size")
    quantization = whole.get("quantization_config") or text.get("quantization_config") or {}
    method, bits = quantization.get("quant_method"), quantization.get("bits")
    window = text.get("sliding_window")
    return Network(
        layers=_size(text, "num_hidden_layers"),
        hidden=hidden,
        intermediate=intermediate,
        heads=heads,
        kv_heads=_size(text, "num_key_value_heads", heads),
        head_size=_size(text, "head_dim", hidden // heads),
        vocabulary=_size(text, "vocab_size"),
        is_tied=bool(text.get("tie_word_embeddings", False)),
        window=window if isinstance(window, int) else None,  # a list mixes kinds of layers
        experts=experts,
        shared_experts=_size(text, "n_shared_experts", 0),
        expert_size=_size(text, "moe_intermediate_size", intermediate),
        dense_layers=_size(text, "first_k_dense_replace", 0),
        latent=_latent(text),
        encoder=_encoder(whole, hidden) if encoder is None else encoder,
        quantization=None if method is None else str(method),
        bits=bits if isinstance(bits, int) else None,
    )


def _with_hugging_face_keys(params: Config) -> dict[str, Any]:
    """Return a params.json with the keys of config.json, as vLLM translates it."""
    config = {MISTRAL_KEYS.get(key, key): value for key, value in params.items()}
    moe = config.get("moe") or {}
    named = {MISTRAL_EXPERT_KEYS[key]: moe[key] for key in MISTRAL_EXPERT_KEYS if key in moe}
    multimodal = config.get("multimodal") or {}
    if seeing := multimodal.get("vision_encoder_args"):
        config["vision_config"] = seeing
    if hearing := (multimodal.get("whisper_model_args") or {}).get("encoder_args"):
        config["audio_config"] = {
            "hidden_size": hearing["dim"],
            "num_hidden_layers": hearing["n_layers"],
            "intermediate_size": hearing["hidden_dim"],
            "num_mel_bins": hearing["audio_encoding_args"]["num_mel_bins"],
        }
    if (config.get("quantization") or {}).get("qformat_weight") == "fp8_e4m3":
        config["quantization_config"] = {"quant_method": "fp8"}
    return config | named


def _size(config: Config, name: str, default: int | None = None) -> int:
    value = config.get(name)
    if default is not None and value in (None, 0):
        return default
    if not isinstance(value, int) or value <= 0:
        raise UnknownNetwork(f"it has no {name!r}" if value is None else f"{name!r} is {value!r}")
    return value


def _latent(text: Config) -> Latent | None:
    if not text.get("kv_lora_rank"):
        return None
    return Latent(
        query_rank=_size(text, "q_lora_rank"),
        kv_rank=_size(text, "kv_lora_rank"),
        nope=_size(text, "qk_nope_head_dim"),
        rope=_size(text, "qk_rope_head_dim"),
        value=_size(text, "v_head_dim"),
    )


def _encoder(config: Config, hidden: int) -> int:
    """Return the parameters of Pixtral's image encoder or Whisper's, with the adapter."""
    if seeing := config.get("vision_config"):
        width, layers = _size(seeing, "hidden_size"), _size(seeing, "num_hidden_layers")
        layer = 4 * width**2 + 3 * width * _size(seeing, "intermediate_size")
        channels = _size(seeing, "num_channels", 3)
        patches = _size(seeing, "patch_size") ** 2 * channels * width
        merge: int = config.get("spatial_merge_size") or seeing.get("spatial_merge_size") or 1
        merger = merge**2 * width**2 if merge > 1 else 0
        return layers * layer + patches + merger + width * hidden + hidden**2
    if hearing := config.get("audio_config"):
        width, layers = _size(hearing, "hidden_size"), _size(hearing, "num_hidden_layers")
        intermediate = _size(hearing, "intermediate_size")
        layer = 4 * width**2 + 2 * width * intermediate
        convolutions = 3 * width * (_size(hearing, "num_mel_bins") + width)
        return layers * layer + convolutions + 4 * width * hidden + hidden**2
    return 0
