"""The dialect of 7B, Mixtral 8x7B, Small 2402 and Large 2402: `prompt` in, `outputs` out."""

from collections.abc import Iterator, Sequence
from typing import Any

import orjson

from engine.protocol import Delta, Finish, GenerationRequest, Logprobs
from engine.tokenization.chat_template import ChatPrompt
from engine.tokenization.tokenizer import Tokenizer
from invoke_api.dialects.generation import to_generation
from invoke_api.dialects.question import METRICS_KEY, InvocationMetrics, Question
from invoke_api.dialects.tool_call_reader import AnswerReader, TextReader

# Mistral's instruction format puts each message of the user between these.
OPENING, CLOSING = "[INST]", "[/INST]"


class MistralText:
    """The dialect, which is also the writer of its answers."""

    def to_question(self, body: dict[str, Any]) -> Question:
        prompt: str = body["prompt"]
        messages = [*_user_messages(prompt)] or [prompt]
        turn = len(messages)
        return Question(prompt, messages[-1].strip(), turn, step=turn)

    def texts(self, body: dict[str, Any]) -> list[tuple[dict[str, Any], str]]:
        return [(body, "prompt")]

    def to_request(
        self, body: dict[str, Any], tokenizer: Tokenizer, context_length: int, request_id: str
    ) -> GenerationRequest:
        prompt = tokenizer.encode(body["prompt"], enough=context_length)
        return to_generation(
            body, ChatPrompt(prompt), request_id, vocabulary=len(tokenizer.pieces), spelled=False
        )

    def reader(self, body: dict[str, Any], tokenizer: Tokenizer) -> AnswerReader:  # noqa: ARG002 - `Dialect`'s signature
        return TextReader()

    def writer(
        self,
        body: dict[str, Any],  # noqa: ARG002 - `Dialect`'s signature
        tokenizer: Tokenizer,  # noqa: ARG002
        request_id: str,  # noqa: ARG002
        reader: AnswerReader | None = None,  # noqa: ARG002
    ) -> "MistralText":
        return self

    def reply(
        self,
        text: str,
        finish: Finish,
        metrics: InvocationMetrics | None = None,  # noqa: ARG002 - in the headers
        logprobs: Sequence[Logprobs] | None = None,  # noqa: ARG002 - these bodies have none
    ) -> bytes:
        return orjson.dumps({"outputs": [{"text": text, "stop_reason": finish}]})

    def chunk(self, delta: Delta, metrics: InvocationMetrics | None) -> bytes:
        body: dict[str, object] = {"outputs": [{"text": delta.text, "stop_reason": delta.finish}]}
        if metrics:
            body[METRICS_KEY] = metrics.to_json()
        return orjson.dumps(body)


def _user_messages(prompt: str) -> Iterator[str]:
    """Yield the text of each user message, in linear time."""
    start = prompt.find(OPENING)
    while start >= 0 and (end := prompt.find(CLOSING, start)) >= 0:
        yield prompt[start + len(OPENING) : end]
        start = prompt.find(OPENING, end)
