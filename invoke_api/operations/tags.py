"""TagResource, UntagResource and ListTagsForResource, of an application's inference profiles."""

from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Any

import orjson
from starlette.requests import Request
from starlette.responses import Response

from invoke_api.authentication.gate import Caller
from invoke_api.identifiers import OWN, parse_identifier
from invoke_api.operations.alone import check_alone
from invoke_api.operations.aside import aside
from invoke_api.operations.bodies import coral_schema
from invoke_api.operations.call import admit_caller
from invoke_api.operations.client import read_body
from invoke_api.operations.replies import Reply
from invoke_api.operations.services import services_of
from invoke_api.profiles import Profile
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


async def tag_resource(request: Request) -> Response:
    profile, asked = await _to_change(request, "tag_resource.json")
    arn = profile.identifier.text
    tags = _bounded({**profile.tags, **to_tags(asked["tags"], arn)}, arn)
    services_of(request).profiles.replace(replace(profile, tags=tags))
    return Reply(request, b"{}")


async def untag_resource(request: Request) -> Response:
    profile, asked = await _to_change(request, "untag_resource.json")
    tags = {key: value for key, value in profile.tags.items() if key not in asked["tagKeys"]}
    services_of(request).profiles.replace(replace(profile, tags=tags))
    return Reply(request, b"{}")


async def list_tags_for_resource(request: Request) -> Response:
    profile, _ = await _ask(request, "list_tags_for_resource.json")
    pairs = profile.tags.items() if profile else ()
    return Reply(request, orjson.dumps({"tags": [{"key": k, "value": v} for k, v in pairs]}))


async def _to_change(request: Request, schema: str) -> tuple[Profile, dict[str, Any]]:
    """Raise `ValidationException` for what the registry's file names, which has no tags."""
    profile, asked = await _ask(request, schema)
    check_alone(services_of(request), "tags")
    if profile is None:
        raise ValidationException(ELSEWHERE)
    return profile, asked


async def _ask(request: Request, schema: str) -> tuple[Profile | None, dict[str, Any]]:
    """Return what is asked, and the profile, None for what the registry's file names.

    Raise `InvokeError`s.
    """
    raw = await read_body(request)
    caller, asked = await aside(request, len(raw), lambda: _check(request, raw, schema))
    services = services_of(request)
    identifier = parse_identifier(asked["resourceARN"])
    if identifier.kind not in OWN:
        raise ValidationException(ELSEWHERE)
    if services.registry.find_own(identifier, caller.region, caller.account):
        return None, asked
    profile = services.profiles.find(identifier.text)
    if profile is None or profile.place != (caller.account_id, caller.region):
        raise ResourceNotFoundException(NOT_FOUND)
    return profile, asked


def _check(request: Request, raw: bytes, schema: str) -> tuple[Caller, dict[str, Any]]:
    caller = admit_caller(request, raw)
    return caller, coral_schema(schema).parse(raw)
