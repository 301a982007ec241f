"""ListFoundationModels, GetFoundationModel and GetFoundationModelAvailability."""

from collections.abc import Mapping
from typing import Any

import orjson
from starlette.requests import Request
from starlette.responses import Response

from invoke_api.catalogue import to_availability, to_summary
from invoke_api.identifiers import parse_identifier
from invoke_api.operations.call import admit_caller
from invoke_api.operations.client import read_body
from invoke_api.operations.replies import Reply
from invoke_api.operations.services import services_of
from invoke_api.validation.queries import (
    GET_FOUNDATION_MODEL,
    GET_FOUNDATION_MODEL_AVAILABILITY,
    LIST_FOUNDATION_MODELS,
    check_query,
)

# What each filter looks at in a summary.
FILTERS = {
    "byProvider": "providerName",
    "byCustomizationType": "customizationsSupported",
    "byOutputModality": "outputModalities",
    "byInferenceType": "inferenceTypesSupported",
}


async def list_foundation_models(request: Request) -> Response:
    caller = admit_caller(request, await read_body(request))
    query = dict(request.query_params)
    check_query(LIST_FOUNDATION_MODELS, query)
    registry = services_of(request).registry
    summaries = [to_summary(listing, caller.region) for listing in registry.offered(caller.region)]
    found = [summary for summary in summaries if _passes(summary, query)]
    return Reply(request, orjson.dumps({"modelSummaries": found}))


def _passes(summary: Mapping[str, Any], query: Mapping[str, str]) -> bool:
    return all(
        _has(summary[member], query[name]) for name, member in FILTERS.items() if name in query
    )


def _has(found: str | list[str], wanted: str) -> bool:
    """Guess: small and capital letters of a provider's name are one."""
    return found.lower() == wanted.lower() if isinstance(found, str) else wanted in found


async def get_foundation_model(request: Request) -> Response:
    caller = admit_caller(request, await read_body(request))
    check_query(GET_FOUNDATION_MODEL, request.path_params)
    registry = services_of(request).registry
    identifier = parse_identifier(request.path_params["modelIdentifier"])
    listing = registry.find_listed(identifier, caller.region)
    return Reply(request, orjson.dumps({"modelDetails": to_summary(listing, caller.region)}))


async def get_foundation_model_availability(request: Request) -> Response:
    caller = admit_caller(request, await read_body(request))
    check_query(GET_FOUNDATION_MODEL_AVAILABILITY, request.path_params)
    registry = services_of(request).registry
    listing = registry.find_known(parse_identifier(request.path_params["modelId"]))
    is_run = listing.id in registry.models
    return Reply(request, orjson.dumps(to_availability(listing, caller.region, is_run=is_run)))
