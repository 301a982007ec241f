"""Signed requests, and the errors for wrong signatures."""

from datetime import timedelta
from typing import Any

from tests.fidelity.case import BEDROCK, CORAL, GUESS, Case, Signer
from tests.fidelity.identifiers import arn, encoded
from tests.fidelity.violations import malformed, not_found
from tests.support.servers import SEVEN_B

TEMPORARY = Signer(access_key_id="ASIATEMPORARY", secret="temporary", token="the/token+==")
EXPIRED = Signer(access_key_id="ASIAEXPIRED", secret="expired", token="old")
SCOPE = "AKIDEXAMPLE/20261122/us-east-1/bedrock/aws4_request"

UNKNOWN = "The security token included in the request is invalid."
MISMATCH = (
    "The request signature we calculated does not match the signature you provided. Check your AWS"
    " Secret Access Key and signing method. Consult the service documentation for details."
    "\n\nThe Canonical String for this request should have been\n'POST\n/model/"
)
LONG = "BerriAI/litellm#14763, the long form; block/goose#699, the short one"
DYNALITE = "AWS's sentences as in architect/dynalite; not seen from Bedrock"


def signed(name: str, seen: str, signer: Signer | None, **more: Any) -> Case:
    case = {"service": "sigv4", "remote": False, "suffix": CORAL, **more}
    return Case(name=name, seen=seen, signer=signer, **case)


def refused(
    name: str, seen: str, signer: Signer | None, code: str, message: str, **more: Any
) -> Case:
    refusal = {"status": 403, "code": code, "message": message, **more}
    return signed(name, seen, signer, **refusal)


def mismatch(name: str, seen: str, signer: Signer, **more: Any) -> Case:
    return refused(name, seen, signer, "InvalidSignatureException", MISMATCH, begins=True, **more)


def incomplete(name: str, header: str, message: str) -> Case:
    signer = Signer(headers_after={"Authorization": header})
    return refused(
        name, GUESS, signer, "IncompleteSignatureException", message, status=400, why=DYNALITE
    )


ACCEPTED = [
    signed("a signed request", "botocore", Signer()),
    signed("a session token", "botocore", TEMPORARY),
    signed("an unsigned payload", "the User Guide of SigV4", Signer(unsigned_payload=True)),
    signed("four minutes late", "the limit is 5", Signer(skew=timedelta(minutes=-4))),
    signed("four minutes early", "the limit is 5", Signer(skew=timedelta(minutes=4))),
    signed("another region", "the scope says it", Signer(), region="eu-west-1"),
    signed(
        "a body that is wrong is signed too",
        GUESS,
        Signer(),
        body=b"{}",
        status=400,
        code="ValidationException",
        suffix=BEDROCK,
        message=malformed(not_found("prompt")),
    ),
    signed("an extra header that is signed", "botocore", Signer(), headers={"X-Amz-Note": "a  b"}),
    signed(
        "an extra header that is not signed",
        GUESS,
        Signer(headers_after={"X-Forwarded-For": "10.0.0.1"}),
    ),
    *(
        signed(f"a path with {name}", "botocore", Signer(), operations=(operation,), path=path)
        for operation in ("invoke", "invoke-with-response-stream")
        for name, path in (
            ("a raw colon", f"/model/{SEVEN_B}/{operation}"),
            ("an encoded ARN", f"/model/{encoded(arn(SEVEN_B), ':', '/')}/{operation}"),
            ("a query", f"/model/{encoded(SEVEN_B, ':')}/{operation}?b=2&a=%20x&a=%2F&c"),
            ("an empty query", f"/model/{encoded(SEVEN_B, ':')}/{operation}?"),
        )
    ),
]

REFUSED = [
    refused(
        "no signature at all",
        "an open-source client's live test, 2026",
        None,
        "AccessDeniedException",
        "Authorization header is missing",
        message_key="Message",
        suffix=CORAL + "#AccessDeniedException",
    ),
    refused(
        "an unknown key",
        "newrelic/newrelic-python-agent's recording of 7B",
        Signer(access_key_id="AKIDNOBODY"),
        "UnrecognizedClientException",
        UNKNOWN,
    ),
    refused(
        "a temporary key without its token",
        GUESS,
        Signer(access_key_id="ASIATEMPORARY", secret="temporary"),
        "UnrecognizedClientException",
        UNKNOWN,
    ),
    refused(
        "a temporary key with another token",
        GUESS,
        Signer(access_key_id="ASIATEMPORARY", secret="temporary", token="another"),
        "UnrecognizedClientException",
        UNKNOWN,
    ),
    refused(
        "a token with a key that has none",
        GUESS,
        Signer(token="a token"),
        "UnrecognizedClientException",
        UNKNOWN,
    ),
    refused(
        "an expired token",
        "DataDog/dd-trace-py's recording",
        EXPIRED,
        "ExpiredTokenException",
        "The security token included in the request is expired",
    ),
    refused(
        "six minutes late",
        "open-telemetry/opentelemetry-js-contrib's recording of Small 2402",
        Signer(skew=timedelta(minutes=-6)),
        "InvalidSignatureException",
        "Signature expired: ",
        begins=True,
    ),
    refused(
        "six minutes early",
        GUESS,
        Signer(skew=timedelta(minutes=6)),
        "InvalidSignatureException",
        "Signature not yet current: ",
        begins=True,
        why="seen in other services",
    ),
    refused(
        "another service",
        "quoted by two open-source clients",
        Signer(service="s3"),
        "InvalidSignatureException",
        "Credential should be scoped to correct service: 'bedrock'.",
    ),
    refused(
        "the endpoint's name for a service",
        "quoted by two open-source clients",
        Signer(service="bedrock-runtime"),
        "InvalidSignatureException",
        "Credential should be scoped to correct service: 'bedrock'.",
    ),
    refused(
        "no region of AWS's",
        "aws-samples/amazon-bedrock-kendra-lex-chatbot#6",
        Signer(),
        "InvalidSignatureException",
        "Credential should be scoped to a valid region.",
        region="us-nowhere-1",
    ),
    refused(
        "region and service",
        GUESS,
        Signer(service="s3"),
        "InvalidSignatureException",
        "Credential should be scoped to a valid region."
        " Credential should be scoped to correct service: 'bedrock'.",
        region="us-nowhere-1",
        why=DYNALITE,
    ),
    mismatch("a wrong secret", LONG, Signer(secret="wrong")),
    mismatch("a tampered body", LONG, Signer(body_after=b'{"prompt": "Ho"}')),
    mismatch("an appended body", LONG, Signer(body_after=b'{"prompt": "Hi"} ')),
    mismatch(
        "a tampered header",
        LONG,
        Signer(headers_after={"X-Amz-Note": "b"}),
        headers={"X-Amz-Note": "a"},
    ),
    mismatch(
        "a missing header",
        LONG,
        Signer(headers_after={"X-Amz-Note": None}),
        headers={"X-Amz-Note": "a"},
    ),
    mismatch(
        "a tampered hash of the body",
        LONG,
        Signer(headers_after={"X-Amz-Content-SHA256": "0" * 64}),
        headers={"X-Amz-Content-SHA256": "1" * 64},
    ),
    mismatch(
        "a hash that is signed, of another body",
        GUESS,
        Signer(),
        headers={"X-Amz-Content-SHA256": "1" * 64},
    ),
    mismatch(
        "a tampered token",
        LONG,
        Signer(
            access_key_id="ASIATEMPORARY",
            secret="temporary",
            token="the/token+==",
            headers_after={"X-Amz-Security-Token": "another"},
        ),
    ),
    incomplete(
        "another algorithm",
        f"AWS4-HMAC-SHA512 Credential={SCOPE}, SignedHeaders=host, Signature=0",
        "Unsupported AWS 'algorithm': 'AWS4-HMAC-SHA512' (only AWS4-HMAC-SHA256 for now). ",
    ),
    incomplete(
        "Basic authentication",
        "Basic dTpw",
        "Unsupported AWS 'algorithm': 'Basic' (only AWS4-HMAC-SHA256 for now). ",
    ),
    incomplete(
        "an API key",
        "Bearer ABSKx",
        "Unsupported AWS 'algorithm': 'Bearer' (only AWS4-HMAC-SHA256 for now). ",
    ),
    incomplete(
        "no parameters",
        "AWS4-HMAC-SHA256",
        "Authorization header requires 'Credential' parameter. Authorization header requires"
        " 'Signature' parameter. Authorization header requires 'SignedHeaders' parameter."
        " Authorization=AWS4-HMAC-SHA256",
    ),
    incomplete(
        "no signature",
        f"AWS4-HMAC-SHA256 Credential={SCOPE}, SignedHeaders=host",
        "Authorization header requires 'Signature' parameter."
        f" Authorization=AWS4-HMAC-SHA256 Credential={SCOPE}, SignedHeaders=host",
    ),
    incomplete(
        "no equal sign",
        "AWS4-HMAC-SHA256 Credential",
        "'Credential' not a valid key=value pair (missing equal-sign) in Authorization header:"
        " 'AWS4-HMAC-SHA256 Credential'.",
    ),
    incomplete(
        "four elements",
        "AWS4-HMAC-SHA256 Credential=a/b/c/d, SignedHeaders=host, Signature=0",
        "Credential must have exactly 5 slash-delimited elements, e.g."
        " keyid/date/region/service/term, got 'a/b/c/d'",
    ),
    refused(
        "no date",
        GUESS,
        Signer(headers_after={"X-Amz-Date": None}),
        "IncompleteSignatureException",
        "Authorization header requires existence of either a 'X-Amz-Date' or a 'Date' header."
        " Authorization=AWS4-HMAC-SHA256 ",
        begins=True,
        status=400,
        why=DYNALITE,
    ),
    refused(
        "a malformed date",
        GUESS,
        Signer(headers_after={"X-Amz-Date": "2026-11-22"}),
        "IncompleteSignatureException",
        "Date must be in ISO-8601 'basic format'. Got '2026-11-22'."
        " See http://en.wikipedia.org/wiki/ISO_8601",
        status=400,
        why=DYNALITE,
    ),
]

TABLE = [*ACCEPTED, *REFUSED]
