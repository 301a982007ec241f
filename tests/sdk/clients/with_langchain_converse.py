"""langchain-aws: ChatBedrockConverse."""

import json
from typing import Literal

from langchain_aws import ChatBedrockConverse
from langchain_core.tools import tool as as_tool
from pydantic import BaseModel, Field

LARGE = "mistral.mistral-large-2402-v1:0"
LARGE_3 = "mistral.mistral-large-3-675b-instruct"
MINISTRAL = "mistral.ministral-3-8b-instruct"
ANY = "bind_tools, tool_choice any"


class Wind(BaseModel):
    speed: float = Field(ge=0)
    direction: Literal["north", "east", "south", "west"]


class Report(BaseModel):
    """Report the weather in a city."""

    city: str
    degrees: int = Field(ge=-90, le=60)
    sky: Literal["clear", "cloudy"]
    wind: Wind


@as_tool
def get_weather(city: str) -> str:
    """Return the weather in a city."""
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


def reported(report):
    assert isinstance(report, Report) or report is None
    return {"arguments": report and report.model_dump()}


def add_up(chunks):
    whole = next(chunks)
    for chunk in chunks:
        whole += chunk
    return whole


large = ChatBedrockConverse(model=LARGE, max_tokens=100)
large_3 = ChatBedrockConverse(model=LARGE_3)
ministral = ChatBedrockConverse(model=MINISTRAL)


def forced(question):
    ways = {
        "with_structured_output": large.with_structured_output(Report),
        "with_structured_output of Ministral": ministral.with_structured_output(Report),
        "with_structured_output, json_schema": large_3.with_structured_output(
            Report, method="json_schema"
        ),
    }
    got = {way: reported(chat.invoke(f"{question} by {way}?")) for way, chat in ways.items()}
    chat = large.bind_tools([Report], tool_choice="any")
    return {**got, ANY: called(chat.invoke(f"{question} by {ANY}?"))}


def streamed_forced(question):
    way = "with_structured_output"
    [report] = large_3.with_structured_output(Report).stream(f"{question} by {way}?")
    chat = large_3.bind_tools([Report], tool_choice="any")
    return {way: reported(report), ANY: called(add_up(chat.stream(f"{question} by {ANY}?")))}


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
            "forced": forced("What do you report"),
            "streamed_forced": streamed_forced("What will you report"),
        }
    )
)
