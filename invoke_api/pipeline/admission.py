"""Checks of the caller, the model and the headers, in Bedrock's order, before those of the body."""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime

from starlette.types import Scope

from invoke_api.authentication.gate import Caller, Gate
from invoke_api.authentication.signature import RawRequest
from invoke_api.models.identifiers import Identifier, parse_identifier
from invoke_api.models.registry import Model
from invoke_api.pipeline.call import Call
from invoke_api.pipeline.guardrail_check import guardrail_in_headers, open_guarding
from invoke_api.validation.constraints import (
    check_accept,
    check_content_type,
    check_members,
    check_metadata,
)
from invoke_api.wire.errors import KeyDenied, ValidationException

LATENCY = "x-amzn-bedrock-performanceconfig-latency"
SERVICE_TIER = "x-amzn-bedrock-service-tier"
METADATA = "x-amzn-bedrock-request-metadata"
# Guess: the service model has both in the response; no recording shows when they are sent.
ECHOED_HEADERS = {
    LATENCY: "X-Amzn-Bedrock-PerformanceConfig-Latency",
    SERVICE_TIER: "X-Amzn-Bedrock-Service-Tier",
}
SERVICE_TIERS = ("priority", "default", "flex", "reserved")  # the service model's ServiceTierType


def admit(call: Call, accept: str) -> tuple[Caller, Model]:
    """Check the caller, model, content type, guardrail and options, and set them on the call.

    `accept` is the lower-case name of the header that says which content type the client wants.
    Raises the `InvokeError` of the first check that fails. Does not look at the body.
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
    call.guarding = open_guarding(call, caller, guardrail_in_headers(headers))
    call.options = grant_options(headers, model, caller.region)
    return caller, model


def admit_caller(call: Call) -> Caller:
    """Authenticate the caller. Raises `FrontDoorError`s."""
    gate = call.services.gate
    if gate.loopback_only:
        check_client_address(gate, call.scope)
    call.caller = gate.admit(to_raw(call.scope, call.body))
    return call.caller


def check_client_address(gate: Gate, scope: Scope) -> None:
    """Raise `KeyDenied` if only clients on this machine may call, and this one is elsewhere."""
    client, server = scope.get("client") or ("",), scope.get("server") or ("this address",)
    gate.admit_client(client[0], server[0])


async def read_and_admit(call: Call) -> Caller:
    """Read the body and authenticate the caller. Raises `InvokeError`s, `ClientDisconnected`."""
    await call.read_body()
    return admit_caller(call)


def check_account(identifier: Identifier, caller: Caller, operation: str) -> None:
    """Raise `KeyDenied` for an ARN of another account, in IAM's words.

    Guess: IAM's message was reported for the caller's own account only.
    """
    if caller.account and identifier.account not in (None, caller.account):
        action = f"bedrock:{operation}"
        raise KeyDenied(
            f"User: arn:aws:iam::{caller.account}:root is not authorized to perform: {action} on"
            f" resource: {identifier} because no resource-based policy allows the {action} action"
        )


def to_raw(scope: Scope, body: bytes) -> RawRequest:
    """Return the parts of the request that its signature covers."""
    headers: Sequence[tuple[bytes, bytes]] = scope["headers"]
    if scope["http_version"] == "2":
        # ASGI names it Host. Over HTTP/2 the AWS SDK for JavaScript signs it as `:authority`.
        hosts = [(b":authority", value) for name, value in headers if name == b"host"]
        headers = [*headers, *hosts]
    return RawRequest(
        method=scope["method"],
        path=scope["raw_path"],
        query=scope["query_string"],
        headers=headers,
        body=body,
        now=datetime.now(UTC),
    )


def grant_options(headers: Mapping[str, str], model: Model, region: str) -> dict[str, str]:
    """Check the options in the headers, and return those that the response repeats.

    Names of headers are in lower case, as in ASGI. Raises `ValidationException` for an option that
    is invalid or not available.
    """
    if headers.get(LATENCY) == "optimized":
        raise ValidationException(
            f"Latency performance configuration is not supported for {model.id} in {region}"
        )
    check_tier(headers.get(SERVICE_TIER), model)
    if metadata := headers.get(METADATA):
        check_metadata(metadata)
    return {name: headers[key] for key, name in ECHOED_HEADERS.items() if key in headers}


def check_tier(tier: str | None, model: Model) -> None:
    """Raise `ValidationException` if the service tier is invalid or the model does not have it."""
    if tier in (None, "default", "auto"):  # "auto" is OpenAI's name for it
        return
    if tier not in SERVICE_TIERS:
        raise ValidationException("service tier provided is invalid")
    if tier == "reserved":
        raise ValidationException("Reservation not found.")
    if tier not in model.service_tiers:
        raise ValidationException("The provided service tier is not supported for this model.")
