"""One call of an operation, admitted: the checks before the body, in Bedrock's order."""

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import NamedTuple

from starlette.requests import Request

from invoke_api.authentication.gate import Caller
from invoke_api.authentication.signature import RawRequest
from invoke_api.guardrails.guarding import Guarding
from invoke_api.identifiers import Identifier, parse_identifier
from invoke_api.operations.guarded import named_in_headers, open_guarding
from invoke_api.operations.options import grant_options
from invoke_api.operations.services import services_of
from invoke_api.registry import Model
from invoke_api.validation.constraints import check_members
from invoke_api.validation.media_types import check_accept, check_content_type
from invoke_api.wire.front_door_errors import KeyDenied


@dataclass(frozen=True, slots=True)
class Operation:
    """`accept` is the header, in small letters, that says which kind of answer is wanted."""

    name: str
    accept: str


class Admitted(NamedTuple):
    """Who calls which model; `repeated` are headers that the answer repeats.

    `guarding` is the guardrail that the headers name, `identifier` what the client calls the model.
    """

    caller: Caller
    model: Model
    repeated: dict[str, str]
    guarding: Guarding | None = None
    identifier: str = ""


def admit(request: Request, body: bytes, operation: Operation) -> Admitted:
    """Who calls, what is malformed, which model, content type and accept, options.

    Raises the `InvokeError` of the first that is wrong. The body is left to others.
    """
    services = services_of(request)
    caller = admit_caller(request, body)
    model_id = request.path_params["model_id"]
    headers = {
        name.decode("latin-1"): value.decode("latin-1") for name, value in request.scope["headers"]
    }
    check_members(model_id, headers)
    identifier = parse_identifier(model_id)
    check_account(identifier, caller, operation.name)
    model = services.registry.find(
        services.profiles.resolve(identifier), caller.region, caller.account
    )
    request.scope["model_id"] = model.id  # for the metrics, whatever is wrong with the rest
    check_content_type(headers.get("content-type", ""))
    check_accept(headers.get(operation.accept, ""))
    guarding = open_guarding(request, caller, named_in_headers(headers))
    options = grant_options(headers, model, caller.region)
    return Admitted(caller, model, options, guarding, model_id)


def admit_caller(request: Request, body: bytes) -> Caller:
    """Who calls; the scope keeps it for the invocation log. Raises `FrontDoorError`s."""
    caller = services_of(request).gate.admit(to_raw(request, body))
    request.scope["caller"] = caller
    return caller


def check_account(identifier: Identifier, caller: Caller, operation: str) -> None:
    """Raise what IAM says of another account's ARN. Guess: heard of one's own account only."""
    if caller.account and identifier.account not in (None, caller.account):
        action = f"bedrock:{operation}"
        raise KeyDenied(
            f"User: arn:aws:iam::{caller.account}:root is not authorized to perform: {action} on"
            f" resource: {identifier} because no resource-based policy allows the {action} action"
        )


def to_raw(request: Request, body: bytes) -> RawRequest:
    headers = tuple(request.scope["headers"])
    if request.scope["http_version"] == "2":
        # ASGI calls it Host; over HTTP/2 the AWS SDK for JavaScript signs it by its own name.
        headers += tuple((b":authority", value) for name, value in headers if name == b"host")
    return RawRequest(
        method=request.method,
        path=request.scope["raw_path"],
        query=request.scope["query_string"],
        headers=headers,
        body=body,
        now=datetime.now(UTC),
    )
