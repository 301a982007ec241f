"""Random requests to all operations: valid ones with odd changes, and noise."""

from base64 import b64encode
from copy import deepcopy
from dataclasses import dataclass
from random import Random
from typing import Any
from urllib.parse import quote

from starlette.routing import Route

from invoke_api.models.registry import DEFAULT_REGISTRY, load_registry
from invoke_api.server.app import ALL_ROUTES
from invoke_api.validation.constraints import MEMBERS
from invoke_api.validation.queries import (
    LIST_FOUNDATION_MODELS,
    LIST_INFERENCE_PROFILES,
    LIST_PROVISIONED,
)
from tests.fuzzing.bodies import BODIES, OF_CHATS, OF_MODELS, OF_PROMPTS
from tests.fuzzing.values import KEYS, STRINGS, Raw, draw, places, write


@dataclass(frozen=True, slots=True)
class FuzzRequest:
    """A request. `path` is as in the request line; `operation` is the operation of that path."""

    operation: str
    method: str
    path: bytes
    query: bytes
    headers: tuple[tuple[bytes, bytes], ...]
    body: bytes

    def told(self) -> str:
        """Return the request, shortened for the message of a failed test."""
        target = (self.path + b"?" + self.query).decode("latin-1")
        headers = {name.decode(): value.decode("latin-1")[:300] for name, value in self.headers}
        return f"{self.method} {target[:500]}\n{headers}\n{self.body[:2_000]!r} ({len(self.body)})"


MODELS = [
    name
    for model in load_registry(DEFAULT_REGISTRY).models.values()
    for name in (model.id, *model.listing.profiles)
]
# Half of them reach the checks of the body, which are the last ones.
USUAL_MODELS = [
    "mistral.mistral-7b-instruct-v0:2",
    "mistral.mixtral-8x7b-instruct-v0:1",
    "mistral.mistral-small-2402-v1:0",
    "mistral.mistral-large-2402-v1:0",
    "us.mistral.pixtral-large-2502-v1:0",
    "mistral.mistral-large-3-675b-instruct",
    "mistral.ministral-3-3b-instruct",
]
PROMPTED = set(USUAL_MODELS[:4])
LABELS = [
    *("", "a", "..", ".", "%", "%00", "%zz", "%ff%fe", "é", "%F0%9F%A6%9C", "a/b", "a%2Fb", "//"),
    *("x" * 2_049, "x" * 9_000, "arn:aws:bedrock:us-east-1::foundation-model/a.b", "{model_id}"),
    "arn:aws:bedrock:us-east-1:123456789012:inference-profile/us.mistral.pixtral-large-2502-v1:0",
    *("arn:aws:bedrock:us-east-1:123456789012:imported-model/abcdefghijkl", "ARN:", ":", "a:b:c"),
    *("abcdef123456", "words1234567", "DRAFT", "1", "99999999999", "-1", "%0a", "%0d%0aX: y"),
    "arn:aws:bedrock:us-east-1:123456789012:guardrail/abcdef123456",
    *("arn:aws:bedrock:us-east-1:123456789012:provisioned-model/abcdefghij12", "my-throughput"),
]
USUAL = [route for route in ALL_ROUTES if route.name in BODIES]
ENDPOINTS = [each.name for each in load_registry(DEFAULT_REGISTRY).endpoints]
MEMBER_HEADERS = [member.header.lower() for member in MEMBERS if member.header]
HEADERS = [
    *MEMBER_HEADERS,
    *("content-type", "accept", "x-amzn-bedrock-accept", "x-amzn-bedrock-service-tier"),
    *("authorization", "x-amz-date", "date", "x-amz-security-token", "x-amz-content-sha256"),
    *("host", "cookie", "expect", "content-encoding", "x-forwarded-for", "content-length"),
]
CREDENTIAL = "Credential=AKIDEXAMPLE/20261122/us-east-1/bedrock/aws4_request"
HEADER_VALUES = [
    *("", " ", "application/json", "application/json; charset=utf-8", "*/*", "text/html, */*;q=0"),
    *(
        "ENABLED",
        "ENABLED_FULL",
        "DISABLED",
        "standard",
        "optimized",
        "flex",
        "reserved",
        "default",
    ),
    *("abcdef123456", "DRAFT", "1", "0", "-1", "words1234567", "NaN", "1e400", "null", "{}", "[]"),
    *('{"a": "b"}', '{"a": 1}', '{"a": "\\ud800"}', '{"a":' * 9_000, "[" * 3_000, "9" * 5_000),
    *('{"' + "k" * 300 + '": ""}', '{"a": "b", "a": "c"}', '{"\\u0000": "\\u0000"}'),
    f"AWS4-HMAC-SHA256 {CREDENTIAL}, SignedHeaders=host;x-amz-date, Signature=00",
    f"AWS4-HMAC-SHA256 {CREDENTIAL}",
    "AWS4-HMAC-SHA256 Credential=////, SignedHeaders=;;, Signature==",
    *("AWS4-HMAC-SHA256", "AWS4-HMAC-SHA256 a", "Bearer ", "Bearer ABSK====", "Bearer ABSKYQ=="),
    *("Bearer bedrock-api-key-YQ==", "Bearer bedrock-api-key-YmVkcm9jay5hbWF6b25hd3MuY29tLz9h"),
    *("Basic YTpi", "20261122T000000Z", "99991231T235959Z", "00000101T000000Z", "x" * 9_000),
    *("gzip", "100-continue", "UNSIGNED-PAYLOAD", "\x80\xff\xe9", "\t", "é", "a\x7fb", "'\"<>&"),
]
GUARDED = [
    (b"x-amzn-bedrock-guardrailidentifier", b"abcdef123456"),
    (b"x-amzn-bedrock-guardrailversion", b"DRAFT"),
    (b"x-amzn-bedrock-trace", b"ENABLED_FULL"),
]
QUERIES = [
    *LIST_FOUNDATION_MODELS,
    *LIST_INFERENCE_PROFILES,
    *LIST_PROVISIONED,
    "a",
    "",
    "%",
    "\u00e9",
]
QUERY_VALUES = [
    *("", "1", "0", "-1", "+1", "1001", "99999999999", "9" * 5_000, "1e400", "NaN", "%00", "%ff"),
    *("TEXT", "ON_DEMAND", "SYSTEM_DEFINED", "APPLICATION", "Mistral AI", "\u0661", "a" * 3_000),
    *("YQ==", "====", "%F0%9F%A6%9C", "dXMubWlzdHJhbA==", "a&b=c", "a;b", "%", "%zz"),
]
METHODS = ["GET", "POST", "PUT", "DELETE", "PATCH", "HEAD", "OPTIONS", "TRACE", "FOO"]
NOISE_PATHS = [
    *("/", "//", "/model", "/model/", "/model//invoke", "/model/a/invoke/", "/model/a/b/c/invoke"),
    *("/%2e%2e/%2e%2e/etc/passwd", "/\u00e9", "/%ff", "/guardrail/a/version//apply", "*", "/%00"),
    *("/foundation-models/", "/inference-profiles//", "/" + "a/" * 3_000, "/model/a/converse%2F"),
]


def draw_request(random: Random) -> FuzzRequest:
    route = random.choice(USUAL if random.random() < 0.7 else ALL_ROUTES)
    is_noise = random.random() < 0.03
    model = _draw_label(random, "model_id")
    path = random.choice(NOISE_PATHS) if is_noise else _draw_path(random, route, model)
    assert route.methods
    method = random.choice(METHODS if random.random() < 0.03 else sorted(route.methods))
    return FuzzRequest(
        operation="" if is_noise or method not in route.methods else str(route.name),
        method=method,
        path=quote(path, safe="/%:*?&=;").encode(),
        query=quote(_draw_query(random), safe="/%:&=;+").encode(),
        headers=tuple(_draw_headers(random)),
        body=_draw_body(random, str(route.name), model),
    )


def _draw_path(random: Random, route: Route, model: str) -> str:
    path = route.path
    for name in route.param_convertors:
        drawn = model if name == "model_id" else _draw_label(random, name)
        label = quote(drawn, safe=random.choice(["", "/:", "%/:"]))
        path = path.replace(f"{{{name}:path}}", label).replace(f"{{{name}}}", label)
    return path


def _draw_label(random: Random, name: str) -> str:
    chance = random.random()
    if name == "guardrailIdentifier" and chance < 0.7:
        return "abcdef123456"
    if name == "guardrailVersion" and chance < 0.7:
        return "DRAFT"
    if name == "name" and chance < 0.9:
        return random.choice(ENDPOINTS)
    if chance < 0.9:
        return random.choice(USUAL_MODELS)
    return random.choice(MODELS if chance < 0.95 else LABELS)


def _draw_query(random: Random) -> str:
    if random.random() < 0.7:
        return ""
    pairs = (
        f"{random.choice(QUERIES)}={random.choice(QUERY_VALUES)}"
        for _ in range(random.randrange(1, 4))
    )
    return "&".join(pairs)


def _draw_headers(random: Random) -> list[tuple[bytes, bytes]]:
    headers = [(b"host", b"127.0.0.1")]
    if random.random() < 0.7:
        headers.append((b"content-type", b"application/json"))
    if random.random() < 0.1:
        headers += GUARDED
    if random.random() < 0.2:
        for _ in range(random.randrange(1, 5)):
            value = random.choice(HEADER_VALUES)
            if random.random() < 0.2:
                value = value + random.choice(STRINGS)
            headers.append((random.choice(HEADERS).encode(), value.encode("latin-1", "replace")))
    return headers


def _draw_body(random: Random, operation: str, model: str) -> bytes:
    chance = random.random()
    if operation not in BODIES:
        return b"" if chance < 0.7 else encode_oddly(random, draw(random))
    if chance < 0.06:
        return encode_oddly(random, draw(random))
    bodies = BODIES[operation]
    if bodies is OF_MODELS and chance < 0.9:
        bodies = OF_PROMPTS if model in PROMPTED else OF_CHATS
    document = deepcopy(random.choice(bodies))
    for _ in range(random.choice([0, 1, 1, 1, 2, 3])):
        document = mutate(random, document)
    if operation == "CountTokens" and chance < 0.5:
        return encode_oddly(random, write(_with_blob(random, document)))
    return encode_oddly(random, write(document))


def mutate(random: Random, document: Any) -> Any:
    """Return the document with one value changed, removed or added."""
    *front, last = random.choice(places(document)) or (None,)
    if last is None:
        return draw(random) if random.random() < 0.05 else document
    holder = document
    for step in front:
        holder = holder[step]
    chance = random.random()
    if chance < 0.12:
        del holder[last]
    elif chance < 0.2 and isinstance(holder, dict):
        holder[Raw(random.choice(KEYS))] = draw(random)
    elif chance < 0.25 and isinstance(holder, list):
        holder.append(draw(random))
    elif chance < 0.3 and isinstance(holder, list):
        holder.extend([holder[last]] * random.choice([1, 2, 30]))
    else:
        holder[last] = draw(random)
    return document


def _with_blob(random: Random, document: Any) -> Any:
    """Return a body that contains another one in base64."""
    inner = write(mutate(random, deepcopy(random.choice(BODIES["InvokeModel"]))))
    if isinstance(document, dict) and isinstance(document.get("input"), dict):
        blob = b64encode(inner.encode("utf-8", "surrogatepass")).decode()
        document["input"] = {"invokeModel": {"body": blob}}
    return document


def encode_oddly(random: Random, text: str) -> bytes:
    raw = text.encode("utf-8", "surrogatepass")
    chance = random.random()
    if chance < 0.98 or not raw:
        return raw
    at = random.randrange(len(raw))
    if chance < 0.99:
        return raw[:at]
    return raw[:at] + random.randbytes(random.randrange(1, 4)) + raw[at + random.randrange(3) :]
