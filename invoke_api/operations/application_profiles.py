"""CreateInferenceProfile and DeleteInferenceProfile, for application inference profiles."""

from typing import Any

import orjson

from invoke_api.authentication.gate import Caller
from invoke_api.models.identifiers import Identifier, parse_identifier
from invoke_api.models.profiles import Profile, new_identifier
from invoke_api.models.registry import Registry
from invoke_api.operations.inference_profiles import find_application_profile, find_system_profile
from invoke_api.operations.request_checks import check_alone, read_and_parse
from invoke_api.operations.tags import to_tags
from invoke_api.pipeline.admission import read_and_admit
from invoke_api.pipeline.call import Call
from invoke_api.pipeline.responses import HttpResponse, json_response
from invoke_api.validation.queries import DELETE_INFERENCE_PROFILE, check_query
from invoke_api.wire.errors import InvokeError, ValidationException

# Reported for a model that could not be copied: awslabs/aws-solutions-constructs#1387.
INVALID_SOURCE = "copyFrom must be a valid inference profile model source ARN."
SYSTEM_PROFILE = "A system-defined inference profile cannot be deleted."  # guess
REGISTRY_PROFILE = (
    "This inference profile is in the registry's file of Invoke API: remove it there."
)


async def create_inference_profile(call: Call) -> HttpResponse:
    caller, asked = await read_and_parse(call, "create_inference_profile.json")
    check_alone(call.services, "inference profiles")
    profile = call.services.profiles.add(_to_profile(call, caller, asked))
    answer = {"inferenceProfileArn": profile.identifier.text, "status": "ACTIVE"}
    return json_response(call, orjson.dumps(answer), status=201)


def _to_profile(call: Call, caller: Caller, asked: dict[str, Any]) -> Profile:
    """Return the profile to create. Raises `ValidationException`, `TooManyTagsException`."""
    source = parse_identifier(asked["modelSource"]["copyFrom"])
    if not can_copy(call.services.registry, source, caller):
        raise ValidationException(INVALID_SOURCE)
    identifier = new_identifier(caller.account_id, caller.region)
    return Profile(
        identifier=identifier,
        name=asked["inferenceProfileName"],
        description=asked.get("description"),
        source=source,
        token=asked.get("clientRequestToken"),
        maker=caller.access_key_id,
        tags=to_tags(asked.get("tags", []), identifier.text),
    )


def can_copy(registry: Registry, source: Identifier, caller: Caller) -> bool:
    """Tell whether `source` is a model on demand in the region, or a system-defined profile."""
    if source.kind == "inference-profile":
        is_same_account = source.account == caller.account_id
        return is_same_account and registry.find_profile(source, caller.region) is not None
    try:
        return registry.find_listed(source, caller.region).is_on_demand_in(caller.region)
    except InvokeError:
        return False


async def delete_inference_profile(call: Call) -> HttpResponse:
    caller = await read_and_admit(call)
    check_query(DELETE_INFERENCE_PROFILE, call.labels)
    services = call.services
    check_alone(services, "inference profiles")
    identifier = parse_identifier(call.labels["inferenceProfileIdentifier"])
    if find_system_profile(services, identifier, caller):
        raise ValidationException(SYSTEM_PROFILE)
    found = find_application_profile(services, identifier, caller)
    if not isinstance(found, Profile):
        raise ValidationException(REGISTRY_PROFILE)  # no counterpart on Bedrock
    services.profiles.remove(found)
    return json_response(call, b"{}")
