"""The checks before the body, in Bedrock's order: who calls, which model, which options."""

from collections.abc import Sequence
from datetime import UTC, datetime

from starlette.types import Scope

from invoke_api.authentication.gate import Caller, Gate
from invoke_api.authentication.signature import RawRequest
from invoke_api.identifiers import Identifier, parse_identifier
from invoke_api.pipeline.call import Call
from invoke_api.pipeline.guard import named_in_headers, open_guarding
from invoke_api.pipeline.options import grant_options
from invoke_api.registry import Model
from invoke_api.validation.constraints import check_members
from invoke_api.validation.media_types import check_accept, check_content_type
from invoke_api.wire.front_door_errors import KeyDenied


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
    headers: Sequence[tuple[bytes, bytes]] = scope["headers"]
    if scope["http_version"] == "2":
        # ASGI calls it Host; over HTTP/2 the AWS SDK for JavaScript signs it by its own name.
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
