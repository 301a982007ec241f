"""amazon-bedrock-haystack: AmazonBedrockChatGenerator."""

import json

from haystack.dataclasses import ChatMessage
from haystack.tools import create_tool_from_function
from haystack_integrations.components.generators.amazon_bedrock import AmazonBedrockChatGenerator

LARGE = "mistral.mistral-large-2402-v1:0"
LARGE_3 = "mistral.mistral-large-3-675b-instruct"


def get_weather(city: str) -> str:
    """Return the weather in a city."""
    return f"7 degrees in {city}"


REPORT = {
    "type": "object",
    "properties": {
        "city": {"type": "string"},
        "degrees": {"type": "integer", "minimum": -90, "maximum": 60},
        "sky": {"enum": ["clear", "cloudy"]},
    },
    "required": ["city", "degrees", "sky"],
}
SPEC = {"name": "report", "description": "Report it", "inputSchema": {"json": REPORT}}
ANY = {"tools": [{"toolSpec": SPEC}], "toolChoice": {"any": {}}}


def ask(question, model=LARGE, **more):
    generator = AmazonBedrockChatGenerator(model=model, **more)
    [reply] = generator.run(messages=[ChatMessage.from_user(question)])["replies"]
    return reply


def shown(reply):
    usage = reply.meta["usage"]
    return {
        "text": reply.text,
        "stop": reply.meta["finish_reason"],
        "tokens": [usage["prompt_tokens"], usage["completion_tokens"]],
    }


def called(reply):
    [call] = reply.tool_calls
    return {
        "name": call.tool_name,
        "arguments": call.arguments,
        "stop": reply.meta["finish_reason"],
    }


def forced(question, model, **more):
    by_format = {"response_format": {"name": "report", "schema": REPORT}}
    return {
        "toolConfig": called(
            ask(f"{question} by toolConfig?", model, generation_kwargs={"toolConfig": ANY}, **more)
        ),
        "response_format": {
            "arguments": json.loads(
                ask(
                    f"{question} by response_format?", LARGE_3, generation_kwargs=by_format, **more
                ).text
            )
        },
    }


chunks = []
tools = [create_tool_from_function(get_weather)]
streamed = ask("How will the weather be?", streaming_callback=chunks.append)
assert len(chunks) > 1
print(
    json.dumps(
        {
            "plain": shown(ask("How is the weather?", generation_kwargs={"maxTokens": 100})),
            "streamed": shown(streamed),
            "tool": called(ask("How warm is it in Oslo?", tools=tools)),
            "streamed_tool": called(
                ask(
                    "How cold is it in Oslo?",
                    LARGE_3,
                    tools=tools,
                    streaming_callback=chunks.append,
                )
            ),
            "throttled": shown(ask("Are you there?")),
            "forced": forced("What do you report", LARGE),
            "streamed_forced": forced(
                "What will you report", LARGE_3, streaming_callback=chunks.append
            ),
        }
    )
)
