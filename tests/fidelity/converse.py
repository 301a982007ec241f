"""Errors of Converse and ConverseStream."""

from base64 import b64encode
from collections.abc import Mapping
from typing import Any

from tests.fidelity.case import CORAL, GUESS, Case
from tests.fidelity.error_events import document, event, streamed
from tests.support.servers import (
    LARGE,
    LARGE_3,
    LARGE_2407,
    MINISTRAL_3B,
    MIXTRAL,
    PIXTRAL,
    SEVEN_B,
    SMALL,
    VOXTRAL_MINI,
)
from tests.support.sounds import to_base64, tone

CONVERSE_OPERATIONS = ("converse", "converse-stream")
FACTS = "public reports, 2024 to 2026"
OTHERS = "public reports of other models, 2024 to 2026"
STDAPI = "stdapi-ai/stdapi.ai's records of 2026-08-01"
PROBE = "a VS Code extension's probe, us-west-2, 2026-10-10"

USER: dict[str, Any] = {"role": "user", "content": [{"text": "Hi"}]}
ASSISTANT: dict[str, Any] = {"role": "assistant", "content": [{"text": "Yes?"}]}
TOOLS = {"tools": [{"toolSpec": {"name": "f", "inputSchema": {"json": {"type": "object"}}}}]}
PREFIX = "The model returned the following errors: "
NO_SUCH_TOOL = "The tool specified in `tool_choice` does not match any of the specified `tools`"
BAD_ID = "Tool call id was abc123 but must be a-z, A-Z, 0-9, with a length of 9."


def use(tool_use_id: str, *more: Mapping[str, Any]) -> dict[str, Any]:
    block = {"toolUse": {"toolUseId": tool_use_id, "name": "f", "input": {}}}
    return {"role": "assistant", "content": [*more, block]}


def result(tool_use_id: str, *more: Mapping[str, Any]) -> dict[str, Any]:
    block = {"toolResult": {"toolUseId": tool_use_id, "content": [{"text": "7"}]}}
    return {"role": "user", "content": [block, *more]}


def user(*blocks: Mapping[str, Any]) -> list[dict[str, Any]]:
    return [{"role": "user", "content": list(blocks)}]


def note(kind: str = "txt", name: str = "notes", raw: bytes = b"Hi") -> dict[str, Any]:
    source = {"bytes": b64encode(raw).decode()}
    return {"document": {"format": kind, "name": name, "source": source}}


def refused(name: str, message: str, seen: str, /, *, model: str = SEVEN_B, **more: Any) -> Case:
    """Return a row with an error. By default the body has one message of the user."""
    known = {"operations", "why", "in_stream", "region", "status", "code", "suffix", "remote"}
    known |= {"begins"}
    case = {key: more.pop(key) for key in known & more.keys()}
    body = {"messages": [USER], **more}
    kind = {"status": 400, "code": "ValidationException"}
    known_case = {"operations": CONVERSE_OPERATIONS, "model": model, "body": body, **kind, **case}
    return Case(name=name, seen=seen, message=message, **known_case)


def misread(name: str, message: str, **body: Any) -> Case:
    return Case(
        name=name,
        seen=GUESS,
        why="Coral's message in other AWS services",
        operations=CONVERSE_OPERATIONS,
        body={"messages": [USER], **body},
        status=400,
        code="SerializationException",
        suffix=CORAL,
        message=message,
    )


IMAGE = {"image": {"format": "png", "source": {"bytes": "AAAA"}}}
CLIP = {"audio": {"format": "wav", "source": {"bytes": to_base64(tone(0.1))}}}
REASONING = {"reasoningContent": {"reasoningText": {"text": "Hm."}}}
AUDIO = {"audio": {"format": "wav", "source": {"bytes": "AAAA"}}}
VIDEO = {"video": {"format": "mp4", "source": {"bytes": "AAAA"}}}
NO_BLOCK = (
    "This model doesn't support the {} content block that you provided."
    " Update the content block and try again."
)
SYSTEM_AND_AUDIO = (
    "Found system messages at indexes [0] and audio chunks in messages at indexes [1]."
    " This is not allowed prior to the tokenizer version 13."
)

TABLE = [
    *(
        refused(
            f"system messages to {name}",
            "This model doesn't support system messages. Try again without a system message or use"
            " a model that supports system messages.",
            f"{FACTS}; Mistral 7B measured 2026-10-01",
            model=model,
            system=[{"text": "Be brief"}],
        )
        for name, model in (("7B", SEVEN_B), ("Mixtral", MIXTRAL))
    ),
    refused(
        "tools to 7B",
        "This model doesn't support tool use.",
        FACTS,
        operations=("converse",),
        toolConfig=TOOLS,
    ),
    *(
        refused(
            f"tools to {name} in a stream",
            "This model doesn't support tool use in streaming mode.",
            PROBE,
            model=model,
            operations=("converse-stream",),
            toolConfig=TOOLS,
            **more,
        )
        for name, model, more in (
            ("7B", SEVEN_B, {}),
            ("Mixtral", MIXTRAL, {}),
            ("Large", LARGE, {}),
            ("Large 2407", LARGE_2407, {"region": "us-west-2"}),
            ("Pixtral", PIXTRAL, {}),
        )
    ),
    *(
        refused(
            f"two calls of one id to {name}",
            "The toolUse blocks at messages.1.content contain duplicate Ids: abcd12345",
            "vercel/ai#16182, of other models",
            model=model,
            operations=("converse",),
            messages=[
                USER,
                {"role": "assistant", "content": use("abcd12345")["content"] * 2},
                {"role": "user", "content": result("abcd12345")["content"] * 2},
            ],
            toolConfig=TOOLS,
        )
        for name, model in (("Pixtral", PIXTRAL), ("Large 3", LARGE_3))
    ),
    refused(
        "an image in a tool's result",
        "This model doesn't support the image field for user messages. Remove image and try again.",
        "anomalyco/opencode#49443",
        model=PIXTRAL,
        operations=("converse",),
        messages=[
            USER,
            use("abcd12345"),
            user({"toolResult": {"toolUseId": "abcd12345", "content": [IMAGE]}})[0],
        ],
        toolConfig=TOOLS,
    ),
    *(
        refused(
            f"reasoning of the {role}'s",
            "User messages cannot contain reasoning content."
            " Please remove the reasoning content and try again.",
            "public reports of Devstral, Ministral and Large, 2026",
            model=LARGE_3,
            messages=messages,
        )
        for role, messages in (
            ("user", user(REASONING, {"text": "Hi"})),
            ("assistant", [USER, {"role": "assistant", "content": [REASONING]}, USER]),
        )
    ),
    refused(
        "a cache point",
        "You invoked an unsupported model or your request did not allow prompt caching."
        " See the documentation for more information.",
        STDAPI,
        model=LARGE_3,
        code="AccessDeniedException",
        status=403,
        messages=user({"text": "Hi"}, {"cachePoint": {"type": "default"}}),
    ),
    refused(
        "one tool that must be called",
        "This model doesn't support the toolConfig.toolChoice.tool field."
        " Remove toolConfig.toolChoice.tool and try again.",
        f"{FACTS}, of Large 2402",
        model=LARGE,
        operations=("converse",),
        toolConfig={**TOOLS, "toolChoice": {"tool": {"name": "f"}}},
    ),
    *(
        refused(
            f"one tool that {name} must call",
            "This model doesn't support the toolConfig.toolChoice.tool field."
            " Remove toolConfig.toolChoice.tool and try again.",
            seen,
            why=why,
            model=model,
            region=region,
            operations=("converse",),
            toolConfig={**TOOLS, "toolChoice": {"tool": {"name": "f"}}},
        )
        for name, model, region, seen, why in (
            ("Pixtral", PIXTRAL, "us-east-1", FACTS, ""),
            ("Large 2407", LARGE_2407, "us-west-2", GUESS, "seen with Large 2402 and Pixtral"),
        )
    ),
    refused(
        "one tool that must be called and is not offered",
        PREFIX + document(event(NO_SUCH_TOOL)),
        GUESS,
        why="the sentence is vLLM's own, the frame as seen in other refusals",
        model=LARGE_3,
        operations=("converse",),
        toolConfig={**TOOLS, "toolChoice": {"tool": {"name": "g"}}},
    ),
    refused(
        "text beside a call of a tool",
        "messages.1.content: Conversation blocks and tool use blocks cannot be provided in the same"
        " turn",
        "langchain-aws 38c7743e, of Large 2402",
        model=LARGE,
        operations=("converse",),
        messages=[USER, use("abcd12345", {"text": "Wait."}), result("abcd12345")],
        toolConfig=TOOLS,
    ),
    refused(
        "text beside a tool's result",
        "messages.2.content: Conversation blocks and tool result blocks cannot be provided in the"
        " same turn.",
        "BerriAI/litellm#6053",
        model=LARGE,
        operations=("converse",),
        messages=[USER, use("abcd12345"), result("abcd12345", {"text": "Here."})],
        toolConfig=TOOLS,
    ),
    refused(
        "an id that Pixtral does not know",
        f"{PREFIX}Tool call id was abc123 but must be a-z, A-Z, 0-9, with a length of 9.",
        "anomalyco/opencode#48843",
        model=PIXTRAL,
        operations=("converse",),
        messages=[USER, use("abc123"), result("abc123")],
        toolConfig=TOOLS,
    ),
    refused(
        "an id that Large 3 does not know, in a stream",
        PREFIX + streamed(BAD_ID),
        GUESS,
        why="the frame was seen with another vendor's model, the sentence with this model",
        model=LARGE_3,
        operations=("converse-stream",),
        in_stream=True,
        messages=[USER, use("abc123"), result("abc123")],
        toolConfig=TOOLS,
    ),
    *(
        refused(
            name,
            "The number of toolResult blocks at messages.2.content exceeds the number of toolUse"
            " blocks of previous turn.",
            OTHERS,
            model=PIXTRAL,
            operations=("converse",),
            messages=[USER, assistant, answered],
            toolConfig=TOOLS,
        )
        for name, assistant, answered in (
            ("a result without a call", ASSISTANT, result("abcd12345")),
            (
                "two results of one call",
                use("abcd12345"),
                result("abcd12345", *result("abcd12346")["content"]),
            ),
        )
    ),
    refused(
        "two results with one id",
        "The toolResult blocks at messages.2.content contain duplicate Ids: abcd12345",
        OTHERS,
        model=PIXTRAL,
        operations=("converse",),
        messages=[
            USER,
            use("abcd12345"),
            {"role": "user", "content": result("abcd12345")["content"] * 2},
        ],
        toolConfig=TOOLS,
    ),
    *(
        refused(
            f"a tool's schema that is {name}",
            "The value at toolConfig.tools.1.toolSpec.inputSchema.json.type must be one of the"
            " following: object.",
            "public reports of all families of models, Mistral's among them, 2026-06",
            model=PIXTRAL,
            operations=("converse",),
            toolConfig={
                "tools": [
                    *TOOLS["tools"],
                    {"toolSpec": {"name": "g", "inputSchema": {"json": schema}}},
                ]
            },
        )
        for name, schema in (
            ("empty", {}),
            ("of another type", {"type": "array"}),
            ("one of several", {"anyOf": [{"type": "object"}]}),
        )
    ),
    refused(
        "a call without its result",
        "Expected toolResult blocks at messages.2.content for the following Ids: abcd12345",
        OTHERS,
        model=LARGE,
        operations=("converse",),
        messages=[USER, use("abcd12345"), USER],
        toolConfig=TOOLS,
    ),
    refused(
        "calls without tools",
        "The toolConfig field must be defined when using toolUse and toolResult content blocks.",
        OTHERS,
        model=LARGE,
        messages=[USER, use("abcd12345"), result("abcd12345")],
    ),
    refused(
        "stop sequences to Large 3",
        "This model doesn't support the stopSequences field. Remove stopSequences and try again.",
        STDAPI,
        model=LARGE_3,
        inferenceConfig={"stopSequences": ["a"]},
    ),
    refused(
        "stop sequences to Ministral",
        "This model doesn't support the stopSequences field. Remove stopSequences and try again.",
        STDAPI,
        model=MINISTRAL_3B,
        inferenceConfig={"stopSequences": ["a"]},
    ),
    *(
        refused(
            f"a blank stop sequence to {name}",
            "The stop sequence value at inferenceConfig.stopSequences.0 is blank."
            " Try again with a non blank stop sequence.",
            STDAPI,
            model=model,
            inferenceConfig={"stopSequences": [" "]},
        )
        for name, model in (("7B", SEVEN_B), ("Large 3", LARGE_3))
    ),
    refused(
        "a schema for the answer",
        "This model doesn't support the outputConfig field. Remove outputConfig and try again.",
        STDAPI,
        outputConfig={
            "textFormat": {"type": "json_schema", "structure": {"jsonSchema": {"schema": "{}"}}}
        },
    ),
    refused(
        "a schema that is no JSON",
        "The value at outputConfig.textFormat.structure.jsonSchema.schema must be a JSON object"
        " that is written as a string.",
        GUESS,
        why="no report of such a request is known",
        model=LARGE_3,
        outputConfig={
            "textFormat": {"type": "json_schema", "structure": {"jsonSchema": {"schema": "{"}}}
        },
    ),
    refused("an image to 7B", NO_BLOCK.format("image"), STDAPI, messages=user(IMAGE)),
    refused(
        "an image to Devstral",
        NO_BLOCK.format("image"),
        PROBE,
        model="mistral.devstral-2-123b",
        operations=("converse-stream",),
        messages=user(IMAGE),
    ),
    refused("a video to 7B", NO_BLOCK.format("video"), OTHERS, messages=user(VIDEO)),
    *(
        refused(
            f"audio to {name}",
            NO_BLOCK.format("audio"),
            GUESS,
            why="the sentence of the other blocks",
            model=model,
            messages=user({"text": "What is being said?"}, AUDIO),
        )
        for name, model in (("7B", SEVEN_B), ("Large 3", LARGE_3))
    ),
    refused(
        "an image to Voxtral",
        NO_BLOCK.format("image"),
        OTHERS,
        model=VOXTRAL_MINI,
        messages=user({"text": "What is it?"}, IMAGE),
    ),
    refused(
        "audio in a bucket",
        "This model doesn't support the s3Uri field. Remove s3Uri and try again.",
        GUESS,
        why="the sentence of documents",
        model=VOXTRAL_MINI,
        messages=user(
            {"audio": {"format": "wav", "source": {"s3Location": {"uri": "s3://bucket/a.wav"}}}}
        ),
    ),
    *(
        refused(
            f"{name}, by {operation}",
            PREFIX + word(words),
            GUESS,
            why=why,
            model=VOXTRAL_MINI,
            operations=(operation,),
            in_stream=True,
            messages=messages,
            **more,
        )
        for operation, word in (
            ("converse", lambda words: document(event(words))),
            ("converse-stream", streamed),
        )
        for name, words, why, messages, more in (
            (
                "audio that is none",
                "Audio is no WAV, MP3, FLAC or Ogg in base64.",
                "nothing was found",
                user(AUDIO),
                {},
            ),
            (
                "audio of a format that is not read",
                "Audio of the format m4a can't be read.",
                "mistral-common reads what libsndfile reads, and libsndfile does not read this",
                user({"audio": {**AUDIO["audio"], "format": "m4a"}}),
                {},
            ),
            (
                "six clips",
                "At most 5 audio(s) may be provided in one prompt.",
                "vLLM's limit for this model, and its sentence",
                user(*[CLIP] * 6),
                {},
            ),
            (
                "a system message beside audio",
                SYSTEM_AND_AUDIO,
                "mistral-common's sentence; its tests pin Voxtral's tokenizer as one of v7",
                user(CLIP),
                {"system": [{"text": "Be brief"}]},
            ),
        )
    ),
    refused(
        "a document to Small 2402",
        "This model doesn't support documents.",
        STDAPI,
        model=SMALL,
        messages=user(note(), {"text": "Sum it up"}),
    ),
    refused(
        "a document without a text",
        "A text block must be included when using documents."
        " Add a text block and retry your request.",
        OTHERS,
        messages=user(note()),
    ),
    refused(
        "a document in a bucket",
        "This model doesn't support the s3Uri field. Remove s3Uri and try again.",
        "pydantic-ai's recordings of Claude",
        messages=user(
            {
                "document": {
                    "format": "txt",
                    "name": "notes",
                    "source": {"s3Location": {"uri": "s3://bucket/notes"}},
                }
            },
            {"text": "Sum it up"},
        ),
    ),
    refused(
        "a document with a full stop in its name",
        "The document file name can only contain alphanumeric characters, whitespace characters,"
        " hyphens, parentheses, and square brackets. The name can't contain more than one"
        " consecutive whitespace character. Check that the file name conforms to these"
        " restrictions and retry your request.",
        "vercel/ai's recordings, 2026",
        messages=user(note(name="notes.txt"), {"text": "Sum it up"}),
    ),
    refused(
        "a conversation that the assistant begins",
        "A conversation must start with a user message."
        " Try again with a conversation that starts with a user message.",
        OTHERS,
        messages=[ASSISTANT, USER],
    ),
    refused(
        "two messages of one role",
        "A conversation must alternate between user and assistant roles. Make sure the conversation"
        " alternates between user and assistant roles and try again.",
        OTHERS,
        messages=[USER, USER],
    ),
    refused(
        "a conversation that the assistant ends",
        "The model that you are using requires the last turn in the conversation to be a user"
        " message. Add a user message to the conversation and try again.",
        STDAPI,
        messages=[USER, ASSISTANT],
    ),
    refused(
        "a blank text",
        "The text field in the ContentBlock object at messages.0.content.0 is blank."
        " Add text to the text field, and try again.",
        OTHERS,
        messages=user({"text": " \n"}),
    ),
    refused(
        "a message without content",
        "The content field in the Message object at messages.0 is empty."
        " Add a ContentBlock object to the content field and try again.",
        "earendil-works/pi#3443, archestra-ai/archestra#4220 (2026-04), of other models",
        messages=user(),
    ),
    refused(
        "a block of no kind",
        "ContentBlock object at messages.0.content.0 must set one of the following keys: text,"
        " image, document, video, audio, toolUse, toolResult, guardContent, cachePoint,"
        " reasoningContent, citationsContent, searchResult, toolAddition, toolRemoval.",
        GUESS,
        why="seen with the keys of an earlier service model, in another order",
        messages=user({}),
    ),
    refused(
        "a temperature over 1",
        "1 validation error detected: Value at 'inferenceConfig.temperature' failed to"
        " satisfy constraint: Member must have value less than or equal to 1",
        f"{OTHERS}; without the value: vercel/ai's recordings, 2026",
        inferenceConfig={"temperature": 32424.0},
    ),
    refused(
        "a message of the role system",
        "1 validation error detected: Value at 'messages.2.member.role' failed to satisfy"
        " constraint: Member must satisfy enum value set: [user, assistant]",
        "before the service model had that role; of other models",
        messages=[USER, {"role": "system", "content": [{"text": "Be brief"}]}],
    ),
    refused(
        "max_tokens over the model's",
        "Malformed input request: #/max_tokens: 10000 is not less or equal to 4096,"
        " please reformat your input and try again.",
        FACTS,
        model=MIXTRAL,
        inferenceConfig={"maxTokens": 10_000},
    ),
    refused(
        "a prompt beside the messages",
        "Malformed input request: #: extraneous key [prompt] is not permitted,"
        " please reformat your input and try again.",
        GUESS,
        why="as for any other field that the model does not have",
        additionalModelRequestFields={"prompt": "Hi"},
    ),
    refused(
        "a conversation that is too long",
        f"{PREFIX}This model's maximum context length is 32768 tokens."
        " Please reduce the length of the prompt",
        GUESS,
        why="seen on InvokeModel; the prefix is Converse's",
        in_stream=True,
        messages=user({"text": "word " * 40_000}),
    ),
    refused(
        "an unknown model",
        "The provided model identifier is invalid.",
        "pydantic-ai's recordings",
        model="mistral.nope-v0:1",
    ),
    misread(
        "messages that are no list", "STRING_VALUE can not be converted to a List", messages="Hi"
    ),
    misread(
        "a number that is none",
        "STRING_VALUE can not be converted to an Integer",
        inferenceConfig={"maxTokens": "7"},
    ),
    Case(
        name="a chat model's own words to an unknown role",
        seen=GUESS,
        why="everit's words, seen with other models",
        model=LARGE_2407,
        region="us-west-2",
        body={"messages": [{"role": "bot"}]},
        status=400,
        code="ValidationException",
        message="Malformed input request: #/messages/0/role: bot is not a valid enum value,"
        " please reformat your input and try again.",
    ),
]
