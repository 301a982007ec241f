"""llama-index-llms-bedrock-converse: BedrockConverse."""

import json
from typing import Literal

from llama_index.core.llms import ChatMessage
from llama_index.core.program.function_program import get_function_tool
from llama_index.core.prompts import PromptTemplate
from llama_index.core.tools import FunctionTool
from llama_index.llms.bedrock_converse import BedrockConverse
from pydantic import BaseModel, Field

LARGE = "mistral.mistral-large-2402-v1:0"


class Wind(BaseModel):
    speed: float = Field(ge=0)
    direction: Literal["north", "east", "south", "west"]


class Report(BaseModel):
    """Report the weather in a city."""

    city: str
    degrees: int = Field(ge=-90, le=60)
    sky: Literal["clear", "cloudy"]
    wind: Wind


def get_weather(city: str) -> str:
    """Return the weather in a city."""
    return f"7 degrees in {city}"


get_weather_tool = FunctionTool.from_defaults(get_weather)
llm = BedrockConverse(model=LARGE, max_tokens=100)


def user(question):
    return [ChatMessage(role="user", content=question)]


def shown(response):
    tokens = response.additional_kwargs
    return {
        "text": response.message.content,
        "tokens": [tokens["prompt_tokens"], tokens["completion_tokens"]],
    }


def tool(question, tool=get_weather_tool, **more):
    answer = llm.chat_with_tools([tool], user_msg=question, **more)
    [call] = llm.get_tool_calls_from_response(answer)
    return {"name": call.tool_name, "arguments": call.tool_kwargs}


def predicted(question):
    report = llm.structured_predict(Report, PromptTemplate(question))
    assert isinstance(report, Report)
    return {"arguments": report.model_dump()}


print(
    json.dumps(
        {
            "plain": shown(llm.chat(user("How is the weather?"))),
            "streamed": shown(list(llm.stream_chat(user("How will the weather be?")))[-1]),
            "tool": tool("How warm is it in Oslo?"),
            "throttled": shown(llm.chat(user("Are you there?"))),
            "forced": {
                "structured_predict": predicted("What do you report by structured_predict?"),
                "tool_required": tool(
                    "What do you report by tool_required?",
                    get_function_tool(Report),
                    tool_required=True,
                ),
            },
        }
    )
)
