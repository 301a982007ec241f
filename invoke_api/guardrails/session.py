"""One call under a guardrail: what comes in, what goes out, and the trace of both."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from time import monotonic
from typing import Any, Literal

from engine.protocol import Delta, Usage
from engine.tokenization.tool_calls import ToolCall
from invoke_api.dialects.tool_call_reader import AnswerReader, TextReader, ToldReader
from invoke_api.guardrails.guardrail import Guardrail, Source
from invoke_api.guardrails.scanner import Assessment, Part, assess
from invoke_api.guardrails.trace import to_assessment

Trace = Literal["disabled", "enabled", "enabled_full"]


@dataclass(slots=True, kw_only=True)
class Guarding:
    """The guardrail of one call, and what it has found.

    With `is_async` a stream goes out as it comes, and can be blocked but not anonymized. `said` is
    what the model said where something else went out.
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

    def refusal(self) -> Delta:
        """Return what is said in place of an answer; no token is used."""
        return Delta(self.guardrail.blocked["INPUT"], "stop", Usage(0, 0))

    def read_by(self, reader: AnswerReader) -> ToldReader:
        """Read the answer with this reader, and return the one for the answer's writer.

        So the client gets exactly the text that was assessed, whatever marks it contains.
        """
        self._reader = reader
        return self._told

    def read(self, delta: Delta) -> tuple[str, list[ToolCall]]:
        """Return the text of this delta that the client would see; with the last one, the calls.

        User Guide, guardrails-use-converse-api: the arguments of calls are not evaluated. Guess:
        nor are those of InvokeModel's, and a call of a tool that was not offered is text.
        """
        text = self._reader.take(delta.text)
        if not delta.finish:
            return text, []
        rest, calls = self._reader.finish()
        return text + rest, calls

    @property
    def is_holding(self) -> bool:
        """Tell whether the answer is in the midst of a call, which is no text."""
        return self._reader.is_holding

    @property
    def has_blocked(self) -> bool:
        """Tell whether the rest of the answer is not to be shown."""
        return self.output is not None and self.output.is_blocked

    def tell_calls(self, calls: list[ToolCall]) -> None:
        """Give the answer's writer these calls, unless all is blocked."""
        self._told.calls = [] if self.has_blocked else calls

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
