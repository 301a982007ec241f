"""InvokeEndpoint and InvokeEndpointWithResponseStream."""

import asyncio
import re
from dataclasses import replace
from functools import partial

from invoke_api.authentication.gate import claims_in
from invoke_api.models.endpoints import Endpoint
from invoke_api.models.registry import Model
from invoke_api.pipeline.admission import admit_caller
from invoke_api.pipeline.call import Call
from invoke_api.pipeline.invocation import call_model
from invoke_api.pipeline.model_request import ModelOperation
from invoke_api.pipeline.responses import HttpResponse
from invoke_api.sagemaker.containers.errors import tgi_error
from invoke_api.sagemaker.containers.kinds import CONTAINERS
from invoke_api.sagemaker.endpoint_request import TOO_MANY, EndpointRequest
from invoke_api.sagemaker.errors import TIMED_OUT, EndpointErrors
from invoke_api.sagemaker.parts import encode_parts
from invoke_api.sagemaker.request_reader import read_request
from invoke_api.sagemaker.targets import check_targets
from invoke_api.wire.errors import ModelError, ValidationException

INVOKE_ENDPOINT = "InvokeEndpoint"
INVOKE_ENDPOINT_WITH_STREAM = "InvokeEndpointWithResponseStream"
ENDPOINT_NAME = re.compile(r"[a-zA-Z0-9](-*[a-zA-Z0-9]){0,62}")
NOT_FOUND = "Endpoint {name} of account {account} not found."  # reported often
MAX_BODY_BYTES = 6_291_456  # the service model's bound of `Body`
# SageMaker waits so long for the whole answer of a container, in seconds.
MAX_SECONDS = 60.0


def check_endpoint(call: Call, operation: ModelOperation) -> EndpointRequest:
    """Admit the caller, find the endpoint, and read the body as its container does.

    Raises `InvokeError`s.
    """
    endpoint, model = open_endpoint(call, is_framed=operation.streams)
    if len(call.body) > MAX_BODY_BYTES:
        raise ValidationException(f"Request body must be at most {MAX_BODY_BYTES} bytes.")  # guess
    request = read_request(call, endpoint, model, is_framed=operation.streams)
    call.errors.refuses_in_stream = request.container_streams and endpoint.container != "lmi"
    return request


def open_endpoint(call: Call, *, is_framed: bool = False) -> tuple[Endpoint, Model]:
    """Admit the caller and find the endpoint and its model. Raises `InvokeError`s."""
    caller, name = admit_caller(call), call.labels["name"]
    call.model_id = name
    if call.entry:
        call.entry.identifier = call.entry.model_id = name
    registry, account = call.services.registry, caller.account_id
    endpoint = call.services.endpoints.find(name, caller.region, caller.account)
    container = CONTAINERS[endpoint.container] if endpoint else None
    enclose = encode_parts if is_framed else None
    call.errors = EndpointErrors(name, caller.region, account, container, enclose=enclose)
    if endpoint is None or not ENDPOINT_NAME.fullmatch(name):
        raise ValidationException(NOT_FOUND.format(name=name, account=account))
    check_targets(endpoint, call.header_text)
    model = call.model = registry.models[endpoint.model_id]
    return endpoint, model


async def invoke_endpoint(call: Call, *, operation: ModelOperation) -> HttpResponse | None:
    """Answer a call to an endpoint, if its container takes one more.

    Raises `InvokeError`s, `ConnectionBreak` and `ClientDisconnected`.
    """
    endpoints = call.services.endpoints
    region = claims_in(call.headers).region or call.services.gate.region
    endpoint = endpoints.find(call.labels["name"], region, None)
    if endpoint is None:  # refused in `check_endpoint`
        return await call_model(call, operation)
    with endpoints.calling(endpoint) as is_taken:
        is_limited = endpoint.container != "lmi"  # which does not know the limit
        checked = operation if is_taken or not is_limited else OVERLOADED[operation.name]
        if operation.streams:
            return await call_model(call, checked)
        try:
            async with asyncio.timeout(MAX_SECONDS):
                return await call_model(call, checked)
        except TimeoutError:
            raise ModelError(0, TIMED_OUT) from None


def check_overloaded(call: Call, operation: ModelOperation) -> EndpointRequest:
    """Read the body of a request too many. Raises `ModelError`, unless a stream can tell it."""
    request = check_endpoint(call, operation)
    if not request.container_streams:
        raise ModelError(429, tgi_error(TOO_MANY, "overloaded"))
    request.is_overloaded = True
    return request


WHOLE = ModelOperation(name=INVOKE_ENDPOINT, streams=False, check=check_endpoint)
STREAMED = ModelOperation(name=INVOKE_ENDPOINT_WITH_STREAM, streams=True, check=check_endpoint)
OVERLOADED = {each.name: replace(each, check=check_overloaded) for each in (WHOLE, STREAMED)}
HANDLERS = {
    "invocations": (INVOKE_ENDPOINT, partial(invoke_endpoint, operation=WHOLE)),
    "invocations-response-stream": (
        INVOKE_ENDPOINT_WITH_STREAM,
        partial(invoke_endpoint, operation=STREAMED),
    ),
}
