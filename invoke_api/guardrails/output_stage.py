"""The answer of one call under a guardrail: held until it is assessed, or watched as it passes."""

import asyncio
from collections import deque
from collections.abc import Callable, Sequence

from engine.generation_task import BATCH
from engine.protocol import Delta, Finish
from engine.tokenization.tool_calls import ToolCall
from invoke_api.guardrails.scanner import Assessment, Part
from invoke_api.guardrails.session import Guarding

# Least number of characters that an asynchronous stream may be ahead of its assessment. Bedrock's
# number: N/F.
STRIDE = 50
SHARE = 10  # The stream may be ahead by 1/SHARE of what has been assessed: each look reads it all.
# Characters times filters up to which a search runs on the event loop, in 1 to 4 ms. A longer
# search runs in a thread.
LONG_SEARCH = 100_000

Emit = Callable[[Sequence[Delta]], None]
Native = Callable[[str, Finish], bytes]


class OutputStage:
    """Takes the deltas of an answer and emits those that may go out.

    A held answer goes out when all of it has been assessed. One that passes can be blocked but not
    anonymized. Only the search through a long text waits, for a thread; `fail` hears of its errors.
    `native` writes a held answer as the model's own, for the trace; without it, the trace has the
    plain text.
    """

    def __init__(
        self,
        guarding: Guarding,
        emit: Emit,
        fail: Callable[[Exception], None],
        *,
        holds: bool,
        native: Native | None = None,
    ) -> None:
        self._guarding = guarding
        self._emit = emit
        self._fail = fail
        self._feed = self._hold if holds else self._pass
        self._native = native
        self._waiting: deque[Delta] = deque()
        self._search: asyncio.Task[None] | None = None
        self._held: list[Delta] = []
        self._said: list[str] = []
        self._shown = ""
        self._seen = 0  # characters of `_shown` that have been assessed

    def feed(self, deltas: Sequence[Delta]) -> None:
        if self._guarding.is_refused:
            self._emit(deltas)
            return
        self._waiting += deltas
        if not self._search:
            self._feed()

    def cancel(self) -> None:
        self._held.clear()
        if self._search:
            self._search.cancel()

    def _hold(self) -> None:
        if not (self._waiting and self._waiting[-1].finish):
            return
        deltas = list(self._waiting)
        self._waiting.clear()
        self._said = [delta.text for delta in deltas]
        if self._native:  # a whole answer need not come token by token
            deltas = [deltas[-1]._replace(text="".join(self._said))]
        guarding, calls = self._guarding, list[ToolCall]()
        for delta in deltas:
            text, calls = guarding.read(delta)
            if text or delta.finish or not guarding.is_holding:
                self._held.append(delta._replace(text=text))
        text = "".join(delta.text for delta in self._held)
        self._assess(text, lambda found: self._release(found, calls), masks=True)

    def _release(self, found: Assessment, calls: list[ToolCall]) -> None:
        self._guarding.output = found
        self._guarding.tell_calls(calls)
        last = self._held[-1]
        assert last.finish, "the last delta has a finish"
        if found.intervened:
            said = "".join(self._said)
            self._guarding.said = self._native(said, last.finish).decode() if self._native else said
            self._held = [last._replace(text=found.outputs[0])]
        self._emit_held()

    def _emit_held(self) -> None:
        """Emit a batch at a time; the event loop runs between two of them."""
        batch, self._held = self._held[:BATCH], self._held[BATCH:]
        try:
            self._emit(batch)
        except Exception as error:  # noqa: BLE001 - told to the client
            self._fail(error)
        if self._held:
            asyncio.get_running_loop().call_soon(self._emit_held)

    def _pass(self) -> None:
        guarding, ready = self._guarding, list[Delta]()
        while self._waiting and not self._search:
            delta = self._waiting.popleft()
            if guarding.has_blocked:  # read on to its end, for what it costs
                ready += [delta._replace(text="")] if delta.finish else []
                continue
            text, calls = guarding.read(delta)
            self._said.append(delta.text)
            self._shown += text
            shown = delta._replace(text=text)
            if delta.finish or len(self._shown) >= self._seen + max(STRIDE, self._seen // SHARE):
                self._seen = len(self._shown)
                if ready:  # written down while nothing is found yet
                    self._emit(ready)
                ready = []
                self._look(shown, calls)
            elif text or not guarding.is_holding:
                ready.append(shown)
        if ready:
            self._emit(ready)

    def _look(self, shown: Delta, calls: list[ToolCall]) -> None:
        """Assess all the text so far, whose last delta this is.

        The text that has gone out already can't be anonymized any more.
        """

        def go_on(found: Assessment) -> None:
            guarding, delta = self._guarding, shown
            guarding.output = found
            if found.is_blocked:
                guarding.said = "".join(self._said)
                delta = delta._replace(text=found.outputs[0])
            guarding.tell_calls(calls)
            if delta.text or delta.finish or not guarding.is_holding:
                self._emit([delta])

        self._assess(self._shown, go_on, masks=False)

    def _assess(self, text: str, then: Callable[[Assessment], None], *, masks: bool) -> None:
        """Assess an answer, in a thread if that takes longer than the event loop may be blocked."""
        if len(text) * len(self._guarding.guardrail.filters) <= LONG_SEARCH:
            then(self._guarding.assess("OUTPUT", [Part(text)], masks=masks))
        else:
            self._search = asyncio.create_task(self._assess_aside(text, then, masks=masks))

    async def _assess_aside(
        self, text: str, then: Callable[[Assessment], None], *, masks: bool
    ) -> None:
        try:
            found = await asyncio.to_thread(
                self._guarding.assess, "OUTPUT", [Part(text)], masks=masks
            )
            then(found)
            self._search = None
            self._feed()
        except Exception as error:  # noqa: BLE001 - told to the client as any other
            self._fail(error)
