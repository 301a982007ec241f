"""The dialect of imported models: Bedrock's completion, OpenAI's completion and OpenAI's chat."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import accumulate
from time import time
from typing import Any, Literal

import orjson

from engine.protocol import Delta, Finish, GenerationRequest, Logprobs
from engine.tokenization.chat_template import ChatPrompt
from engine.tokenization.tokenizer import Tokenizer
from invoke_api.dialects.chat_answers import Document, bounded_logprob, chat_logprobs, decoded
from invoke_api.dialects.generation import to_generation
from invoke_api.dialects.json_values import to_plain
from invoke_api.dialects.mistral_chat import find_texts, to_question
from invoke_api.dialects.mistral_text import MistralText
from invoke_api.dialects.question import METRICS_KEY, InvocationMetrics, Question
from invoke_api.dialects.tool_call_reader import AnswerReader, CallReader, TextReader
from invoke_api.wire.errors import ValidationException

BodyForm = Literal["bedrock-completion", "openai-completion", "openai-chat"]

# Files below schemas/.
SCHEMAS: Mapping[BodyForm, str] = {
    "bedrock-completion": "imported-bedrock-completion.json",
    "openai-completion": "imported-openai-completion.json",
    "openai-chat": "imported-openai-chat.json",
}
# Other names for `max_tokens`.
MAX_TOKENS_ALIASES = ("max_gen_len", "max_completion_tokens")
MAX_IMAGES_PER_REQUEST = 3  # User Guide, custom-model-import-advanced-features
TOO_MANY_IMAGES = f"A request may have {MAX_IMAGES_PER_REQUEST} images, and no more."  # guess
TEXT_DIALECT = MistralText()


@dataclass(frozen=True, slots=True, kw_only=True)
class ImportedAnswer:
    """One answer, or one chunk of it.

    `answer_id` has 32 hexadecimal digits. `created` is in seconds since 1970. `output_tokens` is
    the number of tokens so far. `metrics` is None in all chunks but the last. `logprobs` has one
    entry per token; None if the request asks for none. `offset` is the number of characters before
    the first of these tokens.
    """

    answer_id: str
    created: int
    text: str = ""
    finish: Finish | None = None
    output_tokens: int | None = None
    metrics: InvocationMetrics | None = None
    is_chunk: bool = False
    is_first: bool = False
    logprobs: Sequence[Logprobs] | None = None
    offset: int = 0


def find_form(body: Mapping[str, Any]) -> BodyForm:
    """Return the form of a body, with or without its defaults."""
    if "messages" in body:
        return "openai-chat"
    if "max_tokens" in body and "max_gen_len" not in body:
        return "openai-completion"
    return "bedrock-completion"


def normalize(body: Mapping[str, Any]) -> dict[str, Any]:
    """Return a valid body with the parameters under the names that Mistral's bodies use.

    Raises `ValidationException` for too many images.
    """
    _check_images(body.get("messages", ()))
    normal = dict(body)
    for name in MAX_TOKENS_ALIASES:
        if name in body:
            normal["max_tokens"] = body[name]
    if isinstance(body["stop"], str):
        normal["stop"] = [body["stop"]]
    wanted = body.get("response_format", {}).get("json_schema")
    if wanted is not None:
        # Bedrock's completion has the schema itself there, OpenAI's chat has it under `schema`.
        schema = wanted if isinstance(wanted.get("schema"), dict) else {"schema": wanted}
        normal["response_format"] = {**body["response_format"], "json_schema": schema}
    normal |= _normal_logprobs(body)
    outputs = body.get("structured_outputs", {})
    if "json" in outputs:
        schema = {"schema": outputs["json"]}
        normal["response_format"] = {"type": "json_schema", "json_schema": schema}
    return normal


def _normal_logprobs(body: Mapping[str, Any]) -> dict[str, Any]:
    """Return the keys with which OpenAI's chat asks for log probabilities.

    In OpenAI's completion `logprobs` is the number of alternatives per token. Bedrock's completion
    has the flag `return_logprobs`.
    """
    match find_form(body):
        case "bedrock-completion":
            return {"logprobs": body["return_logprobs"]}
        case "openai-completion" if "logprobs" in body:
            return {"logprobs": True, "top_logprobs": body["logprobs"]}
    return {}


def _check_images(messages: Any) -> None:  # noqa: ANN401 - any JSON
    contents = [message.get("content") for message in messages]
    parts = [part for content in contents if isinstance(content, list) for part in content]
    kinds = [part.get("type") for part in parts if isinstance(part, dict)]
    if kinds.count("image_url") > MAX_IMAGES_PER_REQUEST:
        raise ValidationException(TOO_MANY_IMAGES)


def _bedrock_completion(answer: ImportedAnswer) -> Document:
    return {
        "generation": answer.text,
        "prompt_token_count": answer.metrics.input_tokens if answer.metrics else None,
        "generation_token_count": answer.output_tokens,
        "stop_reason": answer.finish,
        "logprobs": answer.logprobs
        and [
            {str(each.chosen.id): bounded_logprob(each.chosen.logprob)} for each in answer.logprobs
        ],
    }


def _openai_completion(answer: ImportedAnswer) -> Document:
    choice: Document = {"index": 0, "text": answer.text}
    if answer.logprobs is not None:
        choice["logprobs"] = _completion_logprobs(answer.logprobs, answer.offset)
    return {
        "id": f"cmpl-{answer.answer_id}",
        "object": "text_completion",
        "created": answer.created,
        "choices": [{**choice, "finish_reason": answer.finish}],
        **_usage(answer.metrics, "prompt_tokens", "total_tokens", "completion_tokens"),
    }


def _openai_chat(answer: ImportedAnswer) -> Document:
    role = {"role": "assistant"} if answer.is_first or not answer.is_chunk else {}
    name = "delta" if answer.is_chunk else "message"
    choice: Document = {"index": 0, name: {**role, "content": answer.text}}
    if answer.logprobs is not None:
        # User Guide, custom-model-import-advanced-features.
        choice["logprobs"] = {"content": list(map(chat_logprobs, answer.logprobs))}
    return {
        "id": f"chatcmpl-{answer.answer_id}",
        "object": "chat.completion.chunk" if answer.is_chunk else "chat.completion",
        "created": answer.created,
        "choices": [{**choice, "finish_reason": answer.finish}],
        **_usage(answer.metrics, "prompt_tokens", "completion_tokens", "total_tokens"),
    }


def _usage(metrics: InvocationMetrics | None, *order: str) -> Document:
    """Return the token counts in the order of the User Guide's example of this answer."""
    if metrics is None:
        return {}
    counts = {
        "prompt_tokens": metrics.input_tokens,
        "completion_tokens": metrics.output_tokens,
        "total_tokens": metrics.input_tokens + metrics.output_tokens,
    }
    return {"usage": {name: counts[name] for name in order}}


def _completion_logprobs(logprobs: Sequence[Logprobs], offset: int) -> Document:
    """Return OpenAI's form in a completion. Guess: the User Guide has no example."""
    tokens = [decoded(each.chosen) for each in logprobs]
    return {
        "text_offset": [*accumulate(map(len, tokens[:-1]), initial=offset)],
        "token_logprobs": [bounded_logprob(each.chosen.logprob) for each in logprobs],
        "tokens": tokens,
        "top_logprobs": [
            {decoded(one): bounded_logprob(one.logprob) for one in each.likeliest}
            for each in logprobs
        ],
    }


LAYOUTS: Mapping[BodyForm, Callable[[ImportedAnswer], Document]] = {
    "bedrock-completion": _bedrock_completion,
    "openai-completion": _openai_completion,
    "openai-chat": _openai_chat,
}


class ImportedDialect:
    """The dialect of all imported models. A prompt is sent to the model without a template.

    On Bedrock the chat template comes with the weights; here it is the tokenizer's.
    """

    def to_question(self, body: dict[str, Any]) -> Question:
        return (
            to_question(body["messages"], ())
            if "messages" in body
            else TEXT_DIALECT.to_question(body)
        )

    def texts(self, body: dict[str, Any]) -> list[tuple[dict[str, Any], str]]:
        return find_texts(body["messages"]) if "messages" in body else TEXT_DIALECT.texts(body)

    def to_request(
        self, body: dict[str, Any], tokenizer: Tokenizer, context_length: int, request_id: str
    ) -> GenerationRequest:
        is_chat = "messages" in body
        if is_chat:
            prompt = tokenizer.chat.encode([_without_nulls(one) for one in body["messages"]])
        else:
            prompt = ChatPrompt(tokenizer.encode(body["prompt"], enough=context_length))
        vocabulary = len(tokenizer.pieces)
        return to_generation(body, prompt, request_id, vocabulary=vocabulary, spelled=is_chat)

    def reader(self, body: dict[str, Any], tokenizer: Tokenizer) -> AnswerReader:
        """Return a reader that reads all as text: the User Guide has tools for GPT-OSS only."""
        if "messages" not in body:
            return TextReader()
        return CallReader(spaced=tokenizer.is_spaced, offered=())

    def writer(
        self,
        body: dict[str, Any],
        tokenizer: Tokenizer,
        request_id: str,
        reader: AnswerReader | None = None,
    ) -> "ImportedWriter":
        own = reader or self.reader(body, tokenizer)
        return ImportedWriter(own, LAYOUTS[find_form(body)], request_id)


def _without_nulls(message: Mapping[str, Any]) -> dict[str, Any]:
    """Return the message in plain values. A model's own answer, when sent back, may have nulls."""
    return {key: to_plain(value) for key, value in message.items() if value is not None}


class ImportedWriter:
    """A writer of one answer, in the form of its request's body."""

    def __init__(
        self, reader: AnswerReader, lay_out: Callable[[ImportedAnswer], Document], request_id: str
    ) -> None:
        self._reader = reader
        self._lay_out = lay_out
        self._begun = ImportedAnswer(answer_id=request_id.replace("-", ""), created=int(time()))
        self._tokens = 0
        self._offset = 0

    def reply(
        self,
        text: str,
        finish: Finish,
        metrics: InvocationMetrics | None = None,
        logprobs: Sequence[Logprobs] | None = None,
    ) -> bytes:
        content = self._reader.take(text) + self._reader.finish()[0]
        tokens = metrics.output_tokens if metrics else None
        whole = replace(
            self._begun,
            text=content,
            finish=finish,
            output_tokens=tokens,
            metrics=metrics,
            logprobs=logprobs,
        )
        return orjson.dumps(self._lay_out(whole))

    def chunk(self, delta: Delta, metrics: InvocationMetrics | None) -> bytes:
        self._tokens += 1
        text = self._reader.take(delta.text)
        if delta.finish:
            text += self._reader.finish()[0]
        answer = replace(
            self._begun,
            text=text,
            finish=delta.finish,
            output_tokens=self._tokens,
            metrics=metrics,
            is_chunk=True,
            is_first=self._tokens == 1,
            logprobs=[delta.logprobs] if delta.logprobs else None,
            offset=self._offset,
        )
        if delta.logprobs:
            self._offset += len(decoded(delta.logprobs.chosen))
        more = {METRICS_KEY: metrics.to_json()} if metrics else {}
        return orjson.dumps({**self._lay_out(answer), **more})
