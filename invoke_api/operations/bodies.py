"""The schemas of operations' bodies that do not depend on the model."""

from functools import cache

from invoke_api.config_files import load_schema
from invoke_api.validation.coral import CoralSchema


@cache
def coral_schema(name: str) -> CoralSchema:
    """That of a file in `schemas/`, read at its first use."""
    return CoralSchema(load_schema(name))
