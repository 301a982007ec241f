"""strands-agents: an Agent with a BedrockModel, streaming and not."""

import json
import warnings
from typing import Literal

from pydantic import BaseModel, Field
from strands import Agent, tool
from strands.models import BedrockModel
from strands.types.exceptions import ModelThrottledException, StructuredOutputException

LARGE = "mistral.mistral-large-2402-v1:0"
LARGE_3 = "mistral.mistral-large-3-675b-instruct"
cities = []


class Wind(BaseModel):
    speed: float = Field(ge=0)
    direction: Literal["north", "east", "south", "west"]


class Report(BaseModel):
    """Report the weather in a city."""

    city: str
    degrees: int = Field(ge=-90, le=60)
    sky: Literal["clear", "cloudy"]
    wind: Wind


@tool
def get_weather(city: str) -> str:
    """Return the weather in a city."""
    cities.append(city)
    return "7 degrees"


def agent(model, *, streaming, tools=()):
    model = BedrockModel(model_id=model, streaming=streaming)
    return Agent(model=model, tools=list(tools), callback_handler=None, retry_strategy=None)


def shown(result):
    usage = result.metrics.accumulated_usage
    return {
        "text": str(result).rstrip("\n"),
        "stop": result.stop_reason,
        "tokens": [usage["inputTokens"], usage["outputTokens"]],
    }


def called(agent, question):
    cities.clear()
    result = agent(question)
    [use] = [
        block["toolUse"]
        for message in agent.messages
        for block in message["content"]
        if "toolUse" in block
    ]
    assert cities == [use["input"]["city"]]
    return {"name": use["name"], "arguments": use["input"], "end": str(result).rstrip("\n")}


def reported(agent, question):
    try:
        report = agent(question, structured_output_model=Report).structured_output
    except StructuredOutputException as error:
        return {"error": type(error).__name__}
    assert isinstance(report, Report)
    return {"arguments": report.model_dump()}


def reported_by_method(agent, question):
    with warnings.catch_warnings(action="ignore", category=DeprecationWarning):
        report = agent.structured_output(Report, question)
    assert isinstance(report, Report)
    return {"arguments": report.model_dump()}


def throttled(agent, question):
    try:
        return shown(agent(question))
    except ModelThrottledException as error:
        return {"error": type(error).__name__}


print(
    json.dumps(
        {
            "plain": shown(agent(LARGE, streaming=False)("How is the weather?")),
            "streamed": shown(agent(LARGE, streaming=True)("How will the weather be?")),
            "tool": called(
                agent(LARGE, streaming=False, tools=[get_weather]), "How warm is it in Oslo?"
            ),
            "streamed_tool": called(
                agent(LARGE_3, streaming=True, tools=[get_weather]), "How cold is it in Oslo?"
            ),
            "throttled": throttled(agent(LARGE, streaming=False), "Are you there?"),
            "forced": {
                "structured_output_model": reported(
                    agent(LARGE_3, streaming=False),
                    "What do you report by structured_output_model?",
                ),
                "structured_output_model of Large 2402": reported(
                    agent(LARGE, streaming=False),
                    "What do you report by structured_output_model of Large 2402?",
                ),
                "structured_output()": reported_by_method(
                    agent(LARGE_3, streaming=False), "What do you report by structured_output()?"
                ),
            },
            "streamed_forced": {
                "structured_output_model": reported(
                    agent(LARGE_3, streaming=True),
                    "What will you report by structured_output_model?",
                ),
                "structured_output()": reported_by_method(
                    agent(LARGE_3, streaming=True), "What will you report by structured_output()?"
                ),
            },
        }
    )
)
