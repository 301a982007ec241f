"""AWS Signature Version 4 on the server's side: parsing of the header, computing of the signature.

Source: "Create a signed AWS API request" in the IAM User Guide. Tested with AWS's own vectors.
"""

import hmac
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from hashlib import sha256
from posixpath import normpath
from urllib.parse import quote, unquote_to_bytes

from invoke_api.wire.errors import IncompleteSignatureException

ALGORITHM = "AWS4-HMAC-SHA256"
TERMINATOR = "aws4_request"
UNSIGNED_PAYLOAD = "UNSIGNED-PAYLOAD"
AUTHORIZATION_PARAMETERS = ("Credential", "Signature", "SignedHeaders")

Headers = Iterable[tuple[str, str]]


@dataclass(frozen=True, slots=True)
class Scope:
    """The `Credential=` of the header: the key that signs, and the scope of the signature."""

    access_key_id: str
    date: str
    region: str
    service: str
    terminator: str

    def __str__(self) -> str:
        return f"{self.date}/{self.region}/{self.service}/{self.terminator}"


@dataclass(frozen=True, slots=True)
class Authorization:
    scope: Scope
    signed_headers: tuple[str, ...]
    signature: str


def parse_authorization(header: str) -> Authorization:
    """Parse the header of a signed request. Raises `IncompleteSignatureException`."""
    algorithm, _, rest = header.strip().partition(" ")
    if algorithm != ALGORITHM:
        raise IncompleteSignatureException(
            f"Unsupported AWS 'algorithm': '{algorithm}' (only {ALGORITHM} for now). "
        )
    parts = {}
    for part in filter(None, re.split(r"\s*,\s*|\s+", rest.strip())):
        name, equal, value = part.partition("=")
        if not equal:
            raise IncompleteSignatureException(
                f"'{part}' not a valid key=value pair (missing equal-sign) in Authorization"
                f" header: '{header}'."
            )
        parts[name] = value
    if missing := [name for name in AUTHORIZATION_PARAMETERS if not parts.get(name)]:
        wanted = "".join(f"Authorization header requires '{name}' parameter. " for name in missing)
        raise IncompleteSignatureException(f"{wanted}Authorization={header}")
    return Authorization(
        parse_scope(parts["Credential"]),
        tuple(parts["SignedHeaders"].split(";")),
        parts["Signature"],
    )


def parse_scope(credential: str) -> Scope:
    """Parse a `Credential`. Raises `IncompleteSignatureException` unless it has five parts."""
    elements = credential.split("/")
    if len(elements) != 5:
        raise IncompleteSignatureException(
            "Credential must have exactly 5 slash-delimited elements,"
            f" e.g. keyid/date/region/service/term, got '{credential}'"
        )
    return Scope(*elements)


def canonical_request(
    *,
    method: str,
    path: bytes,
    query: bytes,
    headers: Headers,
    signed_headers: Sequence[str],
    payload_hash: str,
    normalize: bool = True,
) -> str:
    """Return AWS's canonical form of a request.

    `path` is the percent-encoded path of the request line. The canonical form encodes it again.
    """
    values: dict[str, list[str]] = {}
    for name, value in headers:
        values.setdefault(name.lower(), []).append(re.sub(" +", " ", value.strip()))
    lines = [f"{name}:{','.join(values.get(name, ()))}\n" for name in signed_headers]
    return "\n".join(
        (
            method,
            quote(_normalize(path) if normalize else path, safe="/-_.~"),
            _canonical_query(query),
            "".join(lines),
            ";".join(signed_headers),
            payload_hash,
        )
    )


def string_to_sign(canonical: str, timestamp: str, scope: Scope) -> str:
    digest = sha256(canonical.encode()).hexdigest()
    return "\n".join((ALGORITHM, timestamp, str(scope), digest))


def sign(secret: str, scope: Scope, text: str) -> str:
    """Return the signature in hexadecimal."""
    key = b"AWS4" + secret.encode()
    for step in (scope.date, scope.region, scope.service, scope.terminator, text):
        key = hmac.digest(key, step.encode(), "sha256")
    return key.hex()


def _normalize(path: bytes) -> bytes:
    """Return the path without `.` and `..` (RFC 3986, 5.2.4) and without repeated slashes."""
    if not path:
        return b"/"
    shortest = b"/" + normpath(path).lstrip(b"/")
    is_open = path.endswith((b"/", b"/.", b"/..")) and shortest != b"/"
    return shortest + b"/" if is_open else shortest


def _canonical_query(query: bytes) -> str:
    pairs = []
    for part in filter(None, query.split(b"&")):
        name, _, value = part.partition(b"=")
        pairs.append((_encode(name), _encode(value)))
    return "&".join(f"{name}={value}" for name, value in sorted(pairs))


def _encode(text: bytes) -> str:
    return quote(unquote_to_bytes(text), safe="-_.~")
