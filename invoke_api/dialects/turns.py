"""Check the order of turns, and that calls and their results match, as Bedrock does."""

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from invoke_api.wire.errors import ValidationException

Block = Mapping[str, Any]
Turn = Mapping[str, Any]

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


def check_turns(turns: Sequence[Turn], *, any_end: bool = False) -> None:
    """Raise `ValidationException` for roles in another order than Bedrock takes.

    With `any_end` the last turn may be the assistant's.
    """
    for number, turn in enumerate(turns):
        if turn["role"] == "system":  # heard of Mistral's before the service model had it
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
    """Return the calls of tools in a turn."""
    return [block["toolUse"] for block in turn["content"] if "toolUse" in block]


def check_tools(turns: Sequence[Turn], *, has_tools: bool) -> None:
    """Raise `ValidationException` if calls and results do not belong together.

    Each result answers a call of the turn before, once, and each call has its result in the turn
    after it. `has_tools` tells whether the request offers tools. Guess: which sentence is first.
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
