"""boto3: InvokeModel and its stream for models with `messages`, parsed by OpenAI's types."""

import json

import boto3
from openai.types.chat import ChatCompletion, ChatCompletionChunk

MINISTRAL = "mistral.ministral-3-8b-instruct"
PIXTRAL = "us.mistral.pixtral-large-2502-v1:0"
LARGE_2407 = "mistral.mistral-large-2407-v1:0"
WEATHER = {
    "name": "get_weather",
    "description": "The weather in a city",
    "parameters": {"type": "object", "properties": {"city": {"type": "string"}}},
}
REPORT = {
    "name": "report",
    "description": "Report the weather",
    "parameters": {
        "type": "object",
        "properties": {
            "city": {"type": "string"},
            "degrees": {"type": "integer", "minimum": -90, "maximum": 60},
            "sky": {"enum": ["clear", "cloudy"]},
        },
        "required": ["city", "degrees", "sky"],
    },
}

client = boto3.client("bedrock-runtime")


def request(question, **more):
    return json.dumps({"messages": [{"role": "user", "content": question}], **more})


def invoke(question, model=MINISTRAL, **more):
    answer = client.invoke_model(modelId=model, body=request(question, **more))
    return json.load(answer["body"])


def stream(question, model=MINISTRAL, **more):
    body = request(question, **more)
    answer = client.invoke_model_with_response_stream(modelId=model, body=body)
    return [json.loads(event["chunk"]["bytes"]) for event in answer["body"]]


def tokens(usage):
    return [usage["prompt_tokens"], usage["completion_tokens"]]


def plain(question):
    answer = ChatCompletion.model_validate(invoke(question, max_tokens=100), strict=True)
    [choice] = answer.choices
    return {
        "text": choice.message.content,
        "stop": choice.finish_reason,
        "tokens": tokens(answer.usage.model_dump()),
    }


def streamed(question):
    chunks = [ChatCompletionChunk.model_validate(chunk, strict=True) for chunk in stream(question)]
    return {
        "text": "".join(chunk.choices[0].delta.content for chunk in chunks),
        "stop": chunks[-1].choices[0].finish_reason,
        "tokens": tokens(chunks[-1].usage.model_dump()),
    }


def tool(question, function=WEATHER, **more):
    tools = [{"type": "function", "function": function}]
    answer = ChatCompletion.model_validate(invoke(question, tools=tools, **more), strict=True)
    [choice] = answer.choices
    [call] = choice.message.tool_calls
    return {
        "name": call.function.name,
        "arguments": json.loads(call.function.arguments),
        "stop": choice.finish_reason,
    }


def streamed_tool(question, function=WEATHER, **more):
    tools = [{"type": "function", "function": function}]
    chunks = stream(question, tools=tools, **more)
    deltas = [ChatCompletionChunk.model_validate(chunk, strict=True).choices[0] for chunk in chunks]
    parts = [call.function for choice in deltas for call in choice.delta.tool_calls or ()]
    return {
        "name": "".join(part.name or "" for part in parts),
        "arguments": json.loads("".join(part.arguments for part in parts)),
        "stop": deltas[-1].finish_reason,
    }


def invoked(model):
    """Parse answers of Pixtral and Large 2407 like AWS's own samples."""
    answer = invoke(f"Who answers by {model}?", model)
    [choice] = answer["choices"]
    return {
        "text": choice["message"]["content"],
        "stop": choice["stop_reason"] if model == LARGE_2407 else choice["finish_reason"],
        "tokens": tokens(answer["usage"]),
    }


def streamed_invoked(model):
    chunks = stream(f"Who will answer by {model}?", model)
    choices = [chunk["choices"][0] for chunk in chunks]
    part = "delta" if model == MINISTRAL else "message"
    return {
        "text": "".join(choice[part]["content"] for choice in choices),
        "stop": choices[-1]["stop_reason" if model == LARGE_2407 else "finish_reason"],
        "tokens": tokens(chunks[-1]["usage"]),
    }


CHATS = [MINISTRAL, PIXTRAL, LARGE_2407]
print(
    json.dumps(
        {
            "plain": plain("How is the weather?"),
            "streamed": streamed("How will the weather be?"),
            "tool": tool("How warm is it in Oslo?"),
            "streamed_tool": streamed_tool("How cold is it in Oslo?"),
            "throttled": plain("Are you there?"),
            "forced": {
                "tool_choice any": tool(
                    "What do you report by tool_choice any?", REPORT, tool_choice="any"
                )
            },
            "streamed_forced": {
                "tool_choice any": streamed_tool(
                    "What will you report by tool_choice any?", REPORT, tool_choice="any"
                )
            },
            "invoked": {model: invoked(model) for model in CHATS},
            "streamed_invoked": {model: streamed_invoked(model) for model in CHATS},
        }
    )
)
