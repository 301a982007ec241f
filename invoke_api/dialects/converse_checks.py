"""Converse's own checks of a request: JSON objects, the order of turns, a model's abilities."""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from invoke_api.wire.errors import ValidationException

Block = Mapping[str, Any]
Turn = Mapping[str, Any]

REQUEST_FIELDS = "additionalModelRequestFields"

NOT_FIRST = (
    "A conversation must start with a user message."
    " Try again with a conversation that starts with a user message."
)
NOT_ALTERNATE = (
    "A conversation must alternate between user and assistant roles. Make sure the conversation"
    " alternates between user and assistant roles and try again."
)
NOT_LAST = (
    "The model that you are using requires the last turn in the conversation to be a user message."
    " Add a user message to the conversation and try again."
)
NO_TOOL_CONFIG = (
    "The toolConfig field must be defined when using toolUse and toolResult content blocks."
)
NO_SYSTEM = (
    "This model doesn't support system messages. Try again without a system message or use a model"
    " that supports system messages."
)
BLANK_STOP = (
    "The stop sequence value at inferenceConfig.stopSequences.{number} is blank."
    " Try again with a non blank stop sequence."
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Abilities:
    """A model's features: User Guide, conversation-inference-supported-models-features.

    `template` is `instruct` for models whose prompt is rendered as text, else `chat`. `mixes` tells
    whether an assistant's turn may have both text and tool calls. `schemas` tells whether answers
    can follow a JSON schema. `trims` tells whether blanks at the end of texts are removed.
    `named_tool` is the effect of `toolChoice.tool`: `refused`, `called`, or `ignored`, which leaves
    the choice to the model. If `prefills`, the model server gets a conversation that ends with an
    assistant's turn, and refuses it in its own words.
    """

    template: str = "chat"
    system: bool = True
    documents: bool = True
    tools: bool = True
    streams_tools: bool = False
    stop_sequences: bool = True
    mixes: bool = False
    schemas: bool = False
    trims: bool = False
    named_tool: str = "refused"
    prefills: bool = False


def check_objects(asked: Mapping[str, Any]) -> None:
    """Raise `ValidationException` for the first document that is not a JSON object."""
    if not isinstance(asked.get(REQUEST_FIELDS, {}), dict):
        raise ValidationException(
            f"The format of the {REQUEST_FIELDS} field is invalid."
            f" Provide a json object for {REQUEST_FIELDS} and try again."
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


def check_turns(turns: Sequence[Turn], *, any_end: bool = False) -> None:
    """Raise `ValidationException` unless user and assistant alternate, from user to user.

    If `any_end`, the assistant may have the last turn.
    """
    for number, turn in enumerate(turns):
        # Recorded of Mistral's models, before the service model had this role.
        if turn["role"] == "system":
            raise ValidationException(
                "1 validation error detected: Value at"
                f" 'messages.{number + 1}.member.role' failed to satisfy constraint:"
                " Member must satisfy enum value set: [user, assistant]"
            )
    roles = [turn["role"] for turn in turns]
    if not roles or roles[0] != "user":
        raise ValidationException(NOT_FIRST)
    if any(role == before for role, before in zip(roles[1:], roles, strict=False)):
        raise ValidationException(NOT_ALTERNATE)
    if roles[-1] != "user" and not any_end:
        raise ValidationException(NOT_LAST)


def uses_of(turn: Turn) -> list[Block]:
    """Return the tool calls in a turn."""
    return [block["toolUse"] for block in turn["content"] if "toolUse" in block]


def check_tools(turns: Sequence[Turn], *, has_tools: bool) -> None:
    """Raise `ValidationException` unless each tool call has one result, in the turn after it.

    `has_tools` tells whether the request offers tools. Guess: the order of the checks.
    """
    waiting: list[str] = []
    for number, turn in enumerate(turns):
        where = f"messages.{number}.content"
        given = [
            block["toolResult"]["toolUseId"] for block in turn["content"] if "toolResult" in block
        ]
        _check_unique("toolResult", given, where)
        if len(given) > len(waiting):
            raise ValidationException(
                f"The number of toolResult blocks at {where} exceeds the number of toolUse blocks"
                " of previous turn."
            )
        missing = [tool_use_id for tool_use_id in waiting if tool_use_id not in given]
        if missing:
            raise ValidationException(
                f"Expected toolResult blocks at {where} for the following Ids: {', '.join(missing)}"
            )
        waiting = [use["toolUseId"] for use in uses_of(turn)]
        _check_unique("toolUse", waiting, where)
        if (given or waiting) and not has_tools:
            raise ValidationException(NO_TOOL_CONFIG)


def _check_unique(kind: str, ids: Sequence[str], where: str) -> None:
    if repeated := [each for each, count in Counter(ids).items() if count > 1]:
        raise ValidationException(
            f"The {kind} blocks at {where} contain duplicate Ids: {', '.join(repeated)}"
        )


def check_abilities(body: Mapping[str, Any], abilities: Abilities, *, stream: bool) -> None:
    """Raise `ValidationException` for the first requested feature that the model lacks."""
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
    # Recorded of 7B and Mixtral, too, which have no tools in any mode.
    streams = stream and not abilities.streams_tools
    yield bool(tools) and streams, "This model doesn't support tool use in streaming mode."
    yield bool(tools) and not abilities.tools, "This model doesn't support tool use."
    refuses = abilities.named_tool == "refused"
    yield "tool" in choice and refuses, _lacking_field("toolConfig.toolChoice.tool")
    stops = inference.get("stopSequences", ())
    blank = next((number for number, stop in enumerate(stops) if not stop.strip()), None)
    yield blank is not None, BLANK_STOP.format(number=blank)
    yield bool(stops) and not abilities.stop_sequences, _lacking_field("stopSequences")
    output = body.get("outputConfig", {})
    yield bool(output) and not abilities.schemas, _lacking_field("outputConfig")
    yield "effort" in output, _lacking_field("outputConfig.effort")  # guess


def _lacking_field(name: str) -> str:
    return f"This model doesn't support the {name} field. Remove {name} and try again."
