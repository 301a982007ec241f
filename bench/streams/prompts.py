"""Prompts of an exact number of tokens, no two of which begin alike."""

import re
from functools import cache
from itertools import count
from pathlib import Path
from random import Random
from string import ascii_lowercase

from engine.tokenization.tokenizer import Tokenizer, load_tokenizer

# Of this project's own prose, in its order; every so manyth is a word that was never there before,
# for front ends that remember what they have read: names, numbers and slips are not to be had.
DOCUMENTS = Path(__file__).parents[2] / "docs"
PROSE = re.compile(r"(?<=[ \n])[A-Za-z]+[,.:;]?(?=[ \n])")
NEW = 20
LETTERS = 6
FILLER = "word"  # a token
# A completion of these goes on for ever, so that every answer has as many tokens as are asked for.
LAST = " turn left"
# The BOS, the space that stands before the first word, six digits, and the last two words: the
# tokenizers of Mistral 7B and Mixtral spell numbers digit by digit.
OVERHEAD = 1 + 1 + 6 + 2
# Requests of a turn, so that few users ask for some seconds, too; and of long prompts, which two
# cores read for most of a second each.
LEAST, LEAST_LONG, LONG = 16, 4, 4_096


def make_prompts(tokens: int, users: int, first: int) -> list[str]:
    """Those of one turn, as many for each user, by their numbers from `first` on."""
    times = -(-(LEAST if tokens < LONG else LEAST_LONG) // users)
    return [make_prompt(tokens, number) for number in range(first, first + users * times)]


def make_prompt(tokens: int, number: int) -> str:
    """A prompt of so many tokens, the BOS included.

    The number comes first: with it even the first block of tokens is another, and vLLM's prefix
    cache never has one ready. Raises `ValueError` below the fewest tokens.
    """
    if tokens < OVERHEAD:
        raise ValueError(f"a prompt has at least {OVERHEAD} tokens, not {tokens}")
    known, random = prose(), Random(number)  # noqa: S311 - the same again for the same number
    words = [f"{number % 1_000_000:06d}"]
    left, begin = tokens - OVERHEAD, random.randrange(len(known))
    for step in count(1):
        word, cost = known[(begin + step) % len(known)]
        if step % NEW == 0:
            word = "".join(random.choices(ascii_lowercase, k=LETTERS))
            cost = cost_of(word)
        if cost > left:
            break
        words.append(word)
        left -= cost
    return " ".join(words + [FILLER] * left) + LAST


@cache
def prose() -> list[tuple[str, int]]:
    """The words of the documents, each with its tokens where it follows another."""
    text = "\n".join(path.read_text() for path in sorted(DOCUMENTS.glob("*.md")))
    return [(word, cost_of(word)) for word in PROSE.findall(text)]


def cost_of(word: str) -> int:
    return len(tokenizer().encode_text(f" {word}"))


@cache
def tokenizer() -> Tokenizer:
    return load_tokenizer("v1")
