"""One call under a guardrail: what comes in, what goes out, and the trace of both."""

from collections.abc import Callable, Sequence
from contextlib import aclosing
from dataclasses import dataclass, replace
from time import monotonic
from typing import Any, Literal

from engine.protocol import Delta, Deltas, Finish, Usage
from engine.tool_calls import MARK
from invoke_api.guardrails.assessing import Assessment, Part, assess
from invoke_api.guardrails.guardrail import Guardrail, Source
from invoke_api.guardrails.reports import to_assessment

Trace = Literal["disabled", "enabled", "enabled_full"]
STRIDE = 50  # characters that an asynchronous stream may be ahead of its assessment; Bedrock's: N/F


@dataclass(slots=True, kw_only=True)
class Guarding:
    """`native` writes what the model said as its own answer; streams trace the plain text.

    With `is_async` a stream goes out as it comes, and can be blocked but not anonymized.
    `calls_only` is for a model that must call a tool: what it says is no text. `is_spaced` takes a
    space off the first word, as the writer of the answer does.
    """

    guardrail: Guardrail
    region: str
    account: str
    trace: Trace = "disabled"
    is_async: bool = False
    calls_only: bool = False
    is_spaced: bool = False
    input: Assessment | None = None
    output: Assessment | None = None
    said: str = ""

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

    def check_output(
        self, text: str, finish: Finish, native: Callable[[str, Finish], bytes] | None = None
    ) -> str:
        """The text as it may go out; calls of tools are left alone, unless all is blocked."""
        if self.is_refused:
            return text
        mark = 0 if self.calls_only else (text + MARK).find(MARK)
        self.output = self.assess("OUTPUT", [Part(self._shown(text[:mark]))])
        if not self.output.intervened:
            return text
        self.said = native(text, finish).decode() if native else text
        return self.output.outputs[0] + ("" if self.output.is_blocked else text[mark:])

    def _shown(self, text: str) -> str:
        """The text as the client will see it."""
        return text.removeprefix(" ") if self.is_spaced else text

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
        async with aclosing(deltas):
            async for batch in deltas:
                held += batch
        last = held[-1]
        assert last.finish, "the last delta has a finish"
        text = "".join(delta.text for delta in held)
        told = self.check_output(text, last.finish)
        yield held if told == text else [Delta(told, last.finish, last.usage)]

    async def _passed(self, deltas: Deltas) -> Deltas:
        text, seen, is_over = "", 0, self.calls_only
        async with aclosing(deltas):
            async for batch in deltas:
                ready: list[Delta] = []
                for delta in batch:
                    if self._has_blocked():  # read on to its end, for what it costs
                        ready += [delta._replace(text="")] if delta.finish else []
                        continue
                    text += delta.text
                    is_call = MARK in delta.text  # no mark stands in two texts
                    # Farther and farther apart: each look reads it all.
                    is_due = delta.finish or is_call or len(text) >= seen + max(STRIDE, seen // 10)
                    if is_due and not is_over:
                        seen, is_over = len(text), is_call  # calls are not looked at
                        if ready:  # written down while nothing is found yet
                            yield ready
                        ready = []
                        self._look(text)
                    message = self.guardrail.blocked["OUTPUT"]
                    ready.append(delta._replace(text=message) if self._has_blocked() else delta)
                if ready:
                    yield ready

    def _has_blocked(self) -> bool:
        return self.output is not None and self.output.is_blocked

    def _look(self, text: str) -> None:
        """Of what has gone out already, nothing can be anonymized any more."""
        spoken = self._shown(text.partition(MARK)[0])
        self.output = self.assess("OUTPUT", [Part(spoken)], masks=False)
        if self.output.is_blocked:
            self.said = text

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
