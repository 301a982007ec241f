"""pydantic-ai: an Agent with a BedrockConverseModel."""

import asyncio
import json
from typing import Literal

from pydantic import BaseModel, Field
from pydantic_ai import Agent, NativeOutput, Tool
from pydantic_ai.exceptions import ModelHTTPError, UnexpectedModelBehavior
from pydantic_ai.messages import ToolCallPart
from pydantic_ai.models.bedrock import BedrockConverseModel

LARGE = "mistral.mistral-large-2402-v1:0"
LARGE_3 = "mistral.mistral-large-3-675b-instruct"


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


def agent(model, tools=()):
    return Agent(BedrockConverseModel(model), tools=[Tool(tool) for tool in tools])


def shown(result, text):
    usage = result.usage
    return {"text": text, "tokens": [usage.input_tokens, usage.output_tokens]}


def called(result, text):
    [call] = [
        part
        for message in result.all_messages()
        for part in message.parts
        if isinstance(part, ToolCallPart)
    ]
    return {"name": call.tool_name, "arguments": call.args_as_dict(), "end": text}


async def plain(question):
    result = await agent(LARGE).run(question)
    return shown(result, result.output)


async def streamed(question):
    async with agent(LARGE).run_stream(question) as result:
        text = "".join([delta async for delta in result.stream_text(delta=True)])
        return shown(result, text)


async def tool(question):
    result = await agent(LARGE, [get_weather]).run(question)
    return called(result, result.output)


async def streamed_tool(question):
    async with agent(LARGE_3, [get_weather]).run_stream(question) as result:
        text = "".join([delta async for delta in result.stream_text(delta=True)])
        return called(result, text)


async def throttled(question):
    try:
        return await plain(question)
    except ModelHTTPError as error:
        return {"error": type(error).__name__}


async def forced(agent, question):
    try:
        result = await agent.run(question)
    except UnexpectedModelBehavior as error:
        return {"error": type(error).__name__}
    assert isinstance(result.output, Report)
    return {"arguments": result.output.model_dump()}


async def streamed_forced(agent, question):
    try:
        async with agent.run_stream(question) as result:
            report = await result.get_output()
    except UnexpectedModelBehavior as error:
        return {"error": type(error).__name__}
    assert isinstance(report, Report)
    return {"arguments": report.model_dump()}


async def by_each_way(ask, question):
    tools = Agent(BedrockConverseModel(LARGE_3), output_type=Report)
    native = Agent(BedrockConverseModel(LARGE_3), output_type=NativeOutput(Report))
    return {
        "output_type": await ask(tools, f"{question} by output_type?"),
        "output_type, where a rule calls": await ask(
            tools, f"{question} by output_type, where a rule calls?"
        ),
        "NativeOutput": await ask(native, f"{question} by NativeOutput?"),
    }


async def main():
    print(
        json.dumps(
            {
                "plain": await plain("How is the weather?"),
                "streamed": await streamed("How will the weather be?"),
                "tool": await tool("How warm is it in Oslo?"),
                "streamed_tool": await streamed_tool("How cold is it in Oslo?"),
                "throttled": await throttled("Are you there?"),
                "forced": await by_each_way(forced, "What do you report"),
                "streamed_forced": await by_each_way(streamed_forced, "What will you report"),
            }
        )
    )


asyncio.run(main())
