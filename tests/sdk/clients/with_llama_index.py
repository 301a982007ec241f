"""llama-index-llms-bedrock: Bedrock, which completes a prompt by InvokeModel."""

import json

from llama_index.llms.bedrock import Bedrock

llm = Bedrock(model="mistral.mistral-7b-instruct-v0:2", max_tokens=100, context_size=32000)


def shown(response):
    tokens = response.additional_kwargs
    return {
        "text": response.text,
        "tokens": [tokens["prompt_tokens"], tokens["completion_tokens"]],
    }


print(
    json.dumps(
        {
            "plain": shown(llm.complete("How is the weather?")),
            "streamed": {"text": list(llm.stream_complete("How will the weather be?"))[-1].text},
            "throttled": shown(llm.complete("Are you there?")),
        }
    )
)
