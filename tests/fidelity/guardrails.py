"""ApplyGuardrail with unknown guardrails and invalid bodies, and disguised words."""

from typing import Any

from tests.fidelity.case import GUESS, Case, invalid
from tests.fidelity.headers import MALFORMED_GUARDRAIL, NO_GUARDRAIL, detected

OWN_PATH = ("invoke",)  # the row's own path replaces the operation's
CAPTURED = "captured from real calls by open-source clients"
FORMS = "aws-sdk-js-v3 #6482 and three other clients, of Converse and ApplyGuardrail"
BODY = {"source": "INPUT", "content": [{"text": {"text": "Hi"}}]}


def refused(name: str, guardrail: str, message: str, seen: str, **more: Any) -> Case:
    path = f"/guardrail/{guardrail}/apply"
    return invalid(
        name, message, seen, **{"path": path, "operations": OWN_PATH, "body": BODY, **more}
    )


KNOWN_HERE = {"remote": False}  # the tests' own guardrails
LOOKALIKES = (
    "AWS calls word filters an exact match; text that only looks different is blocked to be safe"
)


def looked_through(name: str, text: str) -> Case:
    """Return a row with a blocked word, in look-alike characters, in InvokeModel's prompt."""
    return Case(
        name=name,
        seen=GUESS,
        why=LOOKALIKES,
        operations=OWN_PATH,
        headers={
            "X-Amzn-Bedrock-GuardrailIdentifier": "abcdef123456",
            "X-Amzn-Bedrock-GuardrailVersion": "1",
        },
        body={"prompt": f"A {text}, please"},
        answer=(
            b'{"outputs":[{"text":"You shouldn\'t ask this question"}],'
            b'"amazon-bedrock-guardrailAction":"INTERVENED"}'
        ),
        remote=False,
    )


TABLE = [
    refused("an unknown id", "abcdefghijkl/version/1", NO_GUARDRAIL, CAPTURED),
    refused("an unknown version", "abcdef123456/version/7", NO_GUARDRAIL, CAPTURED),
    refused(
        "an id that is too short",
        "1/version/1",
        "The provided guardrail identifier is invalid.",
        CAPTURED,
    ),
    refused("None for both", "None/version/None", MALFORMED_GUARDRAIL, FORMS),
    refused("capitals and underscores", "REPLACE_WITH_ID/version/1", MALFORMED_GUARDRAIL, FORMS),
    refused(
        "both as source",
        "abcdef123456/version/1",
        detected(
            "Value at 'source' failed to satisfy constraint:"
            " Member must satisfy enum value set: [INPUT, OUTPUT]"
        ),
        GUESS,
        why="Coral's message for enums in Converse's bodies; the refusal is reported",
        body={**BODY, "source": "BOTH"},
        **KNOWN_HERE,
    ),
    refused(
        "no content",
        "abcdef123456/version/1",
        "The content field is empty. Add a content block to it.",
        GUESS,
        why="the refusal is reported, the message is not",
        body={**BODY, "content": []},
        **KNOWN_HERE,
    ),
    looked_through("a blocked word in capitals", "CACTUS"),
    looked_through("a blocked word in full-width letters", "\uff43\uff41\uff43\uff54\uff55\uff53"),
    looked_through("a blocked word with zero-width spaces in it", "ca\u200bc\u200dtus"),
    looked_through("a blocked word with soft hyphens in it", "cac\u00adtus"),
]
