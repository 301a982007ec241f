"""From Converse to a model: its own body's parameters, and the prompt by its own template."""

from collections.abc import Mapping, Sequence
from typing import Any

from invoke_api.validation.json_document import NotJson, parse_json
from invoke_api.wire.errors import ValidationException

Message = Mapping[str, Any]

# Converse's names, and those of Mistral's bodies.
PARAMETERS = {
    "maxTokens": "max_tokens",
    "temperature": "temperature",
    "topP": "top_p",
    "stopSequences": "stop",
}
PROMPTS = ("prompt", "messages", "tools", "tool_choice")


def to_body(asked: Mapping[str, Any], *, is_text: bool) -> dict[str, Any]:
    """The body of the model's own dialect, but for its prompt, for its schema to check.

    `additionalModelRequestFields` are merged in. Raises `ValidationException`.
    """
    inference = asked.get("inferenceConfig", {})
    body = {name: inference[key] for key, name in PARAMETERS.items() if key in inference}
    if "textFormat" in asked.get("outputConfig", {}):
        body["response_format"] = _to_format(asked["outputConfig"]["textFormat"])
    prompt: dict[str, Any] = {"prompt": ""} if is_text else {"messages": [{"role": "user"}]}
    return {**prompt, **body, **asked.get("additionalModelRequestFields", {})}


def _to_format(text_format: Mapping[str, Any]) -> dict[str, Any]:
    """The model's own `response_format`. Raises `ValidationException`; guess for its words."""
    definition = text_format["structure"]["jsonSchema"]
    try:
        schema = parse_json(definition["schema"].encode())
    except NotJson:
        schema = None
    if not isinstance(schema, dict):
        raise ValidationException(
            "The value at outputConfig.textFormat.structure.jsonSchema.schema must be a JSON object"
            " that is written as a string."
        )
    return {"type": "json_schema", "json_schema": {**definition, "schema": schema}}


def render_instruct(messages: Sequence[Message]) -> str:
    """The text that the first models read.

    Three token counts recorded of Bedrock tell that a `<s>` stands in it, beside the BOS that the
    server adds, and no blank before `[/INST]`. Guess for turns after the first.
    """
    turns = [
        f"[INST] {message['content']}[/INST]"
        if message["role"] == "user"
        else f" {message['content']}</s>"
        for message in messages
    ]
    return "<s>" + "".join(turns)
