"""The gate in front of every operation: who may pass, and from which region and account."""

from collections.abc import Callable
from dataclasses import dataclass, field

from invoke_api.authentication import api_keys, signature
from invoke_api.authentication.credentials import Credentials
from invoke_api.authentication.signature import Call
from invoke_api.identifiers import PARTITIONS
from invoke_api.wire.front_door_errors import FrontDoorError, KeyDenied
from invoke_api.wire.sigv4 import parse_authorization


@dataclass(frozen=True, slots=True)
class Caller:
    """`access_key_id` and `account` are None for somebody unknown."""

    region: str
    access_key_id: str | None = None
    account: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Gate:
    """`region` is where a caller is taken to be who does not say: an API key names none."""

    auth: str = "none"
    credentials: Credentials = field(default_factory=Credentials)
    region: str = "us-east-1"

    def admit(self, call: Call) -> Caller:
        """Raises a `FrontDoorError` for those who may not pass."""
        return SCHEMES[self.auth](self, call)

    def _anybody(self, call: Call) -> Caller:
        try:
            scope = parse_authorization(call.header("authorization") or "").scope
        except FrontDoorError:
            return Caller(self.region)
        region = scope.region if scope.region in PARTITIONS else self.region
        return Caller(region, scope.access_key_id)

    def _signed(self, call: Call) -> Caller:
        key, scope = signature.verify(call, self.credentials.access_keys)
        return Caller(scope.region, key.access_key_id, key.account_id)

    def _bearer(self, call: Call) -> Caller:
        header = call.header("authorization")
        if not header:
            raise KeyDenied
        key, region = api_keys.verify(_token(header) or "", self.credentials, call.now)
        access_key_id = getattr(key, "access_key_id", None)
        return Caller(region or self.region, access_key_id, key.account_id)

    def _any(self, call: Call) -> Caller:
        is_bearer = _token(call.header("authorization") or "") is not None
        return self._bearer(call) if is_bearer else self._signed(call)


def _token(header: str) -> str | None:
    """What stands behind `Bearer`, a word that may be written in any case (RFC 9110, 11.1)."""
    scheme, _, token = header.strip().partition(" ")
    return token.strip() if scheme.lower() == "bearer" else None


SCHEMES: dict[str, Callable[[Gate, Call], Caller]] = {
    "none": Gate._anybody,  # noqa: SLF001 - its own methods
    "sigv4": Gate._signed,  # noqa: SLF001
    "bearer": Gate._bearer,  # noqa: SLF001
    "any": Gate._any,  # noqa: SLF001
}
