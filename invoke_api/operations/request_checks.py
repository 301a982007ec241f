"""Checks that operations share: schemas of bodies, and the limit to one worker."""

from functools import cache

from invoke_api.pipeline.services import Services
from invoke_api.validation.coral import CoralSchema
from invoke_api.wire.errors import ValidationException
from invoke_api.yaml_files import load_schema


@cache
def coral_schema(name: str) -> CoralSchema:
    """Return the schema in a file of `schemas/`, which is read once."""
    return CoralSchema(load_schema(name))


def check_alone(services: Services, what: str) -> None:
    """Raise `ValidationException` if several processes serve the port, each with its own state."""
    if not services.alone:
        raise ValidationException(
            f"Invoke API changes {what} with one worker only: serve without --workers."
        )
