"""From token ids to deltas: whole characters only, stop strings cut, one delta per token."""

import codecs
from collections.abc import Iterable, Iterator
from functools import cache
from itertools import islice

from engine.protocol import Delta, Finish, GenerationRequest, Usage
from engine.tokenizer import Tokenizer

# Tokens of an answer that is known beforehand which are written down at once: a millisecond of work
# for whoever frames them, and more than the scripted engine says.
BATCH = 128


class Transcript:
    """The text of one completion as its tokens come in, until a delta has `finish`."""

    def __init__(self, tokenizer: Tokenizer, request: GenerationRequest) -> None:
        self._pieces = tokenizer.spelled if request.spelled else tokenizer.pieces
        self._plain = tokenizer.pieces
        self._eos = tokenizer.eos
        self._input_tokens = len(request.prompt)
        self._max_tokens = request.max_tokens
        self._stop = request.stop
        # As many characters as may be the beginning of a stop string, whatever they are: so does
        # vLLM, and so did Bedrock (langchain-ai/langchain-aws#215: the last chunk has the rest).
        self._most_held = max((len(each) - 1 for each in request.stop), default=0)
        self._decoder = codecs.getincrementaldecoder("utf-8")(errors="replace")
        self._is_inside = False  # of a character that the decoder has the beginning of
        self._held = ""  # whole characters, told once it is known that no stop string is in them
        self._output_tokens = 0

    def push_all(self, tokens: Iterable[int]) -> list[Delta]:
        """The deltas of these tokens, up to the one that finishes: it has `finish` and `usage`."""
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

    def batches(self, tokens: Iterable[int]) -> Iterator[list[Delta]]:
        """The same in lists of at most `BATCH` deltas, each made when it is asked for."""
        rest = iter(tokens)
        while batch := list(islice(rest, BATCH)):
            deltas = self.push_all(batch)
            yield deltas
            if deltas[-1].finish:
                return

    def end(self, finish: Finish) -> Delta:
        """The last delta where the model ends without a token that ends a text: what was held."""
        return self._finish(finish, self._held + self._decoder.decode(b"", final=True))

    def _push(self, token: int) -> Delta:
        if token == self._eos:
            return self.end("stop")
        if self._pieces[token] != self._plain[token]:
            # A control token that is spelled out: no text of the model's, and so no stop string.
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
    """The delta of a token that is made of whole characters, as nearly all are."""
    try:
        return Delta(piece.decode())
    except UnicodeDecodeError:
        return None


def find_stop(text: str, stop: tuple[str, ...]) -> int | None:
    """Where the first stop string in the text begins."""
    return min((at for at in map(text.find, stop) if at >= 0), default=None)
