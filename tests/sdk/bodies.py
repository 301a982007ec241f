"""Analysis of a call's body: its tools, and whether one of them must be called."""

import json
from collections.abc import Mapping
from typing import Any

Body = Mapping[str, Any]


def offered(body: Body) -> dict[str, Any]:
    """Return the schemas of the tools' arguments by name, of a body of Converse or InvokeModel."""
    specs = [tool["toolSpec"] for tool in body.get("toolConfig", {}).get("tools", ())]
    functions = [tool["function"] for tool in body.get("tools", ())]
    return {
        **{spec["name"]: spec["inputSchema"]["json"] for spec in specs},
        **{function["name"]: function["parameters"] for function in functions},
    }


def asked_schema(body: Body) -> Any:
    """Return the schema that the answer's text must be an instance of, or None."""
    wanted = body.get("response_format", {}).get("json_schema")
    if wanted:
        return wanted["schema"]
    try:
        text = body["outputConfig"]["textFormat"]["structure"]["jsonSchema"]["schema"]
    except KeyError:
        return None
    return json.loads(text)


def choice(body: Body) -> str:
    """Return what forces the answer: `any`, `tool`, `schema`; otherwise `auto`, `not said`."""
    if asked_schema(body):
        return "schema"
    said = body.get("toolConfig", {}).get("toolChoice") or body.get("tool_choice") or "not said"
    if isinstance(said, str):
        return {"required": "any"}.get(said, said)
    return "tool" if "function" in said else str(next(iter(said)))
