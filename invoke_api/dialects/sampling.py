"""The bounds of sampling parameters where a model's schema leaves them to its server.

Guess: the sentences are those of vLLM, which serves the models of 2025.
"""

from collections.abc import Mapping
from math import inf
from typing import Any

from engine.errors import RequestRefused

MOST_LOGPROBS = 20  # OpenAI's, and vLLM's
STRONGEST_BIAS = 100.0  # what is beyond counts as that, in vLLM
# Parameter: the lowest and the highest value, and how vLLM says so.
BOUNDS: dict[str, tuple[float, float, str]] = {
    "presence_penalty": (-2, 2, "presence_penalty must be in [-2, 2], got {value}."),
    "frequency_penalty": (-2, 2, "frequency_penalty must be in [-2, 2], got {value}."),
    "temperature": (0, 2, "temperature must be in [0, 2], got {value}."),
    # vLLM has no 0 either; the User Guide has.
    "top_p": (0, 1, "top_p must be in (0, 1], got {value}."),
    "top_k": (-1, inf, "top_k must be 0 (disable), or at least 1, got {value}."),
    "max_completion_tokens": (1, inf, "max_tokens must be at least 1, got {value}."),
    "max_tokens": (1, inf, "max_tokens must be at least 1, got {value}."),
    "top_logprobs": (
        0,
        MOST_LOGPROBS,
        "Requested sample logprobs of {value}, which is greater than max allowed: 20",
    ),
}


def check_sampling(body: Mapping[str, Any]) -> None:
    """Raise `RequestRefused` for the first parameter that is out of bounds."""
    for name, value in body.items():
        if value is None or name not in BOUNDS:
            continue
        lowest, highest, sentence = BOUNDS[name]
        if not lowest <= value <= highest:
            shown = value if isinstance(value, int) else float(value)
            raise RequestRefused(sentence.format(value=shown))
    if body.get("top_logprobs") is not None and not body.get("logprobs"):
        raise RequestRefused("when using `top_logprobs`, `logprobs` must be set to true.")


def to_bias(told: Mapping[str, Any], vocabulary: int) -> dict[int, float]:
    """Return OpenAI's `logit_bias` by token ids. Raise `RequestRefused`."""
    if wrong := [key for key in told if not (key.isascii() and key.isdigit() and len(key) < 10)]:
        raise RequestRefused(
            f"logit_bias contains key(s) that cannot be converted to integer token IDs: {wrong[:9]}"
        )
    bias = {
        int(key): min(STRONGEST_BIAS, max(-STRONGEST_BIAS, float(value)))
        for key, value in told.items()
    }
    if strange := [token for token in bias if token >= vocabulary]:
        raise RequestRefused(
            f"token_id(s) {strange[:9]} in logit_bias contain out-of-vocab token ids."
            f" Vocabulary size: {vocabulary}"
        )
    return bias
