"""openai: the asynchronous client, whose calls all wait at once."""

import asyncio
import json

from openai import AsyncOpenAI

LARGE_3 = "mistral.mistral-large-3-675b-instruct"
WEATHER = {
    "type": "function",
    "function": {
        "name": "get_weather",
        "description": "The weather in a city",
        "parameters": {"type": "object", "properties": {"city": {"type": "string"}}},
    },
}
client = AsyncOpenAI()


def request(question, **more):
    return {"model": LARGE_3, "messages": [{"role": "user", "content": question}], **more}


def shown(answer):
    [choice] = answer.choices
    if calls := choice.message.tool_calls:
        [call] = calls
        arguments = json.loads(call.function.arguments)
        return {"name": call.function.name, "arguments": arguments, "stop": choice.finish_reason}
    tokens = [answer.usage.prompt_tokens, answer.usage.completion_tokens]
    return {"text": choice.message.content, "stop": choice.finish_reason, "tokens": tokens}


async def whole(question, **more):
    return shown(await client.chat.completions.create(**request(question, **more)))


async def streamed(question, **more):
    more["stream_options"] = {"include_usage": True}
    async with client.chat.completions.stream(**request(question, **more)) as events:
        return shown(await events.get_final_completion())


async def main():
    asked = {
        "plain": whole("How is the weather?"),
        "streamed": streamed("How will the weather be?"),
        "tool": whole("How warm is it in Oslo?", tools=[WEATHER]),
        "streamed_tool": streamed("How cold is it in Oslo?", tools=[WEATHER]),
        "throttled": whole("Are you there?"),
    }
    answers = await asyncio.gather(*asked.values())
    print(json.dumps(dict(zip(asked, answers, strict=True))))


asyncio.run(main())
