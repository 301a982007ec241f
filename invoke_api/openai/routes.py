"""Routes of the OpenAI API: both kinds of completions, models, and the APIs that are refused."""

import sys
from functools import partial
from typing import Any

import orjson

from invoke_api.authentication.gate import Caller
from invoke_api.models.registry import Model
from invoke_api.openai.chat import (
    CHAT_ON_MANTLE,
    CHAT_ON_RUNTIME,
    NAME,
    PATH,
    find_model,
    name_in,
)
from invoke_api.openai.errors import (
    MANTLE_ERRORS,
    NO_MODEL,
    RUNTIME_ERRORS,
    VLLM_ERRORS,
    OpenAIErrors,
)
from invoke_api.pipeline.admission import admit_caller, read_and_admit
from invoke_api.pipeline.call import Call
from invoke_api.pipeline.invocation import call_model
from invoke_api.pipeline.model_request import ModelOperation, ModelRequest
from invoke_api.pipeline.offload import IN_THREAD
from invoke_api.pipeline.responses import HttpResponse, json_response, unknown_operation_response
from invoke_api.pipeline.routes import Handler, OperationRoute
from invoke_api.validation.schema import read_body
from invoke_api.wire.error_format import ErrorFormat
from invoke_api.wire.errors import ResourceNotFoundException, ValidationException

RUNTIME_HOST = "bedrock-runtime"
COMPLETIONS_MODULE = "invoke_api.openai.completions"


async def list_models(call: Call) -> HttpResponse:
    """List the models of the caller's region, as bedrock-mantle does (crmne/ruby_llm)."""
    caller = await read_and_admit(call)
    body = {"data": [_to_json(each) for each in _served(call, caller)], "object": "list"}
    return _reply(call, body)


async def get_model(call: Call) -> HttpResponse:
    """Describe one model. Guess: nobody has recorded it."""
    caller = await read_and_admit(call)
    name = call.labels["model"]
    for model in _served(call, caller):
        if model.id == name:
            return _reply(call, _to_json(model))
    raise ResourceNotFoundException(MANTLE_ERRORS.no_model(name))


def _served(call: Call, caller: Caller) -> list[Model]:
    return [
        model
        for model in call.services.registry.models.values()
        if model.created is not None and model.listing.is_on_demand_in(caller.region)
    ]


def _to_json(model: Model) -> dict[str, Any]:
    return {
        "created": model.created,
        "data_retention": {
            "allowed_modes": ["provider_data_share", "none", "default"],
            "mode": "default",
            "source": "model_default",
        },
        "id": model.id,
        "object": "model",
        "owned_by": "system",
        "status": "available",
    }


def _reply(call: Call, body: dict[str, Any]) -> HttpResponse:
    return json_response(call, orjson.dumps(body), more=MANTLE_ERRORS.headers(call.request_id))


async def refuse(call: Call, *, errors: OpenAIErrors, path: str) -> HttpResponse:
    """Refuse an API that no model of Mistral's has (User Guide, models-api-compatibility)."""
    await call.read_body()
    call.open_entry()
    caller = admit_caller(call)
    name = name_in(read_body(call.body))
    if not errors.is_mantle:
        raise ResourceNotFoundException(NO_MODEL)
    find_model(call, name, caller, errors)
    raise ValidationException(f"The model '{name}' does not support the '{path}' API")


async def _on_mantle(call: Call, *, handler: Handler) -> HttpResponse | None:
    """Answer as bedrock-mantle, unless the Host of the request is one of bedrock-runtime's.

    Seen: bedrock-runtime answers these paths with its UnknownOperationException (NB 71177951914).
    """
    if call.header_text.get("host", "").startswith(RUNTIME_HOST):
        await call.read_body()
        return unknown_operation_response(call)
    return await handler(call)


def _check_completions(call: Call, operation: ModelOperation) -> ModelRequest:
    """Check a call of vLLM's API. Its module imports pydantic, which takes 0.1 s."""
    from invoke_api.openai.completions import check_completions  # noqa: PLC0415 - see above

    return check_completions(call, operation)


def _weigh_completion(body: bytes) -> int:
    """Return the cost of checking a body. The first check goes to a thread, which imports."""
    return len(body) if COMPLETIONS_MODULE in sys.modules else IN_THREAD


COMPLETIONS = ModelOperation(
    name="Completions", streams=False, check=_check_completions, weigh=_weigh_completion
)


def _route(
    path: str,
    handler: Handler,
    name: str,
    method: str = "POST",
    errors: ErrorFormat = MANTLE_ERRORS,
) -> OperationRoute:
    """Return a route that bedrock-runtime does not have."""
    handler = partial(_on_mantle, handler=handler)
    return OperationRoute(path, handler, name=name, method=method, errors=errors)


def _refuse_on_mantle(path: str) -> Handler:
    return partial(refuse, errors=MANTLE_ERRORS, path=path)


OPENAI_ROUTES = [
    OperationRoute(
        f"/openai{PATH}",
        partial(call_model, operation=CHAT_ON_RUNTIME),
        name=NAME,
        method="POST",
        errors=RUNTIME_ERRORS,
    ),
    OperationRoute(
        "/openai/v1/responses",
        partial(refuse, errors=RUNTIME_ERRORS, path="/v1/responses"),
        name="Responses",
        method="POST",
        errors=RUNTIME_ERRORS,
    ),
    _route(PATH, partial(call_model, operation=CHAT_ON_MANTLE), NAME),
    _route("/v1/models", list_models, "ListModels", "GET"),
    _route("/v1/models/{model}", get_model, "GetModel", "GET"),
    _route("/v1/responses", _refuse_on_mantle("/v1/responses"), "Responses"),
    _route(
        "/v1/completions",
        partial(call_model, operation=COMPLETIONS),
        COMPLETIONS.name,
        errors=VLLM_ERRORS,
    ),
    # Both hosts have it. Guess: bedrock-mantle's words on both.
    OperationRoute(
        "/anthropic/v1/messages",
        _refuse_on_mantle("/v1/messages"),
        name="Messages",
        method="POST",
        errors=MANTLE_ERRORS,
    ),
    _route(
        "/anthropic/v1/messages/count_tokens",
        _refuse_on_mantle("/v1/messages/count_tokens"),
        "CountMessagesTokens",
    ),
]
