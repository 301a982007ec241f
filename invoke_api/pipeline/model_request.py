"""The protocol of operations that call a model: a checked request and the writer of its answer."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from engine.protocol import Delta, Finish, GenerationRequest, Logprobs
from engine.tokenization.tokenizer import Tokenizer
from invoke_api.dialects.model_servers import ModelServer
from invoke_api.dialects.question import InvocationMetrics, Question
from invoke_api.pipeline.call import Call
from invoke_api.pipeline.choices import ChoiceRequests


class AnswerWriter(Protocol):
    """A writer of the answer to one request, whole or in frames."""

    def native(self, text: str, finish: Finish) -> bytes:
        """Return the model's own answer, for a guardrail's trace."""
        ...

    def whole(
        self,
        text: str,
        finish: Finish,
        metrics: InvocationMetrics,
        logprobs: Sequence[Logprobs] | None,
    ) -> bytes:
        """Return the body of a whole answer."""
        ...

    def frames(self, deltas: Sequence[Delta], metrics: InvocationMetrics | None) -> bytes:
        """Return the frames of these deltas. `metrics` comes with the last delta of an answer."""
        ...


class ChoicesWriter(ABC):
    """A writer of the answer to one request that may have several choices, whole or in frames.

    A class, and no protocol, because a protocol takes microseconds to tell.
    """

    @abstractmethod
    def choices(self, deltas: Sequence[Delta], metrics: InvocationMetrics) -> bytes:
        """Return the body of a whole answer, from the deltas of all its choices."""

    @abstractmethod
    def frames(self, deltas: Sequence[Delta], metrics: InvocationMetrics | None) -> bytes:
        """Return the frames of these deltas. `metrics` comes with the last delta of an answer."""


class ModelRequest(Protocol):
    """A request to a model that has passed its checks.

    `size` estimates the text to tokenise, in bytes or characters. `server` words the model server's
    refusals, after `prefix`. `streams` tells whether the answer comes in frames, with the
    Content-Type `stream_type` and the further headers `stream_headers`.
    """

    @property
    def size(self) -> int: ...
    @property
    def prefix(self) -> str: ...
    @property
    def server(self) -> ModelServer: ...
    @property
    def streams(self) -> bool: ...
    @property
    def stream_type(self) -> str: ...
    @property
    def stream_headers(self) -> Mapping[str, str]: ...

    def headers(self, metrics: InvocationMetrics) -> Mapping[str, str]:
        """Return the headers of a whole answer."""
        ...

    def question(self) -> Question:
        """Return the parts of the request that rules match."""
        ...

    def generation(self, tokenizer: Tokenizer) -> GenerationRequest | ChoiceRequests:
        """Return the engine's request, or one for each choice of the answer.

        Raises `ChatRefused`, `RequestRefused`, `SchemaRefused`, and `ValidationException` for what
        the API refuses before the model server does.
        """
        ...

    def writer(self, tokenizer: Tokenizer) -> AnswerWriter | ChoicesWriter: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelOperation:
    """An operation that calls a model.

    `check` checks the headers and then the body, as Bedrock does, and raises `InvokeError`s.
    `weigh` estimates the cost of checking a body, in bytes of an ordinary body.
    """

    name: str
    streams: bool
    check: Callable[[Call, "ModelOperation"], ModelRequest]
    weigh: Callable[[bytes], int] = len
