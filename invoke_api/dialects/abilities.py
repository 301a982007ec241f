"""What a model can do on Converse, and Bedrock's words for what it can not."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from invoke_api.wire.errors import ValidationException

NO_SYSTEM = (
    "This model doesn't support system messages. Try again without a system message or use a model"
    " that supports system messages."
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Abilities:
    """What a model can do: User Guide, conversation-inference-supported-models-features.

    `template` is `instruct` for models whose prompt is rendered as text, else `chat`. `mixes` tells
    whether a turn of the assistant may have text beside calls of tools, `schemas` whether its
    answers can be held to a JSON schema. `named_tool` is what becomes of `toolChoice.tool`:
    `refused`, `called`, or `ignored`, which leaves the choice to the model.
    """

    template: str = "chat"
    system: bool = True
    documents: bool = True
    tools: bool = True
    streams_tools: bool = False
    stop_sequences: bool = True
    mixes: bool = False
    schemas: bool = False
    named_tool: str = "refused"


def check_abilities(body: Mapping[str, Any], abilities: Abilities, *, stream: bool) -> None:
    """Raises `ValidationException` for the first thing asked for that the model lacks."""
    for refused, sentence in _lacks(body, abilities, stream=stream):
        if refused:
            raise ValidationException(sentence)


def _lacks(
    body: Mapping[str, Any], abilities: Abilities, *, stream: bool
) -> Iterator[tuple[bool, str]]:
    tools = body.get("toolConfig")
    choice = (tools or {}).get("toolChoice", {})
    inference = body.get("inferenceConfig", {})
    yield bool(body.get("system")) and not abilities.system, NO_SYSTEM
    # Heard of 7B and Mixtral, too, which have no tools in any mode.
    streams = stream and not abilities.streams_tools
    yield bool(tools) and streams, "This model doesn't support tool use in streaming mode."
    yield bool(tools) and not abilities.tools, "This model doesn't support tool use."
    refuses = abilities.named_tool == "refused"
    yield "tool" in choice and refuses, _lacking_field("toolConfig.toolChoice.tool")
    stops = bool(inference.get("stopSequences"))
    # Guess.
    yield stops and not abilities.stop_sequences, _lacking_field("stopSequences")
    output = body.get("outputConfig", {})
    yield bool(output) and not abilities.schemas, _lacking_field("outputConfig")
    # Guess.
    yield "effort" in output, _lacking_field("outputConfig.effort")


def _lacking_field(name: str) -> str:
    return f"This model doesn't support the {name} field. Remove {name} and try again."
