"""Converse's answers: one document, or the events of a stream."""

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, Protocol

import orjson

from engine.protocol import Delta, Finish
from engine.tool_calls import ToolCall
from invoke_api.dialects.calls import CallReader
from invoke_api.dialects.invocation import Metrics
from invoke_api.dialects.response_fields import select
from invoke_api.dialects.tool_ids import make_id

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
    is asked for, too.
    """

    def __init__(
        self,
        reader: CallReader,
        request_id: str,
        asked: Mapping[str, Any],
        native: Callable[[str, Finish], bytes],
        *,
        paths: Sequence[str] = (),
        watch: Watch | None = None,
    ) -> None:
        self._reader = reader
        self.native = native
        self._paths = paths
        self._watch = watch
        self._texts: list[str] = []
        self._request_id = request_id
        self._asked = asked
        self._begun = False
        self._has_text = False

    def reply(self, text: str, finish: Finish, metrics: Metrics) -> dict[str, Any]:
        """The whole answer; its keys are sorted where it is written."""
        content = self._reader.take(text)
        rest, calls = self._reader.finish()
        content += rest
        blocks: list[dict[str, Any]] = [{"text": content}] if content or not calls else []
        blocks += [{"toolUse": self._use(number, call)} for number, call in enumerate(calls)]
        return {
            "output": {"message": {"content": blocks, "role": "assistant"}},
            "stopReason": self._reason(finish, calls),
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
        calls: list[ToolCall] = []
        if delta.finish:
            rest, calls = self._reader.finish()
            text += rest
        # Also for a token without text, the EOS among them; but not for those of a call.
        if text or not self._reader.is_holding:
            self._has_text = True
            yield "contentBlockDelta", {"contentBlockIndex": 0, "delta": {"text": text}}
        if delta.finish:
            assert metrics, "the last delta comes with metrics"
            yield from self._end(delta.finish, calls, metrics)

    def _end(self, finish: Finish, calls: list[ToolCall], metrics: Metrics) -> Iterator[Event]:
        if self._has_text:
            yield "contentBlockStop", {"contentBlockIndex": 0}
        for number, call in enumerate(calls):
            index = number + self._has_text
            use = self._use(number, call)
            arguments = json.dumps(use.pop("input"), ensure_ascii=False, separators=(",", ":"))
            yield "contentBlockStart", {"contentBlockIndex": index, "start": {"toolUse": use}}
            yield (
                "contentBlockDelta",
                {"contentBlockIndex": index, "delta": {"toolUse": {"input": arguments}}},
            )
            yield "contentBlockStop", {"contentBlockIndex": index}
        more = self._more("".join(self._texts), finish)
        yield "messageStop", {"stopReason": self._reason(finish, calls), **more}
        yield "metadata", {**_measures(metrics), **self._asked, **self._trace()}

    def _reason(self, finish: Finish, calls: list[ToolCall]) -> str:
        if self._watch and self._watch.intervened:
            return "guardrail_intervened"
        return "tool_use" if calls and finish == "stop" else STOP_REASONS[finish]

    def _trace(self) -> dict[str, Any]:
        return self._watch.to_converse() if self._watch else {}

    def _more(self, text: str, finish: Finish) -> dict[str, Any]:
        if not self._paths:
            return {}
        return {MORE: select(orjson.loads(self.native(text, finish)), self._paths)}

    def _use(self, number: int, call: ToolCall) -> dict[str, Any]:
        tool_use_id = f"tooluse_{make_id(self._request_id, number)}"
        return {"input": call.arguments, "name": call.name, "toolUseId": tool_use_id}


def _measures(metrics: Metrics) -> dict[str, Any]:
    usage = {
        "inputTokens": metrics.input_tokens,
        "outputTokens": metrics.output_tokens,
        "serverToolUsage": {},  # since late 2025, of Mistral's models too
        "totalTokens": metrics.input_tokens + metrics.output_tokens,
    }
    return {"metrics": {"latencyMs": metrics.latency}, "usage": usage}
