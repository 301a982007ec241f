"""The order of Bedrock's checks: caller, then model, then media types, then body."""

from tests.fidelity.case import CORAL, GUESS, Case, Signer, invalid
from tests.fidelity.headers import ACCEPT, CONTENT_TYPE, NO_GUARDRAIL, detected, failed
from tests.fidelity.identifiers import INVALID, RECORDED
from tests.fidelity.violations import malformed, not_found
from tests.support.servers import SEVEN_B

NOPE = "mistral.nope-v9:9"
TEXT = {"Content-Type": "text/plain"}
STRANGER = Case(
    name="a stranger comes before everything",
    seen=GUESS,
    why="Coral checks the caller before Bedrock runs",
    service="sigv4",
    signer=Signer(access_key_id="AKIDNOBODY"),
    model=NOPE,
    headers={**TEXT, "X-Amzn-Bedrock-Trace": "on"},
    body=b"{",
    status=403,
    code="UnrecognizedClientException",
    suffix=CORAL,
    message="The security token included in the request is invalid.",
    remote=False,
)

TABLE = [
    STRANGER,
    invalid("the model before an empty body", INVALID, RECORDED, model=NOPE, body=b""),
    invalid("the model before a malformed body", INVALID, GUESS, model=NOPE, body=b"{"),
    invalid("the model before the content type", INVALID, GUESS, model=NOPE, headers=TEXT),
    invalid(
        "the model before the guardrail",
        INVALID,
        GUESS,
        model=NOPE,
        headers={"X-Amzn-Bedrock-GuardrailIdentifier": "abc"},
    ),
    invalid(
        "malformed members before the model",
        detected(
            failed("on", "trace", "satisfy enum value set: [ENABLED, DISABLED, ENABLED_FULL]")
        ),
        GUESS,
        model=NOPE,
        headers={"X-Amzn-Bedrock-Trace": "on"},
    ),
    invalid("the content type before the body", CONTENT_TYPE, GUESS, headers=TEXT, body=b"{"),
    invalid(
        "the content type before accept",
        CONTENT_TYPE,
        GUESS,
        headers={**TEXT, "Accept": "text/html", "X-Amzn-Bedrock-Accept": "text/html"},
    ),
    invalid(
        "accept before the body",
        ACCEPT,
        GUESS,
        headers={"Accept": "text/html", "X-Amzn-Bedrock-Accept": "text/html"},
        body=b"{",
    ),
    invalid(
        "accept before the guardrail",
        ACCEPT,
        GUESS,
        headers={
            "Accept": "text/html",
            "X-Amzn-Bedrock-Accept": "text/html",
            "X-Amzn-Bedrock-GuardrailIdentifier": "abc",
        },
    ),
    invalid(
        "the guardrail before the body",
        NO_GUARDRAIL,
        GUESS,
        headers={
            "X-Amzn-Bedrock-GuardrailIdentifier": "abcdefghijkl",
            "X-Amzn-Bedrock-GuardrailVersion": "1",
        },
        body=b"{",
    ),
    invalid(
        "the body before the context length",
        malformed("#/top_k: 0 is not greater or equal to 1"),
        GUESS,
        body={"prompt": " word" * 40_000, "top_k": 0},
    ),
    invalid(
        "a body without prompt is read only then",
        malformed(not_found("prompt")),
        GUESS,
        body={},
        model=SEVEN_B,
    ),
]
