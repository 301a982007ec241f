"""llama-index-llms-bedrock: Bedrock, which completes a prompt by InvokeModel."""

import json

from botocore.exceptions import ClientError
from llama_index.llms.bedrock import Bedrock

llm = Bedrock(model="mistral.mistral-7b-instruct-v0:2", max_tokens=100, context_size=32000)
CHATS = [
    "mistral.ministral-3-8b-instruct",
    "us.mistral.pixtral-large-2502-v1:0",
    "mistral.mistral-large-2407-v1:0",
]


def shown(response):
    tokens = response.additional_kwargs
    return {
        "text": response.text,
        "tokens": [tokens["prompt_tokens"], tokens["completion_tokens"]],
    }


def invoked(question, model):
    chat = Bedrock(model=model, max_tokens=100, context_size=128000)
    try:
        return shown(chat.complete(f"{question} by {model}?"))
    except ClientError as error:
        return {"error": type(error).__name__}


print(
    json.dumps(
        {
            "plain": shown(llm.complete("How is the weather?")),
            "streamed": {"text": list(llm.stream_complete("How will the weather be?"))[-1].text},
            "throttled": shown(llm.complete("Are you there?")),
            "invoked": {model: invoked("Who answers", model) for model in CHATS},
        }
    )
)
