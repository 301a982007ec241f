"""boto3's `bedrock` client against a real server."""

from collections.abc import Iterator
from contextlib import closing, contextmanager
from datetime import UTC, datetime
from typing import Any

import boto3
import pytest
from botocore.exceptions import ClientError

from tests.support.servers import LARGE, LARGE_3, MIXTRAL, SEVEN_B

PIXTRAL = "mistral.pixtral-large-2502-v1:0"
LARGE_2407 = "mistral.mistral-large-2407-v1:0"
VOXTRAL = "mistral.voxtral-mini-3b-2507"
CONFIG = {
    "cloudWatchConfig": {
        "logGroupName": "calls",
        "roleArn": "arn:aws:iam::123456789012:role/logs",
        "largeDataDeliveryS3Config": {"bucketName": "large", "keyPrefix": "a/b"},
    },
    "s3Config": {"bucketName": "all"},
    "textDataDeliveryEnabled": True,
    "imageDataDeliveryEnabled": False,
}

COPY = {
    "sourceModelArn": "arn:aws:bedrock:us-east-1:123456789012:custom-model/a.b/" + "a" * 12,
    "targetModelName": "copy",
}


@contextmanager
def client(url: str, region: str = "us-east-1", key: str = "AKIDEXAMPLE") -> Iterator[Any]:
    bedrock = boto3.client(
        "bedrock",
        endpoint_url=url,
        region_name=region,
        aws_access_key_id=key,
        aws_secret_access_key="secret",
    )
    with closing(bedrock):
        yield bedrock


@pytest.fixture
def bedrock(scripted: str) -> Iterator[Any]:
    with client(scripted) as bedrock_:
        yield bedrock_


def listed(bedrock: Any, **filters: str) -> list[str]:
    summaries = bedrock.list_foundation_models(**filters)["modelSummaries"]
    return [summary["modelId"] for summary in summaries]


def test_models_are_listed_where_aws_offers_them(scripted: str) -> None:
    with client(scripted) as east, client(scripted, "us-west-2") as west:
        in_east, in_west = listed(east), listed(west)
        [arn] = [
            summary["modelArn"]
            for summary in west.list_foundation_models()["modelSummaries"]
            if summary["modelId"] == LARGE_2407
        ]

    assert {SEVEN_B, MIXTRAL, LARGE, PIXTRAL, VOXTRAL} < set(in_east)
    assert LARGE_2407 not in in_east
    assert LARGE_2407 in in_west
    assert arn == f"arn:aws:bedrock:us-west-2::foundation-model/{LARGE_2407}"


@pytest.mark.parametrize(
    ("filters", "count"),
    [
        ({"byProvider": "Mistral AI"}, None),
        ({"byProvider": "mistral ai"}, None),
        ({"byProvider": "Anthropic"}, 0),
        ({"byOutputModality": "TEXT"}, None),
        ({"byOutputModality": "IMAGE"}, 0),
        ({"byInferenceType": "PROVISIONED"}, 0),
        ({"byCustomizationType": "FINE_TUNING"}, 0),
        ({"byProvider": "Mistral AI", "byOutputModality": "EMBEDDING"}, 0),
    ],
)
def test_filters_leave_what_they_name(
    bedrock: Any, filters: dict[str, str], count: int | None
) -> None:
    everything = listed(bedrock)

    assert len(listed(bedrock, **filters)) == (len(everything) if count is None else count)


def test_what_goes_by_profile_only_is_not_on_demand(bedrock: Any) -> None:
    assert set(listed(bedrock)) - set(listed(bedrock, byInferenceType="ON_DEMAND")) == {PIXTRAL}


def test_one_model_is_told_by_id_and_arn(bedrock: Any) -> None:
    details = bedrock.get_foundation_model(modelIdentifier=SEVEN_B)["modelDetails"]
    by_arn = bedrock.get_foundation_model(modelIdentifier=details["modelArn"])["modelDetails"]

    assert by_arn == details
    assert details["modelLifecycle"] == {"status": "ACTIVE"}


def test_a_launch_is_told_where_it_is_known(bedrock: Any) -> None:
    details = bedrock.get_foundation_model(modelIdentifier=LARGE_3)["modelDetails"]
    launched = datetime(2025, 12, 2, tzinfo=UTC)

    assert details["modelLifecycle"] == {"status": "ACTIVE", "startOfLifeTime": launched}


def test_profiles_come_page_by_page(bedrock: Any) -> None:
    pages = list(bedrock.get_paginator("list_inference_profiles").paginate(PaginationConfig={}))
    [profile] = [one for page in pages for one in page["inferenceProfileSummaries"]]
    for name in (profile["inferenceProfileId"], profile["inferenceProfileArn"]):
        told = bedrock.get_inference_profile(inferenceProfileIdentifier=name)

        assert {key: told[key] for key in profile} == profile
    assert [model["modelArn"].split(":")[3] for model in profile["models"]] == [
        "us-east-1",
        "us-east-2",
        "us-west-2",
    ]
    assert not bedrock.list_inference_profiles(typeEquals="APPLICATION")[
        "inferenceProfileSummaries"
    ]


def test_availability_says_where_a_model_is(bedrock: Any) -> None:
    run = bedrock.get_foundation_model_availability(modelId=VOXTRAL)
    elsewhere = bedrock.get_foundation_model_availability(modelId=LARGE_2407)

    assert run["agreementAvailability"] == {"status": "AVAILABLE"}
    assert (run["regionAvailability"], elsewhere["regionAvailability"]) == (
        "AVAILABLE",
        "NOT_AVAILABLE",
    )


def test_what_is_put_for_the_log_is_got_until_it_is_deleted(scripted: str) -> None:
    with client(scripted, "eu-west-3") as here, client(scripted, "eu-west-2") as there:
        here.put_model_invocation_logging_configuration(loggingConfig=CONFIG)
        put = here.get_model_invocation_logging_configuration()["loggingConfig"]
        other = there.get_model_invocation_logging_configuration()
        here.delete_model_invocation_logging_configuration()
        deleted = here.get_model_invocation_logging_configuration()

    assert put == CONFIG
    assert "loggingConfig" not in other
    assert "loggingConfig" not in deleted


@pytest.mark.parametrize(
    ("operation", "arguments", "code"),
    [
        ("get_foundation_model", {"modelIdentifier": "mistral.nope-v1:0"}, "ValidationException"),
        (
            "get_foundation_model",
            {"modelIdentifier": LARGE_2407},
            "ResourceNotFoundException",
        ),
        (
            "get_inference_profile",
            {"inferenceProfileIdentifier": "us.mistral.nope"},
            "ResourceNotFoundException",
        ),
        ("get_foundation_model_availability", {"modelId": "mistral.nope"}, "ValidationException"),
        ("list_inference_profiles", {"nextToken": "no-token"}, "ValidationException"),
        ("list_foundation_models", {"byProvider": "!"}, "ValidationException"),
        ("list_guardrails", {}, "ValidationException"),
        ("create_model_copy_job", COPY, "AccessDeniedException"),
    ],
)
def test_mistakes_are_modelled_errors(
    bedrock: Any, operation: str, arguments: dict[str, str], code: str
) -> None:
    with pytest.raises(ClientError) as caught:
        getattr(bedrock, operation)(**arguments)

    assert caught.value.response["Error"]["Code"] == code
    assert type(caught.value).__name__ == code
