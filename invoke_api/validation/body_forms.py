"""Validation for models that take several forms of body: a body's keys select its schema."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from jsonschema import ValidationError

from invoke_api.validation.everit_errors import malformed
from invoke_api.validation.schema import BodySchema, read_body


@dataclass(frozen=True, slots=True, kw_only=True)
class FormSchemas:
    """The schemas of one model, by form of body.

    `find_form` returns the form of a body. `normalize` completes a valid body.
    """

    schemas: Mapping[str, BodySchema]
    find_form: Callable[[Mapping[str, Any]], str]
    normalize: Callable[[Mapping[str, Any]], dict[str, Any]]

    def parse(self, body: bytes) -> dict[str, Any]:
        """Read a body, check it, add its defaults. Raises `ValidationException`."""
        return self.fill(self.read(body))

    def read(self, body: bytes) -> Any:  # noqa: ANN401 - any JSON
        """Return the value of a body's JSON, unchecked. Raises `ValidationException`."""
        return read_body(body)

    def knows(self, key: str) -> bool:
        """Tell whether a body of some form may have this key."""
        return any(schema.knows(key) for schema in self.schemas.values())

    def fill(
        self,
        value: Any,  # noqa: ANN401 - any JSON
        word: Callable[[Iterable[ValidationError]], str] = malformed,
    ) -> dict[str, Any]:
        """Check a body's value and add its form's defaults. Raises `ValidationException`."""
        form = self.find_form(value if isinstance(value, dict) else {})
        return self.normalize(self.schemas[form].fill(value, word))
