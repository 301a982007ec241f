"""Bedrock API keys: long-term ones from the credentials file, short-term ones that sign themselves.

A short-term key is a signed URL in base64 (aws/aws-bedrock-token-generator-python): whoever holds
an access key makes one without asking anybody, and it is checked like any signature.
"""

from base64 import b64decode
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from hmac import compare_digest
from urllib.parse import parse_qsl

from invoke_api.authentication.credentials import AccessKey, ApiKey, Credentials
from invoke_api.authentication.signature import BASIC, check_scope, check_token
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
EMPTY = sha256(b"").hexdigest()
LONGEST_LIFE = timedelta(hours=12)  # the User Guide's limit for short-term keys


def verify(
    token: str, credentials: Credentials, now: datetime
) -> tuple[AccessKey | ApiKey, str | None]:
    """Whose key this is, and the region of a short-term one. Raises `KeyDenied` in AWS's words."""
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
    # All are compared, so that time tells nothing of which came near.
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
    signed = datetime.strptime(timestamp, BASIC).replace(tzinfo=UTC)
    is_right = compare_digest(
        _signature(query, scope, timestamp, key).encode(), fields["X-Amz-Signature"].encode()
    )
    if not is_right or EXPECTED.items() - fields.items() or host.decode() != HOST:
        raise _invalid()
    if now > signed + min(timedelta(seconds=int(fields["X-Amz-Expires"])), LONGEST_LIFE):
        raise _expired()
    check_token(key, fields.get("X-Amz-Security-Token"), now)
    return key, scope.region


EXPECTED = {
    "Action": "CallWithBearerToken",
    "X-Amz-Algorithm": ALGORITHM,
    "X-Amz-SignedHeaders": "host",
}


def _signature(query: bytes, scope: Scope, timestamp: str, key: AccessKey) -> str:
    # The signature itself is not signed, and the version was put behind it.
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
        payload_hash=EMPTY,
    )
    return sign(key.secret_access_key, scope, string_to_sign(canonical, timestamp, scope))


def _invalid() -> KeyDenied:
    return KeyDenied("Authentication failed: Please make sure your API Key is valid.")


def _expired() -> KeyDenied:
    return KeyDenied("Bearer Token has expired")
