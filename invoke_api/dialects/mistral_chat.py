"""The dialect of Large 2407, Pixtral and the models of 2025: `messages` in, `choices` out."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from time import time
from typing import Any

from engine.protocol import Delta, Finish, GenerationRequest, Logprobs
from engine.tokenization.chat_template import ChatPrompt
from engine.tokenization.tokenizer import Tokenizer
from engine.tokenization.tool_calls import TOOL_CALLS_MARK, ToolCall
from invoke_api.dialects.chat_answers import AnswerShape, ChatAnswer
from invoke_api.dialects.generation import to_generation
from invoke_api.dialects.json_values import sort_keys, to_plain
from invoke_api.dialects.question import METRICS_KEY, InvocationMetrics, Question
from invoke_api.dialects.tool_call_reader import AnswerReader, CallReader
from invoke_api.dialects.tools import ForcedTools, is_forcing, make_id, to_forced, to_models_id


@dataclass(frozen=True, slots=True)
class MistralChat:
    """The dialect of one model. `shape` is the layout of its answers."""

    model_id: str
    shape: AnswerShape

    def to_question(self, body: dict[str, Any]) -> Question:
        tools = [tool["function"]["name"] for tool in _offered(body)]
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
        return forced.apply_to(request)

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
    """A writer of one answer."""

    def __init__(
        self,
        reader: AnswerReader,
        shape: AnswerShape,
        body: Mapping[str, Any],
        *,
        model_id: str,
        request_id: str,
    ) -> None:
        self._reader = reader
        self._shape = shape
        self._max_calls = max_calls(body)
        self._begun = ChatAnswer(
            request_id=request_id,
            model_id=model_id,
            created=int(time()),
            content="",
            service_tier=answered_tier(body),
        )

    def reply(
        self,
        text: str,
        finish: Finish,
        metrics: InvocationMetrics | None = None,
        logprobs: Sequence[Logprobs] | None = None,
    ) -> bytes:
        content = self._reader.take(text)
        answer = self._end(content, finish, metrics)
        return self._shape.write(answer._replace(logprobs=logprobs), {})

    def chunk(self, delta: Delta, metrics: InvocationMetrics | None) -> bytes:
        content = self._reader.take(delta.text)
        if delta.finish:
            answer = self._end(content, delta.finish, metrics)
        else:
            answer = self._begun._replace(content=content)
        more = {METRICS_KEY: metrics.to_json()} if metrics else {}
        logprobs = (delta.logprobs,) if delta.logprobs else None
        return self._shape.write(answer._replace(is_chunk=True, logprobs=logprobs), more)

    def _end(self, content: str, finish: Finish, metrics: InvocationMetrics | None) -> ChatAnswer:
        rest, calls = self._reader.finish()
        calls = calls[: self._max_calls]
        return self._begun._replace(
            content=content + rest,
            calls=[
                to_openai_call(call, make_id(self._begun.request_id, number))
                for number, call in enumerate(calls)
            ],
            reason="tool_calls" if calls and finish == "stop" else finish,
            input_tokens=metrics.input_tokens if metrics else None,
            output_tokens=metrics.output_tokens if metrics else None,
        )


def max_calls(body: Mapping[str, Any]) -> int | None:
    """Return how many tool calls an answer may have; None sets no limit.

    As in vLLM, the model may write several calls, and the answer has only the first.
    """
    return 1 if body.get("parallel_tool_calls") is False else None


def answered_tier(body: Mapping[str, Any]) -> str:
    """Return the `service_tier` of the answer to a body."""
    tier: str = body.get("service_tier", "default")
    return "default" if tier == "auto" else tier


def to_openai_call(call: ToolCall, call_id: str) -> dict[str, Any]:
    """Return a tool call in OpenAI's form."""
    # Not with orjson, which writes no integers beyond 64 bits.
    arguments = json.dumps(call.arguments, ensure_ascii=False, separators=(",", ":"))
    function = {"name": call.name, "arguments": arguments}
    return {"id": call_id, "type": "function", "function": function}


def encode_chat(
    tokenizer: Tokenizer,
    messages: Sequence[Mapping[str, Any]],
    tools: Sequence[Mapping[str, Any]],
    *,
    forced: ForcedTools,
) -> ChatPrompt:
    """Return the prompt. It ends with a forced call's mark. Raises `ChatRefused`."""
    if tokenizer.chat.calls_style == "arguments":
        tools = [_sorted(tool) for tool in tools]
    prompt = tokenizer.chat.encode([_to_models(message) for message in messages], tools)
    if not forced.tools:
        return prompt
    return prompt._replace(tokens=(*prompt.tokens, *tokenizer.encode_spelled(TOOL_CALLS_MARK)))


def _offered(body: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Return the tools that the prompt lists."""
    tools: list[dict[str, Any]] = body.get("tools", []) if body["tool_choice"] != "none" else []
    return tools


def find_texts(messages: Sequence[dict[str, Any]]) -> list[tuple[dict[str, Any], str]]:
    """Return the places of the texts for a guardrail: dictionaries, and keys in them.

    Results of tools are left out: User Guide, guardrails-use-converse-api.
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
    """Return the part of a conversation that rules match."""
    roles = [message["role"] for message in messages]
    texts = [_text(message) for message in messages]
    users = [index for index, role in enumerate(roles) if role == "user"]
    last = users[-1] if users else -1
    results = [index for index, role in enumerate(roles) if role == "tool"]
    # Several results may follow one answer: together they are one round.
    rounds = [index for index in results if index == 0 or roles[index - 1] != "tool"]
    recent = [texts[index] for index in results if index > last]
    system = [text for role, text in zip(roles, texts, strict=True) if role == "system"]
    return Question(
        prompt="\n".join(texts),
        last_user_message=texts[last] if users else "",
        turn=len(users),
        tools=tuple(tools),
        system="\n".join(system),
        tool_result="\n".join(recent) if recent else None,
        step=len(users) + len(rounds),
    )


def _text(message: Mapping[str, Any]) -> str:
    content = message.get("content")
    if isinstance(content, str):
        return content
    parts = content if isinstance(content, list) else []
    texts = (part.get("text") for part in parts if isinstance(part, dict))
    return "\n".join(text for text in texts if isinstance(text, str))


def _to_models(message: Mapping[str, Any]) -> dict[str, Any]:
    """Return the message with Mistral's ids of calls, and without members that are null.

    Clients send an answer's message back, and it may have nulls.
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

    A recorded token count shows it for the keys directly below `parameters`. Guess: deeper keys.
    """
    function = tool["function"]
    return {**tool, "function": {**function, "parameters": sort_keys(function["parameters"])}}


def _with_parameters(tool: Mapping[str, Any]) -> dict[str, Any]:
    """Return the tool with parameters. Bedrock does not need them; mistral-common does."""
    nothing = {"type": "object", "properties": {}}
    return {**tool, "function": {"parameters": nothing, **tool["function"]}}
