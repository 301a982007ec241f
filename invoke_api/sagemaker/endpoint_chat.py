"""The OpenAI path of an endpoint: Chat Completions without Bedrock's front door.

Seen: the path, its shape and its signature (AWS's announcement, by stdapi-ai/stdapi.ai#43). Guess:
`model` may be left out, and errors are OpenAI's, as on bedrock-runtime.
"""

from dataclasses import replace
from functools import cache, partial
from typing import Any

from invoke_api.dialects.chat_answers import SHAPES
from invoke_api.dialects.converse_checks import Abilities
from invoke_api.dialects.mistral_chat import MistralChat
from invoke_api.dialects.model_servers import SERVERS
from invoke_api.models.registry import Model
from invoke_api.openai.chat import ChatCompletionsRequest, read_chat
from invoke_api.openai.errors import RUNTIME_ERRORS
from invoke_api.pipeline.call import Call
from invoke_api.pipeline.invocation import call_model
from invoke_api.pipeline.model_request import ModelOperation
from invoke_api.sagemaker.invoke_endpoint import open_endpoint
from invoke_api.validation.schema import BodySchema, read_body
from invoke_api.yaml_files import load_schema

NAME = "EndpointChatCompletions"
SCHEMA = "mistral-chat-2025.json"  # of a body of `messages`


def check_endpoint_chat(call: Call, _: ModelOperation) -> ChatCompletionsRequest:
    """Admit the caller, find the endpoint, and check the body. Raises `InvokeError`s."""
    endpoint, model = open_endpoint(call)
    call.errors = RUNTIME_ERRORS
    value: Any = read_body(call.body)
    if isinstance(value, dict):
        value = {**value, "model": endpoint.name}
    return read_chat(call, _as_chat(model), value, RUNTIME_ERRORS)


def _as_chat(model: Model) -> Model:
    """Return the model, with the body of a chat if its own body is another one."""
    if model.dialect_name == "mistral-chat":
        return model
    return replace(
        model,
        dialect=MistralChat(model.id, SHAPES["2025"]),
        dialect_name="mistral-chat",
        schema=_schema(),
        server=SERVERS["2025"],
        abilities=Abilities(),
    )


@cache
def _schema() -> BodySchema:
    return BodySchema(load_schema(SCHEMA))


ENDPOINT_CHAT = partial(
    call_model, operation=ModelOperation(name=NAME, streams=False, check=check_endpoint_chat)
)
