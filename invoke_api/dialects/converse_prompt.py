"""Converse's parameters as a model's own body, and the prompt of models without a chat template."""

from collections.abc import Mapping, Sequence
from typing import Any

from invoke_api.validation.json_document import NotJson, parse_json
from invoke_api.wire.errors import ValidationException

Message = Mapping[str, Any]

# Converse's name: the name in a model's own body.
INFERENCE_PARAMETERS = {
    "maxTokens": "max_tokens",
    "temperature": "temperature",
    "topP": "top_p",
    "stopSequences": "stop",
}
PROMPT_KEYS = ("prompt", "messages", "tools", "tool_choice")


def to_body(asked: Mapping[str, Any], *, is_text: bool) -> dict[str, Any]:
    """Return a body with a stand-in for the prompt, so that the model's own schema can check it.

    It includes `additionalModelRequestFields`. Raises `ValidationException`.
    """
    inference = asked.get("inferenceConfig", {})
    body = {name: inference[key] for key, name in INFERENCE_PARAMETERS.items() if key in inference}
    if "textFormat" in asked.get("outputConfig", {}):
        body["response_format"] = _to_format(asked["outputConfig"]["textFormat"])
    prompt: dict[str, Any] = {"prompt": ""} if is_text else {"messages": [{"role": "user"}]}
    return {**prompt, **body, **asked.get("additionalModelRequestFields", {})}


def _to_format(text_format: Mapping[str, Any]) -> dict[str, Any]:
    """Return OpenAI's `response_format`.

    Raises `ValidationException` for a schema that is no JSON object. Guess: its message.
    """
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
    """Return the prompt of Mistral 7B and Mixtral.

    Three recorded token counts show that it contains a `<s>`, beside the BOS that the server adds,
    and no blank before `[/INST]`. Guess: turns after the first.
    """
    turns = [
        f"[INST] {message['content']}[/INST]"
        if message["role"] == "user"
        else f" {message['content']}</s>"
        for message in messages
    ]
    return "<s>" + "".join(turns)
