"""A request of Converse's, ready to be put to a model, and the writer of its answer."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from engine.chat import ChatPrompt
from engine.errors import ChatRefused
from engine.protocol import Delta, Finish, GenerationRequest, Logprobs
from engine.tokenizer import Tokenizer
from invoke_api.dialects.abilities import check_abilities
from invoke_api.dialects.calls import AnswerReader, CallReader
from invoke_api.dialects.converse import to_messages, to_tools
from invoke_api.dialects.converse_prompt import render_instruct
from invoke_api.dialects.converse_writer import ConverseWriter
from invoke_api.dialects.generation import to_generation
from invoke_api.dialects.invocation import Metrics, Question
from invoke_api.dialects.mistral_chat import encode_chat, to_question
from invoke_api.dialects.objects import check_objects
from invoke_api.dialects.response_fields import check_pointers
from invoke_api.dialects.servers import CONVERSE_PREFIX
from invoke_api.dialects.tool_choice import from_converse, is_forcing, to_forced
from invoke_api.guardrails.guarding import Guarding
from invoke_api.operations.converse_body import read_body
from invoke_api.pipeline.aside import UPLOADS
from invoke_api.registry import Model
from invoke_api.wire.chunks import draw_padding
from invoke_api.wire.converse_events import encode_event, encode_sorted

# Guess: the service model has both in the answer, and no recording shows when.
REPEATED = ("performanceConfig", "serviceTier")

# Recorded of each model of 2025 (stdapi-ai/stdapi.ai's probes, 2026-08-01).
NO_PREFILL = (
    "Cannot set `add_generation_prompt` to True when the last message is from the assistant."
    " Consider using `continue_final_message` instead."
)

Native = Callable[[str, Finish], bytes]


@dataclass(slots=True, kw_only=True)
class Conversation:
    """`messages` and `tools` are OpenAI-shaped; `body` is the model's own but for its messages."""

    model: Model
    messages: Sequence[Mapping[str, Any]]
    tools: Sequence[Mapping[str, Any]]
    body: dict[str, Any]
    choice: Any  # the `tool_choice` of a body
    paths: Sequence[str]
    repeated: Mapping[str, Any]
    request_id: str = ""
    guarding: Guarding | None = None
    prefix: str = CONVERSE_PREFIX

    @property
    def stream_headers(self) -> Mapping[str, str]:
        return {}

    def headers(self, _: Metrics) -> Mapping[str, str]:
        return {}

    def question(self) -> Question:
        return to_question(self.messages, [tool["function"]["name"] for tool in self.tools])

    @property
    def size(self) -> int:
        """Characters to tokenise, about."""
        contents = [message["content"] for message in self.messages]
        if not all(isinstance(content, str) for content in contents):
            return UPLOADS  # an image or audio, however short, may be large
        return sum(map(len, contents)) + 200 * len(self.tools)

    @property
    def is_chat(self) -> bool:
        return self.model.abilities.template == "chat"

    def to_prompt(self, tokenizer: Tokenizer) -> ChatPrompt:
        """Raises `ChatRefused`."""
        if self.messages[-1]["role"] == "assistant":
            raise ChatRefused(NO_PREFILL)
        if self.is_chat:
            forced = to_forced(self.choice, self.tools)
            return encode_chat(tokenizer, self.messages, self.tools, forced=forced)
        text = render_instruct(self.messages)
        return ChatPrompt(tokenizer.encode(text, enough=self.model.context_length))

    def generation(self, tokenizer: Tokenizer) -> GenerationRequest:
        """Raises `ChatRefused`, `RequestRefused` and `SchemaRefused`."""
        prompt, vocabulary = self.to_prompt(tokenizer), len(tokenizer.pieces)
        request = to_generation(
            self.body, prompt, self.request_id, vocabulary=vocabulary, spelled=self.is_chat
        )
        return to_forced(self.choice, self.tools).hold(request)

    def writer(self, tokenizer: Tokenizer) -> "ConverseFrames":
        is_spaced = self.is_chat and tokenizer.is_spaced
        is_forced = is_forcing(self.choice)
        own: AnswerReader = CallReader(is_forced, is_spaced)
        shown: Native | None = None
        if self.guarding:
            offered = {tool["function"]["name"] for tool in self.tools}
            own = self.guarding.read_by(CallReader(is_forced, is_spaced, offered))
            shown = self._native(tokenizer, own)
        writer = ConverseWriter(
            own,
            self.request_id,
            self.repeated,
            self._native(tokenizer),
            paths=self.paths,
            watch=self.guarding,
            shown=shown,
        )
        return ConverseFrames(writer)

    def _native(self, tokenizer: Tokenizer, reader: AnswerReader | None = None) -> Native:
        """Return the function that writes a text and its end as the model's own answer."""

        def native(text: str, finish: Finish) -> bytes:
            writer = self.model.dialect.writer(self.body, tokenizer, self.request_id, reader)
            return writer.reply(text, finish)

        return native


class ConverseFrames:
    """Writes an answer of Converse's as bytes."""

    def __init__(self, writer: ConverseWriter) -> None:
        self._writer = writer
        self.native = writer.native

    def whole(
        self, text: str, finish: Finish, metrics: Metrics, _: Sequence[Logprobs] | None
    ) -> bytes:
        return encode_sorted(self._writer.reply(text, finish, metrics))

    def frames(self, deltas: Sequence[Delta], metrics: Metrics | None) -> bytes:
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
    guarding: Guarding | None = None,
) -> Conversation:
    """Check what the model can do, then the conversation itself, then its parameters.

    Raises `ValidationException`.
    """
    check_objects(asked)
    check_abilities(asked, model.abilities, stream=stream)
    listing = model.listing
    messages = to_messages(asked, model.abilities, sees=listing.sees, hears=listing.hears)
    tools = to_tools(asked)
    body = read_body(asked, messages, model, stream=stream)
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
        repeated={key: asked[key] for key in REPEATED if key in asked},
        request_id=request_id,
        guarding=guarding,
    )
