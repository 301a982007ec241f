"""Parsing of ids and ARNs, and AWS's regions."""

import botocore.session
import pytest

from invoke_api.models.identifiers import OWN_KINDS, PARTITIONS, parse_identifier


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        ("mistral.x-v0:2", ("id", "mistral.x-v0:2", None, None)),
        ("us.mistral.x-v0:2", ("id", "us.mistral.x-v0:2", None, None)),
        (
            "arn:aws:bedrock:eu-west-1::foundation-model/mistral.x-v0:2",
            ("foundation-model", "mistral.x-v0:2", "eu-west-1", None),
        ),
        (
            "arn:aws-us-gov:bedrock:us-gov-west-1:123456789012:inference-profile/us-gov.x",
            ("inference-profile", "us-gov.x", "us-gov-west-1", "123456789012"),
        ),
        *(
            (
                f"arn:aws:bedrock:eu-west-1:123456789012:{kind}/abcdefghij12",
                (kind, "abcdefghij12", "eu-west-1", "123456789012"),
            )
            for kind in OWN_KINDS
        ),
    ],
)
def test_an_identifier_is_taken_apart(text: str, parts: tuple[str | None, ...]) -> None:
    found = parse_identifier(text)

    assert (found.kind, found.id, found.region, found.account) == parts
    assert str(found) == text


@pytest.mark.parametrize(
    "text",
    [
        "arn:aws:bedrock:us-east-1:123456789012:foundation-model/x",
        "arn:aws:bedrock:us-east-1::inference-profile/x",
        "arn:aws:bedrock:us-east-1::imported-model/x",
        "arn:aws:bedrock:us-east-1:123456789012:custom-model/x",
        "arn:aws-cn:bedrock:us-east-1::foundation-model/x",
        "arn:aws:sagemaker:us-east-1:123456789012:endpoint/x",
    ],
)
def test_an_arn_of_anything_else_is_other(text: str) -> None:
    assert parse_identifier(text).kind == "other"


def test_the_regions_are_aws_own() -> None:
    session = botocore.session.get_session()
    for region, partition in PARTITIONS.items():
        assert region in session.get_available_regions("ec2", partition_name=partition)
