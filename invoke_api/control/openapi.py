"""`/_emulator/openapi.json`: a description of the emulator's own routes, in OpenAPI 3.1."""

from collections.abc import Collection, Sequence
from typing import Any

from starlette.requests import Request
from starlette.responses import Response

from invoke_api import __version__
from invoke_api.control.responses import json_answer
from invoke_api.control.routes import EmulatorRoute
from invoke_api.yaml_files import load_schema

OPENAPI_PATH = "/_emulator/openapi.json"
RULES = "Rules"  # the name of schemas/rules.json in the document
SCHEMAS = "#/components/schemas/"


def openapi_route(routes: Sequence[EmulatorRoute]) -> EmulatorRoute:
    """Return the route that describes itself and these routes."""
    paths = {OPENAPI_PATH, *(route.path for route in routes)}

    async def openapi(_: Request, __: bytes) -> Response:
        """Describe the routes of this service in OpenAPI 3.1, for other programs."""
        return json_answer(make_document(paths))

    return EmulatorRoute(OPENAPI_PATH, openapi)


def make_document(paths: Collection[str]) -> dict[str, Any]:
    """Return the OpenAPI document of these paths."""
    document = load_schema("control_api.json")
    document["info"]["version"] = __version__
    document["paths"] = {path: item for path, item in document["paths"].items() if path in paths}
    document["components"]["schemas"] |= _rule_schemas()
    return document


def _rule_schemas() -> dict[str, Any]:
    """Return the schema of rules and its definitions, as schemas of a document."""
    rules = load_schema("rules.json")
    definitions = rules.pop("$defs")
    for key in ("$schema", "$id"):
        del rules[key]
    found: dict[str, Any] = _relocate({RULES: rules, **definitions})
    return found


def _relocate(schema: Any) -> Any:  # noqa: ANN401 - any JSON
    """Return a part of the schema of rules with its references to the document's schemas."""
    if isinstance(schema, list):
        return [_relocate(each) for each in schema]
    if not isinstance(schema, dict):
        return schema
    return {
        key: value.replace("#/$defs/", SCHEMAS) if key == "$ref" else _relocate(value)
        for key, value in schema.items()
    }
