"""Checks of a model that takes several forms of body: the keys of a body choose its schema."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from jsonschema import ValidationError

from invoke_api.validation.everit_errors import malformed
from invoke_api.validation.schema import BodySchema, read_body


@dataclass(frozen=True, slots=True, kw_only=True)
class FormSchemas:
    """The schemas by form. `find_form` tells the form of a body; `normalize` ends a good one."""

    schemas: Mapping[str, BodySchema]
    find_form: Callable[[Mapping[str, Any]], str]
    normalize: Callable[[Mapping[str, Any]], dict[str, Any]]

    def parse(self, body: bytes) -> dict[str, Any]:
        """Read, check and fill a body. Raises `ValidationException` as `BodySchema` does."""
        return self.fill(self.read(body))

    def read(self, body: bytes) -> Any:  # noqa: ANN401 - any JSON
        """Read a body without a check. Raises `ValidationException` for no JSON."""
        return read_body(body)

    def knows(self, key: str) -> bool:
        """Tell whether a body of some form may have this key."""
        return any(schema.knows(key) for schema in self.schemas.values())

    def fill(
        self,
        value: Any,  # noqa: ANN401 - any JSON
        word: Callable[[Iterable[ValidationError]], str] = malformed,
    ) -> dict[str, Any]:
        """Check a body that is read already, and add its form's defaults."""
        form = self.find_form(value if isinstance(value, dict) else {})
        return self.normalize(self.schemas[form].fill(value, word))
