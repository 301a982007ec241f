"""Conversion of Converse's messages and tools into OpenAI-shaped ones.

Error messages are Amazon Bedrock's own, recorded of Mistral's or other models, unless marked as a
guess. How blocks become text follows from recorded token counts: tests/fidelity/conversations.py.
"""

import json
from collections.abc import Iterator, Mapping, Sequence
from collections.abc import Set as AbstractSet
from typing import Any

from invoke_api.dialects.converse_checks import Abilities, check_tools, check_turns, uses_of
from invoke_api.dialects.documents import NO_S3, read_documents
from invoke_api.dialects.json_values import to_plain
from invoke_api.wire.errors import AccessDeniedException, InvokeError, ValidationException

# User Guide, conversation-inference-call.
MAX_IMAGES_PER_MESSAGE = 20
MAX_IMAGE_BYTES = 3_750_000

Block = Mapping[str, Any]
Message = dict[str, Any]

NO_TEXT = (
    "A text block must be included when using documents. Add a text block and retry your request."
)

LACKING_BLOCK = (
    "This model doesn't support the {kind} content block that you provided."
    " Update the content block and try again."
)
# Recorded of Llama, Kimi and Gemma, which have no prompt caching either.
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
BLOCK_KINDS = {
    *("image", "video", "audio", "toolUse", "toolResult", "guardContent", "cachePoint"),
    *("reasoningContent", "citationsContent", "searchResult", "toolAddition", "toolRemoval"),
}


def to_messages(
    body: Mapping[str, Any], abilities: Abilities, *, sees: bool = False, hears: bool = False
) -> list[Message]:
    """Return the messages, OpenAI-shaped. Raises `ValidationException`.

    `sees` tells whether the model takes images, `hears` whether it takes audio.
    """
    turns: Sequence[Mapping[str, Any]] = body.get("messages", ())
    media = {kind for kind, is_taken in (("image", sees), ("audio", hears)) if is_taken}
    check_turns(turns, any_end=abilities.prefills)
    system = body.get("system")
    messages = [{"role": "system", "content": _join(system, abilities)}] if system else []
    names = {use["toolUseId"]: use["name"] for turn in turns for use in uses_of(turn)}
    for number, turn in enumerate(turns):
        where = f"messages.{number}"
        _check_blocks(turn["content"], where)
        if turn["role"] == "user":
            messages += _user(turn["content"], where, abilities, names, media)
        else:
            messages.append(_assistant(turn["content"], where, abilities))
    check_tools(turns, has_tools="toolConfig" in body)
    return messages


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


def _user(
    blocks: Sequence[Block],
    where: str,
    abilities: Abilities,
    names: Mapping[str, str],
    media: AbstractSet[str],
) -> list[Message]:
    results = [block["toolResult"] for block in blocks if "toolResult" in block]
    if results and len(results) < len(blocks):
        raise ValidationException(
            f"{where}.content: Conversation blocks and tool result blocks cannot be provided in the"
            " same turn."
        )
    if results:
        return [_result(result, names) for result in results]
    documents = [block for block in blocks if "document" in block]
    if documents and not abilities.documents:
        raise ValidationException("This model doesn't support documents.")
    if documents and not any("text" in block for block in blocks):
        raise ValidationException(NO_TEXT)
    if any(block.keys() & media for block in blocks):
        return [{"role": "user", "content": list(_parts(blocks, abilities, media))}]
    return [{"role": "user", "content": _join(blocks, abilities)}]


def _parts(
    blocks: Sequence[Block], abilities: Abilities, media: AbstractSet[str]
) -> Iterator[dict[str, Any]]:
    """Yield texts, images and audio in their order.

    Raises `ValidationException` for too many images. Guess: its message.
    """
    images = [block["image"] for block in blocks if "image" in block]
    if len(images) > MAX_IMAGES_PER_MESSAGE:
        raise ValidationException(
            f"A message may have {MAX_IMAGES_PER_MESSAGE} images, and no more."
        )
    for block in _gather(blocks):
        if "image" in block.keys() & media:
            yield {"type": "image_url", "image_url": {"url": _to_url(block["image"])}}
        elif "audio" in block.keys() & media:
            yield {"type": "input_audio", "input_audio": _to_input_audio(block["audio"])}
        else:
            yield {"type": "text", "text": _join([block], abilities)}


def _to_input_audio(audio: Block) -> dict[str, str]:
    """Return OpenAI's form of audio. Guess: its size is limited by the size of a body only."""
    source = audio["source"]
    if "s3Location" in source:
        raise ValidationException(NO_S3)
    return {"data": source["bytes"], "format": audio["format"]}


def _to_url(image: Block) -> str:
    source = image["source"]
    if "s3Location" in source:
        raise ValidationException(NO_S3)
    if len(source["bytes"]) * 3 // 4 > MAX_IMAGE_BYTES:
        raise ValidationException(f"An image may have {MAX_IMAGE_BYTES} bytes, and no more.")
    return f"data:image/{image['format']};base64,{source['bytes']}"


def _assistant(blocks: Sequence[Block], where: str, abilities: Abilities) -> Message:
    uses = [block["toolUse"] for block in blocks if "toolUse" in block]
    others = [block for block in blocks if "toolUse" not in block]
    if uses and others and not abilities.mixes:
        raise ValidationException(
            f"{where}.content: Conversation blocks and tool use blocks cannot be provided in the"
            " same turn"
        )
    message: Message = {"role": "assistant", "content": _join(others, abilities)}
    if uses:
        message["tool_calls"] = [_call(use) for use in uses]
    return message


def _gather(blocks: Sequence[Block]) -> Iterator[Block]:
    """Yield the blocks, with all documents together in the place of the first one.

    Guess: no recording has two documents, or one in a user's turn.
    """
    documents = [block["document"] for block in blocks if "document" in block]
    for block in blocks:
        if "document" not in block:
            yield block
        elif documents:
            yield {"documents": documents}
            documents = []


def _join(blocks: Sequence[Block], abilities: Abilities) -> str:
    """Return the text of a turn."""
    texts = _texts(blocks)
    if abilities.trims:
        texts = (text.rstrip() for text in texts)
    return "\n\n".join(texts)


def _texts(blocks: Sequence[Block]) -> Iterator[str]:
    for block in _gather(blocks):
        if "text" in block:
            yield block["text"]
        elif "guardContent" in block and "text" in block["guardContent"]:
            yield block["guardContent"]["text"]["text"]
        elif "documents" in block:
            yield read_documents(block["documents"])
        elif "json" in block:  # in results of tools only
            yield json.dumps(to_plain(block["json"]), ensure_ascii=False)
        else:
            raise _lacking(block)


def _lacking(block: Block) -> InvokeError:
    """Return Bedrock's error for a block that the model does not support."""
    [kind] = block.keys() & BLOCK_KINDS or {"content"}
    if kind == "cachePoint":
        return AccessDeniedException(NO_CACHE)
    if kind == "reasoningContent":
        return ValidationException(NO_REASONING)
    return ValidationException(LACKING_BLOCK.format(kind=kind))


def _result(result: Block, names: Mapping[str, str]) -> Message:
    """Return the message of a tool's result, with the tool's name, which the 2402 models need."""
    if any("image" in block for block in result["content"]):
        raise ValidationException(NO_IMAGE_IN_RESULT)
    tool_use_id = result["toolUseId"]
    message = {"role": "tool", "tool_call_id": tool_use_id, "name": names.get(tool_use_id)}
    return {**message, "content": "".join(_texts(result["content"]))}


def _call(use: Block) -> Message:
    arguments = json.dumps(to_plain(use["input"]), ensure_ascii=False)
    return {"id": use["toolUseId"], "function": {"name": use["name"], "arguments": arguments}}


def to_tools(body: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Return the offered tools, OpenAI-shaped.

    Raises `ValidationException` for AWS's system tools, `AccessDeniedException` for cache points.
    """
    tools = []
    for number, tool in enumerate(body.get("toolConfig", {}).get("tools", ())):
        if "toolSpec" not in tool:
            if "cachePoint" in tool:
                raise AccessDeniedException(NO_CACHE)
            raise ValidationException("This model doesn't support system tools.")
        spec = tool["toolSpec"]
        function = {
            "name": spec["name"],
            "description": spec.get("description", ""),
            "parameters": _to_parameters(spec["inputSchema"].get("json"), number),
        }
        tools.append({"type": "function", "function": function})
    return tools


def _to_parameters(schema: Any, number: int) -> dict[str, Any]:  # noqa: ANN401 - any JSON
    """Return the schema with `type` and `properties` first, as Pixtral reads it."""
    plain = to_plain(schema)
    if not isinstance(plain, dict) or plain.get("type") != "object":
        raise ValidationException(
            f"The value at toolConfig.tools.{number}.toolSpec.inputSchema.json.type must be one of"
            " the following: object."
        )
    first = {key: plain[key] for key in ("type", "properties") if key in plain}
    return first | plain
