"""Converse's answers: one document, or the events of a stream."""

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, Protocol

import orjson

from engine.protocol import Delta, Finish
from engine.tokenization.tool_calls import CallStream, Piece, ToolCall
from invoke_api.dialects.question import Metrics
from invoke_api.dialects.tool_call_reader import AnswerReader
from invoke_api.dialects.tools import make_id
from invoke_api.wire.errors import ValidationException

Event = tuple[str, dict[str, Any]]  # its type and its payload, without the padding
MORE = "additionalModelResponseFields"
STOP_REASONS = {"stop": "end_turn", "length": "max_tokens"}


class Watch(Protocol):
    """The guardrail of a call: whether it has had its say, and the member that tells of it."""

    @property
    def intervened(self) -> bool: ...

    def to_converse(self) -> dict[str, Any]: ...


class ConverseWriter:
    """`asked` are members that the answer has because the request had them.

    `native` writes the model's own answer of this text and this end; `paths` point to what of that
    is asked for, too, which `shown` writes where a guardrail has left less of it.
    """

    def __init__(
        self,
        reader: AnswerReader,
        request_id: str,
        asked: Mapping[str, Any],
        native: Callable[[str, Finish], bytes],
        *,
        paths: Sequence[str] = (),
        watch: Watch | None = None,
        shown: Callable[[str, Finish], bytes] | None = None,
    ) -> None:
        self._reader = reader
        self.native = native
        self._shown = shown or native
        self._paths = paths
        self._watch = watch
        self._texts: list[str] = []
        self._request_id = request_id
        self._asked = asked
        self._begun = False
        self._has_text = False
        self._calls = CallStream()
        self._calls_told = 0  # those that are whole

    def reply(self, text: str, finish: Finish, metrics: Metrics) -> dict[str, Any]:
        """The whole answer; its keys are sorted where it is written."""
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

    def events(self, delta: Delta, metrics: Metrics | None) -> Iterator[Event]:
        """What of the next token can be said; with the last one, all that is left."""
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
        # Also for a token without text, the EOS among them; but not for those of a call.
        if text or not self._reader.is_holding:
            self._has_text = True
            yield "contentBlockDelta", {"contentBlockIndex": 0, "delta": {"text": text}}
        for piece in pieces:
            yield from self._tell(piece)
        if delta.finish:
            assert metrics, "the last delta comes with metrics"
            yield from self._end(delta.finish, calls, metrics)

    def _tell(self, piece: Piece) -> Iterator[Event]:
        """What of a call has come, of a model that writes its calls so that it can be told."""
        number = self._calls_told
        index = {"contentBlockIndex": number + self._has_text}
        if piece.kind == "begin":
            if self._has_text and number == 0:
                yield "contentBlockStop", {"contentBlockIndex": 0}
            use = {"name": piece.text, "toolUseId": self._id(number)}
            yield "contentBlockStart", {**index, "start": {"toolUse": use}}
        elif piece.kind == "arguments":
            yield "contentBlockDelta", {**index, "delta": {"toolUse": {"input": piece.text}}}
        else:
            self._calls_told += 1
            yield "contentBlockStop", index

    def _end(self, finish: Finish, calls: list[ToolCall], metrics: Metrics) -> Iterator[Event]:
        if self._has_text and not self._calls_told and not calls:
            yield "contentBlockStop", {"contentBlockIndex": 0}
        for call in calls:
            arguments = json.dumps(call.arguments, ensure_ascii=False, separators=(",", ":"))
            for piece in (Piece("begin", call.name), Piece("arguments", arguments), Piece("end")):
                yield from self._tell(piece)
        more = self._more("".join(self._texts), finish)
        yield "messageStop", {"stopReason": self._reason(finish, self._calls_told), **more}
        yield "metadata", {**_measures(metrics), **self._asked, **self._trace()}

    def _reason(self, finish: Finish, calls: int) -> str:
        if self._watch and self._watch.intervened:
            return "guardrail_intervened"
        return "tool_use" if calls and finish == "stop" else STOP_REASONS[finish]

    def _trace(self) -> dict[str, Any]:
        return self._watch.to_converse() if self._watch else {}

    def _more(self, text: str, finish: Finish) -> dict[str, Any]:
        if not self._paths:
            return {}
        return {MORE: select(orjson.loads(self._shown(text, finish)), self._paths)}

    def _use(self, number: int, call: ToolCall) -> dict[str, Any]:
        return {"input": call.arguments, "name": call.name, "toolUseId": self._id(number)}

    def _id(self, number: int) -> str:
        return f"tooluse_{make_id(self._request_id, number)}"


def _measures(metrics: Metrics) -> dict[str, Any]:
    usage = {
        "inputTokens": metrics.input_tokens,
        "outputTokens": metrics.output_tokens,
        "serverToolUsage": {},  # since late 2025, of Mistral's models too
        "totalTokens": metrics.input_tokens + metrics.output_tokens,
    }
    return {"metrics": {"latencyMs": metrics.latency}, "usage": usage}


def check_pointers(pointers: Sequence[str]) -> None:
    """Raises `ValidationException` for one that is no JSON pointer (RFC 6901)."""
    for pointer in pointers:
        if not pointer.startswith("/"):
            raise ValidationException(
                f"The value {pointer} in additionalModelResponseFieldPaths is not a JSON pointer."
            )


def select(answer: Any, pointers: Sequence[str]) -> dict[str, Any]:  # noqa: ANN401 - any JSON
    """The fields of the model's own answer that these point to."""
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
