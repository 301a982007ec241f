"""boto3: Converse and ConverseStream."""

import json

import boto3

LARGE = "mistral.mistral-large-2402-v1:0"
LARGE_3 = "mistral.mistral-large-3-675b-instruct"
WEATHER = {
    "name": "get_weather",
    "description": "The weather in a city",
    "inputSchema": {
        "json": {
            "type": "object",
            "properties": {"city": {"type": "string"}},
            "required": ["city"],
        }
    },
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

client = boto3.client("bedrock-runtime")


def user(text):
    return [{"role": "user", "content": [{"text": text}]}]


def plain(question):
    answer = client.converse(
        modelId=LARGE, messages=user(question), inferenceConfig={"maxTokens": 100}
    )
    usage = answer["usage"]
    return {
        "text": answer["output"]["message"]["content"][0]["text"],
        "stop": answer["stopReason"],
        "tokens": [usage["inputTokens"], usage["outputTokens"]],
    }


def streamed(question):
    answer = client.converse_stream(modelId=LARGE, messages=user(question))
    text = ""
    for event in answer["stream"]:
        if "contentBlockDelta" in event:
            text += event["contentBlockDelta"]["delta"]["text"]
        elif "messageStop" in event:
            stop = event["messageStop"]["stopReason"]
        elif "metadata" in event:
            usage = event["metadata"]["usage"]
    return {"text": text, "stop": stop, "tokens": [usage["inputTokens"], usage["outputTokens"]]}


def tool(question, model=LARGE, tools=TOOLS):
    answer = client.converse(modelId=model, messages=user(question), toolConfig=tools)
    [block] = answer["output"]["message"]["content"]
    return {
        "name": block["toolUse"]["name"],
        "arguments": block["toolUse"]["input"],
        "stop": answer["stopReason"],
    }


def streamed_tool(question, tools=TOOLS):
    answer = client.converse_stream(modelId=LARGE_3, messages=user(question), toolConfig=tools)
    arguments = ""
    for event in answer["stream"]:
        if "contentBlockStart" in event:
            name = event["contentBlockStart"]["start"]["toolUse"]["name"]
        elif "contentBlockDelta" in event:
            arguments += event["contentBlockDelta"]["delta"]["toolUse"]["input"]
        elif "messageStop" in event:
            stop = event["messageStop"]["stopReason"]
    return {"name": name, "arguments": json.loads(arguments), "stop": stop}


print(
    json.dumps(
        {
            "plain": plain("How is the weather?"),
            "streamed": streamed("How will the weather be?"),
            "tool": tool("How warm is it in Oslo?"),
            "streamed_tool": streamed_tool("How cold is it in Oslo?"),
            "throttled": plain("Are you there?"),
            "forced": {
                "toolChoice any": tool("What do you report by toolChoice any?", tools=ANY),
                "toolChoice tool": tool("What do you report by toolChoice tool?", LARGE_3, NAMED),
            },
            "streamed_forced": {
                "toolChoice any": streamed_tool("What will you report by toolChoice any?", ANY),
                "toolChoice tool": streamed_tool("What will you report by toolChoice tool?", NAMED),
            },
        }
    )
)
