"""The OpenAI path of an endpoint: Chat Completions without Bedrock's front door.

Seen: the path, its shape and its signature (AWS's announcement, by stdapi-ai/stdapi.ai#43). Guess:
`model` may be left out, and errors are OpenAI's, as on bedrock-runtime.
"""

from functools import partial
from typing import Any

from invoke_api.openai.chat import ChatCompletionsRequest, read_chat
from invoke_api.openai.errors import RUNTIME_ERRORS
from invoke_api.pipeline.call import Call
from invoke_api.pipeline.invocation import call_model
from invoke_api.pipeline.model_request import ModelOperation
from invoke_api.sagemaker.chat_model import as_chat
from invoke_api.sagemaker.invoke_endpoint import open_endpoint
from invoke_api.validation.schema import read_body

NAME = "EndpointChatCompletions"


def check_endpoint_chat(call: Call, _: ModelOperation) -> ChatCompletionsRequest:
    """Admit the caller, find the endpoint, and check the body. Raises `InvokeError`s."""
    endpoint, model = open_endpoint(call)
    call.errors = RUNTIME_ERRORS
    value: Any = read_body(call.body)
    if isinstance(value, dict):
        value = {**value, "model": endpoint.name}
    return read_chat(call, as_chat(model), value, RUNTIME_ERRORS)


ENDPOINT_CHAT = partial(
    call_model, operation=ModelOperation(name=NAME, streams=False, check=check_endpoint_chat)
)
