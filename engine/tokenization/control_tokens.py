"""The control tokens of tool calls, and their encoding as text."""

import re
from collections.abc import Callable, Mapping, Sequence

# Each version of Mistral's tokenizers has some of them.
TOOL_CONTROL_TOKENS = ("[TOOL_CALLS]", "[CALL_ID]", "[ARGS]")


class ControlTokens:
    """The tool control tokens of one tokenizer.

    `tokens` has the ids of those of `TOOL_CONTROL_TOKENS` that the tokenizer has. `encode_text`
    encodes plain text.
    """

    def __init__(self, tokens: Mapping[str, int], encode_text: Callable[[str], list[int]]) -> None:
        self._tokens = tokens
        self._encode_text = encode_text
        self._split = re.compile("(" + "|".join(map(re.escape, TOOL_CONTROL_TOKENS)) + ")").split

    def spell(self, pieces: Sequence[bytes]) -> tuple[bytes, ...]:
        """Return the pieces with the names of the control tokens in their places."""
        spelled = list(pieces)
        for name, token in self._tokens.items():
            spelled[token] = name.encode()
        return tuple(spelled)

    def encode(self, text: str) -> list[int]:
        """Encode a text in which the names of control tokens stand for them."""
        tokens: list[int] = []
        for segment in self._split(text):
            if segment in self._tokens:
                tokens.append(self._tokens[segment])
            elif segment:
                tokens += self._encode_text(segment)
        return tokens
