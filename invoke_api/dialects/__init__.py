"""Request languages: from a body to a GenerationRequest, and from deltas to Bedrock's JSON."""

from typing import Any, Protocol

from engine.protocol import Delta, Finish, GenerationRequest
from engine.tokenizer import Tokenizer
from invoke_api.dialects.calls import AnswerReader
from invoke_api.dialects.invocation import Metrics, Question
from invoke_api.dialects.mistral_chat import MistralChat
from invoke_api.dialects.mistral_text import MistralText


class Writer(Protocol):
    """Writes one answer, whole or chunk by chunk."""

    def reply(self, text: str, finish: Finish) -> bytes:
        """The whole body of an InvokeModel answer."""
        ...

    def chunk(self, delta: Delta, metrics: Metrics | None) -> bytes:
        """The JSON of one chunk; the last one carries the metrics."""
        ...


class Dialect(Protocol):
    """Pure; `body` has passed the model's schema, with its defaults filled in."""

    def to_question(self, body: dict[str, object]) -> Question: ...

    def texts(self, body: dict[str, Any]) -> list[tuple[dict[str, Any], str]]:
        """Where the texts that a guardrail looks at stand: what holds each, by which key."""
        ...

    def to_request(
        self, body: dict[str, object], tokenizer: Tokenizer, context_length: int, request_id: str
    ) -> GenerationRequest:
        """Raises `ChatRefused` for what is no conversation."""
        ...

    def reader(self, body: dict[str, Any], tokenizer: Tokenizer) -> AnswerReader:
        """What reads an answer for a guardrail: calls of tools that were not offered are text."""
        ...

    def writer(
        self,
        body: dict[str, object],
        tokenizer: Tokenizer,
        request_id: str,
        reader: AnswerReader | None = None,
    ) -> Writer:
        """`reader` stands in place of the dialect's own."""
        ...


DIALECTS: dict[str, Dialect] = {"mistral-text": MistralText(), "mistral-chat": MistralChat()}
