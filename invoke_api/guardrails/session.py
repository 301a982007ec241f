"""The state of a guardrail during one call: assessments of input and output, and the trace."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from time import monotonic
from typing import Any, Literal

from engine.protocol import Delta, Usage
from engine.tokenization.tool_calls import ToolCall
from invoke_api.dialects.tool_call_reader import AnswerReader, PassThroughReader, TextReader
from invoke_api.guardrails.guardrail import ContentSource, Guardrail
from invoke_api.guardrails.scanner import Assessment, TextBlock, assess
from invoke_api.guardrails.trace import to_assessment

Trace = Literal["disabled", "enabled", "enabled_full"]


@dataclass(slots=True, kw_only=True)
class GuardrailSession:
    """The guardrail of one call, with its assessments.

    If `is_async`, a stream is assessed while it goes out, and can be blocked but not anonymized.
    `said` is the model's text if another one went out in its place.

    `is_refused` tells that the input is blocked, so that the model is not called. `has_blocked`
    tells that the answer is. `intervened` tells that something was blocked or, as recorded,
    anonymized.
    """

    guardrail: Guardrail
    region: str
    account: str
    trace: Trace = "disabled"
    is_async: bool = False
    input: Assessment | None = None
    output: Assessment | None = None
    said: str = ""
    is_refused: bool = False
    has_blocked: bool = False
    intervened: bool = False
    _reader: AnswerReader = field(default_factory=TextReader)
    _told: PassThroughReader = field(default_factory=PassThroughReader)

    def check_input(self, parts: Sequence[TextBlock]) -> tuple[str, ...]:
        """Assess the input and return the texts for the model."""
        self.input = found = self.assess("INPUT", parts)
        self.is_refused, self.intervened = found.is_blocked, found.intervened
        return found.texts

    def note_output(self, found: Assessment, calls: list[ToolCall]) -> None:
        """Note the assessment of the answer so far.

        Pass these calls to the answer's writer, unless the answer is blocked.
        """
        self.output = found
        self.has_blocked = found.is_blocked
        self.intervened = found.intervened or (self.input is not None and self.input.intervened)
        self._told.calls = [] if found.is_blocked else calls

    def refusal(self) -> Delta:
        """Return the message that replaces the answer, with no tokens counted."""
        return Delta(self.guardrail.blocked["INPUT"], "stop", Usage(0, 0))

    def read_by(self, reader: AnswerReader) -> PassThroughReader:
        """Set the reader of the answer, and return the one for the answer's writer.

        So the client gets exactly the assessed text, even if it contains control tokens.
        """
        self._reader = reader
        return self._told

    def read(self, delta: Delta) -> tuple[str, list[ToolCall]]:
        """Return the text of this delta that the client would see, and with the last one the calls.

        Arguments of calls are not assessed: User Guide, guardrails-use-converse-api. Guess: nor are
        those of InvokeModel, and a call of a tool that was not offered is text.
        """
        text = self._reader.take(delta.text)
        if not delta.finish:
            return text, []
        rest, calls = self._reader.finish()
        return text + rest, calls

    @property
    def is_holding(self) -> bool:
        """Tell whether the current text belongs to a call."""
        return self._reader.is_holding

    def assess(
        self, source: ContentSource, parts: Sequence[TextBlock], *, masks: bool = True
    ) -> Assessment:
        """Return the assessment, with its latency."""
        began = monotonic()
        found = assess(self.guardrail, source, parts, masks=masks)
        return replace(found, latency=round(1000 * (monotonic() - began)))

    def reason(self) -> str:
        """Return a line for each direction or, as recorded, one line if nothing was done."""
        stages = [each.reason for each in (self.input, self.output) if each]
        return "\n".join(stages) if self.intervened else stages[0]

    def report(self, assessment: Assessment) -> dict[str, Any]:
        is_full = self.trace == "enabled_full"
        return to_assessment(assessment, self.region, self.account, full=is_full)

    def to_converse(self) -> dict[str, Any]:
        """Return Converse's `trace` member, or nothing unless the request asks for it."""
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
        """Return InvokeModel's `amazon-bedrock-trace`; its members differ from Converse's."""
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
