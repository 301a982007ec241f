"""A verdict played: tokens of a text, at a pace, that break where they are told."""

import asyncio
from collections import deque
from collections.abc import Callable, Sequence

from engine.generation_task import BATCH, Production, cut, play
from engine.protocol import Delta, Generation, GenerationRequest, Receiver, check_request
from engine.tokenization.tokenizer import Tokenizer
from engine.tokenization.tool_calls import write_calls
from invoke_api.rules.rule import Fault, Pace
from invoke_api.rules.rule_book import Verdict
from invoke_api.rules.token_cache import KEPT, LONG_TEXT, encode
from invoke_api.wire.errors import ValidationException


class Broken(Exception):
    """The connection is to be cut here; `torn` sends a frame with a wrong checksum before."""

    def __init__(self, *, torn: bool = False) -> None:
        super().__init__("the connection breaks here")
        self.torn = torn


def speak(
    verdict: Verdict,
    tokenizer: Tokenizer,
    request: GenerationRequest,
    context_length: int,
    receiver: Receiver,
) -> Generation:
    """Push a rule's answer as an engine would give it, with `max_tokens` in force.

    A long one comes in batches, and the loop runs between two of them.

    Raises `EngineError`s as an engine does, and `ValidationException` for calls of tools by a model
    that knows none.
    """
    request = check_request(request, context_length)
    text = _write(verdict, tokenizer, request)
    if len(text) <= LONG_TEXT:
        tokens = encode(tokenizer, text, spelled=request.spelled)
        return play([*tokens, tokenizer.eos], request.max_tokens, receiver)

    async def push(production: Production) -> None:
        known = await KEPT.encode(tokenizer, text, spelled=request.spelled)
        await production.push(*cut([*known, tokenizer.eos], request.max_tokens))

    return Production(receiver, push)


def _write(verdict: Verdict, tokenizer: Tokenizer, request: GenerationRequest) -> str:
    """Return the rule's text as the model would write it."""
    text = verdict.text or ""
    if not request.spelled:
        if verdict.calls:
            raise ValidationException(
                f"Rule {verdict.rule_id} calls tools, which a request of a prompt can't offer."
            )
        return text
    if text and tokenizer.is_spaced and not text.startswith(" "):
        text = " " + text  # as the model would begin, and as will be taken off again
    if verdict.calls:
        text = write_calls(tokenizer.chat.calls_style, text, verdict.calls)
    return text


class FaultStage:
    """Lets as many deltas pass as its fault says. An answer that ends before stays whole."""

    def __init__(self, fault: Fault, model_id: str) -> None:
        self._fault = fault
        self._model_id = model_id
        self._left = fault.after_tokens or 0
        self.is_due = fault.after_tokens is None

    def feed(self, deltas: Sequence[Delta]) -> Sequence[Delta]:
        """Return the deltas that pass; the fault is due if there are others."""
        self.is_due = len(deltas) > self._left
        passing = deltas[: self._left]
        self._left -= len(passing)
        return passing

    @property
    def error(self) -> Exception | None:
        """The fault's `InvokeError` or `Broken`; None for an answer that hangs."""
        if self._fault.error:
            return self._fault.error(self._model_id)
        if self._fault.breakage == "hang":
            return None
        return Broken(torn=self._fault.breakage == "torn_frame")


class PaceStage:
    """Emits deltas one by one, none earlier than the pace allows; then `fail` gets the error."""

    def __init__(
        self,
        pace: Pace,
        emit: Callable[[Sequence[Delta]], None],
        fail: Callable[[Exception], None],
    ) -> None:
        self._waits = pace.waits()
        self._emit = emit
        self._fail = fail
        self._waiting: deque[Delta] = deque()
        self._error: Exception | None = None
        self._timer: asyncio.Handle | None = None
        self._is_paused = False

    def feed(self, deltas: Sequence[Delta]) -> None:
        self._waiting += deltas
        self._go_on()

    def end(self, error: Exception) -> None:
        """Fail once the deltas before have been emitted."""
        self._error = error
        self._go_on()

    def pause(self) -> None:
        self._is_paused = True

    def resume(self) -> None:
        self._is_paused = False
        self._go_on()

    def cancel(self) -> None:
        self._waiting.clear()
        self._error = None
        if self._timer:
            self._timer.cancel()

    def _go_on(self) -> None:
        """Emit what need not wait, and set a timer for the next delta."""
        if self._timer or self._is_paused:
            return
        loop = asyncio.get_running_loop()
        for _ in range(BATCH):  # the event loop runs before the next ones
            if not self._waiting or self._is_paused:
                break
            if wait := next(self._waits):
                self._timer = loop.call_later(wait, self._emit_next)
                return
            self._emit_one()
        if self._waiting:
            self._timer = loop.call_soon(self._wake)
        elif self._error:
            self._fail(self._error)

    def _emit_next(self) -> None:
        self._emit_one()
        self._wake()

    def _emit_one(self) -> None:
        try:
            self._emit([self._waiting.popleft()])
        except Exception as error:  # noqa: BLE001 - told to the client
            self._fail(error)

    def _wake(self) -> None:
        self._timer = None
        self._go_on()
