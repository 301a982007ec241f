"""langchain-aws: ChatBedrock, which speaks InvokeModel."""

import json
import logging

from botocore.exceptions import ClientError
from langchain_aws import ChatBedrock
from pydantic import BaseModel

logging.disable()  # langchain-aws logs refusals before it raises them
CHATS = [
    "mistral.ministral-3-8b-instruct",
    "us.mistral.pixtral-large-2502-v1:0",
    "mistral.mistral-large-2407-v1:0",
]


class Report(BaseModel):
    """Report the weather in a city."""

    city: str


chat = ChatBedrock(model="mistral.mistral-7b-instruct-v0:2", model_kwargs={"max_tokens": 100})


def shown(message):
    return {"text": message.text}


def add_up(chunks):
    whole = next(chunks)
    for chunk in chunks:
        whole += chunk
    return whole


def forced():
    try:
        chat.with_structured_output(Report)
    except ValueError as error:
        return {"error": type(error).__name__}
    return {}


# By default it sends a prompt; with the provider OpenAI it sends messages.
prompting = {model: ChatBedrock(model=model) for model in CHATS}
messaging = {
    f"{model}, provider openai": ChatBedrock(model=model, provider="openai") for model in CHATS
}


def invoked(chat, question, *, stream):
    try:
        message = add_up(chat.stream(question)) if stream else chat.invoke(question)
    except (ClientError, KeyError) as error:  # it expects `delta` in OpenAI's chunks
        return {"error": type(error).__name__}
    usage = message.usage_metadata
    return {**shown(message), "tokens": [usage["input_tokens"], usage["output_tokens"]]}


def by_each_way(question, *, stream):
    return {
        way: invoked(chat, f"{question} by {way}?", stream=stream)
        for way, chat in {**prompting, **messaging}.items()
    }


print(
    json.dumps(
        {
            "plain": shown(chat.invoke("How is the weather?")),
            "streamed": shown(add_up(chat.stream("How will the weather be?"))),
            "throttled": shown(chat.invoke("Are you there?")),
            "forced": {"with_structured_output": forced()},
            "invoked": by_each_way("Who answers", stream=False),
            "streamed_invoked": by_each_way("Who will answer", stream=True),
        }
    )
)
