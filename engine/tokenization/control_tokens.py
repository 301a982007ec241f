"""The control tokens with which models call tools, written as text and read from it."""

import re
from collections.abc import Callable, Mapping, Sequence

# There are different ones in each version of Mistral's tokenizers.
TOOL_MARKS = ("[TOOL_CALLS]", "[CALL_ID]", "[ARGS]")


class Marks:
    """`tokens` are those of `TOOL_MARKS` that a tokenizer has; `encode_text` is its own."""

    def __init__(self, tokens: Mapping[str, int], encode_text: Callable[[str], list[int]]) -> None:
        self._tokens = tokens
        self._encode_text = encode_text
        self._split = re.compile("(" + "|".join(map(re.escape, TOOL_MARKS)) + ")").split

    def spell(self, pieces: Sequence[bytes]) -> tuple[bytes, ...]:
        """The pieces with the names of the marks in their places."""
        spelled = list(pieces)
        for name, token in self._tokens.items():
            spelled[token] = name.encode()
        return tuple(spelled)

    def encode(self, text: str) -> list[int]:
        """The ids of a text in which the names of marks are their tokens."""
        tokens: list[int] = []
        for segment in self._split(text):
            if segment in self._tokens:
                tokens.append(self._tokens[segment])
            elif segment:
                tokens += self._encode_text(segment)
        return tokens
