"""Chat Completions on bedrock-runtime and on bedrock-mantle."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import partial
from time import time
from typing import Any, ClassVar

from engine.protocol import GenerationRequest
from engine.tokenization.tokenizer import Tokenizer
from invoke_api.authentication.gate import Caller
from invoke_api.dialects.model_servers import ModelServer, envelope
from invoke_api.dialects.openai_body import NO_STREAM
from invoke_api.dialects.question import InvocationMetrics, Question
from invoke_api.guardrails.session import GuardrailSession
from invoke_api.models.identifiers import parse_identifier
from invoke_api.models.registry import Model
from invoke_api.openai.chat_writer import ChatCompletionsWriter, Head
from invoke_api.openai.errors import MANTLE_ERRORS, RUNTIME_ERRORS, OpenAIErrors
from invoke_api.pipeline.admission import admit_caller, check_tier
from invoke_api.pipeline.call import Call
from invoke_api.pipeline.guardrail_check import guard_invoke, guardrail_in_headers, open_guarding
from invoke_api.pipeline.invocation import call_model
from invoke_api.pipeline.model_request import ModelOperation
from invoke_api.pipeline.offload import HAS_UPLOADS
from invoke_api.pipeline.responses import HttpResponse, unknown_operation_response
from invoke_api.validation.schema import read_body
from invoke_api.wire.errors import ResourceNotFoundException, ValidationException

NAME = "ChatCompletions"
PATH = "/v1/chat/completions"
MEDIA = (b"image_url", b"input_audio", b"audio_url")
MAX_NAME_CHARACTERS = 2_048  # of a model: the service model's bound of `modelId`
ID_LENGTH = 9  # of the id of a call, in Mistral's templates
RUNTIME_HOST = "bedrock-runtime"


@dataclass(frozen=True, slots=True, kw_only=True)
class ChatCompletionsRequest:
    """A body with its defaults filled in."""

    model: Model
    body: dict[str, Any]
    request_id: str
    errors: OpenAIErrors
    guarding: GuardrailSession | None
    size: int
    streams: bool
    prefix: ClassVar[str] = ""
    stream_type: ClassVar[str] = "text/event-stream"

    @property
    def server(self) -> ModelServer:
        """Return the words of a refusal. Guess: vLLM's own sentence."""
        return replace(self.model.server, wrap=lambda message, *_: envelope(message))

    @property
    def stream_headers(self) -> Mapping[str, str]:
        return self.errors.headers(self.request_id)

    def headers(self, _: InvocationMetrics) -> Mapping[str, str]:
        return self.errors.headers(self.request_id)

    def question(self) -> Question:
        return self.model.dialect.to_question(self.body)

    def generation(self, tokenizer: Tokenizer) -> GenerationRequest:
        return self.model.dialect.to_request(
            self.body, tokenizer, self.model.context_length, self.request_id
        )

    def writer(self, tokenizer: Tokenizer) -> ChatCompletionsWriter:
        head = Head(
            answer_id=f"chatcmpl-{self.request_id}",
            model_id=self.model.id,
            created=int(time()),
            service_tier=_tier(self.body),
        )
        reader = self.model.dialect.reader(self.body, tokenizer)
        if self.guarding:
            reader = self.guarding.read_by(reader)
            if self.guarding.is_refused:  # seen on bedrock-runtime (IDX 54065222483)
                blocked = f"bedrock-guardrails-{self.request_id[:8]}"
                head = replace(head, answer_id=blocked)
        return ChatCompletionsWriter(
            head,
            reader,
            tells_usage=bool((self.body.get("stream_options") or {}).get("include_usage")),
            max_calls=1 if self.body.get("parallel_tool_calls") is False else None,
        )


def _tier(body: Mapping[str, Any]) -> str:
    tier: str = body.get("service_tier", "default")
    return "default" if tier == "auto" else tier


def check_chat(call: Call, _: ModelOperation, *, errors: OpenAIErrors) -> ChatCompletionsRequest:
    """Admit the caller, find the model that the body names, and check the body.

    Raises `InvokeError`s.
    """
    caller = admit_caller(call)
    value = read_body(call.body)
    model = call.model = find_model(call, name_in(value), caller, errors)
    if errors is RUNTIME_ERRORS:  # mantle ignores the headers silently: IDX 54065222483
        call.guarding = open_guarding(call, caller, guardrail_in_headers(call.header_text))
    body = model.fill_body(value)
    _shorten_ids(body["messages"])
    if call.guarding:
        guard_invoke(call.guarding, model.dialect, body, None)
    streams = body.get("stream") is True
    if body.get("stream_options") and not streams:
        raise ValidationException(envelope(NO_STREAM))
    check_tier(body.get("service_tier"), model)
    return ChatCompletionsRequest(
        model=model,
        body=body,
        request_id=call.request_id,
        errors=errors,
        guarding=call.guarding,
        streams=streams,
        size=HAS_UPLOADS if any(kind in call.body for kind in MEDIA) else len(call.body),
    )


def _shorten_ids(messages: list[dict[str, Any]]) -> None:
    """Cut ids of calls to the 9 characters that the models know, as vLLM does on this API."""
    for message in messages:
        for holder in [message, *(message.get("tool_calls") or ())]:
            for key in ("id", "tool_call_id"):
                if isinstance(holder.get(key), str):
                    holder[key] = holder[key][-ID_LENGTH:]


def name_in(value: Any) -> str:  # noqa: ANN401 - any JSON
    """Return the name of the model. Raise `ValidationException`. Guess: for its words."""
    name = value.get("model") if isinstance(value, dict) else None
    if not isinstance(name, str):
        raise ValidationException(envelope("missing field `model`"))
    return name[:MAX_NAME_CHARACTERS]  # the journal keeps it, and errors quote it


def find_model(call: Call, name: str, caller: Caller, errors: OpenAIErrors) -> Model:
    """Return the model, and note what the client called it. Raise `InvokeError`s."""
    call.model_id = name
    if call.entry:
        call.entry.identifier = call.entry.model_id = name
    registry = call.services.registry
    known = registry.models.get(name)
    if known is None or known.created is None or not known.listing.is_on_demand_in(caller.region):
        raise ResourceNotFoundException(errors.no_model(name))
    return registry.find(parse_identifier(name), caller.region, caller.account)


async def chat_on_runtime(call: Call) -> HttpResponse | None:
    return await call_model(call, CHAT_ON_RUNTIME)


async def chat_on_mantle(call: Call) -> HttpResponse | None:
    """Answer as bedrock-mantle, unless the client has addressed bedrock-runtime.

    Seen: bedrock-runtime answers this path with its UnknownOperationException (NB 71177951914).
    """
    if is_for_runtime(call):
        await call.read_body()
        return unknown_operation_response(call)
    return await call_model(call, CHAT_ON_MANTLE)


def is_for_runtime(call: Call) -> bool:
    """Tell whether the Host of a request is one of bedrock-runtime's."""
    return call.header_text.get("host", "").startswith(RUNTIME_HOST)


CHAT_ON_RUNTIME = ModelOperation(
    name=NAME, streams=False, check=partial(check_chat, errors=RUNTIME_ERRORS)
)
CHAT_ON_MANTLE = ModelOperation(
    name=NAME, streams=False, check=partial(check_chat, errors=MANTLE_ERRORS)
)
