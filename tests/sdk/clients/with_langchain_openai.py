"""langchain-openai: ChatOpenAI."""

import json
from typing import Literal

from langchain_core.tools import tool as as_tool
from langchain_openai import ChatOpenAI
from pydantic import BaseModel, Field

model = ChatOpenAI(model="mistral.mistral-large-3-675b-instruct", stream_usage=True)


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


def whole(runnable, question):
    chunks = list(runnable.stream(question))
    answer = chunks[0]
    for chunk in chunks[1:]:
        answer += chunk
    return answer


def shown(answer):
    usage = answer.usage_metadata
    return {
        "text": answer.text,
        "stop": answer.response_metadata["finish_reason"],
        "tokens": [usage["input_tokens"], usage["output_tokens"]],
    }


def called(answer):
    [call] = answer.tool_calls
    return {
        "name": call["name"],
        "arguments": call["args"],
        "stop": answer.response_metadata["finish_reason"],
    }


def structured(question, method):
    answer = model.with_structured_output(Report, method=method).invoke(question)
    return {"arguments": answer.model_dump()}


with_tools = model.bind_tools([get_weather])
forced = model.bind_tools([Report], tool_choice="any")
print(
    json.dumps(
        {
            "plain": shown(model.invoke("How is the weather?")),
            "streamed": shown(whole(model, "How will the weather be?")),
            "tool": called(with_tools.invoke("How warm is it in Oslo?")),
            "streamed_tool": called(whole(with_tools, "How cold is it in Oslo?")),
            "throttled": shown(model.invoke("Are you there?")),
            "forced": {
                "with_structured_output, json_schema": structured(
                    "What do you report by with_structured_output, json_schema?", "json_schema"
                ),
                "with_structured_output, function_calling": structured(
                    "What do you report by with_structured_output, function_calling?",
                    "function_calling",
                ),
                "bind_tools, tool_choice any": called(
                    forced.invoke("What do you report by bind_tools, tool_choice any?")
                ),
            },
            "streamed_forced": {
                "bind_tools, tool_choice any": called(
                    whole(forced, "What will you report by bind_tools, tool_choice any?")
                ),
            },
        }
    )
)
