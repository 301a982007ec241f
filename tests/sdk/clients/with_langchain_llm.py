"""langchain-aws: BedrockLLM, which completes a prompt by InvokeModel."""

import json

from langchain_aws import BedrockLLM

llm = BedrockLLM(model="mistral.mistral-7b-instruct-v0:2", model_kwargs={"max_tokens": 100})


def prompt(question):
    return f"<s>[INST] {question} [/INST]"


print(
    json.dumps(
        {
            "plain": {"text": llm.invoke(prompt("How is the weather?"))},
            "streamed": {"text": "".join(llm.stream(prompt("How will the weather be?")))},
            "throttled": {"text": llm.invoke(prompt("Are you there?"))},
        }
    )
)
