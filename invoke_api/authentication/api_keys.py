"""Bedrock API keys: long-term keys from the credentials file, and short-term keys.

A short-term key is a signed URL in base64 (aws/aws-bedrock-token-generator-python). The owner of an
access key creates it offline, and it is verified like any signature.
"""

from base64 import b64decode
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from hmac import compare_digest
from urllib.parse import parse_qsl

from invoke_api.authentication.credentials import AccessKey, ApiKey, Credentials
from invoke_api.authentication.signature import ISO_BASIC, check_scope, check_token
from invoke_api.wire.errors import FrontDoorError, KeyDenied
from invoke_api.wire.sigv4 import (
    ALGORITHM,
    Scope,
    canonical_request,
    parse_scope,
    sign,
    string_to_sign,
)

LONG_TERM = "ABSK"
SHORT_TERM = "bedrock-api-key-"
HOST = "bedrock.amazonaws.com"
EXPECTED_FIELDS = {
    "Action": "CallWithBearerToken",
    "X-Amz-Algorithm": ALGORITHM,
    "X-Amz-SignedHeaders": "host",
}
EMPTY_BODY_HASH = sha256(b"").hexdigest()
MAX_SHORT_TERM_LIFE = timedelta(hours=12)  # the User Guide's limit for short-term keys


def verify(
    token: str, credentials: Credentials, now: datetime
) -> tuple[AccessKey | ApiKey, str | None]:
    """Return the verified key, and the region of a short-term one. Raises `KeyDenied`."""
    prefix = next((one for one in (LONG_TERM, SHORT_TERM) if token.startswith(one)), None)
    if prefix is None:
        raise KeyDenied("Invalid API Key format: Must start with pre-defined prefix")
    try:
        content = b64decode(token.removeprefix(prefix), validate=True)
    except ValueError:
        raise KeyDenied("Invalid API Key format: Base64 decoding failed") from None
    if prefix == LONG_TERM:
        return _find_long_term(token, credentials.api_keys, now), None
    try:
        return _verify_short_term(content, credentials, now)
    except (FrontDoorError, KeyError, ValueError, OverflowError) as error:
        raise error if isinstance(error, KeyDenied) else _invalid() from error


def _find_long_term(token: str, api_keys: Iterable[ApiKey], now: datetime) -> ApiKey:
    # All keys are compared, so that the time reveals nothing about similar keys.
    found = [key for key in api_keys if compare_digest(key.api_key.encode(), token.encode())]
    if not found:
        raise _invalid()
    if found[0].expires and found[0].expires <= now:
        raise _expired()
    return found[0]


def _verify_short_term(
    content: bytes, credentials: Credentials, now: datetime
) -> tuple[AccessKey, str]:
    host, _, query = content.partition(b"/?")
    fields = dict(parse_qsl(query.decode(), strict_parsing=True))
    scope = parse_scope(fields["X-Amz-Credential"])
    timestamp = fields["X-Amz-Date"]
    check_scope(scope, timestamp)
    key = credentials.access_keys[scope.access_key_id]
    signed = datetime.strptime(timestamp, ISO_BASIC).replace(tzinfo=UTC)
    is_right = compare_digest(
        _signature(query, scope, timestamp, key).encode(), fields["X-Amz-Signature"].encode()
    )
    if not is_right or EXPECTED_FIELDS.items() - fields.items() or host.decode() != HOST:
        raise _invalid()
    if now > signed + min(timedelta(seconds=int(fields["X-Amz-Expires"])), MAX_SHORT_TERM_LIFE):
        raise _expired()
    check_token(key, fields.get("X-Amz-Security-Token"), now)
    return key, scope.region


def _signature(query: bytes, scope: Scope, timestamp: str, key: AccessKey) -> str:
    # Neither the signature itself is signed nor the version, which was appended later.
    signed = [
        part
        for part in query.split(b"&")
        if not part.startswith((b"X-Amz-Signature=", b"Version="))
    ]
    canonical = canonical_request(
        method="POST",
        path=b"/",
        query=b"&".join(signed),
        headers=[("host", HOST)],
        signed_headers=("host",),
        payload_hash=EMPTY_BODY_HASH,
    )
    return sign(key.secret_access_key, scope, string_to_sign(canonical, timestamp, scope))


def _invalid() -> KeyDenied:
    return KeyDenied("Authentication failed: Please make sure your API Key is valid.")


def _expired() -> KeyDenied:
    return KeyDenied("Bearer Token has expired")
