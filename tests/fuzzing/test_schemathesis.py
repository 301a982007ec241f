"""Schemathesis against the routes: valid bodies are answered, invalid ones are refused."""

import json
from pathlib import Path
from typing import Any

import pytest
import schemathesis
import yaml
from hypothesis import settings
from schemathesis.specs.openapi.checks import unsupported_method

from invoke_api.models.registry import DEFAULT_REGISTRY
from invoke_api.validation.constraints import MEMBERS

SCHEMAS = DEFAULT_REGISTRY.parent / "schemas"
ERROR = {
    "type": "object",
    "required": ["message"],
    "properties": {"message": {"type": "string", "minLength": 1}},
    "additionalProperties": False,
}
ANSWER = {
    "type": "object",
    "required": ["outputs"],
    "additionalProperties": False,
    "properties": {
        "outputs": {
            "type": "array",
            "minItems": 1,
            "maxItems": 1,
            "items": {
                "type": "object",
                "required": ["text", "stop_reason"],
                "additionalProperties": False,
                "properties": {
                    "text": {"type": "string"},
                    "stop_reason": {"enum": ["stop", "length"]},
                },
            },
        }
    },
}


REASON = {"enum": ["stop", "length", "tool_calls"]}
COUNT = {"type": "integer", "minimum": 0}
COUNTS = ("prompt_tokens", "completion_tokens", "total_tokens")
CHOICES = {
    "type": "object",
    "required": ["id", "object", "created", "model", "choices", "usage"],
    "additionalProperties": False,
    "properties": {
        "id": {"type": "string"},
        "object": {"const": "chat.completion"},
        "created": {"type": "integer"},
        "model": {"type": "string"},
        "service_tier": {"enum": ["default", "flex", "priority"]},
        "usage": {
            "type": "object",
            "required": list(COUNTS),
            "properties": dict.fromkeys(COUNTS, COUNT),
        },
        "choices": {
            "type": "array",
            "minItems": 1,
            "maxItems": 1,
            "items": {
                "type": "object",
                "required": ["index", "message"],
                "properties": {
                    "index": {"const": 0},
                    "message": {"type": "object", "required": ["role", "content"]},
                },
                "oneOf": [
                    {"required": ["stop_reason"], "properties": {"stop_reason": REASON}},
                    {"required": ["finish_reason"], "properties": {"finish_reason": REASON}},
                ],
            },
        },
    },
}
ANSWERS = {"mistral-text": ANSWER, "mistral-chat": CHOICES}
# Models that are not available in the region of an unsigned call, and models with the same schema.
UNTESTED_MODELS = {
    "mistral.mistral-large-2407-v1:0",
    "mistral.ministral-3-8b-instruct",
    "mistral.ministral-3-14b-instruct",
    "mistral.magistral-small-2509",
    "mistral.devstral-2-123b",
}


USER_MESSAGE = {
    "type": "object",
    "required": ["role", "content"],
    "additionalProperties": False,
    "properties": {"role": {"const": "user"}, "content": {"type": "string"}},
}
TOOL = {
    "type": "object",
    "required": ["type", "function"],
    "additionalProperties": False,
    "properties": {
        "type": {"const": "function"},
        "function": {
            "type": "object",
            "required": ["name"],
            "additionalProperties": False,
            "properties": {
                "name": {"type": "string", "pattern": "^[A-Za-z0-9_-]{1,64}$"},
                "description": {"type": "string"},
            },
        },
    },
}


# Bounds that the model server of 2025 checks itself, and keys whose values must match the call, the
# prompt or another key, which schemas can't express.
SERVER_BOUNDS: dict[str, Any] = {
    "frequency_penalty": {"minimum": -2, "maximum": 2},
    "presence_penalty": {"minimum": -2, "maximum": 2},
    "temperature": {"minimum": 0, "maximum": 2},
    "top_p": {"minimum": 0, "maximum": 1},
    "top_k": {"minimum": -1},
    "messages": {"minItems": 1},
    "stop": {"anyOf": [{"type": "string", "minLength": 1}, {"type": "null"}]},
}
MATCHED_KEYS = (
    *("logit_bias", "max_completion_tokens", "max_tokens", "model", "stream", "stream_options"),
    "top_logprobs",
)


def body_schema(name: str, operation: str) -> dict[str, Any]:
    schema: dict[str, Any] = json.loads((SCHEMAS / name).read_text())
    if name == "mistral-chat-2025.json":
        for key, bounds in SERVER_BOUNDS.items():
            schema["properties"][key] |= bounds
        for key in MATCHED_KEYS:
            del schema["properties"][key]
    elif operation == "invoke":
        # The model server refuses an empty stop string, which the front door accepts. A stream has
        # the error inside a 200.
        schema["properties"]["stop"]["items"]["minLength"] = 1
    if "messages" in schema["properties"]:
        # The model server checks conversations; other tests cover its errors.
        schema["properties"]["messages"]["items"] = USER_MESSAGE
        schema["properties"]["tools"]["items"] = TOOL
        # A forced call must name one of the tools.
        schema["properties"]["tool_choice"] = {"enum": ["auto", "none"]}
    return {key: value for key, value in schema.items() if key != "$schema"}


def operation(schema: dict[str, Any], name: str, answer: dict[str, Any]) -> dict[str, Any]:
    return {
        "operationId": name,
        "parameters": [
            {
                "in": "header",
                "name": member.header,
                "required": False,
                "schema": {"type": "string", "enum": list(member.enum)},
            }
            for member in MEMBERS
            if member.name == "trace"
        ],
        "requestBody": {
            "required": True,
            "content": {"application/json": {"schema": schema}},
        },
        "responses": {
            "200": {"description": "an answer", "content": answer},
            "400": {
                "description": "a ValidationException",
                "content": {"application/json": {"schema": ERROR}},
            },
        },
    }


def document() -> dict[str, Any]:
    everything = yaml.safe_load(Path(DEFAULT_REGISTRY).read_text())["models"]
    listed = [model for model in everything if model.get("catalogued", True)]
    models = [model for model in listed if model["id"] not in UNTESTED_MODELS]
    stream: dict[str, Any] = {"application/vnd.amazon.eventstream": {}}
    paths = {}
    for model in models:
        called = next(iter(model.get("profiles", [model["id"]])))
        base = f"/model/{called.replace(':', '%3A')}"
        whole = {"application/json": {"schema": ANSWERS[model["dialect"]]}}
        for name, answer in (("invoke", whole), ("invoke-with-response-stream", stream)):
            if answer is stream and model["dialect"] == "mistral-chat":
                continue  # the error for an invalid conversation is inside a 200
            schema = body_schema(model["schema"], name)
            described = operation(schema, f"{model['name']}, {name}", answer)
            paths[f"{base}/{name}"] = {"post": described}
    return {"openapi": "3.1.0", "info": {"title": "Bedrock", "version": "1"}, "paths": paths}


api = schemathesis.openapi.from_dict(document())


@api.hook
def map_body(_: object, body: Any) -> Any:
    """Return the body without floats like 5.0: integers in JSON Schema, but not for Bedrock."""
    if isinstance(body, dict):
        for key in ("max_completion_tokens", "max_tokens", "n", "seed", "top_k"):
            if isinstance(body.get(key), float) and body[key].is_integer():
                body[key] = int(body[key])
    return body


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
@api.parametrize()
@settings(max_examples=60)
def test_the_routes_keep_to_their_schemas(case: schemathesis.Case[Any], scripted: str) -> None:
    # Bedrock answers 200 to an unknown method, as the fidelity tables check.
    case.call_and_validate(base_url=scripted, excluded_checks=[unsupported_method])
