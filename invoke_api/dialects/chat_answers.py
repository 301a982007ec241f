"""The bodies that models of `messages` answer InvokeModel with: one shape for each generation.

Whole answers were recorded of Pixtral and of the models of 2025 (getlago/lago-agent-sdk-python,
eu-west-1, 2026-04-28). Guesses: that of Large 2407, by what was seen of its chunks; all chunks but
their last member; and calls of tools, which are OpenAI's.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import orjson

from engine.protocol import Likely, Logprobs

Reason = Literal["stop", "length", "tool_calls"]
Document = dict[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """One answer, or one chunk of it.

    `created` is in seconds since 1970. `reason` is None in all chunks but the last. `input_tokens`
    and `output_tokens` are None where they are not known yet: in those chunks, too. `logprobs` has
    one entry a token, and is None where they were not asked for.
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
class Shape:
    """A generation's answers: how they are laid out, and whether their keys are sorted."""

    lay_out: Callable[[Answer], Document]
    is_sorted: bool = False

    def write(self, answer: Answer, more: Mapping[str, Any]) -> bytes:
        """Return the JSON of an answer, with `more` members behind its own."""
        document = self.lay_out(answer)
        if not self.is_sorted:
            return orjson.dumps({**document, **more})
        own = orjson.dumps(document, option=orjson.OPT_SORT_KEYS)
        return own[:-1] + b"," + orjson.dumps(more)[1:] if more else own


def _of_2025(answer: Answer) -> Document:
    """Lay out as Ministral 3, Magistral, Devstral 2 and Voxtral do; Large 3 by analogy."""
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
    choice["logprobs"] = None if answer.logprobs is None else _logprobs(answer.logprobs)
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


def _logprobs(told: Sequence[Logprobs]) -> Document:
    """Return OpenAI's form. Guess: nobody has been heard to ask these models for any."""
    content = [
        {**_likely(each.chosen), "top_logprobs": list(map(_likely, each.likeliest))}
        for each in told
    ]
    return {"content": content, "refusal": None}


def _likely(told: Likely) -> Document:
    token = told.token.decode(errors="replace")
    # JSON has no infinity; OpenAI says so of what is out of the question.
    return {"token": token, "logprob": max(told.logprob, -9999.0), "bytes": list(told.token)}


def _of_pixtral(answer: Answer) -> Document:
    nothing = {"audio": None, "metadata": None}
    logits = {"logprobs": None, "context_logits": None, "generation_logits": None}
    message = {**_message(answer), **nothing}
    choice = {"index": 0, "message": message, "finish_reason": answer.reason, **logits}
    return _document(answer, "pixtral-large-2502", choice, {"request_count": None})


def _of_2407(answer: Answer) -> Document:
    choice = {"index": 0, "message": _message(answer), "stop_reason": answer.reason}
    return _document(answer, "mistral-large-2407", choice, {})


def _message(answer: Answer) -> Document:
    return {
        "role": "assistant",
        "tool_calls": list(answer.calls) or None,
        "index": None,
        "tool_call_id": None,
        "content": answer.content,
    }


def _document(answer: Answer, model: str, choice: Document, more: Document) -> Document:
    return {
        "id": answer.request_id,
        "object": "chat.completion.chunk" if answer.is_chunk else "chat.completion",
        "created": answer.created,
        "model": model,
        "choices": [choice],
        **_usage(answer, more),
    }


def _usage(answer: Answer, more: Document) -> Document:
    if answer.input_tokens is None or answer.output_tokens is None:
        return {}
    usage = {
        "prompt_tokens": answer.input_tokens,
        "total_tokens": answer.input_tokens + answer.output_tokens,
        "completion_tokens": answer.output_tokens,
    }
    return {"usage": usage | more}


# By the name that the registry gives a model's answers.
SHAPES: dict[str, Shape] = {
    "2407": Shape(lay_out=_of_2407),
    "pixtral": Shape(lay_out=_of_pixtral),
    "2025": Shape(lay_out=_of_2025, is_sorted=True),
}
