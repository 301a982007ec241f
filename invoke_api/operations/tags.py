"""TagResource, UntagResource and ListTagsForResource, for application inference profiles."""

from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Any

import orjson

from invoke_api.models.identifiers import OWN_KINDS, parse_identifier
from invoke_api.models.profiles import Profile
from invoke_api.operations.request_checks import check_alone, read_and_parse
from invoke_api.pipeline.call import Call
from invoke_api.pipeline.responses import HttpResponse, json_response
from invoke_api.wire.errors import (
    ResourceNotFoundException,
    TooManyTagsException,
    ValidationException,
)

MAX_TAGS = 50  # of one resource: User Guide
RESERVED_PREFIX = "aws:"
# Guess: these three messages.
DUPLICATE_KEYS = "Duplicate tag keys are not allowed."
RESERVED_KEY = "Tag keys that begin with aws: are reserved for system use."
RESOURCE_NOT_FOUND = "The provided resource ARN is not found."
NOT_TAGGABLE = "Invoke API keeps tags of application inference profiles only."


def to_tags(listed: Iterable[Mapping[str, str]], arn: str) -> dict[str, str]:
    """Return the tags of a request. Raises `ValidationException` and `TooManyTagsException`."""
    pairs = [(tag["key"], tag["value"]) for tag in listed]
    tags = dict(pairs)
    if len(tags) < len(pairs):
        raise ValidationException(DUPLICATE_KEYS)
    if any(key.lower().startswith(RESERVED_PREFIX) for key in tags):
        raise ValidationException(RESERVED_KEY)
    return _bounded(tags, arn)


def _bounded(tags: dict[str, str], arn: str) -> dict[str, str]:
    if len(tags) > MAX_TAGS:
        raise TooManyTagsException(members={"resourceName": arn})
    return tags


async def tag_resource(call: Call) -> HttpResponse:
    profile, asked = await _to_change(call, "tag_resource.json")
    arn = profile.identifier.text
    tags = _bounded({**profile.tags, **to_tags(asked["tags"], arn)}, arn)
    call.services.profiles.replace(replace(profile, tags=tags))
    return json_response(call, b"{}")


async def untag_resource(call: Call) -> HttpResponse:
    profile, asked = await _to_change(call, "untag_resource.json")
    tags = {key: value for key, value in profile.tags.items() if key not in asked["tagKeys"]}
    call.services.profiles.replace(replace(profile, tags=tags))
    return json_response(call, b"{}")


async def list_tags_for_resource(call: Call) -> HttpResponse:
    profile, _ = await _ask(call, "list_tags_for_resource.json")
    pairs = profile.tags.items() if profile else ()
    return json_response(call, orjson.dumps({"tags": [{"key": k, "value": v} for k, v in pairs]}))


async def _to_change(call: Call, schema: str) -> tuple[Profile, dict[str, Any]]:
    """Return the profile to change and the request.

    Raises `ValidationException` for an ARN from the registry's file, and the errors of `_ask`.
    """
    profile, asked = await _ask(call, schema)
    check_alone(call.services, "tags")
    if profile is None:
        raise ValidationException(NOT_TAGGABLE)
    return profile, asked


async def _ask(call: Call, schema: str) -> tuple[Profile | None, dict[str, Any]]:
    """Return the profile and the request. The profile is None for an ARN from the registry's file.

    Raises `InvokeError`s.
    """
    caller, asked = await read_and_parse(call, schema)
    services = call.services
    identifier = parse_identifier(asked["resourceARN"])
    if identifier.kind not in OWN_KINDS:
        raise ValidationException(NOT_TAGGABLE)
    if services.registry.find_own(identifier, caller.region, caller.account):
        return None, asked
    profile = services.profiles.find(identifier.text)
    if profile is None or profile.place != (caller.account_id, caller.region):
        raise ResourceNotFoundException(RESOURCE_NOT_FOUND)
    return profile, asked
