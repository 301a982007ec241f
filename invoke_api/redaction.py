"""Hide what a caller could be impersonated with: in headers, in paths, and in sentences of others.

Nothing that decides which recording answers is hidden (`cassettes/library.py`).
"""

import re
from collections.abc import Iterable, Iterator
from functools import lru_cache
from urllib.parse import unquote_plus

HIDDEN = "[redacted]"
SHORTEST = 8  # characters of a value that is looked for in sentences; shorter ones are words, too
LONGEST_NAME = 128  # characters of a header's name that are looked at
# Headers whose value is hidden as a whole. Proxies and other services have their own names for
# keys, so that parts of names decide: X-Amz-Security-Token, X-Api-Key, X-Goog-Iap-Jwt-Assertion.
SECRET_NAME = re.compile(
    r"auth|token|secret|cookie|passw|credential|signature|session|api-?key|-key$|^key$"
    r"|jwt|assertion|oidc|client-cert"
)
# Values that are keys under any name: access key ids and API keys of AWS's, bearer tokens, JWTs.
SECRET_VALUE = re.compile(
    r"\b(?:(?:AKIA|ASIA)[A-Z0-9]{12,}|ABSK[\w+/=-]{8,}|bedrock-api-key-[\w+/=-]+"
    r"|(?i:Bearer) +\S+|sk-[\w-]{16,}|eyJ[\w-]+\.[\w-]+\.[\w-]*)"
)
# One of these stands in each of them: looked for first, since the journal is read on the loop.
MARKS = ("AKIA", "ASIA", "ABSK", "api-key-", "earer ", "EARER ", "sk-", "eyJ")
SCHEMES = frozenset({"basic", "bearer", "digest", "negotiate", "aws"})
SIGNED = re.compile(
    r"(?P<algorithm>AWS4-\S+) +Credential=(?P<key>[^/,\s]*)(?P<scope>[^,\s]*)"
    r"(?P<headers>,\s*SignedHeaders=[^,\s]*),\s*Signature=(?P<signature>[^,\s]*)"
)
# Parameters of a query that sign it, or are keys. `nextToken` is none: it turns pages.
SECRET_PARAMETER = re.compile(
    r"x-amz-.*|awsaccesskeyid|signature|authorization|access_token|api-?_?key", re.IGNORECASE
)
# The same in a sentence that quotes a query, as AWS's do of a signature that is wrong.
QUOTED_PARAMETER = re.compile(
    rf"\b({SECRET_PARAMETER.pattern.replace('.*', '[a-z-]+')})=[^&\s']+", re.IGNORECASE
)

Headers = Iterable[tuple[bytes, bytes]]


def redacted(headers: Headers) -> Iterator[tuple[str, str]]:
    """Yield the headers without secrets and without access key ids."""
    for raw_name, raw_value in headers:
        name, value = raw_name.decode("latin-1"), raw_value.decode("latin-1")
        yield name, _redacted_value(name.lower(), value)


def _redacted_value(name: str, value: str) -> str:
    if name == "authorization":
        return _redacted_authorization(value)
    if _is_secret_name(name[:LONGEST_NAME]):
        return HIDDEN
    return SECRET_VALUE.sub(HIDDEN, value) if any(mark in value for mark in MARKS) else value


@lru_cache(maxsize=512)  # names are no secrets, and the same in all requests
def _is_secret_name(name: str) -> bool:
    return SECRET_NAME.search(name) is not None


def _redacted_authorization(value: str) -> str:
    if signed := SIGNED.fullmatch(value.strip()):
        scope, names = signed["scope"], signed["headers"]
        return f"{signed['algorithm']} Credential={HIDDEN}{scope}{names}, Signature={HIDDEN}"
    scheme, _, _ = value.strip().partition(" ")
    return f"{scheme} {HIDDEN}" if scheme.lower() in SCHEMES else HIDDEN


def secrets_of(headers: Headers) -> set[str]:
    """Return the values that `redacted` hides, each also as the parts that sentences may quote."""
    found: set[str] = set()
    for raw_name, raw_value in headers:
        name, value = raw_name.decode("latin-1").lower(), raw_value.decode("latin-1").strip()
        if name == "authorization":
            signed = SIGNED.fullmatch(value)
            found.update(signed.group("key", "signature") if signed else [value, *value.split()])
        elif _is_secret_name(name[:LONGEST_NAME]):
            found.update([value, *re.split(r"[\s;,]+", value)])
        else:
            found.update(SECRET_VALUE.findall(value))
    return {secret for secret in found if len(secret) >= SHORTEST}


def without(text: str, secrets: Iterable[str]) -> str:
    """Replace each of the secrets in a text, the longest first: one may be a part of another.

    A query that the text quotes loses the values of its secret parameters.
    """
    for secret in sorted(secrets, key=len, reverse=True):
        text = text.replace(secret, HIDDEN)
    return QUOTED_PARAMETER.sub(rf"\1={HIDDEN}", text)


def unsigned(path: str) -> str:
    """Remove what a presigned URL has in its query: it is the caller's own signature."""
    route, _, query = path.partition("?")
    kept = [part for part in query.split("&") if not _is_secret(part)]
    return f"{route}?{'&'.join(kept)}" if any(kept) else route


def _is_secret(parameter: str) -> bool:
    name = unquote_plus(parameter.partition("=")[0])
    return SECRET_PARAMETER.fullmatch(name) is not None
