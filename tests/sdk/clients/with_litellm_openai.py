"""litellm: the route openai/, to any server that speaks Chat Completions."""

import json

import litellm

litellm.suppress_debug_info = True  # which it prints beside an error

LARGE_3 = "openai/mistral.mistral-large-3-675b-instruct"
WEATHER = {
    "type": "function",
    "function": {
        "name": "get_weather",
        "description": "The weather in a city",
        "parameters": {"type": "object", "properties": {"city": {"type": "string"}}},
    },
}


def ask(question, **more):
    messages = [{"role": "user", "content": question}]
    return litellm.completion(model=LARGE_3, messages=messages, **more)


def whole(question, **more):
    return litellm.stream_chunk_builder(list(ask(question, stream=True, **more)))


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


print(
    json.dumps(
        {
            "plain": shown(ask("How is the weather?")),
            "streamed": shown(
                whole("How will the weather be?", stream_options={"include_usage": True})
            ),
            "tool": called(ask("How warm is it in Oslo?", tools=[WEATHER])),
            "streamed_tool": called(whole("How cold is it in Oslo?", tools=[WEATHER])),
            "throttled": shown(ask("Are you there?")),
        }
    )
)
