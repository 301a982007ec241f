"""Request headers: media types, trace, guardrail, latency, service tier, metadata."""

import json

from invoke_api.validation.constraints import MODEL_ID_PATTERN
from tests.fidelity.case import GUESS, Case, invalid
from tests.support.servers import LARGE_3, MIXTRAL, SEVEN_B

CONTENT_TYPE = "The provided Content Type is invalid or not supported for this model"
ACCEPT = "The provided Accept Type is invalid or not supported for this model"
STREAM = ("invoke-with-response-stream",)
WHOLE = ("invoke",)
LATENCY = "X-Amzn-Bedrock-PerformanceConfig-Latency"
TIER = "X-Amzn-Bedrock-Service-Tier"
METADATA = "X-Amzn-Bedrock-Request-Metadata"
GUARDRAIL = "X-Amzn-Bedrock-GuardrailIdentifier"
GUARDRAIL_VERSION = "X-Amzn-Bedrock-GuardrailVersion"


def detected(*violations: str) -> str:
    errors = "error" if len(violations) == 1 else "errors"
    said = "; ".join(violations)
    return f"{len(violations)} validation {errors} detected: {said}"


def failed(value: str, member: str, must: str) -> str:
    return f"Value '{value}' at '{member}' failed to satisfy constraint: Member must {must}"


MEDIA = [
    *(
        Case(name=f"Content-Type {value}", seen=seen, headers={"Content-Type": value})
        for value, seen in (
            ("application/json", "recordings of every SDK"),
            ("application/octet-stream", "the AWS SDK for JavaScript sends it"),
            ("*/*", "SDKs send it"),
            ("APPLICATION/JSON", GUESS),
        )
    ),
    *(
        invalid(f"Content-Type {value}", CONTENT_TYPE, seen, headers={"Content-Type": value})
        for value, seen in (
            ("application/json; charset=utf-8", "found against the live endpoint, 2025"),
            ("binary/octet-stream", "aws/aws-sdk-ruby#3033, 2024"),
            ("text/plain", GUESS),
            ("application/x-www-form-urlencoded", GUESS),
            ("application/x-amz-json-1.1", GUESS),
            ("application/vnd.amazon.eventstream", GUESS),
            ("multipart/form-data; boundary=x", GUESS),
            ("json", GUESS),
        )
    ),
    *(
        Case(name=f"{name} {value}", seen=seen, headers={name: value}, operations=operations)
        for name, operations in (("Accept", WHOLE), ("X-Amzn-Bedrock-Accept", STREAM))
        for value, seen in (
            ("application/json", "recordings of every SDK"),
            ("*/*", "langgenius/dify sends it"),
            ("application/json, text/plain, */*", GUESS),
            ("text/html, application/json;q=0.5", GUESS),
        )
    ),
    *(
        invalid(f"{name} {value}", ACCEPT, seen, headers={name: value}, operations=operations)
        for name, operations in (("Accept", WHOLE), ("X-Amzn-Bedrock-Accept", STREAM))
        for value, seen in (
            ("text/plain", "quoted of Claude through a proxy"),
            ("image/png, text/html", GUESS),
            ("application/jsonx", GUESS),
        )
    ),
    Case(
        name="Accept of a stream is not looked at",
        seen="the AWS SDKs send it",
        headers={"Accept": "application/vnd.amazon.eventstream"},
        operations=STREAM,
    ),
]

TRACE = [
    *(
        Case(name=f"trace {value}", seen="botocore", headers={"X-Amzn-Bedrock-Trace": value})
        for value in ("ENABLED", "DISABLED", "ENABLED_FULL")
    ),
    *(
        invalid(
            f"trace '{value}'",
            detected(
                failed(value, "trace", "satisfy enum value set: [ENABLED, DISABLED, ENABLED_FULL]")
            ),
            GUESS,
            why="Coral's sentence for enums, seen on Converse",
            headers={"X-Amzn-Bedrock-Trace": value},
        )
        for value in ("enabled", "yes")
    ),
]

NO_GUARDRAIL = "The guardrail identifier or version provided in the request does not exist."
MALFORMED_GUARDRAIL = "Guardrail was enabled but input is in incorrect format."
GUARDRAILS = [
    invalid(
        "an unknown guardrail",
        NO_GUARDRAIL,
        "captured from real calls by an open-source client, 2026",
        headers={GUARDRAIL: "abcdefghijkl", GUARDRAIL_VERSION: "1"},
    ),
    invalid(
        "an unknown guardrail's draft",
        NO_GUARDRAIL,
        "captured from real calls by an open-source client, 2026",
        headers={GUARDRAIL: "abcdefghijkl", GUARDRAIL_VERSION: "DRAFT"},
    ),
    invalid(
        "an unknown guardrail's ARN",
        NO_GUARDRAIL,
        GUESS,
        headers={
            GUARDRAIL: "arn:aws:bedrock:us-east-1:123456789012:guardrail/abcdefghijkl",
            GUARDRAIL_VERSION: "1",
        },
    ),
    *(
        invalid(
            f"{name} alone",
            MALFORMED_GUARDRAIL,
            GUESS,
            why="Bedrock's words to identifiers and versions that are malformed",
            headers=headers,
        )
        for name, headers in (
            ("a guardrail's id", {GUARDRAIL: "abcdefghijkl"}),
            ("a guardrail's version", {GUARDRAIL_VERSION: "1"}),
        )
    ),
    invalid(
        "a guardrail id that is too short",
        "The provided guardrail identifier is invalid.",
        "captured from real calls by open-source clients",
        headers={GUARDRAIL: "1", GUARDRAIL_VERSION: "1"},
    ),
    Case(
        name="empty guardrail headers",
        seen=GUESS,
        why="botocore's pattern has the empty string",
        headers={GUARDRAIL: "", GUARDRAIL_VERSION: ""},
    ),
    *(
        invalid(
            f"a malformed guardrail {name}",
            MALFORMED_GUARDRAIL,
            "aws-sdk-js-v3 #6482 and three other clients, of Converse and ApplyGuardrail",
            headers={GUARDRAIL: identifier, GUARDRAIL_VERSION: version},
        )
        for name, identifier, version in (
            ("id", "ABC!", "1"),
            ("version", "abcdefghijkl", "v1"),
        )
    ),
]

LATENCIES = [
    Case(
        name="latency standard",
        seen=GUESS,
        why="modelled in the answer; awslabs' client always sends it",
        headers={LATENCY: "standard"},
        headers_back={LATENCY: "standard"},
    ),
    invalid(
        "latency optimized",
        f"Latency performance configuration is not supported for {SEVEN_B} in us-east-1",
        "quoted of Titan and Nova by open-source clients",
        headers={LATENCY: "optimized"},
    ),
    invalid(
        "latency optimized elsewhere",
        f"Latency performance configuration is not supported for {MIXTRAL} in eu-west-1",
        "quoted of Titan and Nova by open-source clients",
        model=MIXTRAL,
        region="eu-west-1",
        headers={LATENCY: "optimized"},
    ),
    invalid(
        "latency fast",
        detected(
            failed(
                "fast",
                "performanceConfigLatency",
                "satisfy enum value set: [standard, optimized]",
            )
        ),
        GUESS,
        headers={LATENCY: "fast"},
    ),
]

TIERS = [
    Case(
        name="7B's tier default",
        seen=GUESS,
        why="the service model has the header in the answer",
        headers={TIER: "default"},
        headers_back={TIER: "default"},
    ),
    *(
        invalid(
            f"7B's tier {tier}",
            "The provided service tier is not supported for this model.",
            "stdapi-ai/stdapi.ai's records of Converse, 2026-08-01",
            headers={TIER: tier},
        )
        for tier in ("priority", "flex")
    ),
    invalid(
        "tier reserved",
        "Reservation not found.",
        "envoyproxy/ai-gateway#1749",
        headers={TIER: "reserved"},
    ),
    invalid(
        "a tier that the model lacks",
        "The provided service tier is not supported for this model.",
        "an open-source client's live test of InvokeModel, 2026",
        model=MIXTRAL,
        headers={TIER: "flex"},
    ),
    *(
        Case(
            name=f"Large 3's tier {tier}",
            seen=GUESS,
            why="recorded of Converse; the service model has the header in the answer",
            model=LARGE_3,
            body={"messages": [{"role": "user", "content": "Hi"}]},
            headers={TIER: tier},
            headers_back={TIER: tier},
        )
        for tier in ("default", "priority", "flex")
    ),
    invalid(
        "an unknown tier",
        "service tier provided is invalid",
        "NousResearch/hermes-agent#34476, on Converse",
        headers={TIER: "fast"},
    ),
]

PROJECT = "X-Amzn-Bedrock-ProjectIdentifier"
PROJECTS = [
    Case(
        name="a project",
        seen=GUESS,
        why="the service model has it since November 2026; this service has no projects",
        headers={PROJECT: "my-project"},
    ),
    Case(
        name="a project's ARN",
        seen=GUESS,
        why="as above",
        headers={PROJECT: "arn:aws:bedrock:us-east-1:123456789012:project/a"},
    ),
    invalid(
        "a project's name with a blank",
        detected(
            failed(
                "my project",
                "projectIdentifier",
                "satisfy regular expression pattern: ([a-zA-Z0-9_-]+|arn:aws(|-us-gov|-cn|-iso|"
                "-iso-b|-iso-f|-eusc):bedrock:[0-9a-z-]{1,20}:[0-9]{12}:project/[a-zA-Z0-9_-]+)",
            )
        ),
        GUESS,
        why="the service model's pattern, in Coral's words",
        headers={PROJECT: "my project"},
    ),
]

CHARACTERS = r"[a-zA-Z0-9\s:_@$#=/+,-.]"


def map_constraint(part: str, shortest: int) -> str:
    return detected(
        f"Value at 'requestMetadata' failed to satisfy constraint: Map {part} must satisfy"
        " constraint: [Member must have length less than or equal to 256, Member must have length"
        f" greater than or equal to {shortest}, Member must satisfy regular expression pattern:"
        f" {CHARACTERS}{{{shortest},256}}]"
    )


METADATA_ROWS = [
    Case(
        name="request metadata",
        seen="botocore",
        headers={METADATA: json.dumps({"team": "a b", "cost:center": "7@x"})},
    ),
    *(
        invalid(
            f"request metadata that is {name}",
            "The request metadata must be a JSON object of strings.",
            GUESS,
            headers={METADATA: value},
        )
        for name, value in {
            "no JSON": "team=a",
            "an array": "[]",
            "a number inside": '{"team": 1}',
        }.items()
    ),
    invalid(
        "request metadata with an illegal value",
        map_constraint("value", 0),
        "agentgateway/agentgateway#1737, in part, on Converse",
        headers={METADATA: '{"team": "a!"}'},
    ),
    invalid(
        "request metadata with an illegal key",
        map_constraint("key", 1),
        GUESS,
        headers={METADATA: '{"": "a"}'},
    ),
    invalid(
        "request metadata of 17 entries",
        detected(
            "Value at 'requestMetadata' failed to satisfy constraint:"
            " Member must have length less than or equal to 16"
        ),
        GUESS,
        headers={METADATA: json.dumps({f"k{n}": "v" for n in range(17)})},
    ),
    invalid(
        "request metadata of no entries",
        detected(
            "Value at 'requestMetadata' failed to satisfy constraint:"
            " Member must have length greater than or equal to 1"
        ),
        GUESS,
        headers={METADATA: "{}"},
    ),
    invalid(
        "request metadata over 8,500 characters",
        detected(
            "Value at 'requestMetadata' failed to satisfy constraint:"
            " Member must have length less than or equal to 8500"
        ),
        GUESS,
        headers={METADATA: json.dumps({"k": "v" * 8_500})},
    ),
]

PATTERN = f"satisfy regular expression pattern: {MODEL_ID_PATTERN}"
MEMBERS = [
    invalid(
        "a model id with a blank",
        detected(failed("mistral 7b", "modelId", PATTERN)),
        "the sentence: aws-samples/amazon-bedrock-client-for-mac#11, with an older pattern",
        model="mistral%207b",
    ),
    invalid(
        "an empty model id",
        detected(
            failed("", "modelId", PATTERN),
            failed("", "modelId", "have length greater than or equal to 1"),
        ),
        GUESS,
        model="",
    ),
    invalid(
        "a model id of 3,000 characters",
        detected(failed("m" * 3000, "modelId", "have length less than or equal to 2048")),
        GUESS,
        model="m" * 3000,
    ),
    invalid(
        "two members at once",
        detected(
            failed("mistral!", "modelId", PATTERN),
            failed("on", "trace", "satisfy enum value set: [ENABLED, DISABLED, ENABLED_FULL]"),
        ),
        GUESS,
        why="joined as BerriAI/litellm#19384 saw it on Converse",
        model="mistral!",
        headers={"X-Amzn-Bedrock-Trace": "on"},
    ),
]

TABLE = [*MEDIA, *TRACE, *GUARDRAILS, *LATENCIES, *TIERS, *PROJECTS, *METADATA_ROWS, *MEMBERS]
