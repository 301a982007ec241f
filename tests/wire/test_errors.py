"""The forms of exceptions; tests/fidelity compares each with botocore's model."""

from invoke_api.wire.errors import KeyDenied, ModelErrorException, ThrottlingException


def test_an_exception_without_words_says_bedrocks() -> None:
    assert ThrottlingException().to_json() == (
        b'{"message":"Too many requests, please wait before trying again."}'
    )


def test_members_stand_behind_the_message() -> None:
    error = ModelErrorException("It broke.", members={"originalStatusCode": 400})

    assert error.to_json() == b'{"message":"It broke.","originalStatusCode":400}'


def test_a_denied_key_has_a_capital_message_and_another_type() -> None:
    error = KeyDenied("No.")

    assert error.to_json() == b'{"Message":"No."}'
    assert error.kind == (
        "AccessDeniedException:http://internal.amazon.com/coral/com.amazon.coral.service/"
        "#AccessDeniedException"
    )
