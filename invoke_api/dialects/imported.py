"""Imported models: Bedrock's and OpenAI's completions of a prompt, and OpenAI's chat."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import accumulate
from time import time
from typing import Any, Literal

import orjson

from engine.protocol import Delta, Finish, GenerationRequest, Likely, Logprobs
from engine.tokenization.chat_template import ChatPrompt
from engine.tokenization.tokenizer import Tokenizer
from invoke_api.dialects.generation import to_generation
from invoke_api.dialects.json_values import to_plain
from invoke_api.dialects.mistral_chat import find_texts, to_question
from invoke_api.dialects.mistral_text import MistralText
from invoke_api.dialects.question import Metrics, Question
from invoke_api.dialects.tool_call_reader import AnswerReader, CallReader, TextReader
from invoke_api.wire.errors import ValidationException

Form = Literal["bedrock-completion", "openai-completion", "openai-chat"]

# Files below schemas/, by the bodies that they check.
SCHEMAS: Mapping[Form, str] = {
    "bedrock-completion": "imported-bedrock-completion.json",
    "openai-completion": "imported-openai-completion.json",
    "openai-chat": "imported-openai-chat.json",
}
# Names for the most tokens of an answer, beside `max_tokens`.
LIMITS = ("max_gen_len", "max_completion_tokens")
MOST_IMAGES = 3  # in a request: User Guide, custom-model-import-advanced-features
TOO_MANY_IMAGES = f"A request may have {MOST_IMAGES} images, and no more."  # guess


def find_form(body: Mapping[str, Any]) -> Form:
    """Return the form of a body, whether its defaults are filled in or not."""
    if "messages" in body:
        return "openai-chat"
    if "max_tokens" in body and "max_gen_len" not in body:
        return "openai-completion"
    return "bedrock-completion"


def normalize(body: Mapping[str, Any]) -> dict[str, Any]:
    """Return a body that its schema has found right, with the parameters by Mistral's own names.

    Raises `ValidationException` for too many images.
    """
    _check_images(body.get("messages", ()))
    normal = dict(body)
    for name in LIMITS:
        if name in body:
            normal["max_tokens"] = body[name]
    if isinstance(body["stop"], str):
        normal["stop"] = [body["stop"]]
    wanted = body.get("response_format", {}).get("json_schema")
    if wanted is not None:
        # Bedrock's own completion has the schema itself there, OpenAI's chat a key for it.
        schema = wanted if isinstance(wanted.get("schema"), dict) else {"schema": wanted}
        normal["response_format"] = {**body["response_format"], "json_schema": schema}
    normal |= _normal_logprobs(body)
    outputs = body.get("structured_outputs", {})
    if "json" in outputs:
        schema = {"schema": outputs["json"]}
        normal["response_format"] = {"type": "json_schema", "json_schema": schema}
    return normal


def _normal_logprobs(body: Mapping[str, Any]) -> dict[str, Any]:
    """Return the keys by which OpenAI's chat asks for log probabilities.

    Its completion says how many it wants of each token, Bedrock's whether it wants them.
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
    if kinds.count("image_url") > MOST_IMAGES:
        raise ValidationException(TOO_MANY_IMAGES)


Document = dict[str, Any]
TEXT = MistralText()
METRICS = "amazon-bedrock-invocationMetrics"


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """A whole answer, or one chunk of one.

    `answer_id` is 32 hexadecimal digits; `created` is in seconds since 1970. `output_tokens` counts
    the tokens so far. `metrics` is None in all chunks but the last. `logprobs` has one entry a
    token, and is None where none were asked for; `offset` counts the characters before them.
    """

    answer_id: str
    created: int
    text: str = ""
    finish: Finish | None = None
    output_tokens: int | None = None
    metrics: Metrics | None = None
    is_chunk: bool = False
    is_first: bool = False
    logprobs: Sequence[Logprobs] | None = None
    offset: int = 0


def _bedrock_completion(part: Part) -> Document:
    return {
        "generation": part.text,
        "prompt_token_count": part.metrics.input_tokens if part.metrics else None,
        "generation_token_count": part.output_tokens,
        "stop_reason": part.finish,
        "logprobs": part.logprobs
        and [{str(each.chosen.id): _bounded(each.chosen.logprob)} for each in part.logprobs],
    }


def _openai_completion(part: Part) -> Document:
    choice: Document = {"index": 0, "text": part.text}
    if part.logprobs is not None:
        choice["logprobs"] = _in_columns(part.logprobs, part.offset)
    return {
        "id": f"cmpl-{part.answer_id}",
        "object": "text_completion",
        "created": part.created,
        "choices": [{**choice, "finish_reason": part.finish}],
        **_usage(part.metrics, "prompt_tokens", "total_tokens", "completion_tokens"),
    }


def _openai_chat(part: Part) -> Document:
    role = {"role": "assistant"} if part.is_first or not part.is_chunk else {}
    name = "delta" if part.is_chunk else "message"
    choice: Document = {"index": 0, name: {**role, "content": part.text}}
    if part.logprobs is not None:
        choice["logprobs"] = {"content": [_in_row(each) for each in part.logprobs]}
    return {
        "id": f"chatcmpl-{part.answer_id}",
        "object": "chat.completion.chunk" if part.is_chunk else "chat.completion",
        "created": part.created,
        "choices": [{**choice, "finish_reason": part.finish}],
        **_usage(part.metrics, "prompt_tokens", "completion_tokens", "total_tokens"),
    }


def _usage(metrics: Metrics | None, *order: str) -> Document:
    """Return the counts in the order that the User Guide's example of this answer has."""
    if metrics is None:
        return {}
    counts = {
        "prompt_tokens": metrics.input_tokens,
        "completion_tokens": metrics.output_tokens,
        "total_tokens": metrics.input_tokens + metrics.output_tokens,
    }
    return {"usage": {name: counts[name] for name in order}}


def _in_row(told: Logprobs) -> Document:
    """OpenAI's form in a chat: User Guide, custom-model-import-advanced-features."""
    return {**_likely(told.chosen), "top_logprobs": [_likely(each) for each in told.likeliest]}


def _likely(told: Likely) -> Document:
    return {
        "token": _spelled(told),
        "logprob": _bounded(told.logprob),
        "bytes": list(told.token),
    }


def _in_columns(told: Sequence[Logprobs], offset: int) -> Document:
    """OpenAI's form in a completion. Guess: the User Guide has no example."""
    tokens = [_spelled(each.chosen) for each in told]
    return {
        "text_offset": [*accumulate(map(len, tokens[:-1]), initial=offset)],
        "token_logprobs": [_bounded(each.chosen.logprob) for each in told],
        "tokens": tokens,
        "top_logprobs": [
            {_spelled(one): _bounded(one.logprob) for one in each.likeliest} for each in told
        ],
    }


def _spelled(told: Likely) -> str:
    return told.token.decode(errors="replace")


def _bounded(logprob: float) -> float:
    """JSON has no infinity; OpenAI says so of what is out of the question."""
    return max(logprob, -9999.0)


LAYOUTS: Mapping[Form, Callable[[Part], Document]] = {
    "bedrock-completion": _bedrock_completion,
    "openai-completion": _openai_completion,
    "openai-chat": _openai_chat,
}


class Imported:
    """The dialect of all imported models. No template is put around a prompt.

    On Bedrock the template of a chat comes with the weights; here it is that of the tokenizer.
    """

    def to_question(self, body: dict[str, Any]) -> Question:
        return to_question(body["messages"], ()) if "messages" in body else TEXT.to_question(body)

    def texts(self, body: dict[str, Any]) -> list[tuple[dict[str, Any], str]]:
        return find_texts(body["messages"]) if "messages" in body else TEXT.texts(body)

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
        """Return a reader to which all is text: the User Guide has tools for GPT-OSS only."""
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
    """Return the message as Python knows it. An answer that comes back may have nulls."""
    return {key: to_plain(value) for key, value in message.items() if value is not None}


class ImportedWriter:
    """The writer of one answer, in the form of its request's body."""

    def __init__(
        self, reader: AnswerReader, lay_out: Callable[[Part], Document], request_id: str
    ) -> None:
        self._reader = reader
        self._lay_out = lay_out
        self._begun = Part(answer_id=request_id.replace("-", ""), created=int(time()))
        self._tokens = 0
        self._offset = 0

    def reply(
        self,
        text: str,
        finish: Finish,
        metrics: Metrics | None = None,
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

    def chunk(self, delta: Delta, metrics: Metrics | None) -> bytes:
        self._tokens += 1
        text = self._reader.take(delta.text)
        if delta.finish:
            text += self._reader.finish()[0]
        part = replace(
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
            self._offset += len(_spelled(delta.logprobs.chosen))
        more = {METRICS: metrics.to_json()} if metrics else {}
        return orjson.dumps({**self._lay_out(part), **more})
