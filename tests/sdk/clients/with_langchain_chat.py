"""langchain-aws: ChatBedrock, which speaks InvokeModel."""

import json

from langchain_aws import ChatBedrock

chat = ChatBedrock(model="mistral.mistral-7b-instruct-v0:2", model_kwargs={"max_tokens": 100})


def shown(message):
    return {"text": message.text}


def add_up(chunks):
    whole = next(chunks)
    for chunk in chunks:
        whole += chunk
    return whole


print(
    json.dumps(
        {
            "plain": shown(chat.invoke("How is the weather?")),
            "streamed": shown(add_up(chat.stream("How will the weather be?"))),
            "throttled": shown(chat.invoke("Are you there?")),
        }
    )
)
