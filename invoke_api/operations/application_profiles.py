"""CreateInferenceProfile and DeleteInferenceProfile: an application's own profiles."""

from typing import Any

import orjson
from starlette.requests import Request
from starlette.responses import Response

from invoke_api.authentication.gate import Caller
from invoke_api.identifiers import Identifier, parse_identifier
from invoke_api.operations.alone import check_alone
from invoke_api.operations.aside import aside
from invoke_api.operations.bodies import coral_schema
from invoke_api.operations.call import admit_caller
from invoke_api.operations.client import read_body
from invoke_api.operations.inference_profiles import find_application_profile, find_bedrocks
from invoke_api.operations.replies import Reply
from invoke_api.operations.services import services_of
from invoke_api.operations.tags import to_tags
from invoke_api.profiles import Profile, new_identifier
from invoke_api.registry import Registry
from invoke_api.validation.queries import DELETE_INFERENCE_PROFILE, check_query
from invoke_api.wire.errors import InvokeError, ValidationException

# Heard of a model that could not be copied, awslabs/aws-solutions-constructs#1387.
NO_SOURCE = "copyFrom must be a valid inference profile model source ARN."
BEDROCKS = "A system-defined inference profile cannot be deleted."  # guess
CONFIGURED = "This inference profile is in the registry's file of Invoke API: remove it there."


async def create_inference_profile(request: Request) -> Response:
    raw = await read_body(request)
    caller, asked = await aside(request, len(raw), lambda: _check(request, raw))
    check_alone(services_of(request), "inference profiles")
    profile = services_of(request).profiles.add(_to_profile(request, caller, asked))
    answer = {"inferenceProfileArn": profile.identifier.text, "status": "ACTIVE"}
    return Reply(request, orjson.dumps(answer), status=201)


def _check(request: Request, raw: bytes) -> tuple[Caller, dict[str, Any]]:
    caller = admit_caller(request, raw)
    return caller, coral_schema("create_inference_profile.json").parse(raw)


def _to_profile(request: Request, caller: Caller, asked: dict[str, Any]) -> Profile:
    """Raise `ValidationException` and `TooManyTagsException`."""
    source = parse_identifier(asked["modelSource"]["copyFrom"])
    if not can_copy(services_of(request).registry, source, caller):
        raise ValidationException(NO_SOURCE)
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
    """Return whether it is a model on demand here, or a profile of Bedrock's in this account."""
    if source.kind == "inference-profile":
        is_ours = source.account == caller.account_id
        return is_ours and registry.find_profile(source, caller.region) is not None
    try:
        return registry.find_listed(source, caller.region).is_on_demand_in(caller.region)
    except InvokeError:
        return False


async def delete_inference_profile(request: Request) -> Response:
    caller = admit_caller(request, await read_body(request))
    check_query(DELETE_INFERENCE_PROFILE, request.path_params)
    services = services_of(request)
    check_alone(services, "inference profiles")
    identifier = parse_identifier(request.path_params["inferenceProfileIdentifier"])
    if find_bedrocks(services, identifier, caller):
        raise ValidationException(BEDROCKS)
    found = find_application_profile(services, identifier, caller)
    if not isinstance(found, Profile):
        raise ValidationException(CONFIGURED)  # Bedrock has no such profiles
    services.profiles.remove(found)
    return Reply(request, b"{}")
