"""Conversion of a server's stream into tokens of our tokenizer."""

from collections.abc import Callable, Sequence
from typing import NamedTuple

from engine.errors import EngineDead
from engine.protocol import Finish, GenerationRequest, Row
from engine.remote.completions import Step
from engine.tokenization.tokenizer import Tokenizer


class TokenBatch(NamedTuple):
    """Tokens that arrive together; with a finish they are the last. `rows` are as in `Receiver`."""

    tokens: Sequence[int]
    finish: Finish | None
    rows: Sequence[Row]


def merge(
    steps: Sequence[Step],
    read: Callable[[Step, GenerationRequest, Tokenizer], Sequence[int]],
    request: GenerationRequest,
    tokenizer: Tokenizer,
    left: int,
) -> TokenBatch:
    """Return the tokens of these steps, at most `left` of them.

    Raises `EngineDead` for invalid steps.
    """
    tokens: list[int] = []
    rows: list[Row] = []
    finish: Finish | None = None
    for step in steps:
        tokens += read(step, request, tokenizer)
        rows += step.rows
        if step.finish:  # by the server's own limit, or a token of its own that ends a text
            finish = step.finish
            break
    del tokens[left:]
    if not request.ignores_eos and tokenizer.eos in tokens:
        del tokens[tokens.index(tokenizer.eos) + 1 :]
        finish = "stop"
    elif len(tokens) == left:
        finish = "length"
    if tokens and max(tokens) >= len(tokenizer.pieces):
        raise EngineDead("it returns token ids that the tokenizer does not have")
    return TokenBatch(tokens, finish, rows)


def read_ids(step: Step, request: GenerationRequest, _: Tokenizer) -> Sequence[int]:
    if step.text and not step.tokens:
        raise EngineDead("it returns no token ids: set token_ids: false for it in the registry")
    if request.top_logprobs is not None and len(step.rows) != len(step.tokens):
        raise EngineDead("it does not return the log probabilities of each token")
    return step.tokens


def read_text(step: Step, request: GenerationRequest, tokenizer: Tokenizer) -> Sequence[int]:
    encode = tokenizer.encode_spelled if request.spelled else tokenizer.encode_text
    tokens = encode(step.text) if step.text else []
    return [*tokens, tokenizer.eos] if step.finish == "stop" else tokens
