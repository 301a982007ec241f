"""aioboto3: Converse and ConverseStream, awaited."""

import asyncio
import json

import aioboto3

LARGE = "mistral.mistral-large-2402-v1:0"
LARGE_3 = "mistral.mistral-large-3-675b-instruct"
WEATHER = {
    "name": "get_weather",
    "description": "The weather in a city",
    "inputSchema": {"json": {"type": "object", "properties": {"city": {"type": "string"}}}},
}
TOOLS = {"tools": [{"toolSpec": WEATHER}]}
REPORT = {
    "name": "report",
    "description": "Report the weather",
    "inputSchema": {
        "json": {
            "type": "object",
            "properties": {
                "city": {"type": "string"},
                "degrees": {"type": "integer", "minimum": -90, "maximum": 60},
                "sky": {"enum": ["clear", "cloudy"]},
            },
            "required": ["city", "degrees", "sky"],
        }
    },
}
ANY = {"tools": [{"toolSpec": REPORT}], "toolChoice": {"any": {}}}
NAMED = {"tools": [{"toolSpec": REPORT}], "toolChoice": {"tool": {"name": "report"}}}


def user(text):
    return [{"role": "user", "content": [{"text": text}]}]


async def plain(client, question):
    answer = await client.converse(modelId=LARGE, messages=user(question))
    usage = answer["usage"]
    return {
        "text": answer["output"]["message"]["content"][0]["text"],
        "stop": answer["stopReason"],
        "tokens": [usage["inputTokens"], usage["outputTokens"]],
    }


async def streamed(client, question):
    answer = await client.converse_stream(modelId=LARGE, messages=user(question))
    text = ""
    async for event in answer["stream"]:
        if "contentBlockDelta" in event:
            text += event["contentBlockDelta"]["delta"]["text"]
        elif "messageStop" in event:
            stop = event["messageStop"]["stopReason"]
        elif "metadata" in event:
            usage = event["metadata"]["usage"]
    return {"text": text, "stop": stop, "tokens": [usage["inputTokens"], usage["outputTokens"]]}


async def tool(client, question, model=LARGE, tools=TOOLS):
    answer = await client.converse(modelId=model, messages=user(question), toolConfig=tools)
    [block] = answer["output"]["message"]["content"]
    return {
        "name": block["toolUse"]["name"],
        "arguments": block["toolUse"]["input"],
        "stop": answer["stopReason"],
    }


async def streamed_tool(client, question, tools=TOOLS):
    answer = await client.converse_stream(
        modelId=LARGE_3, messages=user(question), toolConfig=tools
    )
    arguments = ""
    async for event in answer["stream"]:
        if "contentBlockStart" in event:
            name = event["contentBlockStart"]["start"]["toolUse"]["name"]
        elif "contentBlockDelta" in event:
            arguments += event["contentBlockDelta"]["delta"]["toolUse"]["input"]
        elif "messageStop" in event:
            stop = event["messageStop"]["stopReason"]
    return {"name": name, "arguments": json.loads(arguments), "stop": stop}


async def forced(client):
    return {
        "toolChoice any": await tool(client, "What do you report by toolChoice any?", tools=ANY),
        "toolChoice tool": await tool(
            client, "What do you report by toolChoice tool?", LARGE_3, NAMED
        ),
    }


async def streamed_forced(client):
    return {
        "toolChoice any": await streamed_tool(
            client, "What will you report by toolChoice any?", ANY
        ),
        "toolChoice tool": await streamed_tool(
            client, "What will you report by toolChoice tool?", NAMED
        ),
    }


async def main():
    async with aioboto3.Session().client("bedrock-runtime") as client:
        print(
            json.dumps(
                {
                    "plain": await plain(client, "How is the weather?"),
                    "streamed": await streamed(client, "How will the weather be?"),
                    "tool": await tool(client, "How warm is it in Oslo?"),
                    "streamed_tool": await streamed_tool(client, "How cold is it in Oslo?"),
                    "throttled": await plain(client, "Are you there?"),
                    "forced": await forced(client),
                    "streamed_forced": await streamed_forced(client),
                }
            )
        )


asyncio.run(main())
