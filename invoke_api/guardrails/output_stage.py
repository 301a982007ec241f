"""The stage that holds an answer until the guardrail has assessed it, or assesses it in-stream."""

import asyncio
from collections import deque
from collections.abc import Callable, Sequence

from engine.generation_task import BATCH_TOKENS
from engine.protocol import Delta, Finish
from engine.tokenization.tool_calls import ToolCall
from invoke_api.guardrails.scanner import Assessment, TextBlock
from invoke_api.guardrails.session import GuardrailSession

# An asynchronous stream is assessed again after this many new characters. Bedrock's number is not
# known.
MIN_UNASSESSED_CHARACTERS = 50
# In a long stream, after 1/UNASSESSED_SHARE of the assessed ones: an assessment reads all of them.
UNASSESSED_SHARE = 10
# Characters times filters that are searched on the event loop, in 1 to 4 ms. More run in a thread.
MAX_INLINE_SEARCH = 100_000

Emit = Callable[[Sequence[Delta]], None]
Native = Callable[[str, Finish], bytes]


class OutputStage:
    """A stage that takes the deltas of an answer and emits those that the guardrail allows.

    If `holds`, the answer goes out after all of it has been assessed. Otherwise it is assessed
    in-stream, and can be blocked but not anonymized. A long search runs in a thread; `fail` gets
    its errors. `native` writes a held answer as the model's own, for the trace; without it, the
    trace has the plain text.
    """

    def __init__(
        self,
        session: GuardrailSession,
        emit: Emit,
        fail: Callable[[Exception], None],
        *,
        holds: bool,
        native: Native | None = None,
    ) -> None:
        self._session = session
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
        if self._session.is_refused:
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
        if self._native:  # the answer is not streamed
            deltas = [deltas[-1]._replace(text="".join(self._said))]
        session, calls = self._session, list[ToolCall]()
        for delta in deltas:
            text, calls = session.read(delta)
            if text or delta.finish or not session.is_holding:
                self._held.append(delta._replace(text=text))
        text = "".join(delta.text for delta in self._held)
        self._assess(text, lambda found: self._release(found, calls), masks=True)

    def _release(self, found: Assessment, calls: list[ToolCall]) -> None:
        self._session.note_output(found, calls)
        last = self._held[-1]
        assert last.finish, "the last delta has a finish"
        if found.intervened:
            said = "".join(self._said)
            self._session.said = self._native(said, last.finish).decode() if self._native else said
            self._held = [last._replace(text=found.outputs[0])]
        self._emit_held()

    def _emit_held(self) -> None:
        """Emit the held deltas in batches. The event loop runs between two batches."""
        batch, self._held = self._held[:BATCH_TOKENS], self._held[BATCH_TOKENS:]
        try:
            self._emit(batch)
        except Exception as error:  # noqa: BLE001 - reported to the client
            self._fail(error)
        if self._held:
            asyncio.get_running_loop().call_soon(self._emit_held)

    def _pass(self) -> None:
        session, ready = self._session, list[Delta]()
        while self._waiting and not self._search:
            delta = self._waiting.popleft()
            if session.has_blocked:  # read to the end, for the token counts
                ready += [delta._replace(text="")] if delta.finish else []
                continue
            text, calls = session.read(delta)
            self._said.append(delta.text)
            self._shown += text
            shown = delta._replace(text=text)
            if delta.finish or len(self._shown) >= self._seen + max(
                MIN_UNASSESSED_CHARACTERS, self._seen // UNASSESSED_SHARE
            ):
                self._seen = len(self._shown)
                if ready:  # before the assessment changes the session
                    self._emit(ready)
                ready = []
                self._assess_stream(shown, calls)
            elif text or not session.is_holding:
                ready.append(shown)
        if ready:
            self._emit(ready)

    def _assess_stream(self, shown: Delta, calls: list[ToolCall]) -> None:
        """Assess all text up to this delta, without masking, because text has gone out already."""

        def go_on(found: Assessment) -> None:
            session, delta = self._session, shown
            session.note_output(found, calls)
            if found.is_blocked:
                session.said = "".join(self._said)
                delta = delta._replace(text=found.outputs[0])
            if delta.text or delta.finish or not session.is_holding:
                self._emit([delta])

        self._assess(self._shown, go_on, masks=False)

    def _assess(self, text: str, then: Callable[[Assessment], None], *, masks: bool) -> None:
        """Assess an answer, in a thread if that takes longer than the event loop may be blocked."""
        if len(text) * len(self._session.guardrail.filters) <= MAX_INLINE_SEARCH:
            then(self._session.assess("OUTPUT", [TextBlock(text)], masks=masks))
        else:
            self._search = asyncio.create_task(self._assess_aside(text, then, masks=masks))

    async def _assess_aside(
        self, text: str, then: Callable[[Assessment], None], *, masks: bool
    ) -> None:
        try:
            found = await asyncio.to_thread(
                self._session.assess, "OUTPUT", [TextBlock(text)], masks=masks
            )
            then(found)
            self._search = None
            self._feed()
        except Exception as error:  # noqa: BLE001 - reported to the client
            self._fail(error)
