"""The control plane's answers and errors about models and profiles."""

import json
from collections.abc import Mapping
from typing import Any
from urllib.parse import quote

from tests.fidelity.case import GUESS, Case, invalid
from tests.fidelity.headers import detected, failed
from tests.fidelity.identifiers import (
    ACCOUNT,
    INVALID,
    LARGE_2407,
    NOT_RUN,
    PIXTRAL,
    UNRESOLVED,
    arn,
)
from tests.support.servers import SEVEN_B, VOXTRAL_MINI

OWN_PATH = ("invoke",)  # the row's own path replaces the operation's
LARGE_3 = "mistral.mistral-large-3-675b-instruct"
MAGISTRAL = "mistral.magistral-small-2509"
LISTED = "the CLI's output of 2024 in a repository; crmne/ruby_llm's dump of `converse`, 2026"
DUMPED = "crmne/ruby_llm's dump of ListFoundationModels, 2026"
OUTPUTS = "the CLI's outputs in three repositories, 2026"
MODELLED = "botocore"

CONVERSE: dict[str, Any] = {
    "additionalRequestFieldsSchema": "{}",
    "maxTokensDefault": None,
    "maxTokensMaximum": 262_144,
    "reasoningSupported": None,
    "stopSequencesDefault": [],
    "systemRoleSupported": True,
    "userDocumentTypesSupported": [],
    "userImageTypesSupported": ["png", "jpeg", "gif", "webp"],
    "userVideoTypesSupported": [],
}
REASONING = '{"reasoningConfig":{"enabled":{"type":"boolean","default":false}}}'


def asked(
    name: str, path: str, seen: str, answer: Mapping[str, Any] | None = None, **more: Any
) -> Case:
    """Return a GET of the control plane, with this answer if there is one."""
    whole = None if answer is None else json.dumps(answer, separators=(",", ":")).encode()
    return Case(
        name=name,
        seen=seen,
        **{
            "path": path,
            "operations": OWN_PATH,
            "endpoint": "bedrock",
            "method": "GET",
            "body": b"",
            "answer": whole,
            **more,
        },
    )


def refused(name: str, path: str, message: str, why: str, **more: Any) -> Case:
    return asked(
        name,
        path,
        GUESS,
        why=why,
        **{"status": 400, "code": "ValidationException", "message": message, **more},
    )


def model(identifier: str) -> str:
    return f"/foundation-models/{quote(identifier, safe='')}"


def profile(identifier: str) -> str:
    return f"/inference-profiles/{quote(identifier, safe='')}"


def summary(
    model_id: str,
    name: str,
    region: str,
    *,
    inputs: tuple[str, ...] = ("TEXT",),
    converse: Mapping[str, Any] | None = None,
    types: str = "ON_DEMAND",
    launched: str | None = None,
) -> dict[str, Any]:
    return {
        "modelArn": arn(model_id, region),
        "modelId": model_id,
        "modelName": name,
        "providerName": "Mistral AI",
        "inputModalities": inputs,
        "outputModalities": ["TEXT"],
        "responseStreamingSupported": True,
        "customizationsSupported": [],
        "inferenceTypesSupported": [types],
        "modelLifecycle": {"status": "ACTIVE"}
        | ({"startOfLifeTime": launched} if launched else {}),
        "converse": converse or {},
    }


IMAGES = ("TEXT", "IMAGE")
SEVEN_B_THERE = summary(SEVEN_B, "Mistral 7B Instruct", "ap-south-1")
LARGE_3_THERE = summary(
    LARGE_3,
    "Mistral Large 3",
    "us-west-2",
    inputs=IMAGES,
    converse=CONVERSE,
    launched="2025-12-02T00:00:00Z",
)
MAGISTRAL_THERE = summary(
    MAGISTRAL,
    "Magistral Small 2509",
    "us-west-2",
    inputs=IMAGES,
    converse={
        **CONVERSE,
        "additionalRequestFieldsSchema": REASONING,
        "maxTokensMaximum": 131_072,
        "reasoningSupported": {"embedded": True},
    },
)
VOXTRAL_THERE = summary(
    VOXTRAL_MINI,
    "Voxtral Mini 3B 2507",
    "us-west-2",
    inputs=("SPEECH", "TEXT"),
    converse={
        **CONVERSE,
        "additionalRequestFieldsSchema": REASONING,
        "maxTokensMaximum": 32_768,
        "userImageTypesSupported": [],
    },
)
PIXTRAL_THERE = summary(
    PIXTRAL, "Pixtral Large (25.02)", "us-west-2", inputs=IMAGES, types="INFERENCE_PROFILE"
)

MODELS = [
    asked(
        "7B",
        model(SEVEN_B),
        LISTED,
        {"modelDetails": SEVEN_B_THERE},
        region="ap-south-1",
    ),
    *(
        asked(
            name, model(details["modelId"]), DUMPED, {"modelDetails": details}, region="us-west-2"
        )
        for name, details in (
            ("Magistral", MAGISTRAL_THERE),
            ("Voxtral", VOXTRAL_THERE),
            ("Pixtral, to be had by profile only", PIXTRAL_THERE),
        )
    ),
    asked(
        "Large 3, with the day of its launch",
        model(LARGE_3),
        GUESS,
        {"modelDetails": LARGE_3_THERE},
        why="the dump of 2026, but the day is from the User Guide; botocore has the member",
        region="us-west-2",
    ),
    asked(
        "7B by its ARN",
        model(arn(SEVEN_B, "ap-south-1")),
        MODELLED,
        {"modelDetails": SEVEN_B_THERE},
        region="ap-south-1",
    ),
    asked(
        "models that AWS does not have",
        "/foundation-models?byOutputModality=EMBEDDING",
        MODELLED,
        {"modelSummaries": []},
        remote=False,  # on Bedrock other vendors have some
    ),
    asked(
        "models that nobody can customize",
        "/foundation-models?byProvider=Mistral%20AI&byCustomizationType=FINE_TUNING",
        DUMPED,
        {"modelSummaries": []},
    ),
    refused("an unknown model", model("mistral.nope-v9:9"), INVALID, "the runtime's answer"),
    refused(
        "a profile in place of a model",
        model(f"us.{PIXTRAL}"),
        INVALID,
        "the service model's pattern for models",
    ),
    refused(
        "another region's ARN", model(arn(SEVEN_B, "eu-west-1")), INVALID, "the runtime's answer"
    ),
    refused(
        "a model elsewhere",
        model(LARGE_2407),
        UNRESOLVED,
        "the runtime's answer",
        status=404,
        code="ResourceNotFoundException",
    ),
    refused(
        "a filter that is none",
        "/foundation-models?byInferenceType=INFERENCE_PROFILE",
        detected(
            failed(
                "INFERENCE_PROFILE",
                "byInferenceType",
                "satisfy enum value set: [ON_DEMAND, PROVISIONED]",
            )
        ),
        "Coral's sentence for enums, seen on Converse",
    ),
]

US_PIXTRAL = {
    "inferenceProfileName": "US Mistral Pixtral Large 25.02",
    "description": (
        "Routes requests to Mistral Pixtral Large 25.02 in us-east-1, us-east-2 and us-west-2."
    ),
    "inferenceProfileArn": (f"arn:aws:bedrock:us-east-2:{ACCOUNT}:inference-profile/us.{PIXTRAL}"),
    "models": [
        {"modelArn": arn(PIXTRAL, region)} for region in ("us-east-1", "us-east-2", "us-west-2")
    ],
    "inferenceProfileId": f"us.{PIXTRAL}",
    "status": "ACTIVE",
    "type": "SYSTEM_DEFINED",
}
HERE = {"region": "us-east-2", "remote": False}
SPOKEN = "the name is the User Guide's; the description as seen in Llama's and Claude's profiles"

PROFILES = [
    asked(
        "all profiles",
        "/inference-profiles",
        GUESS,
        {"inferenceProfileSummaries": [US_PIXTRAL]},
        why=SPOKEN,
        **HERE,
    ),
    asked("a profile", profile(f"us.{PIXTRAL}"), GUESS, US_PIXTRAL, why=SPOKEN, **HERE),
    asked(
        "a profile by its ARN",
        profile(f"arn:aws:bedrock:us-east-2:{ACCOUNT}:inference-profile/us.{PIXTRAL}"),
        GUESS,
        US_PIXTRAL,
        why=SPOKEN,
        **HERE,
    ),
    asked(
        "profiles that an application has made",
        "/inference-profiles?type=APPLICATION",
        MODELLED,
        {"inferenceProfileSummaries": []},
        **HERE,
    ),
    refused(
        "another geography's profile",
        profile(f"eu.{PIXTRAL}"),
        "The provided inference profile identifier is not found.",
        "the service model has this exception",
        status=404,
        code="ResourceNotFoundException",
        **HERE,
    ),
    refused(
        "a page of none",
        "/inference-profiles?maxResults=0",
        detected(failed("0", "maxResults", "have value greater than or equal to 1")),
        "Coral's sentence for numbers, seen on Converse",
    ),
    refused(
        "a token of nobody's",
        "/inference-profiles?nextToken=abc",
        "The provided nextToken is invalid.",
        "nothing was found",
    ),
]


def availability(model_id: str, agreement: str, region: str = "AVAILABLE") -> dict[str, Any]:
    return {
        "modelId": model_id,
        "agreementAvailability": {"status": agreement},
        "authorizationStatus": "AUTHORIZED",
        "entitlementAvailability": "AVAILABLE",
        "regionAvailability": region,
    }


AVAILABLE = "/foundation-model-availability/"
AVAILABILITIES = [
    asked(
        "Ministral is available",
        f"{AVAILABLE}mistral.ministral-3-8b-instruct",
        OUTPUTS,
        availability("mistral.ministral-3-8b-instruct", "AVAILABLE"),
        region="eu-west-2",
    ),
    asked(
        "an id loses what stands behind its colon",
        f"{AVAILABLE}{quote(SEVEN_B)}",
        OUTPUTS,
        availability("mistral.mistral-7b-instruct-v0", "AVAILABLE"),
    ),
    asked(
        "a model without access has no agreement",
        f"{AVAILABLE}{quote(NOT_RUN)}",
        OUTPUTS,
        availability("mistral.without-access-v1", "NOT_AVAILABLE"),
        remote=False,
    ),
    asked(
        "a model that is elsewhere",
        f"{AVAILABLE}{quote(LARGE_2407)}",
        GUESS,
        availability("mistral.mistral-large-2407-v1", "AVAILABLE", "NOT_AVAILABLE"),
        why="the service model's word for it",
    ),
    refused(
        "an unknown model's availability",
        f"{AVAILABLE}mistral.nope",
        INVALID,
        "the runtime's answer",
    ),
]

LOGGING = "/logging/modelinvocations"
CONFIGURATIONS = [
    asked("no configuration", LOGGING, MODELLED, {}, remote=False),
    asked("a configuration is deleted", LOGGING, MODELLED, {}, method="DELETE", remote=False),
    refused(
        "a configuration without a bucket's name",
        LOGGING,
        detected(
            "Value at 'loggingConfig.s3Config.bucketName' failed to satisfy constraint:"
            " Member must not be null"
        ),
        "Coral's sentence, quoted for many services",
        method="PUT",
        body={"loggingConfig": {"s3Config": {}}},
    ),
]

NO_COUNT = "The provided model doesn't support counting tokens."
COUNTED: dict[str, Any] = {
    "operations": ("count-tokens",),
    "body": {"input": {"invokeModel": {"body": "eyJwcm9tcHQiOiAiSGkifQ=="}}},
}
COUNTS = [
    *(
        invalid(f"CountTokens of {name}", NO_COUNT, "a sweep of 45 ids, 2026", model=one, **COUNTED)
        for name, one in (("7B", SEVEN_B), ("Large 3", LARGE_3), ("Pixtral", PIXTRAL))
    ),
    invalid(
        "CountTokens of an unknown model",
        INVALID,
        "pydantic/pydantic-ai's recordings",
        model="mistral.nope-v9:9",
        **COUNTED,
    ),
    invalid(
        "CountTokens of nothing",
        detected("Value at 'input' failed to satisfy constraint: Member must not be null"),
        GUESS,
        why="Coral's sentence, quoted for many services",
        operations=("count-tokens",),
        body={},
    ),
]

TABLE = [*MODELS, *PROFILES, *AVAILABILITIES, *CONFIGURATIONS, *COUNTS]
