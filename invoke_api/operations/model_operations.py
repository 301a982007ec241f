"""The operations that call a model, by the last step of their path."""

from functools import partial

from invoke_api.operations.converse import CONVERSE, CONVERSE_STREAM
from invoke_api.operations.invoke import INVOKE_MODEL, INVOKE_MODEL_WITH_RESPONSE_STREAM
from invoke_api.pipeline.invocation import call_model
from invoke_api.pipeline.routes import Handler

MODEL_OPERATIONS = {
    "invoke": INVOKE_MODEL,
    "invoke-with-response-stream": INVOKE_MODEL_WITH_RESPONSE_STREAM,
    "converse": CONVERSE,
    "converse-stream": CONVERSE_STREAM,
}
MODEL_HANDLERS: dict[str, tuple[str, Handler]] = {
    step: (operation.name, partial(call_model, operation=operation))
    for step, operation in MODEL_OPERATIONS.items()
}
