"""Requests to endpoints: the base of all kinds, and those of `inputs`."""

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import ClassVar

from engine.protocol import GenerationRequest
from engine.tokenization.tokenizer import Tokenizer
from invoke_api.dialects.mistral_text import MistralText
from invoke_api.dialects.model_servers import ModelServer
from invoke_api.dialects.question import InvocationMetrics, Question
from invoke_api.models.endpoints import Endpoint
from invoke_api.models.registry import Model
from invoke_api.pipeline.choices import ChoiceRequests
from invoke_api.pipeline.model_request import AnswerWriter, ChoicesWriter
from invoke_api.sagemaker.containers.errors import LMI_SERVER, TGI_SERVER, tgi_error
from invoke_api.sagemaker.containers.kinds import CONTAINERS, Container
from invoke_api.sagemaker.containers.lmi_generation import to_lmi_generation
from invoke_api.sagemaker.containers.tgi_body import TgiRequest
from invoke_api.sagemaker.containers.tgi_generation import (
    is_in_sequences,
    to_sequences,
    to_tgi_generation,
)
from invoke_api.sagemaker.containers.tgi_writer import TgiChoicesWriter, TgiWriter
from invoke_api.sagemaker.parts import PartsWriter
from invoke_api.wire.errors import ValidationException
from invoke_api.wire.headers import EVENT_STREAM

TOO_MANY = "Model is overloaded"
TEXT_DIALECT = MistralText()


@dataclass(slots=True, kw_only=True)
class EndpointRequest(ABC):
    """A request to an endpoint. With `is_framed`, its answer comes in frames.

    TGI reads a body before it finds that it `is_overloaded`, which is an event in a stream.
    """

    model: Model
    endpoint: Endpoint
    request_id: str
    is_framed: bool
    size: int
    is_overloaded: bool = False
    prefix: ClassVar[str] = ""

    @property
    def container(self) -> Container:
        return CONTAINERS[self.endpoint.container]

    @property
    @abstractmethod
    def server(self) -> ModelServer: ...

    @property
    @abstractmethod
    def container_streams(self) -> bool:
        """Tell whether the container answers with a stream."""

    @abstractmethod
    def question(self) -> Question: ...

    @abstractmethod
    def container_generation(self, tokenizer: Tokenizer) -> GenerationRequest | ChoiceRequests:
        """Return the engine's requests."""

    @abstractmethod
    def container_writer(self, tokenizer: Tokenizer) -> AnswerWriter | ChoicesWriter:
        """Return the writer of the container's own bytes."""

    @property
    def overloaded(self) -> str:
        """Return the container's error about a request too many."""
        return tgi_error(TOO_MANY, "overloaded")

    def generation(self, tokenizer: Tokenizer) -> GenerationRequest | ChoiceRequests:
        if self.is_overloaded:
            raise ValidationException(self.overloaded, in_stream=True)
        return self.container_generation(tokenizer)

    @property
    def streams(self) -> bool:
        return self.is_framed or self.container_streams

    @property
    def stream_type(self) -> str:
        return EVENT_STREAM if self.is_framed else self.container.stream_type

    @property
    def stream_headers(self) -> Mapping[str, str]:
        if not self.is_framed:
            return self._variant
        inner = self.container.stream_type if self.container_streams else "application/json"
        return {"X-Amzn-SageMaker-Content-Type": inner, **self._variant}

    def headers(self, _: InvocationMetrics) -> Mapping[str, str]:
        return self._variant

    @property
    def _variant(self) -> Mapping[str, str]:
        return {"x-Amzn-Invoked-Production-Variant": self.endpoint.variant}

    def writer(self, tokenizer: Tokenizer) -> AnswerWriter | ChoicesWriter:
        inner = self.container_writer(tokenizer)
        if self.is_framed:
            return PartsWriter(inner, streams=self.container_streams)
        return inner


@dataclass(slots=True, kw_only=True)
class InputsRequest(EndpointRequest):
    """A request in TGI's or LMI's own form.

    `seeds` has one for each sequence, or none if the engine draws them. `prompt` gets the tokens of
    the prompt, after the writer is made.
    """

    asked: TgiRequest
    seeds: tuple[int, ...] = ()
    prompt: list[int] = field(default_factory=list)

    @property
    def server(self) -> ModelServer:
        return LMI_SERVER if self.endpoint.container == "lmi" else TGI_SERVER

    @property
    def container_streams(self) -> bool:
        return self.asked.stream

    def question(self) -> Question:
        return TEXT_DIALECT.to_question({"prompt": self.asked.inputs})

    def container_generation(self, tokenizer: Tokenizer) -> GenerationRequest | ChoiceRequests:
        if self.endpoint.container == "lmi":
            one = to_lmi_generation(self.asked, tokenizer, self.request_id)
        else:
            one = to_tgi_generation(self.asked, self.endpoint, tokenizer, self.request_id)
        self.prompt[:] = one.prompt
        return to_sequences(one, self.asked.parameters, self.seeds)

    def container_writer(self, tokenizer: Tokenizer) -> AnswerWriter | ChoicesWriter:
        is_together = is_in_sequences(self.asked.parameters) and not self.asked.stream
        kind = TgiChoicesWriter if is_together else TgiWriter
        return kind(self.asked, self.container, tokenizer, self.seeds, self.prompt)
