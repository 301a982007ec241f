"""SmolLM2 in place of one of Mistral's models: prompts and answers cross over as text."""

import codecs
import logging
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from typing import NamedTuple

from engine.demo.brevity import shorten
from engine.demo.chatml import encode, read_prompt
from engine.demo.smollm2 import NAME
from engine.protocol import (
    Engine,
    EngineState,
    Finish,
    Generation,
    GenerationRequest,
    Receiver,
    Row,
    check_request,
)
from engine.text_tokens import TextTokens
from engine.tokenization.byte_level import ByteLevelTokenizer
from engine.tokenization.tokenizer import Tokenizer

log = logging.getLogger(__name__)

WINDOW = 8_192  # tokens; SmolLM2 was trained with no more
MIN_ROOM = 512  # tokens for an answer, unless the request asks for fewer
Decoder = codecs.getincrementaldecoder("utf-8")

# What text can't carry from one tokenizer to another, by what the log calls it.
NOT_IN_TEXT: dict[str, Callable[[GenerationRequest], bool]] = {
    "an image": lambda request: bool(request.images),
    "audio": lambda request: bool(request.audio),
    "log probabilities": lambda request: (
        request.top_logprobs is not None or request.prompt_logprobs is not None
    ),
    "token ids": lambda request: bool(
        request.logit_bias
        or request.stop_tokens
        or request.allowed_tokens
        or request.ignores_eos
        or request.min_tokens
        or request.bad_words
        or request.repetition
    ),
    "a long prompt": lambda request: len(request.prompt) > WINDOW,
}


class Tokenizers(NamedTuple):
    """The tokenizers of what the client sees, and of the model that answers."""

    mistrals: Tokenizer
    smollm2: ByteLevelTokenizer


class StandIn:
    """SmolLM2, as the callers of one demo checkpoint's models see it.

    Several share the engine `text`. Requests in `NOT_IN_TEXT` go to `tiny`, the demo checkpoint,
    which may be loaded at its first request. `read_tokenizer` returns the tokenizer of `tiny` in
    any state, and `context_length` is its context.
    """

    label = NAME

    def __init__(
        self,
        text: Engine,
        tiny: Engine,
        read_tokenizer: Callable[[], Tokenizer],
        context_length: int,
    ) -> None:
        self.name = text.name
        self.text = text
        self.tiny = tiny
        self._read_tokenizer = read_tokenizer
        self._context_length = context_length
        self._told: set[str] = set()
        self._running: set[TextGeneration] = set()

    async def start(self) -> None:
        """Do nothing: the engines behind it are started once for all."""

    def state(self) -> EngineState:
        return self.text.state()

    def running(self) -> int:
        # The engine of all models would count the calls of the others too.
        return len(self._running) + self.tiny.running()

    def tokenizer(self) -> Tokenizer:
        self.text.tokenizer()  # raises unless it is ready, or reads its own in this thread
        return self._read_tokenizer()

    def generate(self, request: GenerationRequest, receiver: Receiver) -> Generation:
        request = check_request(request, self._context_length)
        reason = find_obstacle(request)
        if reason is None:
            smollm2 = self.text.tokenizer()
            assert isinstance(smollm2, ByteLevelTokenizer)
            tokenizers = Tokenizers(self._read_tokenizer(), smollm2)
            if asked := to_smollm2(request, tokenizers):
                begin = partial(self.text.generate, asked)
                return TextGeneration(tokenizers, request, receiver, begin, self._running)
            reason = "a long prompt"
        self._tell(reason)
        return self.tiny.generate(request, receiver)

    async def close(self) -> None:
        """Do nothing: the engines behind it are closed once for all."""

    def _tell(self, reason: str) -> None:
        if reason not in self._told:
            self._told.add(reason)
            log.info("%s can't take %s: the tiny random network answers", NAME, reason)


def find_obstacle(request: GenerationRequest) -> str | None:
    """Return what text can't carry of this request, or None."""
    return next((name for name, is_asked in NOT_IN_TEXT.items() if is_asked(request)), None)


def to_smollm2(request: GenerationRequest, tokenizers: Tokenizers) -> GenerationRequest | None:
    """Return the request in SmolLM2's tokens, or None if its context has too little room.

    The answer may have as many tokens as there is room for, because `max_tokens` and stop strings
    are applied to Mistral's tokens.
    """
    mistrals, smollm2 = tokenizers
    prompt = encode(read_prompt(mistrals.to_prompt(request.prompt)), smollm2)
    room = WINDOW - len(prompt)
    if room < min(request.max_tokens, MIN_ROOM):
        return None
    bounded = shorten(request)
    ends = tuple(smollm2.special.values())  # it writes one of them if it errs
    return replace(
        bounded, prompt=prompt, max_tokens=room, stop=(), stop_tokens=ends, spelled=False
    )


class TextGeneration:
    """A generation of SmolLM2: its receiver, and the handle of its caller.

    `begin` starts the model's own generation with this receiver. The generation is in `running`
    until it ends. A multi-byte character may have several tokens, and comes with the last one.
    """

    def __init__(
        self,
        tokenizers: Tokenizers,
        request: GenerationRequest,
        receiver: Receiver,
        begin: Callable[["TextGeneration"], Generation],
        running: "set[TextGeneration]",
    ) -> None:
        mistrals, smollm2 = tokenizers
        self._smollm2 = smollm2
        self._receiver = receiver
        self._tokens = TextTokens(mistrals, request, holds_words=True)
        self._decoder = Decoder(errors="replace")
        # Mistral's SentencePiece models begin an answer in text with a space.
        self._begins = " " if mistrals.is_spaced and not request.is_constrained else ""
        self._running = running
        self._inner: Generation | None = None
        running.add(self)
        try:
            inner = begin(self)
        except Exception:
            running.discard(self)
            raise
        if self._is_over:
            inner.cancel()
        self._inner = inner

    @property
    def _is_over(self) -> bool:
        return self not in self._running

    def push(
        self, tokens: Sequence[int], finish: Finish | None = None, rows: Sequence[Row] = ()
    ) -> None:
        del rows  # a request for them goes elsewhere
        if self._is_over:
            return
        raw = b"".join(self._smollm2.pieces[token] for token in tokens)
        text = self._decoder.decode(raw, final=finish is not None)
        if text and self._begins:
            text, self._begins = self._begins + text.lstrip(" "), ""
        batch = self._tokens.read(text, finish)
        if batch.finish:
            self._running.discard(self)
            if self._inner and not finish:
                self._inner.cancel()
        if batch.tokens or batch.finish:
            self._receiver.push(batch.tokens, batch.finish)

    def end(self, error: Exception) -> None:
        if not self._is_over:
            self._running.discard(self)
            self._receiver.end(error)

    def cancel(self) -> None:
        self._running.discard(self)
        if self._inner:
            self._inner.cancel()

    def pause(self) -> None:
        if self._inner:
            self._inner.pause()

    def resume(self) -> None:
        if self._inner:
            self._inner.resume()
