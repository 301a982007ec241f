"""litellm: the route bedrock/converse."""

import json
from typing import Literal

import litellm
from pydantic import BaseModel, Field, ValidationError

litellm.suppress_debug_info = True  # it prints this with an error

LARGE = "bedrock/converse/mistral.mistral-large-2402-v1:0"
LARGE_2407 = "bedrock/converse/mistral.mistral-large-2407-v1:0"
LARGE_3 = "bedrock/converse/mistral.mistral-large-3-675b-instruct"
DEVSTRAL = "bedrock/converse/mistral.devstral-2-123b"
WEATHER = {
    "type": "function",
    "function": {
        "name": "get_weather",
        "description": "The weather in a city",
        "parameters": {"type": "object", "properties": {"city": {"type": "string"}}},
    },
}


class Wind(BaseModel):
    speed: float = Field(ge=0)
    direction: Literal["north", "east", "south", "west"]


class Report(BaseModel):
    """Report the weather in a city."""

    city: str
    degrees: int = Field(ge=-90, le=60)
    sky: Literal["clear", "cloudy"]
    wind: Wind


REPORT = {
    "type": "function",
    "function": {
        "name": "Report",
        "description": "Report the weather in a city",
        "parameters": Report.model_json_schema(),
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


def required(question, model, **more):
    try:
        answer = ask(question, model, tools=[REPORT], tool_choice="required", **more)
    except litellm.exceptions.UnsupportedParamsError as error:
        return {"error": type(error).__name__}
    return called(whole(answer) if more else answer)


def formatted(question, model, **more):
    answer = ask(question, model, response_format=Report, **more)
    [choice] = (whole(answer) if more else answer).choices
    try:
        report = Report.model_validate_json(choice.message.content)
    except ValidationError as error:
        return {"error": type(error).__name__}
    return {"arguments": report.model_dump()}


def forced(question, **more):
    ways = {
        "tool_choice required": (required, DEVSTRAL),
        "tool_choice required of Large 3": (required, LARGE_3),
        "response_format": (formatted, LARGE_3),
        "response_format of Large 2402": (formatted, LARGE),
    }
    return {way: ask(f"{question} by {way}?", model, **more) for way, (ask, model) in ways.items()}


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
            "forced": forced("What do you report"),
            "streamed_forced": forced("What will you report", stream=True),
        }
    )
)
