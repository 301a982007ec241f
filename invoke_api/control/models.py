"""`/_emulator/models`: the models, with the parameters of their bodies as the schemas have them."""

from collections.abc import Mapping
from typing import Any

from starlette.requests import Request
from starlette.responses import Response

from invoke_api.control.responses import json_answer
from invoke_api.dialects.converse_prompt import INFERENCE_PARAMETERS
from invoke_api.models.registry import Model
from invoke_api.pipeline.services import services_of
from invoke_api.validation.body_forms import FormSchemas

# Keys of a parameter's schema that a form shows.
SHOWN_KEYS = (
    *("type", "default", "minimum", "maximum", "enum", "maxItems", "minLength", "maxLength"),
    "description",
)


async def models(request: Request, _: bytes) -> Response:
    """List the models that this service runs."""
    services = services_of(request)
    engines = dict(services.engines.items())
    return json_answer(
        {
            "region": services.gate.region,
            "models": [
                _to_model(
                    model,
                    engines[model_id].name,
                    services.engines.stand_in(model_id) or model.stand_in,
                )
                for model_id, model in services.registry.models.items()
                if model_id in engines
            ],
        }
    )


def _to_model(model: Model, engine: str, stand_in: str | None) -> dict[str, Any]:
    listing, forms = model.listing, _to_forms(model)
    return {
        "id": model.id,
        "name": listing.name,
        "call_as": _to_name(model),
        "region": _to_region(model),
        "dialect": model.dialect_name,
        "engine": engine,
        "stand_in": stand_in,
        "sees": listing.sees,
        "context_length": model.context_length,
        "forms": forms,
        "converse": _to_converse(next(iter(forms.values()))),
    }


def _to_name(model: Model) -> str:
    """Return an id that Bedrock takes: that of a profile, if there is no on-demand throughput."""
    listing = model.listing
    if listing.is_on_demand or not listing.profiles:
        return model.id
    return next(iter(listing.profiles))


def _to_region(model: Model) -> str | None:
    """Return a region in which the model can be called, or None if it is in all."""
    listing = model.listing
    if listing.is_on_demand:
        return listing.regions[0] if listing.regions else None
    return next((regions[0] for regions in listing.profiles.values() if regions), None)


def _to_forms(model: Model) -> dict[str, Any]:
    """Return the parameters by form of body. Models with one form name it `body`."""
    schema = model.schema
    documents = (
        {name: each.document for name, each in schema.schemas.items()}
        if isinstance(schema, FormSchemas)
        else {"body": schema.document}
    )
    return {name: _to_parameters(document) for name, document in documents.items()}


def _to_converse(parameters: Mapping[str, Any]) -> dict[str, Any]:
    """Return the parameters of `inferenceConfig`, which are checked by the model's own schema."""
    return {
        name: parameters[own] for name, own in INFERENCE_PARAMETERS.items() if own in parameters
    }


def _to_parameters(document: Mapping[str, Any]) -> dict[str, Any]:
    required = document.get("required", ())
    return {
        key: {
            "required": key in required,
            **{name: part[name] for name in SHOWN_KEYS if name in part},
        }
        for key, part in document["properties"].items()
        if isinstance(part, dict)
    }
