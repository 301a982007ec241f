"""One call under a guardrail: what comes in, what goes out, and the trace of both."""

import asyncio
from collections.abc import Callable, Sequence
from contextlib import aclosing
from dataclasses import dataclass, field, replace
from time import monotonic
from typing import Any, Literal

from engine.protocol import Delta, Deltas, Finish, Usage
from engine.tool_calls import ToolCall
from invoke_api.dialects.calls import AnswerReader, TextReader, ToldReader
from invoke_api.guardrails.assessing import Assessment, Part, assess
from invoke_api.guardrails.guardrail import Guardrail, Source
from invoke_api.guardrails.reports import to_assessment

Trace = Literal["disabled", "enabled", "enabled_full"]
# Least number of characters that an asynchronous stream may be ahead of its assessment. Bedrock's
# number: N/F.
STRIDE = 50
SHARE = 10  # It may be ahead by 1/SHARE of those assessed, because each look reads all of them.
# Characters times filters up to which a search runs on the event loop, in 1 to 4 ms. A longer
# search runs in a thread.
LONG_SEARCH = 100_000


@dataclass(slots=True, kw_only=True)
class Guarding:
    """`native` writes what the model said as its own answer; streams trace the plain text.

    With `is_async` a stream goes out as it comes, and can be blocked but not anonymized.
    """

    guardrail: Guardrail
    region: str
    account: str
    trace: Trace = "disabled"
    is_async: bool = False
    input: Assessment | None = None
    output: Assessment | None = None
    said: str = ""
    _reader: AnswerReader = field(default_factory=TextReader)
    _told: ToldReader = field(default_factory=ToldReader)

    @property
    def is_refused(self) -> bool:
        """Whether the model is not to hear of it at all."""
        return self.input is not None and self.input.is_blocked

    @property
    def intervened(self) -> bool:
        """Also where something was only anonymized, as recorded."""
        return any(each.intervened for each in (self.input, self.output) if each)

    def check_input(self, parts: Sequence[Part]) -> tuple[str, ...]:
        """The parts as the model may read them."""
        self.input = self.assess("INPUT", parts)
        return self.input.texts

    async def refuse(self) -> Deltas:
        """What is said in place of an answer; no token is used."""
        yield [Delta(self.guardrail.blocked["INPUT"], "stop", Usage(0, 0))]

    def read_by(self, reader: AnswerReader) -> ToldReader:
        """Read the answer with this reader, and return the one for the answer's writer.

        So the client gets exactly the text that was assessed, whatever marks it contains.
        """
        self._reader = reader
        return self._told

    async def check_output(
        self, text: str, finish: Finish, native: Callable[[str, Finish], bytes] | None = None
    ) -> str:
        """Return the text that may go out. `ToldReader` has the calls, unless all is blocked.

        User Guide, guardrails-use-converse-api: the arguments of calls are not evaluated. Guess:
        nor are those of InvokeModel's, and a call of a tool that was not offered is text.
        """
        if self.is_refused:
            return text
        shown = self._reader.take(text)
        rest, calls = self._reader.finish()
        self.output = await self._assess_output(shown + rest)
        if self.output.intervened:
            self.said = native(text, finish).decode() if native else text
        self._told.calls = [] if self.output.is_blocked else calls
        return self.output.outputs[0] if self.output.intervened else shown + rest

    async def stream(self, deltas: Deltas) -> Deltas:
        """The deltas as they may go out."""
        if self.is_refused:
            watched = deltas
        else:
            watched = self._passed(deltas) if self.is_async else self._held(deltas)
        async with aclosing(watched):
            async for batch in watched:
                yield batch

    async def _held(self, deltas: Deltas) -> Deltas:
        held: list[Delta] = []
        said: list[str] = []
        calls: list[ToolCall] = []
        async with aclosing(deltas):
            async for batch in deltas:
                for delta in batch:
                    said.append(delta.text)
                    text, calls = self._read(delta)
                    if text or delta.finish or not self._reader.is_holding:
                        held.append(delta._replace(text=text))
        last = held[-1]
        assert last.finish, "the last delta has a finish"
        self.output = await self._assess_output("".join(delta.text for delta in held))
        self._told.calls = [] if self.output.is_blocked else calls
        if self.output.intervened:
            self.said = "".join(said)
            held = [last._replace(text=self.output.outputs[0])]
        yield held

    def _read(self, delta: Delta) -> tuple[str, list[ToolCall]]:
        """Return the text of this delta that the client would see; with the last one, the calls."""
        text = self._reader.take(delta.text)
        if not delta.finish:
            return text, []
        rest, calls = self._reader.finish()
        return text + rest, calls

    async def _passed(self, deltas: Deltas) -> Deltas:
        said, shown, seen = "", "", 0
        async with aclosing(deltas):
            async for batch in deltas:
                ready: list[Delta] = []
                for delta in batch:
                    if self._has_blocked():  # read on to its end, for what it costs
                        ready += [delta._replace(text="")] if delta.finish else []
                        continue
                    text, calls = self._read(delta)
                    said += delta.text
                    shown += text
                    if delta.finish or len(shown) >= seen + max(STRIDE, seen // SHARE):
                        seen = len(shown)
                        if ready:  # written down while nothing is found yet
                            yield ready
                        ready = []
                        text = await self._look(shown, said, text)
                        self._told.calls = [] if self._has_blocked() else calls
                    if text or delta.finish or not self._reader.is_holding:
                        ready.append(delta._replace(text=text))
                if ready:
                    yield ready

    def _has_blocked(self) -> bool:
        return self.output is not None and self.output.is_blocked

    async def _look(self, shown: str, said: str, last: str) -> str:
        """Return the text that may go out in place of `last`, the end of `shown`.

        The text that has gone out already can't be anonymized any more.
        """
        self.output = await self._assess_output(shown, masks=False)
        if not self.output.is_blocked:
            return last
        self.said = said
        return self.output.outputs[0]

    async def _assess_output(self, text: str, *, masks: bool = True) -> Assessment:
        """Assess an answer, in a thread if that takes longer than the event loop may be blocked."""
        parts = [Part(text)]
        if len(text) * len(self.guardrail.filters) <= LONG_SEARCH:
            return self.assess("OUTPUT", parts, masks=masks)
        return await asyncio.to_thread(self.assess, "OUTPUT", parts, masks=masks)

    def assess(self, source: Source, parts: Sequence[Part], *, masks: bool = True) -> Assessment:
        """With the time that it takes."""
        began = monotonic()
        found = assess(self.guardrail, source, parts, masks=masks)
        return replace(found, latency=round(1000 * (monotonic() - began)))

    def reason(self) -> str:
        """What was done at each stage; recorded so, once where nothing was done at all."""
        stages = [each.reason for each in (self.input, self.output) if each]
        return "\n".join(stages) if self.intervened else stages[0]

    def report(self, assessment: Assessment) -> dict[str, Any]:
        is_full = self.trace == "enabled_full"
        return to_assessment(assessment, self.region, self.account, full=is_full)

    def to_converse(self) -> dict[str, Any]:
        """Converse's `trace`, as a member of the answer, if it was asked for."""
        if self.trace == "disabled":
            return {}
        key = self.guardrail.id
        trace: dict[str, Any] = {"actionReason": self.reason()}
        if self.input:
            trace["inputAssessment"] = {key: self.report(self.input)}
        if self.output:
            trace["outputAssessments"] = {key: [self.report(self.output)]}
        return {"trace": {"guardrail": {**trace, **self._model_output()}}}

    def to_invoke(self) -> dict[str, Any]:
        """InvokeModel's `amazon-bedrock-trace`, likewise; other members in another order."""
        if self.trace == "disabled":
            return {}
        key, trace = self.guardrail.id, self._model_output()
        if self.input:
            trace["input"] = {key: self.report(self.input)}
        if self.output:
            trace["outputs"] = [{key: self.report(self.output)}]
        return {"amazon-bedrock-trace": {"guardrail": {**trace, "actionReason": self.reason()}}}

    def _model_output(self) -> dict[str, Any]:
        return {"modelOutput": [self.said]} if self.said else {}
