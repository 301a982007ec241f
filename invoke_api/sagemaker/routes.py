"""Routes of SageMaker Runtime."""

from invoke_api.pipeline.admission import read_and_admit
from invoke_api.pipeline.call import Call
from invoke_api.pipeline.responses import HttpResponse
from invoke_api.pipeline.routes import OperationRoute
from invoke_api.sagemaker.control_plane import answer_target
from invoke_api.sagemaker.endpoint_chat import ENDPOINT_CHAT, NAME
from invoke_api.sagemaker.errors import SAGEMAKER_ERRORS
from invoke_api.sagemaker.invoke_endpoint import HANDLERS
from invoke_api.wire.errors import ValidationException


async def refuse_async(call: Call) -> HttpResponse:
    """Refuse InvokeEndpointAsync: no endpoint here reads its requests from S3. Guess: the words."""
    await read_and_admit(call)
    name = call.labels["name"]
    raise ValidationException(f"Endpoint {name} is not an asynchronous inference endpoint.")


SAGEMAKER_ROUTES = [
    OperationRoute("/", answer_target, name="", method="POST"),
    *(
        OperationRoute(
            f"/endpoints/{{name}}/{step}",
            handler,
            name=name,
            method="POST",
            errors=SAGEMAKER_ERRORS,
        )
        for step, (name, handler) in HANDLERS.items()
    ),
    OperationRoute(
        "/endpoints/{name}/openai/v1/chat/completions",
        ENDPOINT_CHAT,
        name=NAME,
        method="POST",
        errors=SAGEMAKER_ERRORS,
    ),
    OperationRoute(
        "/endpoints/{name}/async-invocations",
        refuse_async,
        name="InvokeEndpointAsync",
        method="POST",
        errors=SAGEMAKER_ERRORS,
    ),
]
