"""Several generations of one call: the choices of its answer, in one stream of deltas."""

import asyncio
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import chain, repeat
from typing import Protocol

from engine.detokenizer import Detokenizer
from engine.generation_task import FINISHED
from engine.lora import Adapter
from engine.protocol import (
    ChoicePart,
    Delta,
    Finish,
    Generation,
    GenerationRequest,
    Receiver,
    Row,
    Usage,
)
from engine.tokenization.tokenizer import Tokenizer

# Generations that begin in one round of the event loop: a scripted answer takes 0.2 ms.
STARTED_AT_ONCE = 16
# The last tokens of a prompt with which vLLM decodes the first one of an answer.
CONTEXT_TOKENS = 5
Source = Callable[[GenerationRequest, Receiver], Generation]


@dataclass(frozen=True, slots=True)
class ChoiceRequests:
    """The engine's requests for all choices. `prompt_tokens` counts each prompt once.

    `cuts_text` drops an incomplete character and a blank at the beginning, as vLLM's answers do.
    """

    requests: tuple[GenerationRequest, ...]
    prompt_tokens: int
    cuts_text: bool = True

    @property
    def max_tokens(self) -> int:
        return sum(request.max_tokens for request in self.requests)

    def with_adapter(self, adapter: Adapter) -> "ChoiceRequests":
        return replace(
            self, requests=tuple(replace(each, adapter=adapter) for each in self.requests)
        )

    def with_trace(self, headers: Mapping[str, str]) -> "ChoiceRequests":
        return replace(
            self, requests=tuple(replace(each, trace_headers=headers) for each in self.requests)
        )


class Target(Protocol):
    """The answer that takes the deltas of all choices."""

    def feed(self, deltas: Sequence[Delta]) -> None: ...
    def end(self, error: Exception) -> None: ...


class Choice:
    """The receiver of one choice's tokens. With `trims` its text begins without a blank."""

    def __init__(
        self, number: int, detokenizer: Detokenizer, choices: "Choices", *, trims: bool
    ) -> None:
        self._trims = trims
        self._number = number
        self._detokenizer = detokenizer
        self._choices = choices
        self.generation: Generation = FINISHED
        self.is_over = False

    def push(
        self, tokens: Sequence[int], finish: Finish | None = None, rows: Sequence[Row] = ()
    ) -> None:
        if self.is_over:
            return
        try:
            deltas = self._detokenizer.feed(tokens, finish, rows)
        except Exception as error:  # noqa: BLE001 - sent to the client
            self.end(error)
            return
        if not deltas:
            return
        if deltas[-1].finish:
            self.is_over = True
            self.generation.cancel()
        if self._trims:
            self._trim(deltas)
        ids: Iterable[int | None] = chain(tokens, repeat(None))
        self._choices.take([self._mark(*pair) for pair in zip(deltas, ids, strict=False)])

    def end(self, error: Exception) -> None:
        self.is_over = True
        self._choices.fail(error)

    def cancel(self) -> None:
        self.is_over = True
        self.generation.cancel()

    def _trim(self, deltas: list[Delta]) -> None:
        """Remove the blank with which the text begins, from the first delta that has a text."""
        for at, delta in enumerate(deltas):
            if delta.text:
                deltas[at] = delta._replace(text=delta.text.removeprefix(" "))
                self._trims = False
                return

    def _mark(self, delta: Delta, token: int | None) -> Delta:
        """Return the delta as part of this choice, whose end is not yet the answer's end."""
        part = ChoicePart(self._number, token, delta.finish, delta.usage)
        return delta._replace(finish=None, usage=None, choice=part)


class Choices:
    """The generation of all choices. Its last delta has the `finish` and `usage` of the answer."""

    def __init__(
        self, asked: ChoiceRequests, source: Source, tokenizer: Tokenizer, target: Target
    ) -> None:
        self._asked = asked
        self._source = source
        self._tokenizer = tokenizer
        self._target = target
        self._choices: list[Choice] = []
        self._left = len(asked.requests)
        self._output_tokens = 0
        self._is_paused = False
        self._is_over = False

    def start(self) -> Generation:
        """Start the first generations, and the others in later rounds of the event loop.

        Raises what the source of the first ones raises.
        """
        begun = len(self._choices)
        try:
            for request in self._asked.requests[begun : begun + STARTED_AT_ONCE]:
                self._start(request)
        except Exception:
            self.cancel()
            raise
        if len(self._choices) < len(self._asked.requests):
            asyncio.get_running_loop().call_soon(self._start_more)
        return self

    def _start_more(self) -> None:
        if self._is_over:
            return
        try:
            self.start()
        except Exception as error:  # noqa: BLE001 - sent to the client
            self._target.end(error)

    def _start(self, request: GenerationRequest) -> None:
        cuts = self._asked.cuts_text
        detokenizer = Detokenizer(self._tokenizer, request, replaces_rest=not cuts)
        trims = cuts and self._begins(request)
        choice = Choice(len(self._choices), detokenizer, self, trims=trims)
        self._choices.append(choice)
        choice.generation = self._source(request, choice)
        if choice.is_over or self._is_over:  # it may have pushed all within the call
            choice.generation.cancel()
        elif self._is_paused:
            choice.generation.pause()

    def _begins(self, request: GenerationRequest) -> bool:
        """Tell whether the answer is the beginning of a text: the prompt has control tokens only.

        SentencePiece decodes the first word of a text without its blank, and so does vLLM.
        """
        pieces = self._tokenizer.pieces
        context = request.prompt[-CONTEXT_TOKENS:]
        return self._tokenizer.is_spaced and not any(pieces[token] for token in context)

    def take(self, deltas: list[Delta]) -> None:
        """Take the next deltas of one choice."""
        part = deltas[-1].choice
        assert part, "each delta belongs to a choice"
        if part.usage:
            self._left -= 1
            self._output_tokens += part.usage.output_tokens
            if not self._left:
                usage = Usage(self._asked.prompt_tokens, self._output_tokens)
                deltas[-1] = deltas[-1]._replace(finish=part.finish, usage=usage)
        self._target.feed(deltas)

    def fail(self, error: Exception) -> None:
        """Take the error with which one choice has failed: the whole answer fails."""
        self._target.end(error)

    def cancel(self) -> None:
        self._is_over = True
        for choice in self._choices:
            choice.cancel()

    def pause(self) -> None:
        self._is_paused = True
        for choice in self._choices:
            choice.generation.pause()

    def resume(self) -> None:
        self._is_paused = False
        for choice in self._choices:
            choice.generation.resume()
