"""boto3: InvokeEndpoint and its stream, whose lines are put together like in AWS's samples."""

import json

import boto3

NAME = "huggingface-llm-mistral-7b-instruct"
client = boto3.client("sagemaker-runtime")


def request(question, **more):
    parameters = {"max_new_tokens": 100, "details": True}
    return json.dumps({"inputs": f"<s>[INST] {question} [/INST]", "parameters": parameters, **more})


def plain(question):
    answer = client.invoke_endpoint(
        EndpointName=NAME, Body=request(question), ContentType="application/json"
    )
    [generated] = json.load(answer["Body"])
    return {"text": generated["generated_text"]}


def streamed(question):
    answer = client.invoke_endpoint_with_response_stream(
        EndpointName=NAME, Body=request(question, stream=True), ContentType="application/json"
    )
    held, text = b"", ""
    for event in answer["Body"]:
        held += event["PayloadPart"]["Bytes"]
        *lines, held = held.split(b"\n")
        for line in filter(None, lines):
            token = json.loads(line.removeprefix(b"data:"))["token"]
            text += "" if token["special"] else token["text"]
    return {"text": text}


print(
    json.dumps(
        {
            "plain": plain("How is the weather?"),
            "streamed": streamed("How will the weather be?"),
            "throttled": plain("Are you there?"),
        }
    )
)
