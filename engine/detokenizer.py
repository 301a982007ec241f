"""Conversion of token ids to deltas of whole characters, cut at stop strings."""

import codecs
from collections.abc import Sequence
from functools import cached_property

from engine.protocol import Delta, Finish, GenerationRequest, Logprobs, Row, TokenLogprob, Usage
from engine.tokenization.tokenizer import Tokenizer

Decoder = codecs.getincrementaldecoder("utf-8")
REPEATED = "repetition_detected"  # vLLM's reason for the finish "repetition"


class WholeDeltas(dict[bytes, Delta | None]):
    """A cache of the deltas of whole-character pieces; None for other pieces.

    Control tokens have no piece, and no delta here. There are as many as tokenizers have tokens.
    """

    def __missing__(self, piece: bytes) -> Delta | None:
        try:
            self[piece] = Delta(piece.decode()) if piece else None
        except UnicodeDecodeError:
            self[piece] = None
        return self[piece]


WHOLE = WholeDeltas()


class Detokenizer:
    """A converter of one completion's tokens to deltas, until one has a `finish`.

    A text that ends inside a character ends with a replacement character if `replaces_rest`.
    """

    def __init__(
        self, tokenizer: Tokenizer, request: GenerationRequest, *, replaces_rest: bool = True
    ) -> None:
        self._replaces_rest = replaces_rest
        self._pieces = tokenizer.spelled if request.spelled else tokenizer.pieces
        self._plain = tokenizer.pieces
        self._names = tokenizer.spelled
        self._eos = None if request.ignores_eos else tokenizer.eos
        self._stop_tokens = request.stop_tokens
        self._keeps_stop = request.keeps_stop
        self._min_tokens = request.min_tokens
        self._input_tokens = len(request.prompt)
        self._max_tokens = request.max_tokens
        self._stop = request.stop
        self._top_logprobs = request.top_logprobs
        self._scored = request.prompt[1:] if request.prompt_logprobs is not None else ()
        # Hold back one character less than the longest stop string has, whatever the text is. vLLM
        # does so, and Bedrock did (langchain-ai/langchain-aws#215: the last chunk has the rest).
        self._most_held = max(map(len, request.stop), default=1) - 1
        self._is_inside = False  # the decoder holds the beginning of a character
        self._held = ""  # whole characters that may still begin a stop string
        self._exempt = 0  # characters of `_held` in which no stop string may end
        self._output_tokens = 0

    @cached_property
    def _decoder(self) -> codecs.IncrementalDecoder:
        """Return the decoder of characters with several tokens, which few answers have."""
        return Decoder(errors="replace")

    def feed(
        self, tokens: Sequence[int], finish: Finish | None = None, rows: Sequence[Row] = ()
    ) -> list[Delta]:
        """Return one delta for each token, up to the one that has `finish` and `usage`.

        `finish` tells that the engine has ended the text with these tokens. `rows` are the tokens'
        log probabilities. Without `rows` the tokens are certain, as in a known answer.
        """
        deltas = self._feed(tokens)
        scored, self._scored = self._scored, ()
        if self._top_logprobs is not None:
            deltas = self._with_logprobs(deltas, tokens, rows[len(scored) :])
        if finish and not (deltas and deltas[-1].finish):
            self._end(deltas, finish)
        if scored:
            told = rows[: len(scored)] or [[(token, 0.0, 1), (token, 0.0)] for token in scored]
            deltas[0] = deltas[0]._replace(prompt_rows=told)
        return deltas

    def _end(self, deltas: list[Delta], finish: Finish) -> None:
        """Add the finish to the last delta, because the engine ended the text without an EOS."""
        before = deltas.pop() if deltas else Delta("")
        stopped_by = REPEATED if finish == "repetition" else None
        last = self._finish(finish, self._held + self._rest(), stopped_by)
        deltas.append(
            before._replace(
                text=before.text + last.text,
                finish=finish,
                usage=last.usage,
                stopped_by=stopped_by,
            )
        )

    def _feed(self, tokens: Sequence[int]) -> list[Delta]:
        deltas = []
        pieces, most, count = self._pieces, self._max_tokens, self._output_tokens
        checks = bool(self._stop or self._stop_tokens)
        is_plain = not (checks or self._is_inside)
        for token in tokens:
            count += 1
            if is_plain and count != most and (delta := WHOLE[pieces[token]]):
                deltas.append(delta)
                continue
            self._output_tokens = count
            delta = self._push(token)
            deltas.append(delta)
            if delta.finish:
                break
            is_plain = not (checks or self._is_inside)
        self._output_tokens = count
        return deltas

    def _with_logprobs(
        self, deltas: list[Delta], tokens: Sequence[int], rows: Sequence[Row]
    ) -> list[Delta]:
        return [
            delta._replace(logprobs=self._to_logprobs(row))
            for delta, row in zip(deltas, rows or _certain(tokens), strict=False)
        ]

    def _to_logprobs(self, row: Row) -> Logprobs:
        chosen, *others = [
            TokenLogprob(self._name(token), logprob, token) for token, logprob, *_ in row
        ]
        return Logprobs(chosen, tuple(others[: self._top_logprobs]))

    def _name(self, token: int) -> bytes:
        """Return a token's bytes. A model may have more ids than its tokenizer has tokens."""
        return self._names[token] if 0 <= token < len(self._names) else b""

    def _push(self, token: int) -> Delta:
        if token == self._eos:
            return self._finish("stop", self._held + self._rest())
        if token in self._stop_tokens:
            return self._stop_at(token)
        if self._pieces[token] != self._plain[token]:
            # A control token that is spelled out is not model text, so it can't be a stop string.
            return self._mark(self._pieces[token].decode())
        text = self._held + self._decode(self._pieces[token])
        if self._stop:
            if self._output_tokens <= self._min_tokens:
                self._exempt = len(text)
            elif found := find_stop(text, self._stop, self._exempt):
                begin, stop = found
                cut = begin + len(stop) if self._keeps_stop else begin
                return self._finish("stop", text[:cut], stop)
        if self._output_tokens == self._max_tokens:
            return self._finish("length", text + self._rest())
        safe = max(0, len(text) - self._most_held)
        self._held, self._exempt = text[safe:], max(0, self._exempt - safe)
        return Delta(text[:safe])

    def _stop_at(self, token: int) -> Delta:
        text = self._held + (self._decode(self._pieces[token]) if self._keeps_stop else "")
        return self._finish("stop", text + self._rest(), token)

    def _decode(self, piece: bytes) -> str:
        """Return the characters that this piece completes."""
        if not self._is_inside and (delta := WHOLE[piece]):
            return delta.text
        text = self._decoder.decode(piece)
        self._is_inside = self._decoder.getstate()[0] != b""
        return text

    def _rest(self) -> str:
        """Return the replacement for an incomplete character."""
        is_replaced = self._is_inside and self._replaces_rest
        return self._decoder.decode(b"", final=True) if is_replaced else ""

    def _mark(self, name: str) -> Delta:
        text, self._held = self._held + name, ""
        is_last = self._output_tokens == self._max_tokens
        return self._finish("length", text) if is_last else Delta(text)

    def _finish(self, finish: Finish, text: str, stopped_by: str | int | None = None) -> Delta:
        usage = Usage(self._input_tokens, self._output_tokens)
        return Delta(text, finish, usage, stopped_by=stopped_by)


def _certain(tokens: Sequence[int]) -> list[Row]:
    return [[(token, 0.0)] * 2 for token in tokens]


def find_stop(text: str, stop: tuple[str, ...], exempt: int = 0) -> tuple[int, str] | None:
    """Return the position of the stop string that ends first in the text, and the string itself.

    Stop strings that end within the first `exempt` characters don't count. Return None if none is
    left.
    """
    found = [(text.find(each, max(0, exempt + 1 - len(each))), each) for each in stop]
    ends = [(at + len(each), at, each) for at, each in found if at >= 0]
    return min(ends, key=lambda end: end[0])[1:] if ends else None
