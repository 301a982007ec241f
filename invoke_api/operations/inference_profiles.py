"""ListInferenceProfiles and GetInferenceProfile: those of Bedrock's own making."""

from base64 import urlsafe_b64decode, urlsafe_b64encode
from typing import Any

import orjson
from starlette.requests import Request
from starlette.responses import Response

from invoke_api.authentication.gate import Caller
from invoke_api.catalogue import to_profile
from invoke_api.identifiers import parse_identifier
from invoke_api.operations.call import admit_caller
from invoke_api.operations.client import read_body
from invoke_api.operations.replies import Reply
from invoke_api.operations.services import services_of
from invoke_api.validation.queries import (
    GET_INFERENCE_PROFILE,
    LIST_INFERENCE_PROFILES,
    check_query,
)
from invoke_api.wire.errors import ResourceNotFoundException, ValidationException

PAGE = "100"  # guess: what a page holds when nobody says; there are never so many here


async def list_inference_profiles(request: Request) -> Response:
    caller = admit_caller(request, await read_body(request))
    query = dict(request.query_params)
    check_query(LIST_INFERENCE_PROFILES, query)
    kind = query.get("type", "SYSTEM_DEFINED")
    found = _profiles(request, caller) if kind == "SYSTEM_DEFINED" else []
    begin = _find_begin(found, query.get("nextToken"))
    end = begin + int(query.get("maxResults", PAGE))
    answer: dict[str, Any] = {"inferenceProfileSummaries": found[begin:end]}
    if end < len(found):
        answer["nextToken"] = _to_token(found[end])
    return Reply(request, orjson.dumps(answer))


async def get_inference_profile(request: Request) -> Response:
    caller = admit_caller(request, await read_body(request))
    check_query(GET_INFERENCE_PROFILE, request.path_params)
    identifier = parse_identifier(request.path_params["inferenceProfileIdentifier"])
    registry = services_of(request).registry
    listing = registry.find_profile(identifier, caller.region)
    # As on InvokeModel, who is in no known account may name any.
    is_others = caller.account and identifier.account not in (None, caller.account)
    if listing is None or is_others:
        # Guess: the words.
        raise ResourceNotFoundException("The provided inference profile identifier is not found.")
    profile = to_profile(listing, identifier.id, caller.region, caller.account_id)
    return Reply(request, orjson.dumps(profile))


def _profiles(request: Request, caller: Caller) -> list[dict[str, Any]]:
    registry = services_of(request).registry
    return [
        to_profile(listing, name, caller.region, caller.account_id)
        for listing in registry.offered(caller.region)
        for name, regions in listing.profiles.items()
        if caller.region in regions
    ]


def _to_token(profile: dict[str, Any]) -> str:
    """The next page begins with this one."""
    return urlsafe_b64encode(profile["inferenceProfileId"].encode()).decode()


def _find_begin(profiles: list[dict[str, Any]], token: str | None) -> int:
    if token is None:
        return 0
    try:
        first = urlsafe_b64decode(token).decode()
        return [profile["inferenceProfileId"] for profile in profiles].index(first)
    except ValueError:  # no base64, no UTF-8, or no profile
        raise ValidationException("The provided nextToken is invalid.") from None  # guess
