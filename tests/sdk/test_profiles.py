"""Application inference profiles: created by boto3's `bedrock`, called by `bedrock-runtime`."""

import json
from collections.abc import Iterator
from typing import Any

import pytest
from botocore.exceptions import ClientError

from tests.sdk.javascript import call_js_in_turn
from tests.sdk.test_catalogue import PIXTRAL, client
from tests.support.servers import LARGE

WEST = "arn:aws:bedrock:us-west-2"
MODEL = f"{WEST}::foundation-model/{LARGE}"
US_PIXTRAL = f"{WEST}:123456789012:inference-profile/us.{PIXTRAL}"
TAGS = [{"key": "team", "value": "search"}, {"key": "cost center", "value": "7"}]
HI = {"messages": [{"role": "user", "content": [{"text": "Hi"}]}]}


@pytest.fixture
def control(bedrock: Any) -> Iterator[Any]:
    """Return boto3's client of the control plane, with the key of `runtime`."""
    with client(bedrock.url, "us-west-2", bedrock.access_key_id) as made:
        yield made


def make(control: Any, name: str = "costs", source: str = MODEL, **more: Any) -> str:
    made = control.create_inference_profile(
        inferenceProfileName=name, modelSource={"copyFrom": source}, **more
    )
    arn: str = made["inferenceProfileArn"]
    return arn


def refusal(call: Any, **arguments: Any) -> tuple[str, str]:
    with pytest.raises(ClientError) as caught:
        call(**arguments)
    error = caught.value.response["Error"]
    return error["Code"], error["Message"]


def test_a_profile_is_called_by_its_arn_in_every_operation(control: Any, runtime: Any) -> None:
    arn = make(control)
    body = json.dumps({"prompt": "Hi", "max_tokens": 3})
    whole = runtime.invoke_model(modelId=arn, body=body)
    stream = runtime.invoke_model_with_response_stream(modelId=arn, body=body)
    said = runtime.converse(modelId=arn, **HI)
    events = list(runtime.converse_stream(modelId=arn, **HI)["stream"])
    count = refusal(runtime.count_tokens, modelId=arn, input={"converse": HI})
    by_id = runtime.converse(modelId=LARGE, **HI)

    assert json.loads(whole["body"].read())["outputs"][0]["text"]
    assert list(stream["body"])
    assert said["output"] == by_id["output"]
    assert "metadata" in events[-1]
    assert count == (
        "ValidationException",
        "The provided model doesn't support counting tokens.",
    )


def test_a_profile_is_described_and_listed(control: Any) -> None:
    arn = make(control, description="For team search: v1", tags=TAGS)
    profile = control.get_inference_profile(inferenceProfileIdentifier=arn)
    by_id = control.get_inference_profile(inferenceProfileIdentifier=arn.rpartition("/")[2])
    listed = control.list_inference_profiles(typeEquals="APPLICATION")["inferenceProfileSummaries"]
    bedrocks = control.list_inference_profiles()["inferenceProfileSummaries"]

    assert profile["inferenceProfileName"] == "costs"
    assert profile["description"] == "For team search: v1"
    assert profile["models"] == [{"modelArn": MODEL}]
    assert (profile["type"], profile["status"]) == ("APPLICATION", "ACTIVE")
    assert profile["createdAt"] == profile["updatedAt"]
    del profile["ResponseMetadata"], by_id["ResponseMetadata"]
    assert by_id == profile
    assert profile in listed
    assert arn not in [one["inferenceProfileArn"] for one in bedrocks]


def test_a_profile_of_bedrocks_profile_has_its_regions(control: Any, runtime: Any) -> None:
    arn = make(control, source=US_PIXTRAL)
    profile = control.get_inference_profile(inferenceProfileIdentifier=arn)

    assert runtime.converse(modelId=arn, **HI)["output"]
    assert [one["modelArn"].split(":")[3] for one in profile["models"]] == [
        "us-east-1",
        "us-east-2",
        "us-west-2",
    ]


def test_a_deleted_profile_is_gone(control: Any, runtime: Any) -> None:
    arn = make(control)
    control.delete_inference_profile(inferenceProfileIdentifier=arn)
    missing = ("ResourceNotFoundException",)

    assert refusal(runtime.converse, modelId=arn, **HI) == (
        "ValidationException",
        "The provided model identifier is invalid.",
    )
    assert refusal(control.get_inference_profile, inferenceProfileIdentifier=arn)[:1] == missing
    assert refusal(control.delete_inference_profile, inferenceProfileIdentifier=arn)[:1] == missing
    assert refusal(control.list_tags_for_resource, resourceARN=arn)[:1] == missing
    assert make(control) != arn


def test_tags_are_put_taken_and_told(control: Any) -> None:
    arn = make(control, tags=TAGS)
    control.tag_resource(
        resourceARN=arn, tags=[{"key": "team", "value": "ads"}, {"key": "stage", "value": ""}]
    )
    control.untag_resource(resourceARN=arn, tagKeys=["cost center", "none"])

    assert control.list_tags_for_resource(resourceARN=arn)["tags"] == [
        {"key": "team", "value": "ads"},
        {"key": "stage", "value": ""},
    ]


def test_a_resource_has_fifty_tags_at_most(control: Any) -> None:
    many = [{"key": f"key {number}", "value": "a"} for number in range(50)]
    arn = make(control, tags=many)
    one_more = {"resourceARN": arn, "tags": [{"key": "more", "value": "a"}]}
    control.tag_resource(resourceARN=arn, tags=[{"key": "key 1", "value": "b"}])

    assert refusal(control.tag_resource, **one_more)[0] == "TooManyTagsException"
    assert len(control.list_tags_for_resource(resourceARN=arn)["tags"]) == 50


def test_the_same_token_makes_one_profile(control: Any) -> None:
    first = make(control, clientRequestToken="once")

    assert make(control, clientRequestToken="once") == first
    assert refusal(make, control=control)[0] == "ConflictException"


def test_a_profile_belongs_to_its_region(control: Any, bedrock: Any) -> None:
    arn = make(control)
    with client(bedrock.url, "us-east-1", bedrock.access_key_id) as east:
        listed = east.list_inference_profiles(typeEquals="APPLICATION")

        assert refusal(east.get_inference_profile, inferenceProfileIdentifier=arn)[0] == (
            "ResourceNotFoundException"
        )
    assert listed["inferenceProfileSummaries"] == []


def test_profiles_come_page_by_page(control: Any) -> None:
    made = [make(control, f"page {number}") for number in range(5)]
    pages = control.get_paginator("list_inference_profiles").paginate(
        typeEquals="APPLICATION", PaginationConfig={"PageSize": 2}
    )
    listed = [
        one["inferenceProfileArn"] for page in pages for one in page["inferenceProfileSummaries"]
    ]

    assert [arn for arn in listed if arn in made] == made


def test_reset_forgets_the_profiles_of_its_caller(control: Any, bedrock: Any) -> None:
    with client(bedrock.url, "us-west-2", "AKIDOTHER") as other:
        mine, theirs = make(control), make(other, "theirs")
        bedrock.reset()
        listed = other.list_inference_profiles(typeEquals="APPLICATION")
        other.delete_inference_profile(inferenceProfileIdentifier=theirs)
    arns = [one["inferenceProfileArn"] for one in listed["inferenceProfileSummaries"]]

    assert mine not in arns
    assert theirs in arns


@pytest.mark.parametrize("handler", ["default", "node"])  # HTTP/2 and HTTP/1.1
def test_javascript_calls_a_profile(bedrock: Any, handler: str) -> None:
    with client(bedrock.url, "us-east-1", bedrock.access_key_id) as east:
        arn = make(east, "javascript", MODEL.replace("us-west-2", "us-east-1"))
    what = {"endpoint": bedrock.url, "handler": handler, "modelId": arn}
    body = {"prompt": "Why?", "max_tokens": 3}
    calls = [{"operation": each, "body": body, **what} for each in ("invoke", "stream")]
    [[whole], [stream]] = call_js_in_turn(calls)

    assert whole["body"]["outputs"]
    assert stream["chunks"]
