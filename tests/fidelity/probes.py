"""Converse's answers to the same requests, model by model, recorded on 2026-08-01."""

import json
from base64 import b64encode
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from tests.fidelity.case import Case
from tests.fidelity.error_events import document, event
from tests.support.images import png
from tests.support.servers import (
    LARGE,
    LARGE_3,
    LARGE_2407,
    MINISTRAL_3B,
    MIXTRAL,
    PIXTRAL,
    SEVEN_B,
    SMALL,
)

STDAPI = "stdapi-ai/stdapi.ai's records of 2026-08-01, us-east-1 and us-west-2"
FIRST = (SEVEN_B, MIXTRAL)
OF_2402 = (SMALL, LARGE)
OF_2025 = (
    LARGE_3,
    MINISTRAL_3B,
    "mistral.ministral-3-8b-instruct",
    "mistral.ministral-3-14b-instruct",
    "mistral.magistral-small-2509",
    "mistral.devstral-2-123b",
)
BEFORE = (*FIRST, *OF_2402, LARGE_2407, PIXTRAL)
ALL = (*BEFORE, *OF_2025)
LATER = ALL[2:]
BLIND = (*BEFORE[:-1], OF_2025[-1])
SEEING = (PIXTRAL, *OF_2025[:-1])

OK = "Reply with the single word OK."
SAID = "The model returned the following errors: "
DENIED = (
    "You invoked an unsupported model or your request did not allow prompt caching."
    " See the documentation for more information."
)
NO_TOOLS = "This model doesn't support tool use."
NO_TIER = "The provided service tier is not supported for this model."
NO_DOCUMENTS = "This model doesn't support documents."
NO_IMAGES = (
    "This model doesn't support the image content block that you provided."
    " Update the content block and try again."
)
NOT_LAST = (
    "The model that you are using requires the last turn in the conversation to be a user message."
    " Add a user message to the conversation and try again."
)
NO_SYSTEM = (
    "This model doesn't support system messages. Try again without a system message or use a model"
    " that supports system messages."
)
BLANK_STOP = (
    "The stop sequence value at inferenceConfig.stopSequences.0 is blank."
    " Try again with a non blank stop sequence."
)
BAD_ID = "Tool call id was t1 but must be a-z, A-Z, 0-9, with a length of 9."
GENERATION = (
    "Cannot set `add_generation_prompt` to True when the last message is from the assistant."
    " Consider using `continue_final_message` instead."
)


@dataclass(frozen=True, kw_only=True)
class Probe:
    """A request that differs from a plain one by `more`. Without `message` the models answer it.

    In a message `{id}` stands for the model's id, `{region}` for the region.
    """

    name: str
    models: tuple[str, ...]
    more: Mapping[str, Any]
    message: str = ""
    code: str = "ValidationException"
    status: int = 400
    seen: str = STDAPI

    @property
    def cases(self) -> Iterator[Case]:
        for model in self.models:
            region = "us-west-2" if model == LARGE_2407 else "us-east-1"
            names = {"{id}": model.removeprefix("us."), "{region}": region}
            message = self.message
            for name, value in names.items():
                message = message.replace(name, value)
            plain = {"messages": user({"text": OK}), "inferenceConfig": {"maxTokens": 64}}
            refused: dict[str, Any] = {"status": self.status, "code": self.code, "message": message}
            yield Case(
                name=f"{self.name}, {model}",
                seen=self.seen,
                operations=("converse",),
                model=model,
                region=region,
                body={**plain, **self.more},
                **(refused if message else {}),
            )


def user(*blocks: Mapping[str, Any]) -> list[dict[str, Any]]:
    return [{"role": "user", "content": list(blocks)}]


def said(*blocks: Mapping[str, Any]) -> dict[str, Any]:
    return {"role": "assistant", "content": list(blocks)}


def field(name: str, value: Any) -> dict[str, Any]:
    return {"additionalModelRequestFields": {name: value}}


def by_pydantic(model: str, name: str, value: str, kind: str) -> str:
    return (
        f"{SAID}Validation Error: 1 validation error for {model}\n{name}\n  Extra inputs are not"
        f" permitted [type=extra_forbidden, input_value={value}, input_type={kind}]\n"
        "    For further information visit https://errors.pydantic.dev/2.10/v/extra_forbidden"
    )


def by_detail(content: Any, name: str, value: Any, *, pixtral: bool) -> str:
    """Return the details about the three or four kinds of request that the body fits none of."""
    if isinstance(value, dict):
        value = dict(sorted(value.items()))
    body = {"messages": [{"role": "user", "content": content}], "max_tokens": 64, name: value}
    chat = "function-after[has_tool_execution_data_for_all_tools(), ChatCompletionRequest]"

    def extra(kind: str, *keys: str) -> list[dict[str, Any]]:
        begun = {"type": "extra_forbidden", "loc": ["body", kind]}
        said = {"msg": "Extra inputs are not permitted"}
        return [{**begun, "loc": ["body", kind, key], **said, "input": body[key]} for key in keys]

    def lacking(kind: str, key: str) -> dict[str, Any]:
        location = ["body", kind, key]
        return {"type": "missing", "loc": location, "msg": "Field required", "input": body}

    detail = extra("ChatCompletionRequest" if pixtral else chat, name)
    for kind in ("CompletionRequest", "FIMCompletionRequest"):
        detail += [lacking(kind, "prompt"), *extra(kind, "messages", name)]
    if pixtral:
        rest = extra("OCRRequest", "messages", "max_tokens", name)
        detail += [lacking("OCRRequest", "document"), *rest]
    return SAID + json.dumps({"detail": detail, "body": body}, separators=(",", ":"))


def in_event(sentence: str) -> str:
    return SAID + document(event(sentence))


WEATHER = {
    "toolSpec": {
        "name": "get_weather",
        "description": "Get the current weather for a city.",
        "inputSchema": {
            "json": {
                "type": "object",
                "properties": {"city": {"type": "string"}},
                "required": ["city"],
            }
        },
    }
}
TOOLS = {"toolConfig": {"tools": [WEATHER]}}
CALL = {"toolUse": {"toolUseId": "t1", "name": "get_weather", "input": {"city": "Lisbon"}}}
RESULT = {"toolResult": {"toolUseId": "t1", "content": [{"text": "18C and sunny"}]}}
REPLAYED = {
    "messages": [*user({"text": "Weather in Lisbon?"}), said(CALL), *user(RESULT)],
    **TOOLS,
}
BEGUN = {"messages": [*user({"text": "Name a colour."}), said({"text": "The colour is"})]}
PLACE = {
    "type": "object",
    "properties": {"city": {"type": "string"}, "country": {"type": "string"}},
    "required": ["city", "country"],
    "additionalProperties": False,
}
FORMAT = {
    "outputConfig": {
        "textFormat": {
            "type": "json_schema",
            "structure": {"jsonSchema": {"schema": json.dumps(PLACE), "name": "place"}},
        }
    }
}
IMAGE = {"format": "png", "source": {"bytes": b64encode(png(size=(64, 64))).decode()}}
PICTURE = {"messages": user({"text": OK}, {"image": IMAGE})}
TEXT = {"bytes": b64encode(b"a short note").decode()}
DOCUMENT = {"format": "txt", "name": "note", "source": TEXT}
NOTE = {"messages": user({"text": OK}, {"document": DOCUMENT})}
STOPS = {"inferenceConfig": {"maxTokens": 64, "stopSequences": ["STOPHERE"]}}
BLANK = {"inferenceConfig": {"maxTokens": 64, "stopSequences": [" "]}}
CACHED = {"messages": user({"text": "Hi"}, {"cachePoint": {"type": "default"}}, {"text": OK})}
PARTS = [{"type": "text", "text": OK}]
CONFIG = {"type": "enabled", "budget_tokens": 1024}  # quoted with its keys sorted
SYSTEM = {"system": [{"text": "You always answer in exactly one word."}]}


def answered(name: str, models: tuple[str, ...], more: Mapping[str, Any]) -> Probe:
    return Probe(name=f"{name} is answered", models=models, more=more)


def refused(
    name: str, models: tuple[str, ...], more: Mapping[str, Any], message: str, **other: Any
) -> Probe:
    return Probe(name=f"{name} is refused", models=models, more=more, message=message, **other)


def unknown_field(name: str, value: Any, written: str, kind: str) -> list[Probe]:
    """Return a probe with an unknown field, for the models whose servers refuse it."""
    more = field(name, value)
    kinds = ((FIRST, "TextToTextCompletionRequest"), (OF_2402, "ThirdPartyChatCompletionRequest"))
    chats = (((LARGE_2407,), OK, False), ((PIXTRAL,), PARTS, True))
    return [
        *(
            refused(f"{name} to {model}", models, more, by_pydantic(model, name, written, kind))
            for models, model in kinds
        ),
        *(
            refused(
                f"{name} to {'Pixtral' if pixtral else 'Large 2407'}",
                models,
                more,
                by_detail(content, name, value, pixtral=pixtral),
            )
            for models, content, pixtral in chats
        ),
    ]


TABLE = [
    answered("a plain request", ALL, {}),
    answered("a system message", LATER, SYSTEM),
    refused("a system message", FIRST, SYSTEM, NO_SYSTEM),
    answered(
        "temperature and topP",
        ALL,
        {"inferenceConfig": {"maxTokens": 64, "temperature": 0.2, "topP": 0.5}},
    ),
    answered("a stop sequence", BEFORE, STOPS),
    refused(
        "a stop sequence",
        OF_2025,
        STOPS,
        "This model doesn't support the stopSequences field. Remove stopSequences and try again.",
    ),
    refused("a blank stop sequence", ALL, BLANK, BLANK_STOP),
    answered("top_k", (*FIRST, *OF_2402), field("top_k", 10)),
    *unknown_field("top_k", 10, "10", "int")[2:],
    *unknown_field("stdapi_probe_unknown", 1, "1", "int"),
    *unknown_field("thinking", {"type": "enabled"}, "{'type': 'enabled'}", "dict"),
    *unknown_field("reasoning_effort", "high", "'high'", "str"),
    *unknown_field(
        "reasoning_config", CONFIG, "{'budget_tokens': 1024, 'type': 'enabled'}", "dict"
    ),
    answered("a tool", LATER, TOOLS),
    refused("a tool", FIRST, TOOLS, NO_TOOLS),
    refused("a cache point", ALL, CACHED, DENIED, code="AccessDeniedException", status=403),
    refused(
        "optimized latency",
        ALL,
        {"performanceConfig": {"latency": "optimized"}},
        "Latency performance configuration is not supported for {id} in {region}",
    ),
    *(
        probe
        for tier in ("priority", "flex")
        for probe in (
            answered(f"the tier {tier}", OF_2025, {"serviceTier": {"type": tier}}),
            refused(f"the tier {tier}", BEFORE, {"serviceTier": {"type": tier}}, NO_TIER),
        )
    ),
    refused("a last turn of the assistant", BEFORE, BEGUN, NOT_LAST),
    refused("a last turn of the assistant, by its server,", OF_2025, BEGUN, in_event(GENERATION)),
    answered("a short id of a call", OF_2402, REPLAYED),
    refused("a short id of a call without tools", FIRST, REPLAYED, NO_TOOLS),
    refused("a short id of a call", (LARGE_2407, PIXTRAL), REPLAYED, SAID + BAD_ID),
    refused("a short id of a call, by its server,", OF_2025, REPLAYED, in_event(BAD_ID)),
    answered("a schema for the answer", OF_2025, FORMAT),
    refused(
        "a schema for the answer",
        BEFORE,
        FORMAT,
        "This model doesn't support the outputConfig field. Remove outputConfig and try again.",
    ),
    answered("an image", SEEING, PICTURE),
    refused("an image", BLIND, PICTURE, NO_IMAGES),
    answered("a document", (*FIRST, LARGE, LARGE_2407, PIXTRAL), NOTE),
    refused("a document", (SMALL, *OF_2025), NOTE, NO_DOCUMENTS),
    answered("metadata", ALL, {"requestMetadata": {"probe": "stdapi"}}),
]
