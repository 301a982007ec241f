"""Bedrock API keys, long-term and short-term, valid and invalid."""

from typing import Any

from tests.fidelity.case import CORAL, GUESS, Case, Signer

GOOD = "ABSKQmVkcm9ja0FQSUtleS1nb29kLWF0LTEyMzQ1Njc4OTAxMjpzZWNyZXQ="
EXPIRED = "ABSKQmVkcm9ja0FQSUtleS1vbGQtYXQtMTIzNDU2Nzg5MDEyOnNlY3JldA=="
UNKNOWN = "ABSKQmVkcm9ja0FQSUtleS1ub25lLWF0LTEyMzQ1Njc4OTAxMjpzZWNyZXQ="
CURL = "an open-source client's tests, by curl, 2026"

FORMAT = "Invalid API Key format: Must start with pre-defined prefix"
BASE64 = "Invalid API Key format: Base64 decoding failed"
FAILED = "Authentication failed: Please make sure your API Key is valid."


def key(name: str, seen: str, header: str | None, **more: Any) -> list[Case]:
    headers = {} if header is None else {"Authorization": header}
    case = {"headers": headers, "signer": None, "remote": False, **more}
    return [
        Case(name=f"{name}, --auth {service}", seen=seen, service=service, **case)
        for service in ("bearer", "any")
    ]


def refused(name: str, seen: str, header: str | None, message: str, **more: Any) -> list[Case]:
    refusal: dict[str, Any] = {
        "status": 403,
        "code": "AccessDeniedException",
        "suffix": CORAL + "#AccessDeniedException",
        "message_key": "Message",
        "message": message,
        **more,
    }
    return key(name, seen, header, **refusal)


TABLE = [
    *key("a long-term key", "the User Guide", f"Bearer {GOOD}"),
    *refused("an unknown key", CURL, f"Bearer {UNKNOWN}", FAILED),
    *refused("the beginning of a key", CURL, f"Bearer {GOOD[:40]}", FAILED),
    *refused("an expired key", CURL, f"Bearer {EXPIRED}", "Bearer Token has expired"),
    *refused("no prefix", CURL, "Bearer sk-1234", FORMAT),
    *refused("no key behind Bearer", GUESS, "Bearer ", FORMAT),
    *refused("no base64", "named in an open-source client's test", "Bearer ABSK!!", BASE64),
    *refused("a short-term key that is none", GUESS, "Bearer bedrock-api-key-AAAA", FAILED),
    *refused(
        "no header",
        "an open-source client's live test, 2026",
        None,
        "Authorization header is missing",
    ),
    Case(
        name="a signature, --auth any",
        seen="both schemes are modelled",
        service="any",
        signer=Signer(),
        remote=False,
    ),
    Case(
        name="an unknown key's signature, --auth any",
        seen="newrelic/newrelic-python-agent's recording of 7B",
        service="any",
        signer=Signer(access_key_id="AKIDNOBODY"),
        status=403,
        code="UnrecognizedClientException",
        suffix=CORAL,
        message="The security token included in the request is invalid.",
        remote=False,
    ),
]
