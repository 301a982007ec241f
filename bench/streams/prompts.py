"""Prompts of an exact number of tokens, no two of which begin alike."""

# A completion of these goes on for ever, so that every answer has as many tokens as are asked for.
FILLER, LAST = " word", " turn left"
# The BOS, the space that stands before the first word, six digits, and the last two words: the
# tokenizers of Mistral 7B and Mixtral spell numbers digit by digit.
OVERHEAD = 1 + 1 + 6 + 2


def make_prompt(tokens: int, number: int) -> str:
    """A prompt of so many tokens, the BOS included.

    The number comes first: with it even the first block of tokens is another, and vLLM's prefix
    cache never has one ready. Raises `ValueError` below the fewest tokens.
    """
    if tokens < OVERHEAD:
        raise ValueError(f"a prompt has at least {OVERHEAD} tokens, not {tokens}")
    return f"{number % 1_000_000:06d}" + FILLER * (tokens - OVERHEAD) + LAST
