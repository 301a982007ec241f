"""langchain-aws: ChatBedrockConverse."""

import json

from langchain_aws import ChatBedrockConverse
from langchain_core.tools import tool as as_tool

LARGE = "mistral.mistral-large-2402-v1:0"
LARGE_3 = "mistral.mistral-large-3-675b-instruct"


@as_tool
def get_weather(city: str) -> str:
    """The weather in a city."""
    return f"7 degrees in {city}"


def shown(message):
    usage = message.usage_metadata
    return {
        "text": message.text,
        "stop": message.response_metadata["stopReason"],
        "tokens": [usage["input_tokens"], usage["output_tokens"]],
    }


def called(message):
    [call] = message.tool_calls
    stop = message.response_metadata["stopReason"]
    return {"name": call["name"], "arguments": call["args"], "stop": stop}


def add_up(chunks):
    whole = next(chunks)
    for chunk in chunks:
        whole += chunk
    return whole


large = ChatBedrockConverse(model=LARGE, max_tokens=100)
large_3 = ChatBedrockConverse(model=LARGE_3)

print(
    json.dumps(
        {
            "plain": shown(large.invoke("How is the weather?")),
            "streamed": shown(add_up(large.stream("How will the weather be?"))),
            "tool": called(large.bind_tools([get_weather]).invoke("How warm is it in Oslo?")),
            "streamed_tool": called(
                add_up(large_3.bind_tools([get_weather]).stream("How cold is it in Oslo?"))
            ),
            "throttled": shown(large.invoke("Are you there?")),
        }
    )
)
