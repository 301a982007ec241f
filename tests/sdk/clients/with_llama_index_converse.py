"""llama-index-llms-bedrock-converse: BedrockConverse."""

import json

from llama_index.core.llms import ChatMessage
from llama_index.core.tools import FunctionTool
from llama_index.llms.bedrock_converse import BedrockConverse

LARGE = "mistral.mistral-large-2402-v1:0"


def get_weather(city: str) -> str:
    """The weather in a city."""
    return f"7 degrees in {city}"


llm = BedrockConverse(model=LARGE, max_tokens=100)


def user(question):
    return [ChatMessage(role="user", content=question)]


def shown(response):
    tokens = response.additional_kwargs
    return {
        "text": response.message.content,
        "tokens": [tokens["prompt_tokens"], tokens["completion_tokens"]],
    }


def tool(question):
    tools = [FunctionTool.from_defaults(get_weather)]
    [call] = llm.get_tool_calls_from_response(llm.chat_with_tools(tools, user_msg=question))
    return {"name": call.tool_name, "arguments": call.tool_kwargs}


print(
    json.dumps(
        {
            "plain": shown(llm.chat(user("How is the weather?"))),
            "streamed": shown(list(llm.stream_chat(user("How will the weather be?")))[-1]),
            "tool": tool("How warm is it in Oslo?"),
            "throttled": shown(llm.chat(user("Are you there?"))),
        }
    )
)
