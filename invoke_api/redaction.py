"""Redaction of secrets in headers, paths and error messages.

Values by which recordings are matched are not redacted (`cassettes/matcher.py`).
"""

import re
from collections.abc import Iterable, Iterator
from functools import lru_cache
from urllib.parse import unquote_plus

REDACTED = "[redacted]"
MIN_SECRET_CHARACTERS = 8  # shorter values are not replaced in text, where they may be words
MAX_NAME_CHARACTERS = 128  # of a header's name that are compared
# Headers whose whole value is redacted. Parts of names are compared, because proxies and other
# services have their own names: X-Amz-Security-Token, X-Api-Key, X-Goog-Iap-Jwt-Assertion.
SECRET_NAME = re.compile(
    r"auth|token|secret|cookie|passw|credential|signature|session|api-?key|-key$|^key$"
    r"|jwt|assertion|oidc|client-cert"
)
# Values that are keys under any name: AWS's access key ids and API keys, bearer tokens, JWTs.
SECRET_VALUE = re.compile(
    r"\b(?:(?:AKIA|ASIA)[A-Z0-9]{12,}|ABSK[\w+/=-]{8,}|bedrock-api-key-[\w+/=-]+"
    r"|(?i:Bearer) +\S+|sk-[\w-]{16,}|eyJ[\w-]+\.[\w-]+\.[\w-]*)"
)
# Each such value contains one of these. They are searched first, which is faster.
SECRET_MARKERS = ("AKIA", "ASIA", "ABSK", "api-key-", "earer ", "EARER ", "sk-", "eyJ")
KNOWN_SCHEMES = frozenset({"basic", "bearer", "digest", "negotiate", "aws"})
SIGV4_HEADER = re.compile(
    r"(?P<algorithm>AWS4-\S+) +Credential=(?P<key>[^/,\s]*)(?P<scope>[^,\s]*)"
    r"(?P<headers>,\s*SignedHeaders=[^,\s]*),\s*Signature=(?P<signature>[^,\s]*)"
)
# Parameters of a query that sign it, or are keys. `nextToken` is not secret.
SECRET_PARAMETER = re.compile(
    r"x-amz-.*|awsaccesskeyid|signature|authorization|access_token|api-?_?key", re.IGNORECASE
)
# The same parameters in text: AWS's message about a wrong signature quotes the query.
QUOTED_PARAMETER = re.compile(
    rf"\b({SECRET_PARAMETER.pattern.replace('.*', '[a-z-]+')})=[^&\s']+", re.IGNORECASE
)

Headers = Iterable[tuple[bytes, bytes]]


def redacted_headers(headers: Headers) -> Iterator[tuple[str, str]]:
    """Yield the headers without secrets and without access key ids."""
    for raw_name, raw_value in headers:
        name, value = raw_name.decode("latin-1"), raw_value.decode("latin-1")
        yield name, _redacted_value(name.lower(), value)


def _redacted_value(name: str, value: str) -> str:
    if name == "authorization":
        return _redacted_authorization(value)
    if _is_secret_name(name[:MAX_NAME_CHARACTERS]):
        return REDACTED
    is_suspect = any(marker in value for marker in SECRET_MARKERS)
    return SECRET_VALUE.sub(REDACTED, value) if is_suspect else value


@lru_cache(maxsize=512)  # names are not secret, and repeat in all requests
def _is_secret_name(name: str) -> bool:
    return SECRET_NAME.search(name) is not None


def _redacted_authorization(value: str) -> str:
    if signed := SIGV4_HEADER.fullmatch(value.strip()):
        scope, names = signed["scope"], signed["headers"]
        return f"{signed['algorithm']} Credential={REDACTED}{scope}{names}, Signature={REDACTED}"
    scheme, _, _ = value.strip().partition(" ")
    return f"{scheme} {REDACTED}" if scheme.lower() in KNOWN_SCHEMES else REDACTED


def secrets_of(headers: Headers) -> set[str]:
    """Return the values that `redacted_headers` hides, and parts that messages may quote."""
    found: set[str] = set()
    for raw_name, raw_value in headers:
        name, value = raw_name.decode("latin-1").lower(), raw_value.decode("latin-1").strip()
        if name == "authorization":
            signed = SIGV4_HEADER.fullmatch(value)
            found.update(signed.group("key", "signature") if signed else [value, *value.split()])
        elif _is_secret_name(name[:MAX_NAME_CHARACTERS]):
            found.update([value, *re.split(r"[\s;,]+", value)])
        else:
            found.update(SECRET_VALUE.findall(value))
    return {secret for secret in found if len(secret) >= MIN_SECRET_CHARACTERS}


def redact_text(text: str, secrets: Iterable[str]) -> str:
    """Return a text with redacted secrets, and with redacted parameters of quoted queries.

    The longest secret is replaced first, because it may contain another.
    """
    for secret in sorted(secrets, key=len, reverse=True):
        text = text.replace(secret, REDACTED)
    return QUOTED_PARAMETER.sub(rf"\1={REDACTED}", text)


def without_signature(path: str) -> str:
    """Return a path without the parameters that sign a presigned URL."""
    route, _, query = path.partition("?")
    kept = [part for part in query.split("&") if not _is_secret(part)]
    return f"{route}?{'&'.join(kept)}" if any(kept) else route


def _is_secret(parameter: str) -> bool:
    name = unquote_plus(parameter.partition("=")[0])
    return SECRET_PARAMETER.fullmatch(name) is not None
