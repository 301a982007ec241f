"""`messages` in, `choices` out: Large 2407, Pixtral and the models of 2025."""

import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import orjson

from engine.chat import ChatPrompt
from engine.protocol import Delta, Finish, GenerationRequest
from engine.tokenizer import Tokenizer
from engine.tool_calls import MARK, ToolCall
from invoke_api.dialects.calls import AnswerReader, CallReader
from invoke_api.dialects.generation import to_generation
from invoke_api.dialects.invocation import Metrics, Question
from invoke_api.dialects.plain import to_plain
from invoke_api.dialects.tool_ids import make_id, to_models_id


class MistralChat:
    def to_question(self, body: dict[str, Any]) -> Question:
        tools = [tool["function"]["name"] for tool in body.get("tools", ())]
        return to_question(body["messages"], tools)

    def texts(self, body: dict[str, Any]) -> list[tuple[dict[str, Any], str]]:
        """Not those of tools: User Guide, guardrails-use-converse-api."""
        holders: list[tuple[dict[str, Any], str]] = []
        for message in body["messages"]:
            content = message.get("content") if message["role"] != "tool" else None
            holders += [(message, "content")] if isinstance(content, str) else []
            for part in content if isinstance(content, list) else ():
                if isinstance(part, dict) and isinstance(part.get("text"), str):
                    holders.append((part, "text"))
        return holders

    def to_request(
        self,
        body: dict[str, Any],
        tokenizer: Tokenizer,
        context_length: int,  # noqa: ARG002 - a template can't stop half-way
        request_id: str,
    ) -> GenerationRequest:
        prompt = encode_chat(
            tokenizer,
            to_plain(body["messages"]),
            [_with_parameters(tool) for tool in to_plain(_offered(body))],
            forced=_is_forced(body),
        )
        return to_generation(body, prompt, request_id, spelled=True)

    def reader(self, body: dict[str, Any], tokenizer: Tokenizer) -> AnswerReader:
        offered = {tool["function"]["name"] for tool in _offered(body)}
        return CallReader(_is_forced(body), tokenizer.is_spaced, offered)

    def writer(
        self,
        body: dict[str, Any],
        tokenizer: Tokenizer,
        request_id: str,
        reader: AnswerReader | None = None,
    ) -> "ChatWriter":
        own = reader or CallReader(_is_forced(body), tokenizer.is_spaced)
        return ChatWriter(own, request_id)


class ChatWriter:
    """Guess for the shape of chunks: `message` as in a whole answer, as a client reads them."""

    def __init__(self, reader: AnswerReader, request_id: str) -> None:
        self._reader = reader
        self._request_id = request_id

    def reply(self, text: str, finish: Finish) -> bytes:
        content = self._reader.take(text)
        return orjson.dumps({"choices": [self._last_choice(content, finish)]})

    def chunk(self, delta: Delta, metrics: Metrics | None) -> bytes:
        content = self._reader.take(delta.text)
        if delta.finish:
            choice = self._last_choice(content, delta.finish)
        else:
            message = {"role": "assistant", "content": content}
            choice = {"index": 0, "message": message, "stop_reason": None}
        body: dict[str, object] = {"choices": [choice]}
        if metrics:
            body["amazon-bedrock-invocationMetrics"] = metrics.to_json()
        return orjson.dumps(body)

    def _last_choice(self, content: str, finish: Finish) -> dict[str, object]:
        rest, calls = self._reader.finish()
        message: dict[str, object] = {"role": "assistant", "content": content + rest}
        if calls:
            message["tool_calls"] = list(self._to_calls(calls))
        reason = "tool_calls" if calls and finish == "stop" else finish
        return {"index": 0, "message": message, "stop_reason": reason}

    def _to_calls(self, calls: Sequence[ToolCall]) -> Iterator[dict[str, object]]:
        for number, call in enumerate(calls):
            # Not by orjson, which knows no numbers beyond 64 bits.
            arguments = json.dumps(call.arguments, ensure_ascii=False, separators=(",", ":"))
            yield {
                "id": make_id(self._request_id, number),
                "type": "function",
                "function": {"name": call.name, "arguments": arguments},
            }


def encode_chat(
    tokenizer: Tokenizer,
    messages: Sequence[Mapping[str, Any]],
    tools: Sequence[Mapping[str, Any]],
    *,
    forced: bool,
) -> ChatPrompt:
    """With `forced` it ends with the mark of a call. Raises `ChatRefused`."""
    prompt = tokenizer.chat.encode([_to_models(message) for message in messages], tools)
    if not forced:
        return prompt
    return prompt._replace(tokens=(*prompt.tokens, *tokenizer.encode_spelled(MARK)))


def _offered(body: Mapping[str, Any]) -> list[dict[str, Any]]:
    """The tools that the model is told of."""
    tools: list[dict[str, Any]] = body.get("tools", []) if body["tool_choice"] != "none" else []
    return tools


def _is_forced(body: Mapping[str, Any]) -> bool:
    return body["tool_choice"] == "any" and bool(body.get("tools"))


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
    """The message with ids as the model knows them."""
    known = dict(message)
    if "tool_call_id" in known:
        known["tool_call_id"] = to_models_id(known["tool_call_id"])
    if "tool_calls" in known:
        known["tool_calls"] = [
            {**call, "id": to_models_id(call["id"])} if isinstance(call.get("id"), str) else call
            for call in known["tool_calls"]
        ]
    return known


def _with_parameters(tool: Mapping[str, Any]) -> dict[str, Any]:
    """Parameters may be left out, on Bedrock; mistral-common wants them."""
    nothing = {"type": "object", "properties": {}}
    return {**tool, "function": {"parameters": nothing, **tool["function"]}}
