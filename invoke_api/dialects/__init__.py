"""Request languages: from a body to a GenerationRequest, and from deltas to Bedrock's JSON."""

from collections.abc import Callable, Sequence
from typing import Any, Protocol

from engine.protocol import Delta, Finish, GenerationRequest, Logprobs
from engine.tokenization.tokenizer import Tokenizer
from invoke_api.dialects.chat_answers import SHAPES
from invoke_api.dialects.imported import Imported
from invoke_api.dialects.mistral_chat import MistralChat
from invoke_api.dialects.mistral_text import MistralText
from invoke_api.dialects.question import Metrics, Question
from invoke_api.dialects.tool_call_reader import AnswerReader


class Writer(Protocol):
    """Writes one answer, whole or chunk by chunk."""

    def reply(
        self,
        text: str,
        finish: Finish,
        metrics: Metrics | None = None,
        logprobs: Sequence[Logprobs] | None = None,
    ) -> bytes:
        """Return the whole body of an InvokeModel answer.

        Its counts and the log probabilities of its tokens are in it if they are known.
        """
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
        """Raises `ChatRefused` for what is no conversation, `RequestRefused`, `SchemaRefused`."""
        ...

    def reader(self, body: dict[str, Any], tokenizer: Tokenizer) -> AnswerReader:
        """Return the guardrail's reader of an answer. Calls of tools not offered are text to it."""
        ...

    def writer(
        self,
        body: dict[str, object],
        tokenizer: Tokenizer,
        request_id: str,
        reader: AnswerReader | None = None,
    ) -> Writer:
        """Return the writer of an answer. A `reader` replaces the dialect's own."""
        ...


def open_dialect(name: str, *, model_id: str, answers: str) -> Dialect:
    """Return the dialect of a model; `answers` names a shape of `dialects.answers`."""
    return DIALECTS[name](model_id, answers)


DIALECTS: dict[str, Callable[[str, str], Dialect]] = {
    "mistral-text": lambda *_: MistralText(),
    "mistral-chat": lambda model_id, answers: MistralChat(model_id, SHAPES[answers]),
    "imported": lambda *_: Imported(),
}
