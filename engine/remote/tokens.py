"""Conversion of a server's stream into tokens of our tokenizer."""

from collections.abc import Sequence
from typing import Protocol

from engine.errors import EngineDead
from engine.protocol import Finish, GenerationRequest, Row
from engine.remote.completions import Step
from engine.text_tokens import TextTokens, TokenBatch, limit
from engine.tokenization.tokenizer import Tokenizer


class StepReader(Protocol):
    """A converter of the steps of one completion."""

    def read(self, steps: Sequence[Step]) -> TokenBatch:
        """Return the tokens of these steps, at most as many as the request takes in all.

        Raises `EngineDead` for invalid steps.
        """
        ...


class IdReader:
    """A converter of the steps of a server that returns token ids."""

    def __init__(self, tokenizer: Tokenizer, request: GenerationRequest) -> None:
        self._tokenizer = tokenizer
        self._request = request
        self._left = request.max_tokens

    def read(self, steps: Sequence[Step]) -> TokenBatch:
        tokens: list[int] = []
        rows: list[Row] = []
        finish: Finish | None = None
        for step in steps:
            self._check(step)
            tokens += step.tokens
            rows += step.rows
            if step.finish:  # by the server's own limit, or a token of its own that ends a text
                finish = step.finish
                break
        batch = limit(tokens, finish, self._request, self._tokenizer, self._left)
        if batch.tokens and max(batch.tokens) >= len(self._tokenizer.pieces):
            raise EngineDead("it returns token ids that the tokenizer does not have")
        self._left -= len(batch.tokens)
        return batch._replace(rows=rows)

    def _check(self, step: Step) -> None:
        if step.text and not step.tokens:
            raise EngineDead("it returns no token ids: set token_ids: false for it in the registry")
        if self._request.top_logprobs is not None and len(step.rows) != len(step.tokens):
            raise EngineDead("it does not return the log probabilities of each token")


class TextReader:
    """A converter of the steps of a server that returns text only."""

    def __init__(self, tokenizer: Tokenizer, request: GenerationRequest) -> None:
        self._tokens = TextTokens(tokenizer, request)

    def read(self, steps: Sequence[Step]) -> TokenBatch:
        tokens: list[int] = []
        for step in steps:
            read, finish, _ = self._tokens.read(step.text, step.finish)
            tokens += read
            if finish:
                return TokenBatch(tokens, finish)
        return TokenBatch(tokens, None)
