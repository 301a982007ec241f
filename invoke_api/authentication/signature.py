"""Verification of signed requests. Order and wording of the checks are AWS's."""

from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from hmac import compare_digest
from typing import NamedTuple

from invoke_api.authentication.credentials import AccessKey
from invoke_api.models.identifiers import PARTITIONS
from invoke_api.wire.errors import (
    ExpiredTokenException,
    IncompleteSignatureException,
    InvalidSignatureException,
    KeyDenied,
    UnrecognizedClientException,
)
from invoke_api.wire.sigv4 import (
    TERMINATOR,
    UNSIGNED_PAYLOAD,
    Authorization,
    Scope,
    canonical_request,
    parse_authorization,
    sign,
    string_to_sign,
)

SERVICE = "bedrock"  # botocore's service model: signingName
# bedrock-mantle takes both: recorded by crmne/ruby_llm (2026-08-19), and seen. It has both paths.
MANTLE_SERVICES = ("bedrock-mantle", SERVICE)
MANTLE_PATHS = (b"/v1/", b"/openai/v1/", b"/anthropic/v1/")
SAGEMAKER_SERVICES = ("sagemaker",)
SAGEMAKER_PATHS = b"/endpoints/"
SAGEMAKER_TARGETS = "SageMaker."
MAX_CLOCK_SKEW = timedelta(minutes=5)
ISO_BASIC = "%Y%m%dT%H%M%SZ"


class RawRequest(NamedTuple):
    """A received request. Its path is percent-encoded, its headers are in order.

    Names of headers are in lower case, as in ASGI.
    """

    method: str
    path: bytes
    query: bytes
    headers: Sequence[tuple[bytes, bytes]]
    body: bytes
    now: datetime

    def text_headers(self) -> Iterator[tuple[str, str]]:
        for name, value in self.headers:
            yield name.decode("latin-1"), value.decode("latin-1")

    def header(self, name: bytes) -> str | None:
        """Return the value of a header as text; of several, the first."""
        for key, value in self.headers:
            if key == name:
                return value.decode("latin-1")
        return None


def verify(request: RawRequest, keys: Mapping[str, AccessKey]) -> tuple[AccessKey, Scope]:
    """Return the key that signed a request, and the scope. Raises a `FrontDoorError`."""
    header = request.header(b"authorization")
    if not header:
        raise KeyDenied
    authorization = parse_authorization(header)
    timestamp = _read_date(request, header)
    check_age(timestamp, request.now)
    if not {"host", ":authority"} & set(authorization.signed_headers):
        raise InvalidSignatureException(
            "'Host' or ':authority' must be a 'SignedHeader' in the AWS Authorization."
        )
    scope = authorization.scope
    check_scope(scope, timestamp, services_of(request))
    key = keys.get(scope.access_key_id)
    if key is None:
        raise UnrecognizedClientException
    _check_signature(request, authorization, timestamp, key)
    check_token(key, request.header(b"x-amz-security-token"), request.now)
    return key, scope


def check_age(timestamp: str, now: datetime) -> None:
    """Check the time of a signature. Raises `InvalidSignatureException` beyond 5 minutes."""
    signed = datetime.strptime(timestamp, ISO_BASIC).replace(tzinfo=UTC)
    if signed < now - MAX_CLOCK_SKEW:
        raise InvalidSignatureException(
            f"Signature expired: {timestamp} is now earlier than {now - MAX_CLOCK_SKEW:{ISO_BASIC}}"
            f" ({now:{ISO_BASIC}} - 5 min.)"
        )
    if signed > now + MAX_CLOCK_SKEW:
        raise InvalidSignatureException(
            f"Signature not yet current: {timestamp} is still later than"
            f" {now + MAX_CLOCK_SKEW:{ISO_BASIC}}"
            f" ({now:{ISO_BASIC}} + 5 min.)"
        )


def services_of(request: RawRequest) -> tuple[str, ...]:
    """Return the names of the services that the request may be signed for."""
    target = request.header(b"x-amz-target") or ""
    if request.path.startswith(SAGEMAKER_PATHS) or target.startswith(SAGEMAKER_TARGETS):
        return SAGEMAKER_SERVICES
    return MANTLE_SERVICES if request.path.startswith(MANTLE_PATHS) else (SERVICE,)


def check_scope(scope: Scope, timestamp: str, services: Sequence[str] = (SERVICE,)) -> None:
    """Check a scope. Raises `InvalidSignatureException`, which lists all mistakes."""
    if wrong := " ".join(_scope_problems(scope, timestamp, services)):
        raise InvalidSignatureException(wrong)


def _scope_problems(scope: Scope, timestamp: str, services: Sequence[str]) -> Iterator[str]:
    if scope.region not in PARTITIONS:
        yield "Credential should be scoped to a valid region."
    if scope.service not in services:
        yield f"Credential should be scoped to correct service: '{services[0]}'."
    if scope.terminator != TERMINATOR:
        yield (
            f"Credential should be scoped with a valid terminator: '{TERMINATOR}',"
            f" not '{scope.terminator}'."
        )
    if scope.date != timestamp[:8]:
        yield (
            "Date in Credential scope does not match YYYYMMDD from ISO-8601 version of date from"
            f" HTTP: '{scope.date}' != '{timestamp[:8]}', from '{timestamp}'."
        )


def check_token(key: AccessKey, token: str | None, now: datetime) -> None:
    """Check a session token. Raises `UnrecognizedClientException`, `ExpiredTokenException`."""
    if not compare_digest((key.session_token or "").encode(), (token or "").encode()):
        raise UnrecognizedClientException
    if key.expires and key.expires <= now:
        raise ExpiredTokenException


def _read_date(request: RawRequest, header: str) -> str:
    date = request.header(b"x-amz-date") or request.header(b"date")
    if not date:
        raise IncompleteSignatureException(
            "Authorization header requires existence of either a 'X-Amz-Date' or a 'Date' header."
            f" Authorization={header}"
        )
    try:
        datetime.strptime(date, ISO_BASIC)  # noqa: DTZ007 - Z says it, strptime reads it as a letter
    except ValueError:
        raise IncompleteSignatureException(
            f"Date must be in ISO-8601 'basic format'. Got '{date}'."
            " See http://en.wikipedia.org/wiki/ISO_8601"
        ) from None
    return date


def _check_signature(
    request: RawRequest, authorization: Authorization, timestamp: str, key: AccessKey
) -> None:
    actual_hash = sha256(request.body).hexdigest()
    said_hash = request.header(b"x-amz-content-sha256")
    canonical = canonical_request(
        method=request.method,
        path=request.path,
        query=request.query,
        headers=request.text_headers(),
        signed_headers=authorization.signed_headers,
        payload_hash=said_hash if said_hash == UNSIGNED_PAYLOAD else actual_hash,
    )
    text = string_to_sign(canonical, timestamp, authorization.scope)
    expected = sign(key.secret_access_key, authorization.scope, text)
    is_right = compare_digest(expected.encode(), authorization.signature.encode())
    if not is_right or said_hash not in (None, UNSIGNED_PAYLOAD, actual_hash):
        raise InvalidSignatureException(
            f"{InvalidSignatureException.default}\n\n"
            f"The Canonical String for this request should have been\n'{canonical}'\n\n"
            f"The String-to-Sign should have been\n'{text}'\n"
        )
