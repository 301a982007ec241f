"""Calls of SageMaker endpoints by boto3, and what they return."""

import json
from typing import Any

import pytest
from botocore.exceptions import ClientError

from invoke_api.testing import Bedrock

NAME = "huggingface-llm-mistral-7b-instruct"
ASKED = {"inputs": "<s>[INST] How are you? [/INST]"}


def invoke(bedrock: Bedrock, body: Any, name: str = NAME, **more: Any) -> Any:
    raw = body if isinstance(body, bytes) else json.dumps(body)
    more = {"ContentType": "application/json", **more}
    return bedrock.sagemaker().invoke_endpoint(EndpointName=name, Body=raw, **more)


def stream(bedrock: Bedrock, body: Any, name: str = NAME) -> Any:
    return bedrock.sagemaker().invoke_endpoint_with_response_stream(
        EndpointName=name, Body=json.dumps(body), ContentType="application/json"
    )


def parts(answer: Any) -> list[bytes]:
    return [event["PayloadPart"]["Bytes"] for event in answer["Body"]]


def events(data: bytes) -> list[Any]:
    """Return the documents of TGI's events."""
    assert data.endswith(b"\n\n")
    return [json.loads(line.removeprefix(b"data:")) for line in data.split(b"\n\n")[:-1]]


def refusal(bedrock: Bedrock, body: Any, name: str = NAME, **more: Any) -> Any:
    with pytest.raises(ClientError) as caught:
        invoke(bedrock, body, name, **more)
    return caught.value.response
