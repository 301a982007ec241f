"""Every operation answers as botocore's service models say, or with an error if not offered."""

import json
import re
from typing import Any
from urllib.parse import quote

import pytest

from invoke_api.operations.not_offered import NOT_OFFERED
from invoke_api.server.app import IMPLEMENTED_ROUTES
from tests.support.modelled import OPERATIONS, violations
from tests.support.servers import SEVEN_B, call

PROFILE = "us.mistral.pixtral-large-2502-v1:0"
ARN = "arn:aws:bedrock:us-east-1:123456789012:thing/abcdefghijkl"
PROMPT = {"prompt": "Hi", "max_tokens": 3}
CONVERSATION = {"messages": [{"role": "user", "content": [{"text": "Hi"}]}]}
COUNTED = {"input": {"invokeModel": {"body": "eyJwcm9tcHQiOiAiSGkifQ=="}}}
GUARDED = {"source": "OUTPUT", "content": [{"text": {"text": "a@b.org and a cactus"}}]}
CONFIG = {"loggingConfig": {"s3Config": {"bucketName": "abc"}, "textDataDeliveryEnabled": True}}
MADE = "ARN of a profile that was made before"
SOURCE = f"arn:aws:bedrock:us-west-2::foundation-model/{SEVEN_B}"
TAGS = [{"key": "team", "value": "a"}]
CREATED = {"modelSource": {"copyFrom": SOURCE}, "description": "For costs", "tags": TAGS}
# operation: what stands in its path, and its body
ASKED: dict[str, tuple[str, Any]] = {
    "InvokeModel": (SEVEN_B, PROMPT),
    "InvokeModelWithResponseStream": (SEVEN_B, PROMPT),
    "Converse": (SEVEN_B, CONVERSATION),
    "ConverseStream": (SEVEN_B, CONVERSATION),
    "ApplyGuardrail": ("abcdef123456", GUARDED),
    "CountTokens": (SEVEN_B, COUNTED),
    "ListFoundationModels": ("", None),
    "GetFoundationModel": (SEVEN_B, None),
    "GetFoundationModelAvailability": (SEVEN_B, None),
    "ListInferenceProfiles": ("", None),
    "GetInferenceProfile": (PROFILE, None),
    "CreateInferenceProfile": ("", {"inferenceProfileName": "modelled", **CREATED}),
    "DeleteInferenceProfile": (MADE, None),
    "TagResource": ("", {"resourceARN": MADE, "tags": [{"key": "cost center", "value": ""}]}),
    "UntagResource": ("", {"resourceARN": MADE, "tagKeys": ["team"]}),
    "ListTagsForResource": ("", {"resourceARN": MADE}),
    "GetProvisionedModelThroughput": ("own", None),
    "ListProvisionedModelThroughputs": ("", None),
    "GetCustomModelDeployment": ("own", None),
    "ListCustomModelDeployments": ("", None),
    "GetImportedModel": ("own", None),
    "ListImportedModels": ("", None),
    "PutModelInvocationLoggingConfiguration": ("", CONFIG),
    "GetModelInvocationLoggingConfiguration": ("", None),
    "DeleteModelInvocationLoggingConfiguration": ("", None),
}
# Reported from Bedrock, and in no service model.
HEARD = [
    r"\.usage\.serverToolUsage: not modelled",
    r"\.model(Summaries\[\]|Details)\.converse: not modelled",
    r"\.modelSummaries\[\]\.inferenceTypesSupported\[\]: INFERENCE_PROFILE is not modelled",
    r"\.modelSummaries\[\]\.inputModalities\[\]: SPEECH is not modelled",
    # A policy may have one kind of findings without the other.
    r"\.assessments\[\]\.(wordPolicy\.managedWordLists|sensitiveInformationPolicy\.\w+): missing",
    # AWS's own names of models and profiles break its patterns and lengths.
    r"\.modelSummaries\[\]\.modelName: 2[0-9] long",
    r"\..*inferenceProfileName: US Mistral Pixtral Large 25\.02 does not match",
    r"\..*description: Routes requests to .* does not match",
]


# In a region of its own, because it switches the invocation log off.
WEST = {
    "Authorization": "AWS4-HMAC-SHA256 SignedHeaders=host, Signature=00,"
    " Credential=AKIDMODELLED/20261124/us-west-2/bedrock/aws4_request"
}


def ask(url: str, operation: str, label: str, body: Any = None) -> tuple[Any, bytes]:
    http = OPERATIONS[operation].http
    uri = http["requestUri"].replace("{guardrailVersion}", "1")
    path = re.sub(r"\{\w+\}", quote(label, safe=""), uri)
    raw = None if body is None else json.dumps(body).encode()
    return call(url, http["method"], path, raw, **WEST)


def test_every_operation_is_built_or_not_offered() -> None:
    built, not_offered = (
        [route.name for route in routes] for routes in (IMPLEMENTED_ROUTES, NOT_OFFERED)
    )

    assert sorted(built + not_offered) == sorted(OPERATIONS)
    assert set(ASKED) == set(built)


@pytest.mark.parametrize("operation", ASKED)
def test_an_answer_is_as_modelled(operation: str, extended: str) -> None:
    label, asked = ASKED[operation]
    made = make_profile(extended, operation) if MADE in (label, *(asked or {}).values()) else ""
    label = made if label == MADE else label
    asked = {key: made if each == MADE else each for key, each in (asked or {}).items()} or None
    response, raw = ask(extended, operation, label, asked)
    body = json.loads(raw) if response.headers["Content-Type"] == "application/json" else None
    wrong = [
        violation
        for violation in violations(operation, response.headers, body)
        if not any(re.fullmatch(heard, violation) for heard in HEARD)
    ]

    assert response.status == OPERATIONS[operation].http["responseCode"], raw
    assert wrong == []


def test_profiles_that_were_made_are_as_modelled(extended: str) -> None:
    arn = make_profile(extended, "listed")
    for operation, label in (("GetInferenceProfile", arn), ("ListInferenceProfiles", "")):
        http = OPERATIONS[operation].http
        path = re.sub(r"\{\w+\}", quote(label, safe=""), http["requestUri"])
        response, raw = call(extended, "GET", f"{path}?type=APPLICATION", None, **WEST)

        assert arn in raw.decode()
        assert list(violations(operation, dict(response.headers), json.loads(raw))) == []


def make_profile(url: str, name: str) -> str:
    _, raw = ask(url, "CreateInferenceProfile", "", {"inferenceProfileName": name, **CREATED})
    arn: str = json.loads(raw)["inferenceProfileArn"]
    return arn


@pytest.mark.parametrize("operation", [route.name for route in NOT_OFFERED])
@pytest.mark.parametrize("label", ["abcdefghijkl", ARN], ids=["id", "arn"])
def test_an_operation_not_offered_says_so(operation: str, label: str, scripted: str) -> None:
    response, raw = ask(scripted, operation, label)
    name, _, suffix = response.headers["x-amzn-ErrorType"].partition(":")
    [modelled] = [shape for shape in OPERATIONS[operation].error_shapes if shape.name == name]

    assert json.loads(raw) == {"message": f"Invoke API does not offer {operation}."}
    assert response.status == modelled.metadata["error"]["httpStatusCode"]
    assert suffix == "http://internal.amazon.com/coral/com.amazon.bedrock/"
    assert response.headers["x-amzn-RequestId"]


def test_it_is_in_the_journal(scripted: str) -> None:
    _, _ = ask(scripted, "InvokeModelWithBidirectionalStream", SEVEN_B)
    query = "operation=InvokeModelWithBidirectionalStream&ended=error"
    _, raw = call(scripted, "GET", f"/_emulator/requests?{query}")
    entry = json.loads(raw)["requests"][-1]

    assert entry["model_id"] == SEVEN_B
    assert entry["error"]["type"] == "ValidationException"
