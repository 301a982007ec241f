"""The protocol of operations that call a model: requests as read, answers as written."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from engine.protocol import Delta, Finish, GenerationRequest, Logprobs
from engine.tokenization.tokenizer import Tokenizer
from invoke_api.dialects.question import Metrics, Question
from invoke_api.pipeline.call import Call


class AnswerWriter(Protocol):
    """Writes the answer of one request, whole or in frames."""

    def native(self, text: str, finish: Finish) -> bytes:
        """Return the model's own answer, for the trace of a guardrail."""
        ...

    def whole(
        self,
        text: str,
        finish: Finish,
        metrics: Metrics,
        logprobs: Sequence[Logprobs] | None,
    ) -> bytes: ...

    def frames(self, deltas: Sequence[Delta], metrics: Metrics | None) -> bytes:
        """Return the frames of these tokens; the last one of an answer comes with the metrics."""
        ...


class ModelRequest(Protocol):
    """A request to a model that has passed its checks.

    `size` estimates how much there is to tokenise, in bytes or characters. `prefix` stands before
    what the model server refuses. `stream_headers` are those of an answer in frames.
    """

    @property
    def size(self) -> int: ...
    @property
    def prefix(self) -> str: ...
    @property
    def stream_headers(self) -> Mapping[str, str]: ...

    def headers(self, metrics: Metrics) -> Mapping[str, str]:
        """Return the headers of a whole answer."""
        ...

    def question(self) -> Question:
        """Return what rules look at."""
        ...

    def generation(self, tokenizer: Tokenizer) -> GenerationRequest:
        """Raises `ChatRefused`, `RequestRefused` and `SchemaRefused`."""
        ...

    def writer(self, tokenizer: Tokenizer) -> AnswerWriter: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelOperation:
    """An operation that calls a model.

    `check` makes the checks of the front door, the body's last, as on Bedrock, and raises
    `InvokeError`s. `weigh` estimates how long they take, as the size of a plain body in bytes.
    """

    name: str
    streams: bool
    check: Callable[[Call, "ModelOperation"], ModelRequest]
    weigh: Callable[[bytes], int] = len
