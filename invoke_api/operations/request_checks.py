"""Checks that operations share: schemas of bodies, and the limit to one worker."""

from functools import cache
from typing import Any

from invoke_api.authentication.gate import Caller
from invoke_api.pipeline.admission import admit_caller
from invoke_api.pipeline.call import Call
from invoke_api.pipeline.offload import offload
from invoke_api.pipeline.services import Services
from invoke_api.validation.coral import CoralSchema
from invoke_api.wire.errors import ValidationException
from invoke_api.yaml_files import load_schema


@cache
def coral_schema(name: str) -> CoralSchema:
    """Return the schema in a file of `schemas/`, which is read once."""
    return CoralSchema(load_schema(name))


async def read_and_parse(call: Call, schema: str) -> tuple[Caller, dict[str, Any]]:
    """Read the body, authenticate the caller, and parse the body by a schema of `schemas/`.

    Raises `InvokeError`s and `ClientDisconnected`.
    """
    await call.read_body()
    return await offload(
        call, len(call.body), lambda: (admit_caller(call), coral_schema(schema).parse(call.body))
    )


def check_alone(services: Services, what: str) -> None:
    """Raise `ValidationException` if several processes serve the port, each with its own state."""
    if not services.alone:
        raise ValidationException(
            f"Invoke API changes {what} with one worker only: serve without --workers."
        )
