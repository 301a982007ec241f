"""`messages` in, `choices` out: Large 2407, Pixtral and the models of 2025."""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from time import time
from typing import Any

from engine.protocol import Delta, Finish, GenerationRequest, Logprobs
from engine.tokenization.chat_template import ChatPrompt
from engine.tokenization.tokenizer import Tokenizer
from engine.tokenization.tool_calls import MARK, ToolCall
from invoke_api.dialects.chat_answers import Answer, Shape
from invoke_api.dialects.generation import to_generation
from invoke_api.dialects.json_values import sort_keys, to_plain
from invoke_api.dialects.question import Metrics, Question
from invoke_api.dialects.tool_call_reader import AnswerReader, CallReader
from invoke_api.dialects.tools import Forced, is_forcing, make_id, to_forced, to_models_id


@dataclass(frozen=True, slots=True)
class MistralChat:
    """The dialect of one model; `shape` is that of its generation's answers."""

    model_id: str
    shape: Shape

    def to_question(self, body: dict[str, Any]) -> Question:
        tools = [tool["function"]["name"] for tool in body.get("tools", ())]
        return to_question(body["messages"], tools)

    def texts(self, body: dict[str, Any]) -> list[tuple[dict[str, Any], str]]:
        return find_texts(body["messages"])

    def to_request(
        self,
        body: dict[str, Any],
        tokenizer: Tokenizer,
        context_length: int,  # noqa: ARG002 - a template can't stop half-way
        request_id: str,
    ) -> GenerationRequest:
        tools = [_with_parameters(tool) for tool in to_plain(_offered(body))]
        forced = to_forced(body["tool_choice"], tools)
        prompt = encode_chat(tokenizer, to_plain(body["messages"]), tools, forced=forced)
        vocabulary = len(tokenizer.pieces)
        request = to_generation(body, prompt, request_id, vocabulary=vocabulary, spelled=True)
        return forced.hold(request)

    def reader(self, body: dict[str, Any], tokenizer: Tokenizer) -> AnswerReader:
        offered = {tool["function"]["name"] for tool in _offered(body)}
        return CallReader(is_forcing(body["tool_choice"]), tokenizer.is_spaced, offered)

    def writer(
        self,
        body: dict[str, Any],
        tokenizer: Tokenizer,
        request_id: str,
        reader: AnswerReader | None = None,
    ) -> "ChatWriter":
        own = reader or CallReader(is_forcing(body["tool_choice"]), tokenizer.is_spaced)
        return ChatWriter(own, self.shape, body, model_id=self.model_id, request_id=request_id)


class ChatWriter:
    """Writes one answer in the shape of its model's generation."""

    def __init__(
        self,
        reader: AnswerReader,
        shape: Shape,
        body: Mapping[str, Any],
        *,
        model_id: str,
        request_id: str,
    ) -> None:
        self._reader = reader
        self._shape = shape
        # As vLLM does: a model can't be told to make one call, but one can be told of.
        self._most_calls = 1 if body.get("parallel_tool_calls") is False else None
        tier = body.get("service_tier", "default")
        self._begun = Answer(
            request_id=request_id,
            model_id=model_id,
            created=int(time()),
            content="",
            service_tier="default" if tier == "auto" else tier,
        )

    def reply(
        self,
        text: str,
        finish: Finish,
        metrics: Metrics | None = None,
        logprobs: Sequence[Logprobs] | None = None,
    ) -> bytes:
        content = self._reader.take(text)
        answer = self._end(content, finish, metrics)
        return self._shape.write(replace(answer, logprobs=logprobs), {})

    def chunk(self, delta: Delta, metrics: Metrics | None) -> bytes:
        content = self._reader.take(delta.text)
        if delta.finish:
            answer = self._end(content, delta.finish, metrics)
        else:
            answer = replace(self._begun, content=content)
        more = {"amazon-bedrock-invocationMetrics": metrics.to_json()} if metrics else {}
        told = (delta.logprobs,) if delta.logprobs else None
        return self._shape.write(replace(answer, is_chunk=True, logprobs=told), more)

    def _end(self, content: str, finish: Finish, metrics: Metrics | None) -> Answer:
        rest, calls = self._reader.finish()
        calls = calls[: self._most_calls]
        return replace(
            self._begun,
            content=content + rest,
            calls=tuple(self._to_calls(calls)),
            reason="tool_calls" if calls and finish == "stop" else finish,
            input_tokens=metrics.input_tokens if metrics else None,
            output_tokens=metrics.output_tokens if metrics else None,
        )

    def _to_calls(self, calls: Sequence[ToolCall]) -> Iterator[dict[str, Any]]:
        for number, call in enumerate(calls):
            # Not by orjson, which knows no numbers beyond 64 bits.
            arguments = json.dumps(call.arguments, ensure_ascii=False, separators=(",", ":"))
            yield {
                "id": make_id(self._begun.request_id, number),
                "type": "function",
                "function": {"name": call.name, "arguments": arguments},
            }


def encode_chat(
    tokenizer: Tokenizer,
    messages: Sequence[Mapping[str, Any]],
    tools: Sequence[Mapping[str, Any]],
    *,
    forced: Forced,
) -> ChatPrompt:
    """Return the prompt; if a call is forced it ends with the mark of one. Raises `ChatRefused`."""
    if tokenizer.chat.calls_style == "arguments":
        tools = [_sorted(tool) for tool in tools]
    prompt = tokenizer.chat.encode([_to_models(message) for message in messages], tools)
    if not forced.tools:
        return prompt
    return prompt._replace(tokens=(*prompt.tokens, *tokenizer.encode_spelled(MARK)))


def _offered(body: Mapping[str, Any]) -> list[dict[str, Any]]:
    """The tools that the model is told of."""
    tools: list[dict[str, Any]] = body.get("tools", []) if body["tool_choice"] != "none" else []
    return tools


def find_texts(messages: Sequence[dict[str, Any]]) -> list[tuple[dict[str, Any], str]]:
    """Find the texts for a guardrail. Not those of tools: User Guide, guardrails-use-converse-api.

    Each is the dictionary that holds the text, and its key there.
    """
    holders: list[tuple[dict[str, Any], str]] = []
    for message in messages:
        content = message.get("content") if message["role"] != "tool" else None
        holders += [(message, "content")] if isinstance(content, str) else []
        for part in content if isinstance(content, list) else ():
            if isinstance(part, dict) and isinstance(part.get("text"), str):
                holders.append((part, "text"))
    return holders


def to_question(messages: Sequence[Mapping[str, Any]], tools: Sequence[str]) -> Question:
    """What rules may look at of a conversation."""
    users = [_text(message) for message in messages if message["role"] == "user"]
    prompt = "\n".join(_text(message) for message in messages)
    return Question(prompt, users[-1] if users else "", len(users), tuple(tools))


def _text(message: Mapping[str, Any]) -> str:
    content = message.get("content")
    if isinstance(content, str):
        return content
    parts = content if isinstance(content, list) else []
    texts = (part.get("text") for part in parts if isinstance(part, dict))
    return "\n".join(text for text in texts if isinstance(text, str))


def _to_models(message: Mapping[str, Any]) -> dict[str, Any]:
    """Return the message with ids as the model knows them, and without members that are null.

    An answer's message has some, and clients send it back as it came.
    """
    known = {key: value for key, value in message.items() if value is not None}
    if "tool_call_id" in known:
        known["tool_call_id"] = to_models_id(known["tool_call_id"])
    if "tool_calls" in known:
        known["tool_calls"] = [
            {**call, "id": to_models_id(call["id"])} if isinstance(call.get("id"), str) else call
            for call in known["tool_calls"]
        ]
    return known


def _sorted(tool: Mapping[str, Any]) -> dict[str, Any]:
    """Return the tool with the keys of its schema sorted, as the server of the 2025 models does.

    A recorded token count tells so of the keys directly below `parameters`. Guess for all others.
    """
    function = tool["function"]
    return {**tool, "function": {**function, "parameters": sort_keys(function["parameters"])}}


def _with_parameters(tool: Mapping[str, Any]) -> dict[str, Any]:
    """Parameters may be left out, on Bedrock; mistral-common wants them."""
    nothing = {"type": "object", "properties": {}}
    return {**tool, "function": {"parameters": nothing, **tool["function"]}}
