"""Converse's answers, as one document or as the events of a stream."""

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, Protocol

import orjson

from engine.protocol import Delta, Finish
from engine.tokenization.tool_calls import CallPiece, CallStream, ToolCall
from invoke_api.dialects.question import InvocationMetrics
from invoke_api.dialects.tool_call_reader import AnswerReader
from invoke_api.dialects.tools import make_id
from invoke_api.wire.errors import ValidationException

Event = tuple[str, dict[str, Any]]  # its type and its payload, without the padding
RESPONSE_FIELDS = "additionalModelResponseFields"
STOP_REASONS = {"stop": "end_turn", "length": "max_tokens"}


class GuardrailOutcome(Protocol):
    """The result of a call's guardrail, as Converse reports it."""

    intervened: bool

    def to_converse(self) -> dict[str, Any]: ...


class ConverseWriter:
    """A writer of one Converse answer, whole or as events.

    `asked` are members that the answer repeats from the request. `native` writes the model's own
    answer from a text and a finish. `paths` are the request's additionalModelResponseFieldPaths:
    JSON pointers into that answer, or into the answer that `shown` writes, if a guardrail is set.
    """

    def __init__(
        self,
        reader: AnswerReader,
        request_id: str,
        asked: Mapping[str, Any],
        native: Callable[[str, Finish], bytes],
        *,
        paths: Sequence[str] = (),
        outcome: GuardrailOutcome | None = None,
        shown: Callable[[str, Finish], bytes] | None = None,
    ) -> None:
        self._reader = reader
        self.native = native
        self._shown = shown or native
        self._paths = paths
        self._outcome = outcome
        self._texts: list[str] = []
        self._request_id = request_id
        self._asked = asked
        self._begun = False
        self._has_text = False
        self._calls = CallStream()
        self._calls_done = 0  # tool calls whose events are all out

    def reply(self, text: str, finish: Finish, metrics: InvocationMetrics) -> dict[str, Any]:
        """Return the whole answer. The caller sorts its keys."""
        content = self._reader.take(text)
        rest, calls = self._reader.finish()
        content += rest
        blocks: list[dict[str, Any]] = [{"text": content}] if content or not calls else []
        blocks += [{"toolUse": self._use(number, call)} for number, call in enumerate(calls)]
        return {
            "output": {"message": {"content": blocks, "role": "assistant"}},
            "stopReason": self._reason(finish, len(calls)),
            **_measures(metrics),
            **self._asked,
            **self._trace(),
            **self._more(text, finish),
        }

    def events(self, delta: Delta, metrics: InvocationMetrics | None) -> Iterator[Event]:
        """Yield the events of one token; the last token flushes the held text and calls."""
        if self._paths:
            self._texts.append(delta.text)
        if not self._begun:
            self._begun = True
            yield "messageStart", {"role": "assistant"}
        text = self._reader.take(delta.text)
        pieces = [*self._calls.take(self._reader.held_now)] if self._reader.is_holding else []
        calls: list[ToolCall] = []
        if delta.finish:
            pieces += self._calls.finish()
            if not self._calls.begun:
                rest, calls = self._reader.finish()
                text += rest
        # Recorded: a token without text, such as the EOS, has an event, too; a token of a call has
        # none.
        if text or not self._reader.is_holding:
            self._has_text = True
            yield "contentBlockDelta", {"contentBlockIndex": 0, "delta": {"text": text}}
        for piece in pieces:
            yield from self._call_events(piece)
        if delta.finish:
            assert metrics, "the last delta comes with metrics"
            yield from self._end(delta.finish, calls, metrics)

    def _call_events(self, piece: CallPiece) -> Iterator[Event]:
        """Yield the events of one piece of a tool call."""
        number = self._calls_done
        index = {"contentBlockIndex": number + self._has_text}
        if piece.kind == "begin":
            if self._has_text and number == 0:
                yield "contentBlockStop", {"contentBlockIndex": 0}
            use = {"name": piece.text, "toolUseId": self._id(number)}
            yield "contentBlockStart", {**index, "start": {"toolUse": use}}
        elif piece.kind == "arguments":
            yield "contentBlockDelta", {**index, "delta": {"toolUse": {"input": piece.text}}}
        else:
            self._calls_done += 1
            yield "contentBlockStop", index

    def _end(
        self, finish: Finish, calls: list[ToolCall], metrics: InvocationMetrics
    ) -> Iterator[Event]:
        if self._has_text and not self._calls_done and not calls:
            yield "contentBlockStop", {"contentBlockIndex": 0}
        for call in calls:
            arguments = json.dumps(call.arguments, ensure_ascii=False, separators=(",", ":"))
            for piece in (
                CallPiece("begin", call.name),
                CallPiece("arguments", arguments),
                CallPiece("end"),
            ):
                yield from self._call_events(piece)
        more = self._more("".join(self._texts), finish)
        yield "messageStop", {"stopReason": self._reason(finish, self._calls_done), **more}
        yield "metadata", {**_measures(metrics), **self._asked, **self._trace()}

    def _reason(self, finish: Finish, calls: int) -> str:
        if self._outcome and self._outcome.intervened:
            return "guardrail_intervened"
        return "tool_use" if calls and finish == "stop" else STOP_REASONS[finish]

    def _trace(self) -> dict[str, Any]:
        return self._outcome.to_converse() if self._outcome else {}

    def _more(self, text: str, finish: Finish) -> dict[str, Any]:
        if not self._paths:
            return {}
        return {RESPONSE_FIELDS: select(orjson.loads(self._shown(text, finish)), self._paths)}

    def _use(self, number: int, call: ToolCall) -> dict[str, Any]:
        return {"input": call.arguments, "name": call.name, "toolUseId": self._id(number)}

    def _id(self, number: int) -> str:
        return f"tooluse_{make_id(self._request_id, number)}"


def _measures(metrics: InvocationMetrics) -> dict[str, Any]:
    usage = {
        "inputTokens": metrics.input_tokens,
        "outputTokens": metrics.output_tokens,
        "serverToolUsage": {},  # since late 2025, also for Mistral's models
        "totalTokens": metrics.input_tokens + metrics.output_tokens,
    }
    return {"metrics": {"latencyMs": metrics.latency}, "usage": usage}


def check_pointers(pointers: Sequence[str]) -> None:
    """Raise `ValidationException` for the first string that is no JSON pointer (RFC 6901)."""
    for pointer in pointers:
        if not pointer.startswith("/"):
            raise ValidationException(
                f"The value {pointer} in additionalModelResponseFieldPaths is not a JSON pointer."
            )


def select(answer: Any, pointers: Sequence[str]) -> dict[str, Any]:  # noqa: ANN401 - any JSON
    """Return the fields of the model's own answer that the pointers find."""
    fields = {}
    for pointer in pointers:
        steps = [step.replace("~1", "/").replace("~0", "~") for step in pointer.split("/")[1:]]
        try:
            fields[steps[-1]] = _follow(answer, steps)
        except (KeyError, IndexError, ValueError, TypeError):
            continue
    return fields


def _follow(value: Any, steps: Sequence[str]) -> Any:  # noqa: ANN401 - any JSON
    for step in steps:
        value = value[int(step)] if isinstance(value, list) else value[step]
    return value
