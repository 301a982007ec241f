"""The body formats of Mistral's models: request bodies to `GenerationRequest`s, deltas to JSON."""

from collections.abc import Callable, Sequence
from typing import Any, Protocol

from engine.protocol import Delta, Finish, GenerationRequest, Logprobs
from engine.tokenization.tokenizer import Tokenizer
from invoke_api.dialects.chat_answers import SHAPES
from invoke_api.dialects.imported import ImportedDialect
from invoke_api.dialects.mistral_chat import MistralChat
from invoke_api.dialects.mistral_text import MistralText
from invoke_api.dialects.question import InvocationMetrics, Question
from invoke_api.dialects.tool_call_reader import AnswerReader


class BodyWriter(Protocol):
    """A writer of one InvokeModel answer, whole or chunk by chunk."""

    def reply(
        self,
        text: str,
        finish: Finish,
        metrics: InvocationMetrics | None = None,
        logprobs: Sequence[Logprobs] | None = None,
    ) -> bytes:
        """Return the whole body, with token counts and log probabilities if they are given."""
        ...

    def chunk(self, delta: Delta, metrics: InvocationMetrics | None) -> bytes:
        """Return the JSON of one chunk. `metrics` is given for the last chunk only."""
        ...


class Dialect(Protocol):
    """One body format. Pure.

    Every `body` has passed the model's schema and has its defaults filled in.
    """

    def to_question(self, body: dict[str, object]) -> Question: ...

    def texts(self, body: dict[str, Any]) -> list[tuple[dict[str, Any], str]]:
        """Return the places of texts that a guardrail checks: dictionaries, and keys in them."""
        ...

    def to_request(
        self, body: dict[str, object], tokenizer: Tokenizer, context_length: int, request_id: str
    ) -> GenerationRequest:
        """Return the engine's request.

        Raises `ChatRefused` for an invalid conversation, `RequestRefused` and `SchemaRefused`.
        """
        ...

    def reader(self, body: dict[str, Any], tokenizer: Tokenizer) -> AnswerReader:
        """Return the guardrail's reader of an answer. It reads calls of unknown tools as text."""
        ...

    def writer(
        self,
        body: dict[str, object],
        tokenizer: Tokenizer,
        request_id: str,
        reader: AnswerReader | None = None,
    ) -> BodyWriter:
        """Return the writer of an answer. A `reader` replaces the dialect's own."""
        ...


def open_dialect(name: str, *, model_id: str, answers: str) -> Dialect:
    """Return the dialect of a model. `answers` is a key of `chat_answers.SHAPES`."""
    return DIALECTS[name](model_id, answers)


DIALECTS: dict[str, Callable[[str, str], Dialect]] = {
    "mistral-text": lambda *_: MistralText(),
    "mistral-chat": lambda model_id, answers: MistralChat(model_id, SHAPES[answers]),
    "imported": lambda *_: ImportedDialect(),
}
