"""Checks that operations share: schemas of bodies, and changes that other workers would miss."""

from functools import cache

from invoke_api.pipeline.services import Services
from invoke_api.validation.coral import CoralSchema
from invoke_api.wire.errors import ValidationException
from invoke_api.yaml_files import load_schema


@cache
def coral_schema(name: str) -> CoralSchema:
    """That of a file in `schemas/`, read at its first use."""
    return CoralSchema(load_schema(name))


def check_alone(services: Services, what: str) -> None:
    """Raise `ValidationException` if other processes answer on the same port."""
    if not services.alone:
        raise ValidationException(
            f"Invoke API changes {what} with one worker only: serve without --workers."
        )
