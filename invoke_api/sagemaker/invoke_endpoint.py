"""InvokeEndpoint and InvokeEndpointWithResponseStream."""

import asyncio
import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from random import getrandbits, random
from typing import ClassVar

from engine.protocol import GenerationRequest
from engine.tokenization.tokenizer import Tokenizer
from invoke_api.authentication.gate import claims_in
from invoke_api.dialects.mistral_text import MistralText
from invoke_api.dialects.model_servers import ModelServer
from invoke_api.dialects.question import InvocationMetrics, Question
from invoke_api.models.endpoints import Endpoint
from invoke_api.models.registry import Model
from invoke_api.pipeline.admission import admit_caller
from invoke_api.pipeline.call import Call
from invoke_api.pipeline.invocation import call_model
from invoke_api.pipeline.model_request import ModelOperation
from invoke_api.pipeline.responses import HttpResponse
from invoke_api.sagemaker.containers import CONTAINERS
from invoke_api.sagemaker.errors import (
    PART_HEADERS,
    TGI_SERVER,
    TIMED_OUT,
    EndpointErrors,
    tgi_error,
)
from invoke_api.sagemaker.tgi_body import BodyRefused, TgiRequest, read_tgi_body
from invoke_api.sagemaker.tgi_generation import MAX_ENGINE_SEED, samples, to_generation
from invoke_api.sagemaker.tgi_writer import TgiWriter
from invoke_api.wire.errors import ModelError, ValidationException
from invoke_api.wire.eventstream import encode_payloads
from invoke_api.wire.headers import EVENT_STREAM

INVOKE_ENDPOINT = "InvokeEndpoint"
INVOKE_ENDPOINT_WITH_STREAM = "InvokeEndpointWithResponseStream"
ENDPOINT_NAME = re.compile(r"[a-zA-Z0-9](-*[a-zA-Z0-9]){0,62}")
NOT_FOUND = "Endpoint {name} of account {account} not found."  # reported often
MAX_BODY_BYTES = 6_291_456  # the service model's bound of `Body`
# SageMaker waits so long for the whole answer of a container, in seconds.
MAX_SECONDS = 60.0
TEXT_DIALECT = MistralText()
VARIANT = {"x-Amzn-Invoked-Production-Variant": "AllTraffic"}  # guess: JumpStart's name


def encode_parts(data: bytes) -> bytes:
    """Return PayloadPart frames with these bytes, cut in two at a random place.

    SageMaker cuts a container's stream anywhere, so clients must put its lines together again.
    """
    if not data:
        return b""
    cut = 1 + int(random() * (len(data) - 1))  # noqa: S311 - hides no secret
    return encode_payloads(PART_HEADERS, [part for part in (data[:cut], data[cut:]) if part])


@dataclass(slots=True, kw_only=True)
class EndpointRequest:
    """A request to an endpoint, in TGI's form. With `is_framed`, its answer comes in frames."""

    model: Model
    endpoint: Endpoint
    asked: TgiRequest
    request_id: str
    is_framed: bool
    seed: int | None
    prefix: ClassVar[str] = ""
    server: ClassVar[ModelServer] = TGI_SERVER

    @property
    def size(self) -> int:
        return len(self.asked.inputs)

    @property
    def streams(self) -> bool:
        return self.is_framed or self.asked.stream

    @property
    def stream_type(self) -> str:
        container = CONTAINERS[self.endpoint.container]
        return EVENT_STREAM if self.is_framed else container.stream_type

    @property
    def stream_headers(self) -> Mapping[str, str]:
        if not self.is_framed:
            return VARIANT
        container = CONTAINERS[self.endpoint.container]
        inner = container.stream_type if self.asked.stream else "application/json"
        return {"X-Amzn-SageMaker-Content-Type": inner, **VARIANT}

    def headers(self, _: InvocationMetrics) -> Mapping[str, str]:
        return VARIANT

    def question(self) -> Question:
        return TEXT_DIALECT.to_question({"prompt": self.asked.inputs})

    def generation(self, tokenizer: Tokenizer) -> GenerationRequest:
        generation = to_generation(self.asked, self.endpoint, tokenizer, self.request_id)
        generation.seed = self.seed
        return generation

    def writer(self, tokenizer: Tokenizer) -> TgiWriter:
        container = CONTAINERS[self.endpoint.container]
        enclose = encode_parts if self.is_framed else bytes
        return TgiWriter(self.asked, container, tokenizer.eos, self.seed, enclose)


def check_endpoint(call: Call, operation: ModelOperation) -> EndpointRequest:
    """Admit the caller, find the endpoint, and read the body as its container does.

    Raises `InvokeError`s.
    """
    endpoint, model = open_endpoint(call, is_framed=operation.streams)
    if len(call.body) > MAX_BODY_BYTES:
        raise ValidationException(f"Request body must be at most {MAX_BODY_BYTES} bytes.")  # guess
    container = CONTAINERS[endpoint.container]
    try:
        asked = read_tgi_body(call.body, call.header_text.get("content-type", ""), container)
    except BodyRefused as refusal:
        raise ModelError(refusal.status, refusal.text) from None
    call.errors.refuses_in_stream = asked.stream
    seed = asked.parameters["seed"]
    if seed is None and asked.parameters["details"] and samples(asked.parameters):
        seed = getrandbits(63)  # TGI tells the seed that it has drawn
    return EndpointRequest(
        model=model,
        endpoint=endpoint,
        asked=asked,
        request_id=call.request_id,
        is_framed=operation.streams,
        seed=None if seed is None else seed & MAX_ENGINE_SEED,
    )


def open_endpoint(call: Call, *, is_framed: bool = False) -> tuple[Endpoint, Model]:
    """Admit the caller and find the endpoint and its model. Raises `InvokeError`s."""
    caller, name = admit_caller(call), call.labels["name"]
    call.model_id = name
    if call.entry:
        call.entry.identifier = call.entry.model_id = name
    registry, account = call.services.registry, caller.account_id
    call.errors = EndpointErrors(
        name, caller.region, account, enclose=encode_parts if is_framed else None
    )
    endpoint = call.services.endpoints.find(name, caller.region, caller.account)
    if endpoint is None or not ENDPOINT_NAME.fullmatch(name):
        raise ValidationException(NOT_FOUND.format(name=name, account=account))
    model = call.model = registry.models[endpoint.model_id]
    return endpoint, model


async def invoke_endpoint(call: Call, *, operation: ModelOperation) -> HttpResponse | None:
    """Answer a call to an endpoint, if its container takes one more.

    Raises `InvokeError`s, `ConnectionBreak` and `ClientDisconnected`.
    """
    endpoints = call.services.endpoints
    region = claims_in(call.headers).region or call.services.gate.region
    endpoint = endpoints.find(call.labels["name"], region, None)
    if endpoint is None:  # refused in `check_endpoint`
        return await call_model(call, operation)
    with endpoints.calling(endpoint) as is_taken:
        checked = operation if is_taken else OVERLOADED
        if operation.streams:
            return await call_model(call, checked)
        try:
            async with asyncio.timeout(MAX_SECONDS):
                return await call_model(call, checked)
        except TimeoutError:
            raise ModelError(0, TIMED_OUT) from None


def _refuse_overload(call: Call, _: ModelOperation) -> EndpointRequest:
    """Raise TGI's error for a request too many."""
    open_endpoint(call)
    raise ModelError(429, tgi_error("Model is overloaded", "overloaded"))


OVERLOADED = ModelOperation(name=INVOKE_ENDPOINT, streams=False, check=_refuse_overload)
WHOLE = ModelOperation(name=INVOKE_ENDPOINT, streams=False, check=check_endpoint)
STREAMED = ModelOperation(name=INVOKE_ENDPOINT_WITH_STREAM, streams=True, check=check_endpoint)
HANDLERS = {
    "invocations": (INVOKE_ENDPOINT, partial(invoke_endpoint, operation=WHOLE)),
    "invocations-response-stream": (
        INVOKE_ENDPOINT_WITH_STREAM,
        partial(invoke_endpoint, operation=STREAMED),
    ),
}
