"""langchain-aws: SagemakerEndpoint, with the content handler of its documentation."""

import json

from langchain_aws.llms import SagemakerEndpoint
from langchain_aws.llms.sagemaker_endpoint import LLMContentHandler


class Handler(LLMContentHandler):
    content_type = "application/json"
    accepts = "application/json"

    def transform_input(self, prompt, model_kwargs):
        return json.dumps({"inputs": prompt, "parameters": model_kwargs}).encode()

    def transform_output(self, output):
        return json.loads(output.read())[0]["generated_text"]


llm = SagemakerEndpoint(
    endpoint_name="huggingface-llm-mistral-7b-instruct",
    content_handler=Handler(),
    model_kwargs={"max_new_tokens": 100},
)


def prompt(question):
    return f"<s>[INST] {question} [/INST]"


print(
    json.dumps(
        {
            "plain": {"text": llm.invoke(prompt("How is the weather?"))},
            "throttled": {"text": llm.invoke(prompt("Are you there?"))},
        }
    )
)
