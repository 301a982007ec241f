"""ListFoundationModels, GetFoundationModel and GetFoundationModelAvailability."""

from collections.abc import Mapping
from typing import Any

import orjson

from invoke_api.models.catalogue import to_availability, to_summary
from invoke_api.models.identifiers import parse_identifier
from invoke_api.pipeline.admission import read_and_admit
from invoke_api.pipeline.call import Call
from invoke_api.pipeline.responses import HttpResponse, json_response
from invoke_api.validation.queries import (
    GET_FOUNDATION_MODEL,
    GET_FOUNDATION_MODEL_AVAILABILITY,
    LIST_FOUNDATION_MODELS,
    check_query,
)

# The member of a summary that each filter compares.
FILTERED_MEMBERS = {
    "byProvider": "providerName",
    "byCustomizationType": "customizationsSupported",
    "byOutputModality": "outputModalities",
    "byInferenceType": "inferenceTypesSupported",
}


async def list_foundation_models(call: Call) -> HttpResponse:
    caller = await read_and_admit(call)
    query = call.query
    check_query(LIST_FOUNDATION_MODELS, query)
    registry = call.services.registry
    summaries = [to_summary(listing, caller.region) for listing in registry.offered(caller.region)]
    found = [summary for summary in summaries if _passes(summary, query)]
    return json_response(call, orjson.dumps({"modelSummaries": found}))


def _passes(summary: Mapping[str, Any], query: Mapping[str, str]) -> bool:
    filters = ((query[name], member) for name, member in FILTERED_MEMBERS.items() if name in query)
    return all(_has(summary[member], wanted) for wanted, member in filters)


def _has(found: str | list[str], wanted: str) -> bool:
    """Tell whether a member matches. Guess: the case of a provider's name does not matter."""
    return found.lower() == wanted.lower() if isinstance(found, str) else wanted in found


async def get_foundation_model(call: Call) -> HttpResponse:
    caller = await read_and_admit(call)
    check_query(GET_FOUNDATION_MODEL, call.labels)
    registry = call.services.registry
    identifier = parse_identifier(call.labels["modelIdentifier"])
    listing = registry.find_listed(identifier, caller.region)
    return json_response(call, orjson.dumps({"modelDetails": to_summary(listing, caller.region)}))


async def get_foundation_model_availability(call: Call) -> HttpResponse:
    caller = await read_and_admit(call)
    check_query(GET_FOUNDATION_MODEL_AVAILABILITY, call.labels)
    registry = call.services.registry
    listing = registry.find_known(parse_identifier(call.labels["modelId"]))
    is_run = listing.id in registry.models
    return json_response(call, orjson.dumps(to_availability(listing, caller.region, is_run=is_run)))
