"""`prompt` in, `outputs` out: Mistral 7B, Mixtral 8x7B, Small 2402 and Large 2402."""

from collections.abc import Iterator, Sequence
from typing import Any

import orjson

from engine.protocol import Delta, Finish, GenerationRequest, Logprobs
from engine.tokenization.chat_template import ChatPrompt
from engine.tokenization.tokenizer import Tokenizer
from invoke_api.dialects.generation import to_generation
from invoke_api.dialects.question import Metrics, Question
from invoke_api.dialects.tool_call_reader import AnswerReader, TextReader

# What Mistral's instruction format puts around each message of the user.
OPENING, CLOSING = "[INST]", "[/INST]"


class MistralText:
    def to_question(self, body: dict[str, Any]) -> Question:
        prompt: str = body["prompt"]
        messages = [*_user_messages(prompt)] or [prompt]
        return Question(prompt, messages[-1].strip(), len(messages))

    def texts(self, body: dict[str, Any]) -> list[tuple[dict[str, Any], str]]:
        return [(body, "prompt")]

    def to_request(
        self, body: dict[str, Any], tokenizer: Tokenizer, context_length: int, request_id: str
    ) -> GenerationRequest:
        prompt = tokenizer.encode(body["prompt"], enough=context_length)
        return to_generation(
            body, ChatPrompt(prompt), request_id, vocabulary=len(tokenizer.pieces), spelled=False
        )

    def reader(self, body: dict[str, Any], tokenizer: Tokenizer) -> AnswerReader:  # noqa: ARG002 - a dialect's own
        return TextReader()

    def writer(
        self,
        body: dict[str, Any],  # noqa: ARG002 - a dialect's own
        tokenizer: Tokenizer,  # noqa: ARG002
        request_id: str,  # noqa: ARG002
        reader: AnswerReader | None = None,  # noqa: ARG002
    ) -> "MistralText":
        return self

    def reply(
        self,
        text: str,
        finish: Finish,
        metrics: Metrics | None = None,  # noqa: ARG002 - told in headers
        logprobs: Sequence[Logprobs] | None = None,  # noqa: ARG002 - it has no place for them
    ) -> bytes:
        return orjson.dumps({"outputs": [{"text": text, "stop_reason": finish}]})

    def chunk(self, delta: Delta, metrics: Metrics | None) -> bytes:
        body: dict[str, object] = {"outputs": [{"text": delta.text, "stop_reason": delta.finish}]}
        if metrics:
            body["amazon-bedrock-invocationMetrics"] = metrics.to_json()
        return orjson.dumps(body)


def _user_messages(prompt: str) -> Iterator[str]:
    """In linear time: where no closing mark follows, none follows a later opening one."""
    start = prompt.find(OPENING)
    while start >= 0 and (end := prompt.find(CLOSING, start)) >= 0:
        yield prompt[start + len(OPENING) : end]
        start = prompt.find(OPENING, end)
