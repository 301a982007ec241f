"""Prompts of an exact number of tokens with different beginnings."""

import re
from functools import cache
from itertools import count
from pathlib import Path
from random import Random
from string import ascii_lowercase

from engine.tokenization.tokenizer import Tokenizer, load_tokenizer

# The words come from this project's documents, in order. Every `NEW_WORD_EVERY`th word is new, like
# names and numbers in real prompts, for front ends that cache words.
DOCUMENTS = Path(__file__).parents[2] / "docs"
PROSE = re.compile(r"(?<=[ \n])[A-Za-z]+[,.:;]?(?=[ \n])")
NEW_WORD_EVERY = 20
NEW_WORD_LETTERS = 6
FILLER = "word"  # one token
# The demo checkpoint continues it for ever, so that every answer has `max_tokens` tokens.
ENDLESS_ENDING = " turn left"
# The BOS, the space before the first word, six digits, and the last two words: the tokenizers of
# Mistral 7B and Mixtral have a token for each digit.
OVERHEAD_TOKENS = 1 + 1 + 6 + 2
# Requests of a turn: enough for some seconds of load with few users. Long prompts take two cores
# almost a second each, so there are fewer.
LEAST, LEAST_LONG, LONG = 16, 4, 4_096


def make_prompts(tokens: int, users: int, first: int) -> list[str]:
    """Return the prompts of one turn, with numbers from `first` on."""
    times = -(-(LEAST if tokens < LONG else LEAST_LONG) // users)
    return [make_prompt(tokens, number) for number in range(first, first + users * times)]


def make_prompt(tokens: int, number: int) -> str:
    """Return a prompt of so many tokens, the BOS included.

    It begins with its number, so that vLLM's prefix cache has no block of it. Raises `ValueError`
    for too few tokens.
    """
    if tokens < OVERHEAD_TOKENS:
        raise ValueError(f"a prompt has at least {OVERHEAD_TOKENS} tokens, not {tokens}")
    known, random = prose(), Random(number)  # noqa: S311 - reproducible
    words = [f"{number % 1_000_000:06d}"]
    left, begin = tokens - OVERHEAD_TOKENS, random.randrange(len(known))
    for step in count(1):
        word, cost = known[(begin + step) % len(known)]
        if step % NEW_WORD_EVERY == 0:
            word = "".join(random.choices(ascii_lowercase, k=NEW_WORD_LETTERS))
            cost = cost_of(word)
        if cost > left:
            break
        words.append(word)
        left -= cost
    return " ".join(words + [FILLER] * left) + ENDLESS_ENDING


@cache
def prose() -> list[tuple[str, int]]:
    """Return the words of the documents, with their tokens after another word."""
    text = "\n".join(path.read_text() for path in sorted(DOCUMENTS.rglob("*.md")))
    return [(word, cost_of(word)) for word in PROSE.findall(text)]


def cost_of(word: str) -> int:
    return len(tokenizer().encode_text(f" {word}"))


@cache
def tokenizer() -> Tokenizer:
    return load_tokenizer("v1")
