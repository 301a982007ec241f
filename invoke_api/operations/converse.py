"""Converse and ConverseStream: read and check requests, and write answers."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, ClassVar

from engine.errors import ChatRefused
from engine.protocol import Delta, Finish, GenerationRequest, Logprobs
from engine.tokenization.chat_template import ChatPrompt
from engine.tokenization.tokenizer import Tokenizer
from invoke_api.dialects.converse import to_messages, to_tools
from invoke_api.dialects.converse_checks import check_abilities, check_objects
from invoke_api.dialects.converse_prompt import PROMPT_KEYS, render_instruct, to_body
from invoke_api.dialects.converse_writer import ConverseWriter, check_pointers
from invoke_api.dialects.generation import to_generation
from invoke_api.dialects.mistral_chat import encode_chat, to_question
from invoke_api.dialects.model_servers import CONVERSE_PREFIX, ModelServer, envelope
from invoke_api.dialects.openai_body import check_target
from invoke_api.dialects.question import InvocationMetrics, Question
from invoke_api.dialects.tool_call_reader import AnswerReader, CallReader
from invoke_api.dialects.tools import from_converse, is_forcing, to_forced
from invoke_api.guardrails.output_stage import Native
from invoke_api.guardrails.session import GuardrailSession
from invoke_api.models.registry import Model
from invoke_api.operations.request_checks import coral_schema
from invoke_api.pipeline.admission import LATENCY, SERVICE_TIER, admit, check_tier, grant_options
from invoke_api.pipeline.call import Call
from invoke_api.pipeline.guardrail_check import guard_converse, guardrail_in_converse, open_guarding
from invoke_api.pipeline.model_request import ModelOperation
from invoke_api.pipeline.offload import HAS_UPLOADS
from invoke_api.wire.errors import ValidationException
from invoke_api.wire.events import draw_padding, encode_event, encode_sorted
from invoke_api.wire.headers import EVENT_STREAM

# Guess: the service model has both in the response; no recording shows when they are sent.
ECHOED_MEMBERS = ("performanceConfig", "serviceTier")

# Recorded for each model of 2025 (probes by stdapi-ai/stdapi.ai, 2026-08-01).
NO_PREFILL = (
    "Cannot set `add_generation_prompt` to True when the last message is from the assistant."
    " Consider using `continue_final_message` instead."
)
# Reported for Nova.
MAX_TOKENS_TOO_HIGH = (
    "The maximum tokens you requested exceeds the model limit of {most}."
    " Try again with a maximum tokens value that is lower than {most}."
)
# Members of the request that InvokeModel has as headers.
OPTION_MEMBERS = {
    LATENCY: ("performanceConfig", "latency"),
    SERVICE_TIER: ("serviceTier", "type"),
}


@dataclass(slots=True, kw_only=True)
class Conversation:
    """A checked Converse request.

    `messages` and `tools` have OpenAI's shape. `body` is a body for InvokeModel without its
    messages, and `choice` is the `tool_choice` of such a body. `paths` are the
    `additionalModelResponseFieldPaths`. `repeated` are the members that the response repeats.
    `metadata` is the `requestMetadata`.
    """

    model: Model
    messages: Sequence[Mapping[str, Any]]
    tools: Sequence[Mapping[str, Any]]
    body: dict[str, Any]
    choice: Any
    paths: Sequence[str]
    repeated: Mapping[str, Any]
    metadata: Mapping[str, str] = field(default_factory=dict)
    streams: bool
    request_id: str = ""
    guarding: GuardrailSession | None = None
    prefix: str = CONVERSE_PREFIX
    stream_type: ClassVar[str] = EVENT_STREAM

    @property
    def server(self) -> ModelServer:
        return self.model.server

    @property
    def stream_headers(self) -> Mapping[str, str]:
        return {}

    def headers(self, _: InvocationMetrics) -> Mapping[str, str]:
        return {}

    def question(self) -> Question:
        names = [tool["function"]["name"] for tool in self.tools]
        return replace(to_question(self.messages, names), metadata=self.metadata)

    @property
    def size(self) -> int:
        """Return the estimated number of characters to tokenise."""
        contents = [message["content"] for message in self.messages]
        if not all(isinstance(content, str) for content in contents):
            return HAS_UPLOADS  # an image or audio, however short, may be large
        return sum(map(len, contents)) + 200 * len(self.tools)

    @property
    def is_chat(self) -> bool:
        return self.model.abilities.template == "chat"

    def to_prompt(self, tokenizer: Tokenizer) -> ChatPrompt:
        """Tokenise the conversation. Raises `ChatRefused`."""
        if self.messages[-1]["role"] == "assistant":
            raise ChatRefused(NO_PREFILL)
        if self.is_chat:
            forced = to_forced(self.choice, self.tools)
            return encode_chat(tokenizer, self.messages, self.tools, forced=forced)
        text = render_instruct(self.messages)
        return ChatPrompt(tokenizer.encode(text, enough=self.model.context_length))

    def generation(self, tokenizer: Tokenizer) -> GenerationRequest:
        """Return the engine's request. Raises `ChatRefused`, `RequestRefused`, `SchemaRefused`."""
        prompt, vocabulary = self.to_prompt(tokenizer), len(tokenizer.pieces)
        request = to_generation(
            self.body, prompt, self.request_id, vocabulary=vocabulary, spelled=self.is_chat
        )
        return to_forced(self.choice, self.tools).apply_to(request)

    def writer(self, tokenizer: Tokenizer) -> "ConverseFrames":
        is_spaced = self.is_chat and tokenizer.is_spaced
        is_forced = is_forcing(self.choice)
        own: AnswerReader
        shown: Native | None = None
        if self.guarding:
            offered = {tool["function"]["name"] for tool in self.tools}
            own = self.guarding.read_by(CallReader(is_forced, is_spaced, offered))
            shown = self._native(tokenizer, own)
        else:
            own = CallReader(is_forced, is_spaced)
        writer = ConverseWriter(
            own,
            self.request_id,
            self.repeated,
            self._native(tokenizer),
            paths=self.paths,
            outcome=self.guarding,
            shown=shown,
        )
        return ConverseFrames(writer)

    def _native(self, tokenizer: Tokenizer, reader: AnswerReader | None = None) -> Native:
        """Return a function that writes a text and its end as the model's own answer."""

        def native(text: str, finish: Finish) -> bytes:
            writer = self.model.dialect.writer(self.body, tokenizer, self.request_id, reader)
            return writer.reply(text, finish)

        return native


class ConverseFrames:
    """A writer of Converse answers as bytes."""

    def __init__(self, writer: ConverseWriter) -> None:
        self._writer = writer
        self.native = writer.native

    def whole(
        self, text: str, finish: Finish, metrics: InvocationMetrics, _: Sequence[Logprobs] | None
    ) -> bytes:
        return encode_sorted(self._writer.reply(text, finish, metrics))

    def frames(self, deltas: Sequence[Delta], metrics: InvocationMetrics | None) -> bytes:
        return b"".join(
            encode_event(kind, payload, draw_padding())
            for delta in deltas
            for kind, payload in self._writer.events(delta, metrics if delta.finish else None)
        )


def to_conversation(
    asked: Mapping[str, Any],
    model: Model,
    *,
    stream: bool,
    request_id: str = "",
    guarding: GuardrailSession | None = None,
) -> Conversation:
    """Return the conversation of a parsed Converse body.

    Checks the model's abilities first, then the conversation, then its parameters, as Bedrock does.
    Raises `ValidationException`.
    """
    check_objects(asked)
    check_abilities(asked, model.abilities, stream=stream)
    listing = model.listing
    messages = to_messages(asked, model.abilities, sees=listing.sees, hears=listing.hears)
    tools = to_tools(asked)
    body = to_model_body(asked, messages, model, stream=stream)
    paths = asked.get("additionalModelResponseFieldPaths", ())
    check_pointers(paths)
    choice = from_converse(asked, model.abilities)
    if model.dialect_name != "mistral-text":  # the model's own answer is read as a forced call, too
        body["tool_choice"] = choice
    return Conversation(
        model=model,
        messages=messages,
        tools=tools,
        body=body,
        choice=choice,
        paths=paths,
        repeated={key: asked[key] for key in ECHOED_MEMBERS if key in asked},
        metadata=asked.get("requestMetadata", {}),
        streams=stream,
        request_id=request_id,
        guarding=guarding,
    )


def to_model_body(
    asked: Mapping[str, Any], messages: Sequence[Mapping[str, Any]], model: Model, *, stream: bool
) -> dict[str, Any]:
    """Return the body for InvokeModel with its defaults, but without its prompt or messages.

    Raises `ValidationException`.
    """
    most = model.listing.converse.get("maxTokensMaximum")
    if most and asked.get("inferenceConfig", {}).get("maxTokens", 0) > most:
        raise ValidationException(MAX_TOKENS_TOO_HIGH.format(most=most))
    is_text = model.dialect_name == "mistral-text"
    body = to_body(asked, is_text=is_text)
    shown = {} if is_text else {"messages": list(map(model.server.show, messages))}
    _check_additional(asked, model, {**body, **shown})
    body = model.fill_body(body, prefix=CONVERSE_PREFIX, shown=shown)
    check_target(body, (model.id,), streams=stream, prefix=CONVERSE_PREFIX)
    check_tier(body.get("service_tier"), model)
    if body.get("logprobs"):  # Converse's response has no member for them
        raise ValidationException(CONVERSE_PREFIX + envelope("'logprobs' is not supported"))
    if "serviceTier" in asked:
        body["service_tier"] = asked["serviceTier"]["type"]
    return body


def _check_additional(asked: Mapping[str, Any], model: Model, whole: Mapping[str, Any]) -> None:
    """Check the keys of `additionalModelRequestFields`. Raises `ValidationException`."""
    more = asked.get("additionalModelRequestFields", {})
    for name in PROMPT_KEYS:  # Converse has its own member for the prompt
        if name in more:
            raise ValidationException(model.server.word_taken(name))
    extra = {key: value for key, value in more.items() if not model.schema.knows(key)}
    if extra and model.server.word_extra:
        raise ValidationException(CONVERSE_PREFIX + model.server.word_extra(extra, whole))


def weigh_converse(raw: bytes) -> int:
    """Return the size of the body, or `HAS_UPLOADS` if it has documents."""
    return HAS_UPLOADS if b'"document"' in raw else len(raw)


def check_converse(call: Call, operation: ModelOperation) -> Conversation:
    """Check the caller, the model, the shape of the body, and then the conversation.

    Raises `InvokeError`s.
    """
    caller, model = admit(call, "")
    asked = coral_schema("converse.json").parse(call.body)
    call.guarding = open_guarding(call, caller, guardrail_in_converse(asked))
    if call.guarding:
        guard_converse(call.guarding, asked)
    conversation = to_conversation(
        asked,
        model,
        request_id=call.request_id,
        stream=operation.streams,
        guarding=call.guarding,
    )
    options = {name: _at(asked, path) for name, path in OPTION_MEMBERS.items()}
    named = {name: value for name, value in options.items() if value}
    grant_options(named, model, caller.region)
    return conversation


def _at(asked: Mapping[str, Any], path: tuple[str, str]) -> str | None:
    outer, inner = path
    value: str | None = asked.get(outer, {}).get(inner)
    return value


CONVERSE = ModelOperation(
    name="Converse", streams=False, check=check_converse, weigh=weigh_converse
)
CONVERSE_STREAM = ModelOperation(
    name="ConverseStream", streams=True, check=check_converse, weigh=weigh_converse
)
