"""Conversion of a model's text to tokens of another tokenizer, piece by piece."""

import re
from collections.abc import Sequence
from typing import NamedTuple

from engine.protocol import Finish, GenerationRequest, Row
from engine.tokenization.tokenizer import Tokenizer

# No token of Mistral's tokenizers has characters from both sides of the beginning of a word.
LAST_WORD = re.compile(r".*\S(?= )", re.DOTALL)
MAX_HELD_CHARACTERS = 64  # of a text without spaces; its count may differ by a token then


class TokenBatch(NamedTuple):
    """Tokens that arrive together; with a finish they are the last. `rows` are as in `Receiver`."""

    tokens: Sequence[int]
    finish: Finish | None
    rows: Sequence[Row] = ()


class TextTokens:
    """An encoder of the text that answers one request.

    With `holds_words`, the tokens of a word come once the next word begins, so that they are those
    of the whole text. Otherwise each piece of text is encoded when it comes: the model is
    elsewhere, and the next piece may take long.
    """

    def __init__(
        self, tokenizer: Tokenizer, request: GenerationRequest, *, holds_words: bool = False
    ) -> None:
        self._tokenizer = tokenizer
        self._encode = tokenizer.encode_spelled if request.spelled else tokenizer.encode_text
        self._request = request
        self._left = request.max_tokens
        self._holds_words = holds_words
        self._held = ""

    def read(self, text: str, finish: Finish | None = None) -> TokenBatch:
        """Return the next tokens, at most as many as the request takes in all.

        A `finish` tells that the model has ended the text.
        """
        self._held += text
        whole = self._held if finish or not self._holds_words else self._whole_words()
        self._held = self._held[len(whole) :]
        tokens = self._encode(whole) if whole else []
        if finish == "stop":
            tokens = [*tokens, self._tokenizer.eos]
        batch = limit(tokens, finish, self._request, self._tokenizer, self._left)
        self._left -= len(batch.tokens)
        return batch

    def _whole_words(self) -> str:
        found = LAST_WORD.match(self._held)
        if found:
            return found[0]
        return self._held if len(self._held) > MAX_HELD_CHARACTERS else ""


def limit(
    tokens: Sequence[int],
    finish: Finish | None,
    request: GenerationRequest,
    tokenizer: Tokenizer,
    left: int,
) -> TokenBatch:
    """Return up to `left` of these tokens, and the finish that ends the answer with them, if any.

    `finish` is the model's own, by its limit or a token of its own that ends a text.
    """
    kept = list(tokens[:left])
    if not request.ignores_eos and tokenizer.eos in kept:
        del kept[kept.index(tokenizer.eos) + 1 :]
        finish = "stop"
    elif len(kept) == left:
        finish = "length"
    return TokenBatch(kept, finish)
