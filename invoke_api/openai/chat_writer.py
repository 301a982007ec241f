"""Answers of Chat Completions: one document, or server-sent events. Pure.

Recorded: a whole answer of bedrock-mantle (voxtral-mini, 2026-08-19). Guess: those of
bedrock-runtime are alike, and streams are as OpenAI's API reference has them.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from hashlib import sha256
from typing import Any

import orjson

from engine.protocol import Delta, Finish, Logprobs
from invoke_api.dialects.chat_answers import to_openai_logprobs
from invoke_api.dialects.mistral_chat import to_openai_call
from invoke_api.dialects.question import InvocationMetrics
from invoke_api.dialects.tool_call_reader import AnswerReader

# The bytes before and behind each event, and those behind the last one.
EventForm = tuple[bytes, bytes, bytes]
SSE: EventForm = (b"data: ", b"\n\n", b"data: [DONE]\n\n")
Document = dict[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Head:
    """The members that all documents of one answer share. `created` is in seconds since 1970."""

    answer_id: str
    model_id: str
    created: int
    service_tier: str = "default"

    def document(self, kind: str, choices: Sequence[Document], more: Document) -> bytes:
        document = {
            "id": self.answer_id,
            "object": kind,
            "created": self.created,
            "model": self.model_id,
            "service_tier": self.service_tier,
            "choices": choices,
            **more,
        }
        return orjson.dumps(document, option=orjson.OPT_SORT_KEYS)


class ChatCompletionsWriter:
    """A writer of one answer.

    `reader` tells text from calls of tools. `tells_usage` adds a chunk with the token counts to a
    stream. `max_calls` limits the tool calls that the client gets; None sets no limit.
    """

    def __init__(
        self,
        head: Head,
        reader: AnswerReader,
        events: EventForm = SSE,
        *,
        tells_usage: bool = False,
        max_calls: int | None = None,
    ) -> None:
        self._head = head
        self._reader = reader
        self._begin, self._end, self._done = events
        self._tells_usage = tells_usage
        self._max_calls = max_calls
        self._has_begun = False

    def native(self, text: str, finish: Finish) -> bytes:
        return self.whole(text, finish, None, None)

    def whole(
        self,
        text: str,
        finish: Finish,
        metrics: InvocationMetrics | None,
        logprobs: Sequence[Logprobs] | None,
    ) -> bytes:
        content = self._reader.take(text)
        rest, calls = self._finish()
        message: Document = {"role": "assistant", "content": content + rest, "refusal": None}
        if calls:
            message |= {"content": content + rest or None, "tool_calls": calls}
        choice = {
            "index": 0,
            "finish_reason": _reason(finish, calls),
            "logprobs": to_openai_logprobs(logprobs),
            "message": message,
        }
        usage = {"usage": _usage(metrics)} if metrics else {}
        return self._head.document("chat.completion", [choice], usage)

    def frames(self, deltas: Sequence[Delta], metrics: InvocationMetrics | None) -> bytes:
        return b"".join(chunk for delta in deltas for chunk in self._chunks(delta, metrics))

    def _chunks(self, delta: Delta, metrics: InvocationMetrics | None) -> Iterator[bytes]:
        content = self._reader.take(delta.text)
        logprobs = [delta.logprobs] if delta.logprobs else None
        if not self._has_begun:
            self._has_begun = True
            yield self._chunk({"role": "assistant", "content": ""})
        if not delta.finish:
            if content or logprobs:
                yield self._chunk({"content": content}, logprobs=logprobs)
            return
        rest, calls = self._finish()
        if content + rest:
            yield self._chunk({"content": content + rest}, logprobs=logprobs)
        if calls:
            yield self._chunk(
                {"tool_calls": [{"index": at, **call} for at, call in enumerate(calls)]}
            )
        yield self._chunk({}, reason=_reason(delta.finish, calls))
        if metrics and self._tells_usage:
            usage = {"usage": _usage(metrics)}
            yield self._event(self._head.document("chat.completion.chunk", [], usage))
        yield self._done

    def _chunk(
        self,
        delta: Document,
        *,
        reason: str | None = None,
        logprobs: Sequence[Logprobs] | None = None,
    ) -> bytes:
        choice = {
            "index": 0,
            "delta": delta,
            "finish_reason": reason,
            "logprobs": to_openai_logprobs(logprobs),
        }
        usage = {"usage": None} if self._tells_usage else {}
        return self._event(self._head.document("chat.completion.chunk", [choice], usage))

    def _event(self, document: bytes) -> bytes:
        return self._begin + document + self._end

    def _finish(self) -> tuple[str, list[Document]]:
        """Return the rest of the text, and the calls."""
        rest, calls = self._reader.finish()
        return rest, [
            to_openai_call(call, _call_id(self._head.answer_id, at))
            for at, call in enumerate(calls[: self._max_calls])
        ]


def _call_id(answer_id: str, number: int) -> str:
    return f"chatcmpl-tool-{sha256(f'{answer_id} {number}'.encode()).hexdigest()[:32]}"


def _reason(finish: Finish, calls: Sequence[Document]) -> str:
    return "tool_calls" if calls and finish == "stop" else finish


def _usage(metrics: InvocationMetrics) -> Mapping[str, int]:
    return {
        "prompt_tokens": metrics.input_tokens,
        "completion_tokens": metrics.output_tokens,
        "total_tokens": metrics.input_tokens + metrics.output_tokens,
    }
