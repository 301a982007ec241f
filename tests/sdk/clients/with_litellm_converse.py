"""litellm: the route bedrock/converse."""

import json

import litellm

litellm.suppress_debug_info = True  # which it prints beside an error

LARGE = "bedrock/converse/mistral.mistral-large-2402-v1:0"
LARGE_3 = "bedrock/converse/mistral.mistral-large-3-675b-instruct"
WEATHER = {
    "type": "function",
    "function": {
        "name": "get_weather",
        "description": "The weather in a city",
        "parameters": {"type": "object", "properties": {"city": {"type": "string"}}},
    },
}


def ask(question, model=LARGE, **more):
    messages = [{"role": "user", "content": question}]
    return litellm.completion(model=model, messages=messages, **more)


def whole(chunks):
    return litellm.stream_chunk_builder(list(chunks))


def shown(answer):
    [choice] = answer.choices
    return {
        "text": choice.message.content,
        "stop": choice.finish_reason,
        "tokens": [answer.usage.prompt_tokens, answer.usage.completion_tokens],
    }


def called(answer):
    [choice] = answer.choices
    [call] = choice.message.tool_calls
    return {
        "name": call.function.name,
        "arguments": json.loads(call.function.arguments),
        "stop": choice.finish_reason,
    }


def throttled(question):
    try:
        return shown(ask(question))
    except litellm.exceptions.RateLimitError as error:
        return {"error": type(error).__name__}


usage = {"stream_options": {"include_usage": True}}
print(
    json.dumps(
        {
            "plain": shown(ask("How is the weather?", max_tokens=100)),
            "streamed": shown(whole(ask("How will the weather be?", stream=True, **usage))),
            "tool": called(ask("How warm is it in Oslo?", tools=[WEATHER])),
            "streamed_tool": called(
                whole(ask("How cold is it in Oslo?", LARGE_3, tools=[WEATHER], stream=True))
            ),
            "throttled": throttled("Are you there?"),
        }
    )
)
