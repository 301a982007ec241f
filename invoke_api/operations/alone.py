"""Refuse changes that the other worker processes would not see."""

from invoke_api.pipeline.services import Services
from invoke_api.wire.errors import ValidationException


def check_alone(services: Services, what: str) -> None:
    """Raise `ValidationException` if other processes answer on the same port."""
    if not services.alone:
        raise ValidationException(
            f"Invoke API changes {what} with one worker only: serve without --workers."
        )
