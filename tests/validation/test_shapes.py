"""Structures of the service model: what is said of those that are none."""

import pytest

from invoke_api.operations.logging_configuration import PUT
from invoke_api.validation.queries import LIST_INFERENCE_PROFILES, check_query
from invoke_api.validation.shapes import read_body
from invoke_api.wire.errors import ValidationException
from invoke_api.wire.front_door_errors import SerializationException

FAILED = "failed to satisfy constraint: Member must"


def test_what_the_model_does_not_have_is_dropped_and_null_is_nothing() -> None:
    body = (
        b'{"loggingConfig": {"s3Config": {"bucketName": "abc", "x": 1}, "cloudWatchConfig": null}}'
    )

    assert read_body(PUT, body) == {"loggingConfig": {"s3Config": {"bucketName": "abc"}}}


@pytest.mark.parametrize(
    ("body", "sentence"),
    [
        (b"", f"1 validation error detected: Value null at 'loggingConfig' {FAILED} not be null"),
        (
            b'{"loggingConfig": {"s3Config": {}, "cloudWatchConfig": {"logGroupName": ""}}}',
            (
                "3 validation errors detected:"
                f" Value '' at 'loggingConfig.cloudWatchConfig.logGroupName' {FAILED} have length"
                " greater than or equal to 1;"
                f" Value null at 'loggingConfig.cloudWatchConfig.roleArn' {FAILED} not be null;"
                f" Value null at 'loggingConfig.s3Config.bucketName' {FAILED} not be null"
            ),
        ),
    ],
)
def test_all_violations_are_named(body: bytes, sentence: str) -> None:
    with pytest.raises(ValidationException) as caught:
        read_body(PUT, body)

    assert caught.value.message == sentence


@pytest.mark.parametrize(
    ("body", "sentence"),
    [
        (b"{", "Unexpected end of input"),
        (b"[]", "Start of list found where not expected."),
        (b'{"loggingConfig": 1}', "NUMBER_VALUE can not be converted to a Structure"),
        (
            b'{"loggingConfig": {"textDataDeliveryEnabled": "yes"}}',
            "STRING_VALUE can not be converted to a Boolean",
        ),
        (
            b'{"loggingConfig": {"s3Config": {"bucketName": {}}}}',
            "Start of structure or map found where not expected.",
        ),
        (b"null", "NULL_VALUE can not be converted to a Structure"),
    ],
)
def test_another_type_is_said_at_once(body: bytes, sentence: str) -> None:
    with pytest.raises(SerializationException) as caught:
        read_body(PUT, body)

    assert caught.value.message == sentence


@pytest.mark.parametrize(
    ("value", "constraint"),
    [
        ("0", "have value greater than or equal to 1"),
        ("1001", "have value less than or equal to 1000"),
        ("many", "be an integer"),
    ],
)
def test_numbers_have_bounds(value: str, constraint: str) -> None:
    with pytest.raises(
        ValidationException, match=f"Value '{value}' at 'maxResults' .* {constraint}"
    ):
        check_query(LIST_INFERENCE_PROFILES, {"maxResults": value})
