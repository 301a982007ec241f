"""From token ids to deltas: whole characters only, stop strings cut, one delta per token."""

import codecs
from collections.abc import Iterable, Iterator, Sequence
from functools import cache
from itertools import islice

from engine.protocol import Delta, Finish, GenerationRequest, Likely, Logprobs, Row, Usage
from engine.tokenizer import Tokenizer

# Tokens of a known answer that are converted at once: framing them takes a millisecond, and the
# scripted engine's own answers are shorter.
BATCH = 128


class Transcript:
    """The text of one completion as its tokens come in, until a delta has `finish`."""

    def __init__(self, tokenizer: Tokenizer, request: GenerationRequest) -> None:
        self._pieces = tokenizer.spelled if request.spelled else tokenizer.pieces
        self._plain = tokenizer.pieces
        self._names = tokenizer.spelled
        self._eos = tokenizer.eos
        self._input_tokens = len(request.prompt)
        self._max_tokens = request.max_tokens
        self._stop = request.stop
        self._top_logprobs = request.top_logprobs
        # Hold back one character less than the longest stop string has, whatever the text is. vLLM
        # does so, and Bedrock did (langchain-ai/langchain-aws#215: the last chunk has the rest).
        self._most_held = max((len(each) - 1 for each in request.stop), default=0)
        self._decoder = codecs.getincrementaldecoder("utf-8")(errors="replace")
        self._is_inside = False  # the decoder holds the beginning of a character
        self._held = ""  # whole characters that may still begin a stop string
        self._output_tokens = 0

    def push_all(self, tokens: Iterable[int], rows: Sequence[Row] | None = None) -> list[Delta]:
        """Return the deltas of these tokens, up to the last one with `finish` and `usage`.

        `rows` are the tokens' log probabilities. A token without is certain, as in a known answer.
        """
        if self._top_logprobs is not None:
            tokens = list(tokens)
            return self._with_logprobs(self._push_all(tokens), tokens, rows)
        return self._push_all(tokens)

    def _push_all(self, tokens: Iterable[int]) -> list[Delta]:
        deltas = []
        pieces, most, count = self._pieces, self._max_tokens, self._output_tokens
        for token in tokens:
            count += 1
            piece = pieces[token]
            delta = None if self._stop or self._is_inside else _to_delta(piece)
            # The EOS, as any control, has no piece.
            if delta and piece and count != most:
                deltas.append(delta)
                continue
            self._output_tokens = count
            delta = self._push(token)
            deltas.append(delta)
            if delta.finish:
                break
        self._output_tokens = count
        return deltas

    def _with_logprobs(
        self, deltas: list[Delta], tokens: Sequence[int], rows: Sequence[Row] | None
    ) -> list[Delta]:
        certain = [[(token, 0.0)] * 2 for token in tokens]
        return [
            delta._replace(logprobs=self._to_logprobs(row))
            for delta, row in zip(deltas, rows or certain, strict=False)
        ]

    def _to_logprobs(self, row: Row) -> Logprobs:
        chosen, *others = [Likely(self._name(token), logprob, token) for token, logprob in row]
        return Logprobs(chosen, tuple(others[: self._top_logprobs]))

    def _name(self, token: int) -> bytes:
        """Return a token's bytes. A model may have more places than its tokenizer has tokens."""
        return self._names[token] if 0 <= token < len(self._names) else b""

    def batches(self, tokens: Iterable[int]) -> Iterator[list[Delta]]:
        """Yield the deltas in lists of at most `BATCH`, each made on demand."""
        rest = iter(tokens)
        while batch := list(islice(rest, BATCH)):
            deltas = self.push_all(batch)
            yield deltas
            if deltas[-1].finish:
                return

    def end(self, finish: Finish) -> Delta:
        """Return the last delta, with the held text, if the model ends without a final token."""
        return self._finish(finish, self._held + self._decoder.decode(b"", final=True))

    def _push(self, token: int) -> Delta:
        if token == self._eos:
            return self.end("stop")
        if self._pieces[token] != self._plain[token]:
            # A control token that is spelled out is not model text, so it can't be a stop string.
            return self._mark(self._pieces[token].decode())
        text = self._held + self._decoder.decode(self._pieces[token])
        self._is_inside = self._decoder.getstate()[0] != b""
        if self._stop:
            cut = find_stop(text, self._stop)
            if cut is not None:
                return self._finish("stop", text[:cut])
        if self._output_tokens == self._max_tokens:
            return self._finish("length", text + self._decoder.decode(b"", final=True))
        safe = max(0, len(text) - self._most_held)
        self._held = text[safe:]
        return Delta(text[:safe])

    def _mark(self, name: str) -> Delta:
        text, self._held = self._held + name, ""
        is_last = self._output_tokens == self._max_tokens
        return self._finish("length", text) if is_last else Delta(text)

    def _finish(self, finish: Finish, text: str) -> Delta:
        return Delta(text, finish, Usage(self._input_tokens, self._output_tokens))


@cache  # as many as the tokenizers have tokens
def _to_delta(piece: bytes) -> Delta | None:
    """Return the delta of a token of whole characters, as nearly all are; otherwise None."""
    try:
        return Delta(piece.decode())
    except UnicodeDecodeError:
        return None


def find_stop(text: str, stop: tuple[str, ...]) -> int | None:
    """Return the position of the first stop string in the text, or None."""
    return min((at for at in map(text.find, stop) if at >= 0), default=None)
