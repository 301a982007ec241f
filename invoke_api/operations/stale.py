"""Which recordings must not answer any more: those of requests that are refused by now."""

import re

from invoke_api.authentication.gate import claimed_region
from invoke_api.cassettes.library import Request
from invoke_api.cassettes.recording import Recording
from invoke_api.identifiers import parse_identifier
from invoke_api.registry import Registry
from invoke_api.wire.errors import InvokeError, ValidationException

INVOKE = re.compile(r"/model/(.+)/(?:invoke|invoke-with-response-stream)")


def explain_stale(registry: Registry, recording: Recording, asked: Request) -> str | None:
    """Why this service would refuse today what the service took when it was recorded."""
    found = INVOKE.fullmatch(asked.path)
    if found is None or recording.status != 200:
        return None
    signed = dict(recording.request_headers).get("authorization", "")
    region = claimed_region(signed) or "us-east-1"
    try:
        model = registry.find(parse_identifier(found[1]), region)
    except InvokeError:
        return None  # a model that is not run here can still be replayed
    try:
        model.parse_body(recording.request_body)
    except ValidationException as error:
        return error.message
    return None
