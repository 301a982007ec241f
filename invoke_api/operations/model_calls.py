"""The operations that call a model: how each is checked, and how it is answered."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

from starlette.requests import Request
from starlette.responses import Response

from invoke_api.operations.call import Operation
from invoke_api.operations.converse import (
    CONVERSE,
    CONVERSE_STREAM,
    answer_converse,
    answer_converse_stream,
    prepare_converse,
    weigh_converse,
)
from invoke_api.operations.invocation import Invocation, Prepared, open_invocation
from invoke_api.operations.invoke import (
    INVOKE_MODEL,
    INVOKE_MODEL_WITH_RESPONSE_STREAM,
    answer_invoke,
    answer_invoke_stream,
    prepare_invoke,
)


@dataclass(frozen=True, slots=True)
class ModelCall:
    """`weigh` says of a body how many bytes its checks will be as long as."""

    operation: Operation
    prepare: Callable[[Request, Operation, bytes], Prepared[Any]]
    answer: Callable[[Request, Invocation[Any]], Awaitable[Response]]
    weigh: Callable[[bytes], int] = len


# By the last step of their paths, behind the model.
MODEL_CALLS = {
    "invoke": ModelCall(INVOKE_MODEL, prepare_invoke, answer_invoke),
    "invoke-with-response-stream": ModelCall(
        INVOKE_MODEL_WITH_RESPONSE_STREAM, prepare_invoke, answer_invoke_stream
    ),
    "converse": ModelCall(CONVERSE, prepare_converse, answer_converse, weigh_converse),
    "converse-stream": ModelCall(
        CONVERSE_STREAM, prepare_converse, answer_converse_stream, weigh_converse
    ),
}


async def call_model(request: Request, call: ModelCall) -> Response:
    """Check it, and have an engine or a rule answer it. Raises `InvokeError`s."""
    check = partial(call.prepare, request, call.operation)
    invocation = await open_invocation(request, call.operation.name, check, call.weigh)
    return await call.answer(request, invocation)
