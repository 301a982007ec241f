"""Chat Completions on bedrock-runtime and on bedrock-mantle."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import partial
from time import time
from typing import Any, ClassVar

from engine.protocol import GenerationRequest
from engine.tokenization.tokenizer import Tokenizer
from invoke_api.authentication.gate import Caller
from invoke_api.dialects.mistral_chat import answered_tier, max_calls
from invoke_api.dialects.model_servers import SERVERS, ModelServer, envelope
from invoke_api.dialects.openai_body import NO_STREAM
from invoke_api.dialects.question import InvocationMetrics, Question
from invoke_api.dialects.tool_call_reader import AnswerReader, CallReader
from invoke_api.dialects.tools import is_forcing
from invoke_api.guardrails.session import GuardrailSession
from invoke_api.models.identifiers import parse_identifier
from invoke_api.models.registry import Model
from invoke_api.openai.chat_writer import SSE, ChatCompletionsWriter, EventForm, Head
from invoke_api.openai.errors import MANTLE_ERRORS, RUNTIME_ERRORS, OpenAIErrors
from invoke_api.pipeline.admission import admit_caller, check_tier
from invoke_api.pipeline.call import Call
from invoke_api.pipeline.guardrail_check import guard_invoke, guardrail_in_headers, open_guarding
from invoke_api.pipeline.model_request import ModelOperation
from invoke_api.pipeline.offload import estimate_size
from invoke_api.validation.constraints import check_members
from invoke_api.validation.schema import read_body
from invoke_api.wire.errors import ResourceNotFoundException, ValidationException

NAME = "ChatCompletions"
PATH = "/v1/chat/completions"
MAX_NAME_CHARACTERS = 2_048  # of a model: the service model's bound of `modelId`
ID_LENGTH = 9  # of the id of a call, in Mistral's templates
# The words of a refusal. Guess: vLLM's own sentence. All models that are served have this server.
SERVER = replace(SERVERS["2025"], wrap=lambda message, *_: envelope(message))


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
    server: ClassVar[ModelServer] = SERVER

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
            service_tier=answered_tier(self.body),
        )
        if self.guarding and self.guarding.is_refused:  # on bedrock-runtime (IDX 54065222483)
            head = replace(head, answer_id=f"bedrock-guardrails-{self.request_id[:8]}")
        return self.write_as(head, tokenizer)

    def write_as(
        self, head: Head, tokenizer: Tokenizer, events: EventForm = SSE
    ) -> ChatCompletionsWriter:
        """Return the writer of an answer with this head, and with events of this form."""
        reader: AnswerReader = CallReader(is_forcing(self.body["tool_choice"]), tokenizer.is_spaced)
        if self.guarding:
            reader = self.guarding.read_by(self.model.dialect.reader(self.body, tokenizer))
        return ChatCompletionsWriter(
            head,
            reader,
            events,
            tells_usage=bool((self.body.get("stream_options") or {}).get("include_usage")),
            max_calls=max_calls(self.body),
        )


def check_chat(call: Call, _: ModelOperation, *, errors: OpenAIErrors) -> ChatCompletionsRequest:
    """Admit the caller, find the model that the body names, and check the body.

    Raises `InvokeError`s.
    """
    caller = admit_caller(call)
    value = read_body(call.body)
    model = call.model = find_model(call, name_in(value), caller, errors)
    if not errors.is_mantle:  # mantle ignores the headers silently: IDX 54065222483
        check_members(model.id, call.header_text)
        call.guarding = open_guarding(call, caller, guardrail_in_headers(call.header_text))
    return read_chat(call, model, value, errors)


def read_chat(
    call: Call,
    model: Model,
    value: Any,  # noqa: ANN401 - any JSON
    errors: OpenAIErrors,
) -> ChatCompletionsRequest:
    """Return the request in a parsed body. Raises `ValidationException`."""
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
        size=estimate_size(call.body),
    )


def _shorten_ids(messages: list[dict[str, Any]]) -> None:
    """Cut ids of calls to the 9 characters that the models know, as vLLM does on this API."""
    holders = [(message, "tool_call_id") for message in messages]
    holders += [(call, "id") for message in messages for call in message.get("tool_calls") or ()]
    for holder, key in holders:
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


CHAT_ON_RUNTIME = ModelOperation(
    name=NAME, streams=False, check=partial(check_chat, errors=RUNTIME_ERRORS)
)
CHAT_ON_MANTLE = ModelOperation(
    name=NAME, streams=False, check=partial(check_chat, errors=MANTLE_ERRORS)
)
