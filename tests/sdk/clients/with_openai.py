"""openai: Chat Completions, with the helpers for streams and structured output."""

import json
from typing import Literal

from openai import OpenAI, pydantic_function_tool
from pydantic import BaseModel, Field

LARGE_3 = "mistral.mistral-large-3-675b-instruct"
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


REPORT = pydantic_function_tool(Report)
NAMED = {"type": "function", "function": {"name": "Report"}}
client = OpenAI()


def ask(question, **more):
    messages = [{"role": "user", "content": question}]
    return client.chat.completions.create(model=LARGE_3, messages=messages, **more)


def shown(choice, usage):
    return {
        "text": choice.message.content,
        "stop": choice.finish_reason,
        "tokens": [usage.prompt_tokens, usage.completion_tokens],
    }


def called(choice):
    [call] = choice.message.tool_calls
    arguments = json.loads(call.function.arguments)
    if call.function.name == "Report":
        arguments = Report.model_validate(arguments).model_dump()
    return {"name": call.function.name, "arguments": arguments, "stop": choice.finish_reason}


def plain(question):
    answer = ask(question)
    return shown(answer.choices[0], answer.usage)


def watched(question, **more):
    """Return the result of the helper that joins the chunks of a stream."""
    messages = [{"role": "user", "content": question}]
    with client.chat.completions.stream(model=LARGE_3, messages=messages, **more) as events:
        for _ in events:
            pass
        return events.get_final_completion()


def streamed(question):
    answer = watched(question, stream_options={"include_usage": True})
    return shown(answer.choices[0], answer.usage)


def parsed(question):
    messages = [{"role": "user", "content": question}]
    answer = client.chat.completions.parse(model=LARGE_3, messages=messages, response_format=Report)
    [choice] = answer.choices
    return {"arguments": choice.message.parsed.model_dump()}


print(
    json.dumps(
        {
            "plain": plain("How is the weather?"),
            "streamed": streamed("How will the weather be?"),
            "tool": called(ask("How warm is it in Oslo?", tools=[WEATHER]).choices[0]),
            "streamed_tool": called(watched("How cold is it in Oslo?", tools=[WEATHER]).choices[0]),
            "throttled": plain("Are you there?"),
            "forced": {
                "tool_choice required": called(
                    ask(
                        "What do you report by tool_choice required?",
                        tools=[REPORT],
                        tool_choice="required",
                    ).choices[0]
                ),
                "tool_choice named": called(
                    ask(
                        "What do you report by tool_choice named?",
                        tools=[REPORT],
                        tool_choice=NAMED,
                    ).choices[0]
                ),
                "response_format": parsed("What do you report by response_format?"),
            },
            "streamed_forced": {
                "tool_choice required": called(
                    watched(
                        "What will you report by tool_choice required?",
                        tools=[REPORT],
                        tool_choice="required",
                    ).choices[0]
                ),
            },
        }
    )
)
