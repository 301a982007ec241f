"""The mix of calls of a soak: all operations, whole and streamed, good and broken."""

from base64 import b64encode
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from random import Random
from typing import Any

from tests.reliability.answers import ANSWERED, CUT, LEFT
from tests.support.images import png
from tests.support.servers import LARGE_3, LARGE_2407, MIXTRAL, PIXTRAL, SEVEN_B

INVOKE, STREAM = "InvokeModel", "InvokeModelWithResponseStream"
CONVERSE, CONVERSE_STREAM = "Converse", "ConverseStream"
STEPS = {
    INVOKE: "invoke",
    STREAM: "invoke-with-response-stream",
    CONVERSE: "converse",
    CONVERSE_STREAM: "converse-stream",
    "CountTokens": "count-tokens",
}
TEXT = "It rains in Oslo and the trams are late again while nobody reads the paper"
WORDS = TEXT.split()
LONG = " ".join(WORDS * 500)  # some 8,000 tokens
MIN_TOKENS = 8  # of an answer, because faults come after three
THROTTLING, UNAVAILABLE = "ThrottlingException", "ServiceUnavailableException"
REFUSED, UNREAD = "ValidationException", "SerializationException"
CSV = "name,amount\n" + "".join(f"item {number},{number}\n" for number in range(20))
FILES = {"csv": CSV, "md": "# Title\n\n- one\n- two\n", "html": "<p>One <b>two</b></p>"}
IMAGE = {"image": {"format": "png", "source": {"bytes": b64encode(png()).decode()}}}
TOOL = {
    "toolSpec": {"name": "get_weather", "inputSchema": {"json": {"type": "object"}}},
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Kind:
    """A kind of call: its `operation` as in the metrics, and its `outcome`.

    `rule` is added for the caller before the call, and applies once. With `leaves_after` the client
    disconnects after so many bytes of the answer; then `outcome` is `left` unless the answer ends
    sooner. `weight` is its share of the mix. Only operations on models are in the journal.
    """

    name: str
    operation: str
    path: str
    body: Callable[[Random], object] = lambda _: None
    method: str = "POST"
    outcome: str = ANSWERED
    headers: Mapping[str, str] = field(default_factory=dict)
    rule: Mapping[str, Any] | None = None
    leaves_after: int | None = None
    is_half: bool = False  # its body never ends, and the client disconnects
    is_kept: bool = True  # in the journal
    weight: int = 4


def prompt(random: Random) -> dict[str, Any]:
    words = " ".join(random.choices(WORDS, k=random.randint(1, 60)))
    return {"prompt": words, "max_tokens": random.randint(MIN_TOKENS, 40)}


def chat(random: Random) -> dict[str, Any]:
    text = " ".join(random.choices(WORDS, k=20))
    return {"messages": [{"role": "user", "content": text}], "max_tokens": 20}


def converse(random: Random, *more: Mapping[str, Any], **fields: Any) -> dict[str, Any]:
    text = {"text": " ".join(random.choices(WORDS, k=random.randint(1, 60)))}
    config = {"maxTokens": random.randint(MIN_TOKENS, 40)}
    messages = [{"role": "user", "content": [text, *more]}]
    return {"messages": messages, "inferenceConfig": config, **fields}


def document(kind: str) -> dict[str, Any]:
    source = {"bytes": b64encode(FILES[kind].encode()).decode()}
    return {"document": {"format": kind, "name": f"a {kind}", "source": source}}


def to(operation: str, model: str = SEVEN_B) -> str:
    return f"/model/{model.replace(':', '%3A')}/{STEPS[operation]}"


def on(operation: str, name: str, **more: Any) -> Kind:
    """Return a call of an operation on Mistral 7B; `more` has other fields."""
    body = prompt if operation in (INVOKE, STREAM) else converse
    given = {"path": to(operation), "body": body, **more}
    return Kind(name=f"{operation}: {name}", operation=operation, **given)


def good(operation: str) -> list[Kind]:
    return [
        on(operation, "answered", weight=30),
        on(operation, "another model", path=to(operation, MIXTRAL), weight=10),
        on(operation, "by a rule", rule={"reply": "By a rule, in seven words."}, weight=10),
        on(operation, "unknown model", path=to(operation, "no.such-model-v9:9"), outcome=REFUSED),
        on(operation, "no JSON", body=lambda _: b'{"prompt', outcome=UNREADABLE[operation]),
        on(operation, "throttled", rule={"fault": THROTTLING}, outcome=THROTTLING),
        on(operation, "cut", rule={"fault": "cut"}, outcome=CUT),
        on(operation, "given up", rule=SLOW, leaves_after=1, outcome=LEFT, weight=10),
        on(operation, "half a body", body=prompt, is_half=True, is_kept=False, outcome=LEFT),
    ]


UNREADABLE = {INVOKE: REFUSED, STREAM: REFUSED, CONVERSE: UNREAD, CONVERSE_STREAM: UNREAD}
SLOW = {"reply": " ".join(WORDS * 5), "pace": {"tokens_per_second": 200, "first_token": 0.02}}
LATE = {"exception": UNAVAILABLE, "after_tokens": 3}


def streamed(operation: str) -> list[Kind]:
    torn = {"fault": {"break": "torn_frame", "after_tokens": 2}}
    return [
        on(operation, "fails late", rule={"fault": LATE}, outcome=UNAVAILABLE),
        on(operation, "torn", rule=torn, outcome=CUT),
        on(operation, "given up in mid-stream", rule=SLOW, leaves_after=800, outcome=LEFT),
    ]


def get(path: str, operation: str, outcome: str = ANSWERED) -> Kind:
    name = f"GET {path.partition('?')[0]}"
    return Kind(
        name=name, operation=operation, path=path, method="GET", outcome=outcome, is_kept=False
    )


GUARDED = {"X-Amzn-Bedrock-GuardrailIdentifier": "abcdef123456"}
GUARDED["X-Amzn-Bedrock-GuardrailVersion"] = "DRAFT"
GUARDRAIL = {"source": "INPUT", "content": [{"text": {"text": "Water my cactus"}}]}
TOKENS = {"input": {"converse": {"messages": [{"role": "user", "content": [{"text": "Hi"}]}]}}}

KINDS = [
    *(
        kind
        for operation in (INVOKE, STREAM, CONVERSE, CONVERSE_STREAM)
        for kind in good(operation)
    ),
    *(kind for operation in (STREAM, CONVERSE_STREAM) for kind in streamed(operation)),
    on(INVOKE, "a chat", path=to(INVOKE, LARGE_2407), body=chat),
    on(STREAM, "a chat", path=to(STREAM, LARGE_3), body=chat),
    on(INVOKE, "a long prompt", body=lambda _: {"prompt": LONG, "max_tokens": 5}, weight=1),
    on(STREAM, "a long prompt", body=lambda _: {"prompt": LONG, "max_tokens": 5}, weight=1),
    on(
        INVOKE,
        "too long",
        body=lambda _: {"prompt": LONG * 5, "max_tokens": 5},
        outcome=REFUSED,
        weight=1,
    ),
    on(INVOKE, "guarded", headers=GUARDED),
    on(STREAM, "guarded", headers=GUARDED),
    on(
        CONVERSE,
        "a tool",
        path=to(CONVERSE, LARGE_2407),
        body=lambda random: converse(random, toolConfig={"tools": [TOOL]}),
    ),
    *(
        on(
            CONVERSE,
            f"a document, {kind}",
            body=lambda random, kind=kind: converse(random, document(kind)),
            weight=1,
        )
        for kind in FILES
    ),
    on(
        CONVERSE,
        "an image",
        path=to(CONVERSE, PIXTRAL),
        body=lambda random: converse(random, IMAGE),
        weight=1,
    ),
    Kind(
        name="CountTokens",
        operation="CountTokens",
        path=to("CountTokens"),
        body=lambda _: TOKENS,
        outcome=REFUSED,
        is_kept=False,
    ),
    Kind(
        name="ApplyGuardrail",
        operation="ApplyGuardrail",
        path="/guardrail/abcdef123456/version/DRAFT/apply",
        body=lambda _: GUARDRAIL,
        is_kept=False,
    ),
    get("/foundation-models", "ListFoundationModels"),
    get(f"/foundation-models/{SEVEN_B}", "GetFoundationModel"),
    get("/foundation-models/no.such-model", "GetFoundationModel", REFUSED),
    get("/inference-profiles", "ListInferenceProfiles"),
    get("/logging/modelinvocations", "GetModelInvocationLoggingConfiguration"),
    get("/no/such/path", "", "UnknownOperationException"),
]
WEIGHTS = [kind.weight for kind in KINDS]


def draw(random: Random) -> Kind:
    return random.choices(KINDS, WEIGHTS)[0]
