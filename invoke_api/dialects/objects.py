"""Places in a conversation that take a JSON object and nothing else.

Sentences: Bedrock's own, heard of other models; a cut quotation has that of
`additionalModelRequestFields`, whose end is a guess.
"""

from collections.abc import Iterator, Mapping
from typing import Any

from invoke_api.wire.errors import ValidationException

MORE = "additionalModelRequestFields"


def check_objects(asked: Mapping[str, Any]) -> None:
    """Raise `ValidationException` for the first place that holds anything else."""
    if not isinstance(asked.get(MORE, {}), dict):
        raise ValidationException(
            f"The format of the {MORE} field is invalid."
            f" Provide a json object for {MORE} and try again."
        )
    for where, value in _places(asked):
        if not isinstance(value, dict):
            raise ValidationException(
                f"The format of the value at {where} is invalid."
                " Provide a json object for the field and try again."
            )


def _places(asked: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    for number, turn in enumerate(asked.get("messages", ())):
        for place, block in enumerate(turn["content"]):
            where = f"messages.{number}.content.{place}"
            if "toolUse" in block:
                yield f"{where}.toolUse.input", block["toolUse"]["input"]
            for part, told in enumerate(block.get("toolResult", {}).get("content", ())):
                if "json" in told:
                    yield f"{where}.toolResult.content.{part}.json", told["json"]
    for number, tool in enumerate(asked.get("toolConfig", {}).get("tools", ())):
        schema = tool.get("toolSpec", {}).get("inputSchema", {})
        if "json" in schema:
            yield f"toolConfig.tools.{number}.toolSpec.inputSchema.json", schema["json"]
