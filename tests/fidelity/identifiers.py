"""Identifiers of models: the accepted forms by region, and the errors for others."""

from tests.fidelity.case import CORAL, GUESS, Case, invalid
from tests.support.servers import LARGE, MIXTRAL, SEVEN_B, SMALL

PIXTRAL = "mistral.pixtral-large-2502-v1:0"
LARGE_2407 = "mistral.mistral-large-2407-v1:0"
NOT_RUN = "mistral.without-access-v1:0"
RETIRED = "mistral.retired-v1:0"
PROFILED = "mistral.profiled-v1:0"  # available here, through profiles only

INVALID = "The provided model identifier is invalid."
UNRESOLVED = "Could not resolve the foundation model from the provided model identifier."
ACCOUNT = "123456789012"
HERE = f"arn:aws:bedrock:us-east-1:{ACCOUNT}"

KINDS = {
    "a provisioned model": "provisioned-model",
    "a custom model's deployment": "custom-model-deployment",
    "an imported model": "imported-model",
    "an application's profile": "application-inference-profile",
}
# Profiles in the tests' registry. 7B is not available in Frankfurt.
FRANKFURT = f"arn:aws:bedrock:eu-central-1:{ACCOUNT}"
OWN = [
    *(
        {"arn": f"{place}:{kind}/abcdefghij12", "model": SEVEN_B}
        for kind in KINDS.values()
        for place in (HERE, FRANKFURT)
    ),
    {"arn": f"{HERE}:provisioned-model/named1234567", "name": "my-throughput", "model": MIXTRAL},
]

RECORDED = "open-telemetry/opentelemetry-python-contrib's recordings, 2025"
QUOTED = "several issues of open-source clients, 2024-26"


def arn(model: str, region: str = "us-east-1", partition: str = "aws") -> str:
    return f"arn:{partition}:bedrock:{region}::foundation-model/{model}"


def profile(name: str, region: str = "us-east-1", account: str = ACCOUNT) -> str:
    return f"arn:aws:bedrock:{region}:{account}:inference-profile/{name}"


def known(name: str, model: str, region: str = "us-east-1", **more: object) -> Case:
    return Case(name=name, model=model, region=region, **{"seen": "the User Guide", **more})  # type: ignore[arg-type]  # whatever a case has


def encoded(text: str, *characters: str) -> str:
    for character in characters:
        text = text.replace(character, f"%{ord(character):02X}")
    return text


ANSWERED = [
    known("7B", SEVEN_B),
    known("Mixtral", MIXTRAL),
    known("Small 2402", SMALL),
    known("Large 2402", LARGE),
    *(
        known(f"7B in {region}", SEVEN_B, region)
        for region in ("us-west-2", "ca-central-1", "eu-west-3", "ap-south-1", "sa-east-1")
    ),
    known("an ARN", arn(SEVEN_B)),
    known("an ARN in its region", arn(LARGE, "eu-west-2"), "eu-west-2"),
    known("a profile", f"us.{PROFILED}", "us-west-2", remote=False),
    known("a profile of another geography", f"eu.{PROFILED}", "eu-west-1", remote=False),
    known("a global profile", f"global.{PROFILED}", "ap-southeast-2", remote=False),
    known("an apac profile", f"apac.{PROFILED}", "ap-northeast-1", remote=False),
    known("a profile's ARN", profile(f"us.{PROFILED}"), remote=False),
    known("one's own profile's ARN", profile(f"us.{PROFILED}"), remote=False, service="sigv4"),
    *(
        known(f"the ARN of {name}{where}", f"{place}:{kind}/abcdefghij12", region, **more)
        for name, kind in KINDS.items()
        if kind != "imported-model"  # its answers have other keys
        for where, place, region, more in (
            ("", HERE, "us-east-1", {"service": "sigv4", "remote": False}),
            (" where its model is not on demand", FRANKFURT, "eu-central-1", {"remote": False}),
        )
    ),
    known("a provisioned model's name", "my-throughput", remote=False, service="sigv4"),
    known("in GovCloud", PROFILED.replace("profiled", "gov"), "us-gov-west-1", remote=False),
    known(
        "an ARN in GovCloud",
        arn(PROFILED.replace("profiled", "gov"), "us-gov-west-1", "aws-us-gov"),
        "us-gov-west-1",
        remote=False,
    ),
    known(
        "an ARN in China",
        arn(PROFILED.replace("profiled", "gov"), "cn-north-1", "aws-cn"),
        "cn-north-1",
        remote=False,
    ),
]

SPELT = [
    Case(name=f"a path with {name}", seen=seen, operations=(operation,), path=path)
    for operation in ("invoke", "invoke-with-response-stream")
    for name, seen, path in (
        (
            "an encoded colon",
            RECORDED,
            f"/model/{encoded(SEVEN_B, ':')}/{operation}",
        ),
        ("a small percent sign", GUESS, f"/model/{SEVEN_B.replace(':', '%3a')}/{operation}"),
        ("a raw colon", "crmne/ruby_llm's recordings", f"/model/{SEVEN_B}/{operation}"),
        ("an empty query", "awslabs' CRT client", f"/model/{encoded(SEVEN_B, ':')}/{operation}?"),
        ("an encoded ARN", "botocore", f"/model/{encoded(arn(SEVEN_B), ':', '/')}/{operation}"),
    )
]

REFUSED = [
    invalid("an unknown model", INVALID, RECORDED, model="mistral.nope-v9:9"),
    invalid("an unknown model, empty body", INVALID, RECORDED, model="does-not-exist", body=b""),
    invalid("another vendor's model", INVALID, GUESS, model="amazon.titan-text-express-v1"),
    invalid("a model's name", INVALID, GUESS, model="Mistral"),
    invalid("an id without its version", INVALID, GUESS, model="mistral.mistral-7b-instruct-v0"),
    invalid("an id in capitals", INVALID, GUESS, model=SEVEN_B.upper()),
    invalid("an unknown profile", INVALID, QUOTED, model=f"us.{SEVEN_B}"),
    invalid(
        "a profile of another geography's",
        INVALID,
        "danny-avila/LibreChat#5001, zed-industries/zed#27223",
        model=f"eu.{PROFILED}",
        remote=False,
    ),
    invalid("an unknown model's ARN", INVALID, GUESS, model=arn("mistral.nope-v9:9")),
    invalid("another region's ARN", INVALID, GUESS, model=arn(SEVEN_B, "us-west-2")),
    invalid("another partition's ARN", INVALID, GUESS, model=arn(SEVEN_B, partition="aws-cn")),
    invalid(
        "another region's profile ARN",
        INVALID,
        "earendil-works/pi#5527, of an application's profile",
        model=profile(f"us.{PROFILED}", "us-west-2"),
        remote=False,
    ),
    *(
        invalid(
            f"another region's ARN of {name}",
            INVALID,
            "earendil-works/pi#5527, of an application's profile" if "profile" in name else GUESS,
            model=f"{HERE}:{kind}/abcdefghij12",
            region="us-west-2",
            remote=False,
        )
        for name, kind in KINDS.items()
    ),
    invalid(
        "an application's profile by its id alone",
        INVALID,
        "tinovyatkin/amazon-bedrock-copilot-chat#28",
        model="abcdefghij12",
        remote=False,
    ),
    invalid("another region's name", INVALID, GUESS, model="my-throughput", region="us-west-2"),
    *(
        invalid(f"a {kind} that is not there", INVALID, GUESS, model=model, remote=False)
        for kind, model in {
            "provisioned model": f"{HERE}:provisioned-model/abcdefghijkl",
            "custom model's deployment": f"{HERE}:custom-model-deployment/abcdefghijkl",
            "custom model": f"{HERE}:custom-model/mistral.x/abcdefghijkl",
            "imported model": f"{HERE}:imported-model/abcdefghijkl",
            "prompt": f"{HERE}:prompt/ABCDEFGHIJ",
            "prompt router": f"{HERE}:default-prompt-router/x:1",
            "application's profile": f"{HERE}:application-inference-profile/abcdefghijkl",
            "SageMaker endpoint": f"arn:aws:sagemaker:us-east-1:{ACCOUNT}:endpoint/mistral",
        }.items()
    ),
    *(
        Case(
            name=f"{name} elsewhere",
            seen=QUOTED,
            model=model,
            region=region,
            status=404,
            code="ResourceNotFoundException",
            message=UNRESOLVED,
        )
        for name, model, region in (
            ("7B", SEVEN_B, "eu-central-1"),
            ("Mixtral", MIXTRAL, "us-east-2"),
            ("Small", SMALL, "us-west-2"),
            ("Large", arn(LARGE, "ap-northeast-1"), "ap-northeast-1"),
            ("Large 2407", LARGE_2407, "us-east-1"),
        )
    ),
    *(
        invalid(
            f"{name} on demand",
            f"Invocation of model ID {model} with on-demand throughput isn’t supported. Retry your"
            " request with the ID or ARN of an inference profile that contains this model.",
            "terricain/aioboto3#352",
            model=called,
            remote=model == PIXTRAL,
        )
        for name, model, called in (
            ("Pixtral", PIXTRAL, PIXTRAL),
            ("an ARN of Pixtral", PIXTRAL, arn(PIXTRAL)),
            ("a model with profiles", PROFILED, PROFILED),
        )
    ),
    Case(
        name="a model without access",
        seen=GUESS,
        why="recorded for Pixtral (Arize-ai/openinference, 2025-07-29), which is run here",
        model=NOT_RUN,
        status=403,
        code="AccessDeniedException",
        message="You don't have access to the model with the specified model ID.",
        remote=False,
    ),
    *(
        Case(
            name=f"the profile of another account, {operation}",
            seen=GUESS,
            why="IAM's sentence as seen for one's own account",
            operations=(operation,),
            service="sigv4",
            model=profile(f"us.{PROFILED}", account="999999999999"),
            status=403,
            code="AccessDeniedException",
            suffix=CORAL + "#AccessDeniedException",
            message_key="Message",
            message=f"User: arn:aws:iam::{ACCOUNT}:root is not authorized to perform: {action} on"
            f" resource: {profile(f'us.{PROFILED}', account='999999999999')} because no"
            f" resource-based policy allows the {action} action",
            remote=False,
        )
        for operation, action in (
            ("invoke", "bedrock:InvokeModel"),
            ("invoke-with-response-stream", "bedrock:InvokeModelWithResponseStream"),
        )
    ),
    Case(
        name="a model past the end of its life",
        seen="a client's test constant",
        model=RETIRED,
        status=404,
        code="ResourceNotFoundException",
        message="This model version has reached the end of its life."
        " Please upgrade to an active model.",
        remote=False,
    ),
]

TABLE = [*ANSWERED, *SPELT, *REFUSED]
