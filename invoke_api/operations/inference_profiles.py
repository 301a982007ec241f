"""ListInferenceProfiles and GetInferenceProfile, for system-defined and application profiles."""

from typing import Any

import orjson

from invoke_api.authentication.gate import Caller
from invoke_api.models.arns import OwnArn
from invoke_api.models.catalogue import to_application_profile, to_configured_profile, to_profile
from invoke_api.models.identifiers import Identifier, parse_identifier
from invoke_api.models.listing import Listing
from invoke_api.models.profiles import Profile
from invoke_api.operations.paging import to_page
from invoke_api.pipeline.admission import read_and_admit
from invoke_api.pipeline.call import Call
from invoke_api.pipeline.responses import HttpResponse, json_response
from invoke_api.pipeline.services import Services
from invoke_api.validation.queries import (
    GET_INFERENCE_PROFILE,
    LIST_INFERENCE_PROFILES,
    check_query,
)
from invoke_api.wire.errors import ResourceNotFoundException

APPLICATION_PROFILE = "application-inference-profile"


async def list_inference_profiles(call: Call) -> HttpResponse:
    caller = await read_and_admit(call)
    query = call.query
    check_query(LIST_INFERENCE_PROFILES, query)
    kind = query.get("type", "SYSTEM_DEFINED")
    found = PROFILE_LISTERS[kind](call.services, caller)
    answer = to_page(found, query, name="inferenceProfileSummaries", key="inferenceProfileId")
    return json_response(call, orjson.dumps(answer))


async def get_inference_profile(call: Call) -> HttpResponse:
    caller = await read_and_admit(call)
    check_query(GET_INFERENCE_PROFILE, call.labels)
    services = call.services
    identifier = parse_identifier(call.labels["inferenceProfileIdentifier"])
    if listing := find_system_profile(services, identifier, caller):
        profile = to_profile(listing, identifier.id, caller.region, caller.account_id)
    else:
        profile = _show(services, find_application_profile(services, identifier, caller))
    return json_response(call, orjson.dumps(profile))


def find_system_profile(
    services: Services, identifier: Identifier, caller: Caller
) -> Listing | None:
    """Return the model behind a system-defined profile of the caller's account, or None."""
    # A caller without a known account may name any account, as on InvokeModel.
    if caller.account and identifier.account not in (None, caller.account):
        return None
    return services.registry.find_profile(identifier, caller.region)


def find_application_profile(
    services: Services, identifier: Identifier, caller: Caller
) -> Profile | OwnArn:
    """Return an application profile, created at run time or from the registry, by its ARN or id.

    Raises `ResourceNotFoundException`.
    """
    for one in _application_profiles(services, caller, identifier.account):
        if identifier.text in (one.identifier.text, one.identifier.id):
            return one
    # Guess: the words.
    raise ResourceNotFoundException("The provided inference profile identifier is not found.")


def _application_profiles(
    services: Services, caller: Caller, account: str | None = None
) -> list[Profile | OwnArn]:
    """Return the application profiles of the caller's account and region, the registry's first.

    If the caller's account is not known, `account` takes its place.
    """
    searched = caller.account or account or caller.account_id
    configured = services.registry.arns.of(APPLICATION_PROFILE, caller.region, searched)
    return [*configured, *services.profiles.of(searched, caller.region)]


def _show(services: Services, profile: Profile | OwnArn) -> dict[str, Any]:
    registry = services.registry
    if isinstance(profile, OwnArn):
        listing = registry.listings[profile.model_id]
        return to_configured_profile(profile, listing)
    through = registry.profiles.get(profile.source.id)
    return to_application_profile(profile, through)


def _list_system(services: Services, caller: Caller) -> list[dict[str, Any]]:
    return [
        to_profile(listing, name, caller.region, caller.account_id)
        for listing in services.registry.offered(caller.region)
        for name, regions in listing.profiles.items()
        if caller.region in regions
    ]


def _list_application(services: Services, caller: Caller) -> list[dict[str, Any]]:
    return [_show(services, one) for one in _application_profiles(services, caller)]


PROFILE_LISTERS = {"SYSTEM_DEFINED": _list_system, "APPLICATION": _list_application}
