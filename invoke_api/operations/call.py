"""One call of an operation, admitted: the checks before the body, in Bedrock's order."""

from dataclasses import dataclass
from datetime import UTC, datetime

from starlette.requests import Request

from invoke_api.authentication.gate import Caller, Gate
from invoke_api.authentication.signature import Call
from invoke_api.operations.options import grant_options
from invoke_api.registry import Model, Registry
from invoke_api.validation.constraints import check_members
from invoke_api.validation.media_types import check_accept, check_content_type


@dataclass(frozen=True, slots=True)
class Admitted:
    """Who calls which model; `repeated` are headers that the answer repeats."""

    caller: Caller
    model: Model
    repeated: dict[str, str]


def admit(request: Request, body: bytes, accept: str) -> Admitted:
    """`accept` is the operation's header of that name. Raises `InvokeError`s.

    Who calls, what is malformed, which model, content type and accept, options; the body is left.
    """
    gate: Gate = request.state.gate
    registry: Registry = request.state.registry
    caller = gate.admit(_to_call(request, body))
    model_id = request.path_params["model_id"]
    check_members(model_id, request.headers)
    model = registry.find(model_id, region=caller.region, account=caller.account)
    check_content_type(request.headers.get("Content-Type", ""))
    check_accept(request.headers.get(accept, ""))
    return Admitted(caller, model, grant_options(request.headers, model, caller.region))


def _to_call(request: Request, body: bytes) -> Call:
    headers = [
        (name.decode("latin-1"), value.decode("latin-1"))
        for name, value in request.scope["headers"]
    ]
    if request.scope["http_version"] == "2":
        # ASGI calls it Host; over HTTP/2 the AWS SDK for JavaScript signs it by its own name.
        headers.append((":authority", request.headers.get("Host", "")))
    return Call(
        method=request.method,
        path=request.scope["raw_path"],
        query=request.scope["query_string"],
        headers=tuple(headers),
        body=body,
        now=datetime.now(UTC),
    )
