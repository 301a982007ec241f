"""SageMaker Python SDK 3: Endpoint of sagemaker-core, which describes the endpoint first."""

import json

from sagemaker.core.resources import Endpoint

endpoint = Endpoint.get("huggingface-llm-mistral-7b-instruct")


def request(question, **more):
    return json.dumps({"inputs": f"<s>[INST] {question} [/INST]", **more})


def plain(question):
    answer = endpoint.invoke(
        body=request(question), content_type="application/json", accept="application/json"
    )
    [generated] = json.loads(answer.body.read())
    return {"text": generated["generated_text"]}


print(
    json.dumps(
        {
            "plain": plain("How is the weather?"),
            "throttled": plain("Are you there?"),
        }
    )
)
