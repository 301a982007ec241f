"""Signatures and API keys: any header is refused with AWS's messages, valid ones are accepted."""

from base64 import b64encode
from contextlib import suppress
from datetime import UTC, datetime
from hashlib import sha256

import pytest

from invoke_api.authentication import api_keys
from invoke_api.authentication.credentials import AccessKey, ApiKey, Credentials
from invoke_api.authentication.gate import read_claims
from invoke_api.authentication.signature import ISO_BASIC, RawRequest, verify
from invoke_api.wire.errors import (
    FrontDoorError,
    IncompleteSignatureException,
    InvalidSignatureException,
    KeyDenied,
)
from invoke_api.wire.sigv4 import (
    Scope,
    canonical_request,
    parse_authorization,
    parse_scope,
    string_to_sign,
)
from invoke_api.wire.sigv4 import sign as make_signature

NOW = datetime(2026, 11, 30, 12, tzinfo=UTC)
STAMP = f"{NOW:{ISO_BASIC}}"
KEY = AccessKey(access_key_id="AKIDEXAMPLE", secret_access_key="secret", session_token="token")
KEYS = Credentials({KEY.access_key_id: KEY}, (ApiKey(api_key="ABSKa2V5"),))
SCOPE = Scope(KEY.access_key_id, STAMP[:8], "us-east-1", "bedrock", "aws4_request")
HEADERS = ("host", "x-amz-date", "x-amz-security-token")


def check(data: bytes) -> None:
    parts = (data + b"\n\n\n\n").split(b"\n")
    _check_header(parts[0], parts[1])
    _check_key(parts[0].decode("latin-1"))
    _check_right_one(*parts[:4])


def _check_header(authorization: bytes, date: bytes) -> None:
    text = authorization.decode("latin-1")
    with suppress(IncompleteSignatureException):
        scope = parse_authorization(text).scope
        assert parse_scope(f"{scope.access_key_id}/{scope}") == scope
        assert read_claims(text).access_key_id == scope.access_key_id
    read_claims(text)
    headers = ((b"authorization", authorization), (b"x-amz-date", date), (b"host", b"a"))
    with pytest.raises(FrontDoorError) as caught:
        verify(RawRequest("POST", b"/", b"", headers, b"", NOW), KEYS.access_keys)
    assert caught.value.to_json()


def _check_key(text: str) -> None:
    """Check any token, and any content of a short-term token."""
    content = b64encode(text.encode("latin-1")).decode()
    for token in (text, f"bedrock-api-key-{content}", f"ABSK{content}"):
        with suppress(KeyDenied):
            api_keys.verify(token, KEYS, NOW)


def _check_right_one(path: bytes, query: bytes, body: bytes, value: bytes) -> None:
    """Check that a valid signature is accepted, but not for another body."""
    request = _sign(b"/" + path, query, body, value)
    assert verify(request, KEYS.access_keys) == (KEY, SCOPE)
    with pytest.raises(InvalidSignatureException):
        verify(request._replace(body=body + b"x"), KEYS.access_keys)


def _sign(path: bytes, query: bytes, body: bytes, value: bytes) -> RawRequest:
    headers = (
        (b"host", value),
        (b"x-amz-date", STAMP.encode()),
        (b"x-amz-security-token", b"token"),
    )
    texts = [(name.decode(), each.decode("latin-1")) for name, each in headers]
    canonical = canonical_request(
        method="POST",
        path=path,
        query=query,
        headers=texts,
        signed_headers=HEADERS,
        payload_hash=sha256(body).hexdigest(),
    )
    signature = make_signature("secret", SCOPE, string_to_sign(canonical, STAMP, SCOPE))
    authorization = (
        f"AWS4-HMAC-SHA256 Credential={SCOPE.access_key_id}/{SCOPE},"
        f" SignedHeaders={';'.join(HEADERS)}, Signature={signature}"
    )
    return RawRequest(
        "POST", path, query, (*headers, (b"authorization", authorization.encode())), body, NOW
    )
