"""The checks before the body, in Bedrock's order: who calls, which model, which options."""

from collections.abc import Mapping
from datetime import UTC, datetime

from starlette.types import Scope

from invoke_api.authentication.gate import Caller, Gate
from invoke_api.authentication.signature import RawRequest
from invoke_api.models.identifiers import Identifier, parse_identifier
from invoke_api.models.registry import Model
from invoke_api.pipeline.call import Call
from invoke_api.pipeline.guardrail_check import named_in_headers, open_guarding
from invoke_api.validation.constraints import (
    check_accept,
    check_content_type,
    check_members,
    check_metadata,
)
from invoke_api.wire.errors import KeyDenied, ValidationException


def admit(call: Call, accept: str) -> tuple[Caller, Model]:
    """Find out who calls which model, with which content type, guardrail and options.

    `accept` is the header, in small letters, that says which kind of answer is wanted. Raises the
    `InvokeError` of the first that is wrong. The body is left to others.
    """
    services = call.services
    caller = admit_caller(call)
    headers = call.header_text
    check_members(call.model_id, headers)
    identifier = parse_identifier(call.model_id)
    check_account(identifier, caller, call.operation)
    model = call.model = services.registry.find(
        services.profiles.resolve(identifier), caller.region, caller.account
    )
    check_content_type(headers.get("content-type", ""))
    check_accept(headers.get(accept, ""))
    call.guarding = open_guarding(call, caller, named_in_headers(headers))
    call.options = grant_options(headers, model, caller.region)
    return caller, model


def admit_caller(call: Call) -> Caller:
    """Find out who calls. Raises `FrontDoorError`s."""
    gate = call.services.gate
    if gate.loopback_only:
        admit_client(gate, call.scope)
    call.caller = gate.admit(to_raw(call.scope, call.body))
    return call.caller


def admit_client(gate: Gate, scope: Scope) -> None:
    """Raise `KeyDenied` for a client of another machine, if only this one was meant."""
    client, server = scope.get("client") or ("",), scope.get("server") or ("this address",)
    gate.admit_client(client[0], server[0])


async def read_and_admit(call: Call) -> Caller:
    """Read the body, and find out who calls. Raises `InvokeError`s and `ClientLeft`."""
    await call.read_body()
    return admit_caller(call)


def check_account(identifier: Identifier, caller: Caller, operation: str) -> None:
    """Raise what IAM says of another account's ARN. Guess: heard of one's own account only."""
    if caller.account and identifier.account not in (None, caller.account):
        action = f"bedrock:{operation}"
        raise KeyDenied(
            f"User: arn:aws:iam::{caller.account}:root is not authorized to perform: {action} on"
            f" resource: {identifier} because no resource-based policy allows the {action} action"
        )


def to_raw(scope: Scope, body: bytes) -> RawRequest:
    """Return the request as its signature covers it."""
    headers = tuple(scope["headers"])
    if scope["http_version"] == "2":
        # ASGI calls it Host; over HTTP/2 the AWS SDK for JavaScript signs it by its own name.
        headers += tuple((b":authority", value) for name, value in headers if name == b"host")
    return RawRequest(
        method=scope["method"],
        path=scope["raw_path"],
        query=scope["query_string"],
        headers=headers,
        body=body,
        now=datetime.now(UTC),
    )


LATENCY = "x-amzn-bedrock-performanceconfig-latency"
SERVICE_TIER = "x-amzn-bedrock-service-tier"
METADATA = "x-amzn-bedrock-request-metadata"
# Guess: the service model has both in the answer, and no recording shows when.
REPEATED = {
    LATENCY: "X-Amzn-Bedrock-PerformanceConfig-Latency",
    SERVICE_TIER: "X-Amzn-Bedrock-Service-Tier",
}
TIERS = ("priority", "default", "flex", "reserved")  # the service model's ServiceTierType


def grant_options(headers: Mapping[str, str], model: Model, region: str) -> dict[str, str]:
    """The headers that the answer repeats. Raises `ValidationException` for what can't be had.

    Names of headers are in small letters, as ASGI has them.
    """
    if headers.get(LATENCY) == "optimized":
        raise ValidationException(
            f"Latency performance configuration is not supported for {model.id} in {region}"
        )
    check_tier(headers.get(SERVICE_TIER), model)
    if metadata := headers.get(METADATA):
        check_metadata(metadata)
    return {name: headers[key] for key, name in REPEATED.items() if key in headers}


def check_tier(tier: str | None, model: Model) -> None:
    """Raises `ValidationException` for a tier that the model can't be had in."""
    if tier in (None, "default", "auto"):  # OpenAI's name for what is the default here
        return
    if tier not in TIERS:
        raise ValidationException("service tier provided is invalid")
    if tier == "reserved":
        raise ValidationException("Reservation not found.")
    if tier not in model.service_tiers:
        raise ValidationException("The provided service tier is not supported for this model.")
