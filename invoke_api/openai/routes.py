"""Routes of the OpenAI API: Chat Completions, the list of models, and the APIs that are refused."""

from functools import partial
from typing import Any

import orjson

from invoke_api.authentication.gate import Caller
from invoke_api.models.registry import Model
from invoke_api.openai.chat import (
    NAME,
    PATH,
    chat_on_mantle,
    chat_on_runtime,
    find_model,
    is_for_runtime,
    name_in,
)
from invoke_api.openai.errors import MANTLE_ERRORS, NO_MODEL, RUNTIME_ERRORS, OpenAIErrors
from invoke_api.pipeline.admission import admit_caller, read_and_admit
from invoke_api.pipeline.call import Call
from invoke_api.pipeline.responses import HttpResponse, json_response, unknown_operation_response
from invoke_api.pipeline.routes import OperationRoute
from invoke_api.validation.schema import read_body
from invoke_api.wire.errors import ResourceNotFoundException, ValidationException


async def list_models(call: Call) -> HttpResponse:
    """List the models of the caller's region, as bedrock-mantle does (crmne/ruby_llm)."""
    if is_for_runtime(call):
        await call.read_body()
        return unknown_operation_response(call)
    caller = await read_and_admit(call)
    body = {"data": [_to_json(each) for each in _served(call, caller)], "object": "list"}
    return _reply(call, body)


async def get_model(call: Call) -> HttpResponse:
    """Describe one model. Guess: nobody has recorded it."""
    if is_for_runtime(call):
        await call.read_body()
        return unknown_operation_response(call)
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
    if errors is MANTLE_ERRORS and is_for_runtime(call):
        return unknown_operation_response(call)
    call.open_entry()
    caller = admit_caller(call)
    name = name_in(read_body(call.body))
    if errors is RUNTIME_ERRORS:
        raise ResourceNotFoundException(NO_MODEL)
    find_model(call, name, caller, errors)
    raise ValidationException(f"The model '{name}' does not support the '{path}' API")


OPENAI_ROUTES = [
    OperationRoute(
        f"/openai{PATH}", chat_on_runtime, name=NAME, method="POST", errors=RUNTIME_ERRORS
    ),
    OperationRoute(PATH, chat_on_mantle, name=NAME, method="POST", errors=MANTLE_ERRORS),
    OperationRoute("/v1/models", list_models, name="ListModels", errors=MANTLE_ERRORS),
    OperationRoute("/v1/models/{model}", get_model, name="GetModel", errors=MANTLE_ERRORS),
    *(
        OperationRoute(
            before + path,
            partial(refuse, errors=errors, path=path),
            name=name,
            method="POST",
            errors=errors,
        )
        for name, before, path, errors in (
            ("Responses", "/openai", "/v1/responses", RUNTIME_ERRORS),
            ("Responses", "", "/v1/responses", MANTLE_ERRORS),
            # Both hosts have it. Guess: bedrock-mantle's words.
            ("Messages", "/anthropic", "/v1/messages", MANTLE_ERRORS),
        )
    ),
]
