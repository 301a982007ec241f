"""Short-term API keys, as AWS's own generator makes them."""

from base64 import b64decode, b64encode
from datetime import UTC, datetime, timedelta

import pytest
from aws_bedrock_token_generator import BedrockTokenGenerator
from botocore.credentials import Credentials as BotoCredentials

from invoke_api.authentication.api_keys import SHORT_TERM, verify
from invoke_api.authentication.credentials import AccessKey, Credentials
from invoke_api.wire.errors import KeyDenied

NOW = datetime.now(UTC)
KEYS = Credentials(
    {
        key.access_key_id: key
        for key in (
            AccessKey(access_key_id="AKIDEXAMPLE", secret_access_key="secret"),
            AccessKey(
                access_key_id="ASIATEMPORARY", secret_access_key="secret", session_token="a+/=token"
            ),
            AccessKey(
                access_key_id="ASIAEXPIRED",
                secret_access_key="secret",
                session_token="old",
                expires=NOW - timedelta(days=1),
            ),
        )
    }
)
FAILED = "Authentication failed: Please make sure your API Key is valid."


def make(
    key_id: str = "AKIDEXAMPLE",
    secret: str = "secret",
    token: str | None = None,
    region: str = "eu-west-1",
) -> str:
    keys = BotoCredentials(key_id, secret, token)
    made: str = BedrockTokenGenerator().get_token(keys, region)
    return made


def changed(old: bytes, new: bytes) -> str:
    url = b64decode(make().removeprefix(SHORT_TERM))
    assert old in url
    return SHORT_TERM + b64encode(url.replace(old, new)).decode()


def test_a_key_is_verified_and_tells_its_region() -> None:
    key, region = verify(make(), KEYS, datetime.now(UTC))

    assert isinstance(key, AccessKey)
    assert (key.access_key_id, region) == ("AKIDEXAMPLE", "eu-west-1")


def test_a_key_made_of_a_temporary_one_is_verified() -> None:
    key, _ = verify(make("ASIATEMPORARY", token="a+/=token"), KEYS, datetime.now(UTC))

    assert isinstance(key, AccessKey)
    assert key.access_key_id == "ASIATEMPORARY"


@pytest.mark.parametrize(
    "token",
    [
        make("AKIDNOBODY"),
        make(secret="wrong"),
        make("ASIATEMPORARY"),
        make("ASIATEMPORARY", token="another"),
        make(region="us-nowhere-1"),
        changed(b"X-Amz-Expires=", b"X-Amz-Expires=9"),
        changed(b"CallWithBearerToken", b"ListFoundationModels"),
        changed(b"bedrock.amazonaws.com/", b"s3.amazonaws.com/"),
        changed(b"X-Amz-Date=", b"X-Amz-Then="),
        changed(b"X-Amz-Date=20", b"X-Amz-Date=x"),
        SHORT_TERM + b64encode(b"bedrock.amazonaws.com/?a=b").decode(),
        SHORT_TERM + b64encode(b"\xff\xfe").decode(),
    ],
    ids=map(str, range(12)),  # a key has the time in it, which differs between test processes
)
def test_any_other_key_is_refused(token: str) -> None:
    with pytest.raises(KeyDenied, match=FAILED):
        verify(token, KEYS, datetime.now(UTC))


def test_a_key_expires_with_its_own_time_and_with_the_one_it_was_made_of() -> None:
    with pytest.raises(KeyDenied, match="Bearer Token has expired"):
        verify(make(), KEYS, datetime.now(UTC) + timedelta(hours=13))
    with pytest.raises(KeyDenied):
        verify(make("ASIAEXPIRED", token="old"), KEYS, datetime.now(UTC))
