"""The gate in front of every operation: who may pass, and from which region and account."""

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import lru_cache
from hashlib import sha256

from invoke_api.authentication import api_keys, signature
from invoke_api.authentication.credentials import Credentials
from invoke_api.authentication.signature import RawRequest
from invoke_api.authentication.web_pages import foreign_page, is_loopback
from invoke_api.models.identifiers import PARTITIONS
from invoke_api.wire.errors import FrontDoorError, KeyDenied
from invoke_api.wire.sigv4 import Scope, parse_authorization

# Whose an answer says something to be that belongs to nobody here: the account of AWS's examples.
SOMEBODY = "123456789012"


def anybody_could_call(host: str) -> str:
    """Return the error message for a service beyond loopback that nobody needs a key for."""
    return (
        f"On {host} anybody who reaches this machine could use the models."
        " Say --auth sigv4, bearer or any and name the keys with --credentials;"
        " or --allow-anonymous if that is what you want."
    )


@dataclass(frozen=True, slots=True)
class Caller:
    """`access_key_id` and `account` are None for somebody unknown.

    `is_operator` if the key may also use the control routes.
    """

    region: str
    access_key_id: str | None = None
    account: str | None = None
    is_operator: bool = False

    @property
    def account_id(self) -> str:
        return self.account or SOMEBODY

    @property
    def arn(self) -> str:
        """Guess: a user for each key, as there are no users here. A digest stands for the key's id,
        since the ARN goes into the invocation log.
        """
        who = f"user/{user_name(self.access_key_id)}" if self.access_key_id else "root"
        return f"arn:{PARTITIONS[self.region]}:iam::{self.account_id}:{who}"


def user_name(access_key_id: str) -> str:
    """Return a name that is the same for the same key, and does not tell its id."""
    return f"key-{sha256(access_key_id.encode()).hexdigest()[:8]}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Gate:
    """`region` is where a caller is taken to be who does not say: an API key names none.

    Where everybody may call, web pages may that are of this machine or of `page_hosts`. With
    `loopback_only`, `admit_client` refuses clients of other machines.
    """

    auth: str = "none"
    credentials: Credentials = field(default_factory=Credentials)
    region: str = "us-east-1"
    page_hosts: frozenset[str] = frozenset()
    loopback_only: bool = False

    def admit_client(self, client: str, server: str) -> None:
        """Raise `KeyDenied` for a client of another machine, if only this one was meant.

        Both are addresses; `client` is empty if the server does not know it.
        """
        if self.loopback_only and not is_loopback(client):
            raise KeyDenied(anybody_could_call(server))

    def admit(self, request: RawRequest) -> Caller:
        """Raises a `FrontDoorError` for those who may not pass."""
        return SCHEMES[self.auth](self, request)


def _anybody(gate: Gate, request: RawRequest) -> Caller:
    if origin := foreign_page(request.headers, gate.page_hosts):
        raise KeyDenied(
            f"A web page of {origin} may not call models here without a key; --allowed-host adds a"
            " host whose pages may."
        )
    authorization = request.header(b"authorization") or ""
    return Caller(claimed_region(authorization) or gate.region, claimed_key(authorization))


def claimed_key(authorization: str) -> str | None:
    """The access key id that a signature names, be it right or wrong."""
    scope = _claimed(authorization)
    return scope.access_key_id if scope else None


def claimed_region(authorization: str) -> str | None:
    """The region that a signature names, if it is one of AWS's."""
    scope = _claimed(authorization)
    return scope.region if scope and scope.region in PARTITIONS else None


@lru_cache(maxsize=16)  # it is asked several times of each call
def _claimed(authorization: str) -> Scope | None:
    if not authorization:
        return None
    try:
        return parse_authorization(authorization).scope
    except FrontDoorError:
        return None


def _signed(gate: Gate, request: RawRequest) -> Caller:
    key, scope = signature.verify(request, gate.credentials.access_keys)
    return Caller(scope.region, key.access_key_id, key.account_id, key.operator)


def _bearer(gate: Gate, request: RawRequest) -> Caller:
    header = request.header(b"authorization")
    if not header:
        raise KeyDenied
    key, region = api_keys.verify(_token(header) or "", gate.credentials, request.now)
    access_key_id = getattr(key, "access_key_id", None)
    return Caller(region or gate.region, access_key_id, key.account_id, key.operator)


def _either(gate: Gate, request: RawRequest) -> Caller:
    is_bearer = _token(request.header(b"authorization") or "") is not None
    return _bearer(gate, request) if is_bearer else _signed(gate, request)


def _token(header: str) -> str | None:
    """What stands behind `Bearer`, a word that may be written in any case (RFC 9110, 11.1)."""
    scheme, _, token = header.strip().partition(" ")
    return token.strip() if scheme.lower() == "bearer" else None


SCHEMES: dict[str, Callable[[Gate, RawRequest], Caller]] = {
    "none": _anybody,
    "sigv4": _signed,
    "bearer": _bearer,
    "any": _either,
}
