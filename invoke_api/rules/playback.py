"""Playback of rules: the tokens of a reply, their pace, and faults."""

import asyncio
from collections import deque
from collections.abc import Callable, Sequence

from engine.generation_task import BATCH_TOKENS, GenerationTask, push_known_answer, truncate_answer
from engine.protocol import Delta, Generation, GenerationRequest, Receiver, check_request
from engine.tokenization.tokenizer import Tokenizer
from engine.tokenization.tool_calls import write_calls
from invoke_api.rules.rule import Fault, TokenPace
from invoke_api.rules.rule_book import Verdict
from invoke_api.rules.token_cache import MAX_INLINE_CHARACTERS, TOKEN_CACHE, encode


class ConnectionBreak(Exception):
    """The exception that makes the server close the connection.

    If `torn`, the server first sends a frame with a wrong checksum.
    """

    def __init__(self, *, torn: bool = False) -> None:
        super().__init__("close the connection")
        self.torn = torn


def play_verdict(
    verdict: Verdict,
    tokenizer: Tokenizer,
    context_length: int,
    request: GenerationRequest,
    receiver: Receiver,
) -> Generation:
    """Push a rule's reply as an engine would do it, with at most `max_tokens` tokens.

    A long reply is pushed in batches; the event loop runs between two batches.

    Raises `EngineError`s as an engine does.
    """
    request = check_request(request, context_length)
    text = _write(verdict, tokenizer, request)
    if len(text) <= MAX_INLINE_CHARACTERS:
        tokens = encode(tokenizer, text, spelled=request.spelled)
        return push_known_answer([*tokens, tokenizer.eos], request.max_tokens, receiver)

    async def push(task: GenerationTask) -> None:
        known = await TOKEN_CACHE.encode(tokenizer, text, spelled=request.spelled)
        await task.push(*truncate_answer([*known, tokenizer.eos], request.max_tokens))

    return GenerationTask(receiver, push)


def _write(verdict: Verdict, tokenizer: Tokenizer, request: GenerationRequest) -> str:
    """Return the rule's reply as the model would write it."""
    text = verdict.text or ""
    if not request.spelled:
        return text
    if text and tokenizer.is_spaced and not text.startswith(" "):
        text = " " + text  # as the model would begin; the reader removes it
    if verdict.calls:
        text = write_calls(tokenizer.chat.calls_style, text, verdict.calls)
    return text


class FaultStage:
    """A stage that passes as many deltas as the fault allows. A shorter answer stays whole."""

    def __init__(self, fault: Fault, model_id: str) -> None:
        self._fault = fault
        self._model_id = model_id
        self._left = fault.after_tokens or 0
        self.is_due = fault.after_tokens is None

    def feed(self, deltas: Sequence[Delta]) -> Sequence[Delta]:
        """Return the deltas that pass. The fault is due if there are more."""
        self.is_due = len(deltas) > self._left
        passing = deltas[: self._left]
        self._left -= len(passing)
        return passing

    @property
    def error(self) -> Exception | None:
        """Return the fault's `InvokeError` or `ConnectionBreak`; None for a fault that hangs."""
        if self._fault.error:
            return self._fault.error(self._model_id)
        if self._fault.breakage == "hang":
            return None
        return ConnectionBreak(torn=self._fault.breakage == "torn_frame")


class PaceStage:
    """A stage that emits deltas one by one at a pace, and then passes an error to `fail`."""

    def __init__(
        self,
        pace: TokenPace,
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
        """Fail after all earlier deltas have been emitted."""
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
        """Emit the deltas that are due, and set a timer for the next one."""
        if self._timer or self._is_paused:
            return
        loop = asyncio.get_running_loop()
        for _ in range(BATCH_TOKENS):  # the event loop runs between two batches
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
        except Exception as error:  # noqa: BLE001 - reported to the client
            self._fail(error)

    def _wake(self) -> None:
        self._timer = None
        self._go_on()
