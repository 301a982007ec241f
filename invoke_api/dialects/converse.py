"""Converse's messages and tools as Mistral's models know them.

Sentences: Amazon Bedrock's own, heard of Mistral's models or of others where not marked as a guess.
"""

import json
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from collections.abc import Set as AbstractSet
from typing import Any

from invoke_api.dialects.abilities import Abilities
from invoke_api.dialects.documents import NO_S3, read_document
from invoke_api.dialects.plain import to_plain
from invoke_api.wire.errors import AccessDeniedException, InvokeError, ValidationException

MOST_IMAGES = 20  # in a message: User Guide, conversation-inference-call
LARGEST_IMAGE = 3_750_000  # bytes: likewise

Block = Mapping[str, Any]
Message = dict[str, Any]

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
NO_TEXT = (
    "A text block must be included when using documents. Add a text block and retry your request."
)


def to_messages(
    body: Mapping[str, Any], abilities: Abilities, *, sees: bool = False, hears: bool = False
) -> list[Message]:
    """OpenAI-shaped messages; `sees` is for a model that takes images, `hears` for audio.

    Raises `ValidationException`.
    """
    turns: Sequence[Mapping[str, Any]] = body.get("messages", ())
    media = {kind for kind, is_taken in (("image", sees), ("audio", hears)) if is_taken}
    _check_turns(turns)
    messages = [_system(body["system"])] if body.get("system") else []
    for number, turn in enumerate(turns):
        where = f"messages.{number}"
        _check_blocks(turn["content"], where)
        if turn["role"] == "user":
            messages += _user(turn["content"], where, abilities, media)
        else:
            messages.append(_assistant(turn["content"], where, abilities))
    _check_tools(turns, has_tools="toolConfig" in body)
    return messages


def _check_turns(turns: Sequence[Mapping[str, Any]]) -> None:
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
    if roles[-1] != "user":
        raise ValidationException(NOT_LAST)


def _check_blocks(blocks: Sequence[Block], where: str) -> None:
    if not blocks:
        raise ValidationException(
            f"The content field in the Message object at {where} is empty."
            " Add a ContentBlock object to the content field and try again."
        )
    for number, block in enumerate(blocks):
        if "text" in block and not block["text"].strip():
            raise ValidationException(
                f"The text field in the ContentBlock object at {where}.content.{number} is blank."
                " Add text to the text field, and try again."
            )


def _system(blocks: Sequence[Block]) -> Message:
    return {"role": "system", "content": "\n\n".join(_texts(blocks))}


def _user(
    blocks: Sequence[Block], where: str, abilities: Abilities, media: AbstractSet[str]
) -> list[Message]:
    results = [block["toolResult"] for block in blocks if "toolResult" in block]
    if results and len(results) < len(blocks):
        raise ValidationException(
            f"{where}.content: Conversation blocks and tool result blocks cannot be provided in the"
            " same turn."
        )
    if results:
        return [_result(result) for result in results]
    documents = [block for block in blocks if "document" in block]
    if documents and not abilities.documents:
        raise ValidationException("This model doesn't support documents.")
    if documents and not any("text" in block for block in blocks):
        raise ValidationException(NO_TEXT)
    if any(block.keys() & media for block in blocks):
        return [{"role": "user", "content": list(_parts(blocks, media))}]
    return [{"role": "user", "content": "\n\n".join(_texts(blocks))}]


def _parts(blocks: Sequence[Block], media: AbstractSet[str]) -> Iterator[dict[str, Any]]:
    """Texts, images and audio as they stand. Raises `ValidationException`; guess for its words."""
    images = [block["image"] for block in blocks if "image" in block]
    if len(images) > MOST_IMAGES:
        raise ValidationException(f"A message may have {MOST_IMAGES} images, and no more.")
    for block in blocks:
        if "image" in block.keys() & media:
            yield {"type": "image_url", "image_url": {"url": _to_url(block["image"])}}
        elif "audio" in block.keys() & media:
            yield {"type": "input_audio", "input_audio": _to_input_audio(block["audio"])}
        else:
            yield from ({"type": "text", "text": text} for text in _texts([block]))


def _to_input_audio(audio: Block) -> dict[str, str]:
    """Return the model's own form; guess: no limit of its size but that of a body is known."""
    source = audio["source"]
    if "s3Location" in source:
        raise ValidationException(NO_S3)
    return {"data": source["bytes"], "format": audio["format"]}


def _to_url(image: Block) -> str:
    source = image["source"]
    if "s3Location" in source:
        raise ValidationException(NO_S3)
    if len(source["bytes"]) * 3 // 4 > LARGEST_IMAGE:
        raise ValidationException(f"An image may have {LARGEST_IMAGE} bytes, and no more.")
    return f"data:image/{image['format']};base64,{source['bytes']}"


def _assistant(blocks: Sequence[Block], where: str, abilities: Abilities) -> Message:
    uses = [block["toolUse"] for block in blocks if "toolUse" in block]
    others = [block for block in blocks if "toolUse" not in block]
    if uses and others and not abilities.mixes:
        raise ValidationException(
            f"{where}.content: Conversation blocks and tool use blocks cannot be provided in the"
            " same turn"
        )
    message: Message = {"role": "assistant", "content": "\n\n".join(_texts(others))}
    if uses:
        message["tool_calls"] = [_call(use) for use in uses]
    return message


def _texts(blocks: Sequence[Block]) -> Iterator[str]:
    for block in blocks:
        if "text" in block:
            yield block["text"]
        elif "guardContent" in block and "text" in block["guardContent"]:
            yield block["guardContent"]["text"]["text"]
        elif "document" in block:
            yield read_document(block["document"])
        elif "json" in block:  # in results of tools only
            yield json.dumps(to_plain(block["json"]), ensure_ascii=False)
        else:
            raise _lacking(block)


def _lacking(block: Block) -> InvokeError:
    """Return what Bedrock says of a block that the model does not take."""
    [kind] = block.keys() & KINDS or {"content"}
    if kind == "cachePoint":
        return AccessDeniedException(NO_CACHE)
    if kind == "reasoningContent":
        return ValidationException(NO_REASONING)
    return ValidationException(LACKING_BLOCK.format(kind=kind))


LACKING_BLOCK = (
    "This model doesn't support the {kind} content block that you provided."
    " Update the content block and try again."
)
# Heard of Llama, Kimi and Gemma, which cache nothing either.
NO_CACHE = (
    "You invoked an unsupported model or your request did not allow prompt caching."
    " See the documentation for more information."
)
NO_REASONING = (
    "User messages cannot contain reasoning content."
    " Please remove the reasoning content and try again."
)
NO_IMAGE_IN_RESULT = (
    "This model doesn't support the image field for user messages. Remove image and try again."
)
KINDS = {
    *("image", "video", "audio", "toolUse", "toolResult", "guardContent", "cachePoint"),
    *("reasoningContent", "citationsContent", "searchResult", "toolAddition", "toolRemoval"),
}


def _result(result: Block) -> Message:
    if any("image" in block for block in result["content"]):
        raise ValidationException(NO_IMAGE_IN_RESULT)
    content = "\n\n".join(_texts(result["content"]))
    return {"role": "tool", "tool_call_id": result["toolUseId"], "content": content}


def _call(use: Block) -> Message:
    arguments = json.dumps(to_plain(use["input"]), ensure_ascii=False)
    return {"id": use["toolUseId"], "function": {"name": use["name"], "arguments": arguments}}


def to_tools(body: Mapping[str, Any]) -> list[dict[str, Any]]:
    """The tools offered, OpenAI-shaped. Raises `ValidationException` for AWS's own."""
    tools = []
    for tool in body.get("toolConfig", {}).get("tools", ()):
        if "toolSpec" not in tool:
            if "cachePoint" in tool:
                raise AccessDeniedException(NO_CACHE)
            raise ValidationException("This model doesn't support system tools.")
        spec = tool["toolSpec"]
        function = {
            "name": spec["name"],
            "description": spec.get("description", ""),
            "parameters": to_plain(spec["inputSchema"].get("json", {})),
        }
        tools.append({"type": "function", "function": function})
    return tools


def _check_tools(turns: Sequence[Mapping[str, Any]], *, has_tools: bool) -> None:
    """Every call has its result in the turn after it, and tools are offered where there are any."""
    waiting: list[str] = []
    for number, turn in enumerate(turns):
        given = [
            block["toolResult"]["toolUseId"] for block in turn["content"] if "toolResult" in block
        ]
        missing = [tool_use_id for tool_use_id in waiting if tool_use_id not in given]
        if missing:
            raise ValidationException(
                f"Expected toolResult blocks at messages.{number}.content for the following Ids:"
                f" {', '.join(missing)}"
            )
        waiting = [block["toolUse"]["toolUseId"] for block in turn["content"] if "toolUse" in block]
        if repeated := [each for each, count in Counter(waiting).items() if count > 1]:
            raise ValidationException(
                f"The toolUse blocks at messages.{number}.content contain duplicate Ids:"
                f" {', '.join(repeated)}"
            )
        if (given or waiting) and not has_tools:
            raise ValidationException(NO_TOOL_CONFIG)
