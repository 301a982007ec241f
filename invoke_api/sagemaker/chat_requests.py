"""Chats on the containers' own path: TGI 3's, and LMI's, which are those of vLLM."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from time import time
from typing import Any

import orjson

from engine.errors import ChatRefused
from engine.protocol import GenerationRequest
from engine.tokenization.tokenizer import Tokenizer
from invoke_api.dialects.model_servers import ModelServer
from invoke_api.dialects.question import Question
from invoke_api.dialects.tool_call_reader import CallReader
from invoke_api.dialects.tools import is_forcing
from invoke_api.models.registry import Model
from invoke_api.openai.chat import ChatCompletionsRequest, read_chat
from invoke_api.openai.chat_writer import ChatCompletionsWriter, Head
from invoke_api.openai.errors import RUNTIME_ERRORS
from invoke_api.pipeline.call import Call
from invoke_api.sagemaker.containers.chat_body import TgiChatBody
from invoke_api.sagemaker.containers.errors import (
    LMI_SERVER,
    LMI_STATUS,
    TGI_CHAT_SERVER,
    lmi_error,
    tgi_chat_error,
    tgi_error,
)
from invoke_api.sagemaker.containers.grammar import to_grammar
from invoke_api.sagemaker.containers.tgi_chat_writer import TgiChatWriter
from invoke_api.sagemaker.containers.tgi_generation import (
    check_parameters,
    fit_tokens,
    sampling_in,
)
from invoke_api.sagemaker.endpoint_request import TOO_MANY, EndpointRequest
from invoke_api.wire.errors import ModelError, ValidationException


@dataclass(slots=True, kw_only=True)
class TgiChatRequest(EndpointRequest):
    """A chat for TGI 3."""

    chat: TgiChatBody

    @property
    def server(self) -> ModelServer:
        return TGI_CHAT_SERVER

    @property
    def container_streams(self) -> bool:
        return self.chat.asked.stream

    def question(self) -> Question:
        return self.model.dialect.to_question(self.chat.body)

    @property
    def overloaded(self) -> str:
        return tgi_chat_error(TOO_MANY)

    def container_generation(self, tokenizer: Tokenizer) -> GenerationRequest:
        asked = self.chat.asked
        check_parameters(asked, self.endpoint)
        length = self.model.context_length
        try:
            made = self.model.dialect.to_request(self.chat.body, tokenizer, length, self.request_id)
        except ChatRefused as error:
            message = tgi_error(f"Template error: {error}", "template_error")
            raise ModelError(422, message) from error
        constraint, schema = to_grammar(asked.parameters["grammar"])
        sampling = sampling_in(asked)
        if not self.chat.scores:
            sampling["top_logprobs"] = None
        most = asked.parameters["max_new_tokens"]
        return replace(
            made,
            max_tokens=fit_tokens(len(made.prompt), most, self.endpoint),
            shortens=False,
            constraint=constraint,
            schema=schema,
            **sampling,
        )

    def container_writer(self, tokenizer: Tokenizer) -> TgiChatWriter:
        name = self.chat.name if self.chat.name not in (None, "tgi") else self.model.weights
        return TgiChatWriter(
            str(name),
            int(time()),
            CallReader(is_forcing(self.chat.body["tool_choice"]), tokenizer.is_spaced),
            self.chat.asked.parameters["stop"],
            tells_usage=self.chat.tells_usage,
        )


class LmiHead(Head):
    """The members that all documents of one answer of LMI share, in vLLM's order."""

    def document(
        self, kind: str, choices: Sequence[dict[str, Any]], more: Mapping[str, Any]
    ) -> bytes:
        document = {
            "id": self.answer_id,
            "object": kind,
            "created": self.created,
            "model": self.model_id,
            "choices": choices,
            **more,
        }
        return orjson.dumps(document)


@dataclass(slots=True, kw_only=True)
class LmiChatRequest(EndpointRequest):
    """A chat for LMI."""

    inner: ChatCompletionsRequest

    @property
    def server(self) -> ModelServer:
        return LMI_SERVER

    @property
    def container_streams(self) -> bool:
        return self.inner.streams

    def question(self) -> Question:
        return self.inner.question()

    def container_generation(self, tokenizer: Tokenizer) -> GenerationRequest:
        return self.inner.generation(tokenizer)

    def container_writer(self, tokenizer: Tokenizer) -> ChatCompletionsWriter:
        head = LmiHead(
            answer_id=f"chatcmpl-{self.request_id}",
            model_id=self.inner.body.get("model") or self.model.weights,
            created=int(time()),
        )
        return self.inner.write_as(head, tokenizer, (b"", b"\n", b""))


def read_lmi_chat(call: Call, model: Model, value: dict[str, Any]) -> ChatCompletionsRequest:
    """Return the chat in a parsed body. Raises `ModelError` in LMI's form.

    Unknown members are ignored, as by vLLM.
    """
    known = {name: member for name, member in value.items() if model.schema.knows(name)}
    try:
        return read_chat(call, model, known, RUNTIME_ERRORS)
    except ValidationException as error:
        raise ModelError(LMI_STATUS, lmi_error(_message(error.message))) from error


def _message(told: str) -> str:
    """Return the message of an error in the form of the server of 2025."""
    try:
        return str(json.loads(told)["error"]["message"])
    except (KeyError, TypeError, ValueError):
        return told
