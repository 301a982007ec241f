"""Authentication of each call, and the region and account of its caller."""

import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from functools import lru_cache
from hashlib import sha256
from typing import NamedTuple

from invoke_api.authentication import api_keys, signature
from invoke_api.authentication.aliases import Aliases
from invoke_api.authentication.credentials import Credentials
from invoke_api.authentication.signature import RawRequest
from invoke_api.authentication.web_pages import foreign_page, is_loopback
from invoke_api.models.identifiers import PARTITIONS
from invoke_api.wire.errors import FrontDoorError, KeyDenied
from invoke_api.wire.sigv4 import parse_authorization

# The account of callers without one. It is the account of AWS's examples.
DEFAULT_ACCOUNT = "123456789012"
ANTHROPIC_PATHS = b"/anthropic/"
ACCESS_KEY_ID = re.compile("A[KS]IA[A-Z0-9]{16}")


def anonymous_access_error(host: str) -> str:
    """Return the error message for a service beyond loopback that requires no key."""
    return (
        f"On {host} anybody who reaches this machine could use the models."
        " Say --auth sigv4, bearer or any and name the keys with --credentials;"
        " or --allow-anonymous if that is what you want."
    )


@dataclass(slots=True)
class Caller:
    """A caller. `access_key_id` and `account` are None if they are unknown.

    `is_operator` is true if the key may also use the control routes.
    """

    region: str
    access_key_id: str | None = None
    account: str | None = None
    is_operator: bool = False

    @property
    def account_id(self) -> str:
        return self.account or DEFAULT_ACCOUNT

    @property
    def arn(self) -> str:
        """Return an ARN of the caller.

        Guess: each key has its own user. Its name is a digest of the key's id, because the ARN goes
        into the invocation log.
        """
        who = f"user/{user_name(self.access_key_id)}" if self.access_key_id else "root"
        return f"arn:{PARTITIONS[self.region]}:iam::{self.account_id}:{who}"


def user_name(access_key_id: str) -> str:
    """Return a name for the user of a key. It does not reveal the key's id."""
    return f"key-{sha256(access_key_id.encode()).hexdigest()[:8]}"


@dataclass(slots=True, kw_only=True)
class Gate:
    """The authentication of calls.

    `auth` is a key of `AUTH_MODES`. `region` is for callers that name none, such as long-term API
    keys. With `auth` none, web pages of this machine and of `page_hosts` may call. With
    `loopback_only`, `admit_client` refuses clients of other machines. `aliases` are keys that stand
    for others with `auth` none. A reload replaces `credentials`.
    """

    auth: str = "none"
    credentials: Credentials = field(default_factory=Credentials)
    region: str = "us-east-1"
    page_hosts: frozenset[str] = frozenset()
    loopback_only: bool = False
    aliases: Aliases = field(default_factory=Aliases)

    def admit_client(self, client: str, server: str) -> None:
        """Check the address of a client. Raises `KeyDenied` for other machines, if `loopback_only`.

        `client` is empty if the server does not know the address.
        """
        if self.loopback_only and not is_loopback(client):
            raise KeyDenied(anonymous_access_error(server))

    def claimed_key(self, headers: Iterable[tuple[bytes, bytes]]) -> str | None:
        """Return the access key id that a call claims, or the one for which that stands."""
        return self.aliases.resolve(claims_in(headers).access_key_id)

    def admit(self, request: RawRequest) -> Caller:
        """Return the authenticated caller of a request. Raises a `FrontDoorError` otherwise."""
        return AUTH_MODES[self.auth](self, request)


def _anybody(gate: Gate, request: RawRequest) -> Caller:
    if origin := foreign_page(request.headers, gate.page_hosts):
        raise KeyDenied(
            f"A web page of {origin} may not call models here without a key; --allowed-host adds a"
            " host whose pages may."
        )
    claims = claims_in(request.headers)
    return Caller(claims.region or gate.region, gate.aliases.resolve(claims.access_key_id))


class Claims(NamedTuple):
    """The claims of an `Authorization` header, without verification. None if it has none.

    An access key id may serve as an API key here, so that each test has an OpenAI client with a key
    of its own.
    """

    access_key_id: str | None = None
    region: str | None = None


def claims_in(headers: Iterable[tuple[bytes, bytes]]) -> Claims:
    """Return the claims of the first `Authorization` header."""
    for name, value in headers:
        if name == b"authorization":
            return read_claims(value.decode("latin-1"))
    return Claims()


@lru_cache(maxsize=16)  # called several times per call
def read_claims(authorization: str) -> Claims:
    """Return the claims of an `Authorization` header. An unknown region is None."""
    try:
        scope = parse_authorization(authorization).scope
    except FrontDoorError:
        token = _token(authorization) or ""
        return Claims(token if ACCESS_KEY_ID.fullmatch(token) else None)
    return Claims(scope.access_key_id, scope.region if scope.region in PARTITIONS else None)


def _signed(gate: Gate, request: RawRequest) -> Caller:
    key, scope = signature.verify(request, gate.credentials.access_keys)
    return Caller(scope.region, key.access_key_id, key.account_id, key.operator)


def _bearer(gate: Gate, request: RawRequest) -> Caller:
    header = _bearer_header(request)
    if not header:
        raise KeyDenied
    key, region = api_keys.verify(_token(header) or "", gate.credentials, request.now)
    access_key_id = getattr(key, "access_key_id", None)
    return Caller(region or gate.region, access_key_id, key.account_id, key.operator)


def _bearer_header(request: RawRequest) -> str | None:
    """Return the header `Authorization`, or the key that Anthropic's clients send as another one.

    bedrock-mantle takes it on Anthropic's paths (User Guide, inference-messages-api).
    """
    header = request.header(b"authorization")
    if header or not request.path.startswith(ANTHROPIC_PATHS):
        return header
    key = request.header(b"x-api-key")
    return key and f"Bearer {key}"


def _either(gate: Gate, request: RawRequest) -> Caller:
    is_bearer = _token(_bearer_header(request) or "") is not None
    return _bearer(gate, request) if is_bearer else _signed(gate, request)


def _token(header: str) -> str | None:
    """Return the token after `Bearer`, which may be in any case (RFC 9110, 11.1), or None."""
    scheme, _, token = header.strip().partition(" ")
    return token.strip() if scheme.lower() == "bearer" else None


AUTH_MODES: dict[str, Callable[[Gate, RawRequest], Caller]] = {
    "none": _anybody,
    "sigv4": _signed,
    "bearer": _bearer,
    "any": _either,
}
