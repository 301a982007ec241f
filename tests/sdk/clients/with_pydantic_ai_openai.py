"""pydantic-ai: an Agent with an OpenAIChatModel, by the provider for bedrock-mantle."""

import asyncio
import json
import os

from pydantic_ai import Agent, Tool
from pydantic_ai.messages import ToolCallPart
from pydantic_ai.models.openai import OpenAIChatModel
from pydantic_ai.profiles.openai import openai_model_profile
from pydantic_ai.providers.bedrock_mantle import BedrockMantleProvider

NAME = "mistral.mistral-large-3-675b-instruct"


def get_weather(city: str) -> str:
    """Return the weather in a city."""
    return f"7 degrees in {city}"


class MistralProvider(BedrockMantleProvider):
    """A provider for other models than OpenAI's."""

    @staticmethod
    def model_profile(_):
        return openai_model_profile("gpt-4o")


model = OpenAIChatModel(NAME, provider=MistralProvider(base_url=os.environ["OPENAI_BASE_URL"]))
agent = Agent(model)
with_tools = Agent(model, tools=[Tool(get_weather)])


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


async def whole(agent, question):
    async with agent.run_stream(question) as result:
        text = "".join([delta async for delta in result.stream_text(delta=True)])
        return result, text


async def main():
    plain = await agent.run("How is the weather?")
    tool = await with_tools.run("How warm is it in Oslo?")
    throttled = await agent.run("Are you there?")
    print(
        json.dumps(
            {
                "plain": shown(plain, plain.output),
                "streamed": shown(*await whole(agent, "How will the weather be?")),
                "tool": called(tool, tool.output),
                "streamed_tool": called(*await whole(with_tools, "How cold is it in Oslo?")),
                "throttled": shown(throttled, throttled.output),
            }
        )
    )


asyncio.run(main())
