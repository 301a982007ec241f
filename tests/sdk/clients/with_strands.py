"""strands-agents: an Agent with a BedrockModel, streaming and not."""

import json

from strands import Agent, tool
from strands.models import BedrockModel
from strands.types.exceptions import ModelThrottledException

LARGE = "mistral.mistral-large-2402-v1:0"
LARGE_3 = "mistral.mistral-large-3-675b-instruct"
cities = []


@tool
def get_weather(city: str) -> str:
    """The weather in a city."""
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
        }
    )
)
