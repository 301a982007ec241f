"""TagResource, UntagResource and ListTagsForResource, of an application's inference profiles."""

from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Any

import orjson

from invoke_api.authentication.gate import Caller
from invoke_api.models.identifiers import OWN, parse_identifier
from invoke_api.models.profiles import Profile
from invoke_api.operations.request_checks import check_alone, coral_schema
from invoke_api.pipeline.admission import admit_caller
from invoke_api.pipeline.call import Call
from invoke_api.pipeline.offload import aside
from invoke_api.pipeline.responses import Reply, json_reply
from invoke_api.wire.errors import (
    ResourceNotFoundException,
    TooManyTagsException,
    ValidationException,
)

MOST = 50  # of one resource: the User Guide, as on all of AWS
RESERVED = "aws:"
# Guesses, all three.
TWICE = "Duplicate tag keys are not allowed."
OF_AWS = "Tag keys that begin with aws: are reserved for system use."
NOT_FOUND = "The provided resource ARN is not found."
ELSEWHERE = "Invoke API keeps tags of application inference profiles only."


def to_tags(listed: Iterable[Mapping[str, str]], arn: str) -> dict[str, str]:
    """Read the tags of a request. Raise `ValidationException` and `TooManyTagsException`."""
    pairs = [(tag["key"], tag["value"]) for tag in listed]
    tags = dict(pairs)
    if len(tags) < len(pairs):
        raise ValidationException(TWICE)
    if any(key.lower().startswith(RESERVED) for key in tags):
        raise ValidationException(OF_AWS)
    return _bounded(tags, arn)


def _bounded(tags: dict[str, str], arn: str) -> dict[str, str]:
    if len(tags) > MOST:
        raise TooManyTagsException(members={"resourceName": arn})
    return tags


async def tag_resource(call: Call) -> Reply:
    profile, asked = await _to_change(call, "tag_resource.json")
    arn = profile.identifier.text
    tags = _bounded({**profile.tags, **to_tags(asked["tags"], arn)}, arn)
    call.services.profiles.replace(replace(profile, tags=tags))
    return json_reply(call, b"{}")


async def untag_resource(call: Call) -> Reply:
    profile, asked = await _to_change(call, "untag_resource.json")
    tags = {key: value for key, value in profile.tags.items() if key not in asked["tagKeys"]}
    call.services.profiles.replace(replace(profile, tags=tags))
    return json_reply(call, b"{}")


async def list_tags_for_resource(call: Call) -> Reply:
    profile, _ = await _ask(call, "list_tags_for_resource.json")
    pairs = profile.tags.items() if profile else ()
    return json_reply(call, orjson.dumps({"tags": [{"key": k, "value": v} for k, v in pairs]}))


async def _to_change(call: Call, schema: str) -> tuple[Profile, dict[str, Any]]:
    """Raise `ValidationException` for what the registry's file names, which has no tags."""
    profile, asked = await _ask(call, schema)
    check_alone(call.services, "tags")
    if profile is None:
        raise ValidationException(ELSEWHERE)
    return profile, asked


async def _ask(call: Call, schema: str) -> tuple[Profile | None, dict[str, Any]]:
    """Return what is asked, and the profile, None for what the registry's file names.

    Raise `InvokeError`s.
    """
    await call.read_body()
    caller, asked = await aside(call, len(call.body), lambda: _check(call, schema))
    services = call.services
    identifier = parse_identifier(asked["resourceARN"])
    if identifier.kind not in OWN:
        raise ValidationException(ELSEWHERE)
    if services.registry.find_own(identifier, caller.region, caller.account):
        return None, asked
    profile = services.profiles.find(identifier.text)
    if profile is None or profile.place != (caller.account_id, caller.region):
        raise ResourceNotFoundException(NOT_FOUND)
    return profile, asked


def _check(call: Call, schema: str) -> tuple[Caller, dict[str, Any]]:
    caller = admit_caller(call)
    return caller, coral_schema(schema).parse(call.body)
