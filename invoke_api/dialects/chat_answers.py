"""InvokeModel answers of models that take `messages`, in one shape per model generation.

Recorded: whole answers of Pixtral and of the models of 2025 (getlago/lago-agent-sdk-python,
eu-west-1, 2026-04-28). Guesses: whole answers of Large 2407, which follow its recorded chunks; all
members of chunks but the last; tool calls, which have OpenAI's form.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, NamedTuple

import orjson

from engine.protocol import Finish, Logprobs, TokenLogprob

Reason = Finish | Literal["tool_calls"]
Document = dict[str, Any]


class ChatAnswer(NamedTuple):
    """One answer, or one chunk of it.

    `created` is in seconds since 1970. `reason`, `input_tokens` and `output_tokens` are None in all
    chunks but the last. `logprobs` has one entry per token; None if the request asks for none.
    """

    request_id: str
    model_id: str
    created: int
    content: str
    calls: Sequence[Mapping[str, Any]] = ()
    reason: Reason | None = None
    input_tokens: int | None = None
    output_tokens: int | None = None
    service_tier: str = "default"
    logprobs: Sequence[Logprobs] | None = None
    is_chunk: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class AnswerShape:
    """The JSON layout of one model generation's answers."""

    lay_out: Callable[[ChatAnswer], Document]
    is_sorted: bool = False

    def write(self, answer: ChatAnswer, more: Mapping[str, Any]) -> bytes:
        """Return the JSON of an answer, followed by the members `more`."""
        document = self.lay_out(answer)
        if not self.is_sorted:
            return orjson.dumps({**document, **more})
        own = orjson.dumps(document, option=orjson.OPT_SORT_KEYS)
        return own[:-1] + b"," + orjson.dumps(more)[1:] if more else own


def _of_2025(answer: ChatAnswer) -> Document:
    """Return the layout of Ministral 3, Magistral, Devstral 2 and Voxtral. Guess for Large 3."""
    message: Document = {"role": "assistant", "content": answer.content or None}
    if not answer.calls:
        message["content"] = answer.content
    if not answer.is_chunk:
        message["refusal"] = None
    if answer.calls:
        calls = enumerate(answer.calls)
        message["tool_calls"] = [
            {"index": number, **call} if answer.is_chunk else call for number, call in calls
        ]
    choice: Document = {"index": 0, "finish_reason": answer.reason}
    choice["logprobs"] = to_openai_logprobs(answer.logprobs)
    choice["delta" if answer.is_chunk else "message"] = message
    return {
        "id": f"chatcmpl-{answer.request_id}",
        "object": "chat.completion.chunk" if answer.is_chunk else "chat.completion",
        "created": answer.created,
        "model": answer.model_id,
        "service_tier": answer.service_tier,
        "choices": [choice],
        **_usage(answer, {}),
    }


def to_openai_logprobs(logprobs: Sequence[Logprobs] | None) -> Document | None:
    """Return OpenAI's form of log probabilities. Guess: no recording asks these models for any."""
    if logprobs is None:
        return None
    return {"content": list(map(chat_logprobs, logprobs)), "refusal": None}


def chat_logprobs(token: Logprobs) -> Document:
    """Return OpenAI's form of one token's log probabilities in a chat."""
    return {**_alternative(token.chosen), "top_logprobs": list(map(_alternative, token.likeliest))}


def _alternative(token: TokenLogprob) -> Document:
    logprob = bounded_logprob(token.logprob)
    return {"token": decoded(token), "logprob": logprob, "bytes": list(token.token)}


def decoded(token: TokenLogprob) -> str:
    return token.token.decode(errors="replace")


def bounded_logprob(logprob: float) -> float:
    """Return -9999 for minus infinity, as OpenAI does, because JSON has no infinity."""
    return max(logprob, -9999.0)


def _of_pixtral(answer: ChatAnswer) -> Document:
    nothing = {"audio": None, "metadata": None}
    logits = {"logprobs": None, "context_logits": None, "generation_logits": None}
    message = {**_message(answer), **nothing}
    choice = {"index": 0, "message": message, "finish_reason": answer.reason, **logits}
    return _document(answer, "pixtral-large-2502", choice, {"request_count": None})


def _of_2407(answer: ChatAnswer) -> Document:
    choice = {"index": 0, "message": _message(answer), "stop_reason": answer.reason}
    return _document(answer, "mistral-large-2407", choice, {})


def _message(answer: ChatAnswer) -> Document:
    return {
        "role": "assistant",
        "tool_calls": list(answer.calls) or None,
        "index": None,
        "tool_call_id": None,
        "content": answer.content,
    }


def _document(answer: ChatAnswer, model: str, choice: Document, more: Document) -> Document:
    return {
        "id": answer.request_id,
        "object": "chat.completion.chunk" if answer.is_chunk else "chat.completion",
        "created": answer.created,
        "model": model,
        "choices": [choice],
        **_usage(answer, more),
    }


def _usage(answer: ChatAnswer, more: Document) -> Document:
    if answer.input_tokens is None or answer.output_tokens is None:
        return {}
    usage = {
        "prompt_tokens": answer.input_tokens,
        "total_tokens": answer.input_tokens + answer.output_tokens,
        "completion_tokens": answer.output_tokens,
    }
    return {"usage": usage | more}


# The keys are the values of `answers` in the registry.
SHAPES: dict[str, AnswerShape] = {
    "2407": AnswerShape(lay_out=_of_2407),
    "pixtral": AnswerShape(lay_out=_of_pixtral),
    "2025": AnswerShape(lay_out=_of_2025, is_sorted=True),
}
