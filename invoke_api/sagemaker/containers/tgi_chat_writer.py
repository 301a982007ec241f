"""TGI 3's answers to chats: one document, or a stream of events. Pure.

Source: router/src/{lib,chat}.rs of huggingface/text-generation-inference v3.3.7. TGI makes a call
of a tool by a grammar, and streams its arguments; here the model's own calls come whole, with the
last event. Guess: the fingerprint's second half.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import orjson

from engine.protocol import Delta, Finish, Logprobs, TokenLogprob
from engine.tokenization.tool_calls import ToolCall
from invoke_api.dialects.chat_answers import bounded_logprob, decoded
from invoke_api.dialects.mistral_chat import to_openai_call
from invoke_api.dialects.question import InvocationMetrics
from invoke_api.dialects.tool_call_reader import AnswerReader

DONE = b"data: [DONE]\n\n"
FINGERPRINT = "3.3.7-native"
Document = dict[str, Any]


class TgiChatWriter:
    """A writer of one answer of the model `name`.

    `reader` tells text from calls of tools. `stop` are the stop sequences. `tells_usage` adds an
    event with the token counts to a stream.
    """

    def __init__(
        self,
        name: str,
        created: int,
        reader: AnswerReader,
        stop: Sequence[str],
        *,
        tells_usage: bool,
    ) -> None:
        self._head = {
            "id": "",
            "created": created,
            "model": name,
            "system_fingerprint": FINGERPRINT,
        }
        self._reader = reader
        self._stop = tuple(stop)
        self._tells_usage = tells_usage

    def native(self, text: str, finish: Finish) -> bytes:
        none = InvocationMetrics(input_tokens=0, output_tokens=0, latency=0, first_byte_latency=0)
        return self.whole(text, finish, none, None)

    def whole(
        self,
        text: str,
        finish: Finish,
        metrics: InvocationMetrics,
        logprobs: Sequence[Logprobs] | None,
    ) -> bytes:
        content = self._reader.take(text)
        rest, calls = self._reader.finish()
        message: Document = {"role": "assistant", "content": content + rest}
        if calls:
            message = {"role": "assistant", "tool_calls": _calls(calls)}
        choice = {
            "index": 0,
            "message": message,
            "logprobs": _logprobs(logprobs),
            "finish_reason": self._reason(finish, text),
        }
        usage = _usage(metrics)
        document = {**self._head, "choices": [choice], "usage": usage}
        return orjson.dumps({"object": "chat.completion", **document})

    def frames(self, deltas: Sequence[Delta], metrics: InvocationMetrics | None) -> bytes:
        return b"".join(event for delta in deltas for event in self._events(delta, metrics))

    def _events(self, delta: Delta, metrics: InvocationMetrics | None) -> Iterator[bytes]:
        content = self._reader.take(delta.text)
        logprobs = [delta.logprobs] if delta.logprobs else None
        if not delta.finish:
            yield self._event({"role": "assistant", "content": content}, logprobs)
            return
        rest, calls = self._reader.finish()
        reason = "stop_sequence" if delta.stopped_by else self._reason(delta.finish, "")
        told: Document = {"role": "assistant", "content": content + rest}
        if calls:
            indexed = enumerate(_calls(calls))
            told = {
                "role": "assistant",
                "tool_calls": [{"index": at, **call} for at, call in indexed],
            }
        yield self._event(told, logprobs, reason)
        if metrics and self._tells_usage:
            yield self._chunk([], _usage(metrics))
        yield DONE

    def _event(
        self, delta: Document, logprobs: Sequence[Logprobs] | None, reason: str | None = None
    ) -> bytes:
        choice = {
            "index": 0,
            "delta": delta,
            "logprobs": _logprobs(logprobs),
            "finish_reason": reason,
        }
        return self._chunk([choice], None)

    def _chunk(self, choices: Sequence[Document], usage: Mapping[str, int] | None) -> bytes:
        document = {**self._head, "choices": choices, "usage": usage}
        return b"data: " + orjson.dumps({"object": "chat.completion.chunk", **document}) + b"\n\n"

    def _reason(self, finish: Finish, text: str) -> str:
        """Return TGI's reason. A stop sequence stays in the text, at its end."""
        is_stopped = finish == "stop" and bool(self._stop) and text.endswith(self._stop)
        return "stop_sequence" if is_stopped else finish


def _calls(calls: Sequence[ToolCall]) -> list[Document]:
    """Return the calls in TGI's form, which numbers them."""
    told = [to_openai_call(call, str(number)) for number, call in enumerate(calls)]
    return [{**call, "function": {"description": None, **call["function"]}} for call in told]


def _logprobs(logprobs: Sequence[Logprobs] | None) -> Document | None:
    if logprobs is None:
        return None
    return {
        "content": [
            {**_scored(each.chosen), "top_logprobs": list(map(_scored, each.likeliest))}
            for each in logprobs
        ]
    }


def _scored(token: TokenLogprob) -> Document:
    return {"token": decoded(token), "logprob": bounded_logprob(token.logprob)}


def _usage(metrics: InvocationMetrics) -> Mapping[str, int]:
    return {
        "prompt_tokens": metrics.input_tokens,
        "completion_tokens": metrics.output_tokens,
        "total_tokens": metrics.input_tokens + metrics.output_tokens,
    }
