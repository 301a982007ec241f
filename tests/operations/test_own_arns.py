"""ARNs of accounts' own models and profiles, on a service with two accounts."""

import json
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, closing, contextmanager
from pathlib import Path
from typing import Any

import boto3
import pytest
import yaml
from botocore.exceptions import ClientError

from invoke_api.models.registry import DEFAULT_REGISTRY
from tests.support.metrics import Scrape
from tests.support.servers import (
    COMMAND,
    GUARDRAILS,
    LARGE,
    SEVEN_B,
    call,
    command_running,
    wait_until_ready,
)
from tests.support.waiting import until

ACCOUNTS = {"AKIDONE": "111111111111", "AKIDTWO": "222222222222", "AKIDONETOO": "111111111111"}
HI = {"messages": [{"role": "user", "content": [{"text": "Hi"}]}]}
BODY = json.dumps({"prompt": "Hi", "max_tokens": 3})
SOURCE = {"copyFrom": f"arn:aws:bedrock:us-east-1::foundation-model/{SEVEN_B}"}


def own(kind: str, account: str = "111111111111") -> str:
    return f"arn:aws:bedrock:us-east-1:{account}:{kind}/abcdefghij12"


ARNS = [
    {"arn": own("application-inference-profile"), "model": SEVEN_B, "name": "Team one"},
    {"arn": own("provisioned-model"), "model": SEVEN_B, "name": "fast"},
    {"arn": own("provisioned-model", "222222222222"), "model": LARGE, "name": "fast"},
    {"arn": own("custom-model-deployment"), "model": "my-finetune"},
]


@pytest.fixture(scope="module")
def log_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("log")


@pytest.fixture(scope="module")
def accounts(tmp_path_factory: pytest.TempPathFactory, log_folder: Path) -> Iterator[str]:
    """Yield the URL of a service with two accounts and a model that AWS does not list."""
    folder = tmp_path_factory.mktemp("accounts")
    document = yaml.safe_load(DEFAULT_REGISTRY.read_text())
    finetune = {**document["models"][0], "id": "my-finetune", "catalogued": False}
    finetune["quotas"] = {"requests_per_minute": 2}
    del finetune["regions"]
    document["models"].append(finetune)
    document["arns"] = ARNS
    keys = [
        {"access_key_id": key, "secret_access_key": "secret", "account_id": account}
        for key, account in ACCOUNTS.items()
    ]
    for name, content in (("registry", document), ("keys", {"access_keys": keys})):
        (folder / f"{name}.yaml").write_text(yaml.safe_dump(content))
        (folder / f"{name}.yaml").chmod(0o600)
    flags = ["--registry", str(folder / "registry.yaml"), "--credentials"]
    flags += [str(folder / "keys.yaml"), "--auth", "sigv4", "--quotas"]
    flags += ["--guardrails", str(GUARDRAILS), "--invocation-log", str(log_folder), "--extensions"]
    with command_running([*COMMAND, "--engine", "scripted", *flags]) as url:
        wait_until_ready(url, seconds=30)
        yield url


Client = Callable[..., AbstractContextManager[Any]]


@pytest.fixture
def client(accounts: str) -> Client:
    """Return a function that opens a boto3 client of a service for an access key."""

    @contextmanager
    def open_client(service: str, key: str) -> Iterator[Any]:
        made = boto3.client(
            service,
            endpoint_url=accounts,
            region_name="us-east-1",
            aws_access_key_id=key,
            aws_secret_access_key="secret",
        )
        yield made
        made.close()

    return open_client


def make(control: Any, name: str, source: Mapping[str, str] = SOURCE) -> str:
    made = control.create_inference_profile(inferenceProfileName=name, modelSource=source)
    arn: str = made["inferenceProfileArn"]
    return arn


def code(call_: Callable[..., Any], **arguments: Any) -> str:
    with pytest.raises(ClientError) as caught:
        call_(**arguments)
    found: str = caught.value.response["Error"]["Code"]
    return found


@pytest.mark.parametrize("arn", [entry["arn"] for entry in ARNS if "1111" in entry["arn"]])
def test_every_operation_takes_every_kind(client: Client, arn: str) -> None:
    with client("bedrock-runtime", "AKIDONE" if "deployment" not in arn else "AKIDONETOO") as one:
        if "deployment" not in arn:
            assert one.invoke_model(modelId=arn, body=BODY)["body"].read()
            assert list(one.invoke_model_with_response_stream(modelId=arn, body=BODY)["body"])
        assert one.converse(modelId=arn, **HI)["output"]
        assert list(one.converse_stream(modelId=arn, **HI)["stream"])
        count = one.count_tokens(modelId=arn, input={"invokeModel": {"body": BODY}})

        assert count["inputTokens"] == 2


@pytest.mark.parametrize("entry", ARNS, ids=lambda entry: entry["arn"].split(":")[5])
def test_another_account_is_denied(client: Client, entry: dict[str, str]) -> None:
    key = "AKIDTWO" if "111111111111" in entry["arn"] else "AKIDONE"
    with client("bedrock-runtime", key) as other:
        for operation, more in (
            (other.invoke_model, {"body": BODY}),
            (other.invoke_model_with_response_stream, {"body": BODY}),
            (other.converse, HI),
            (other.converse_stream, HI),
            (other.count_tokens, {"input": {"converse": HI}}),
        ):
            assert code(operation, modelId=entry["arn"], **more) == "AccessDeniedException"


def test_a_name_is_looked_up_in_the_callers_account(client: Client) -> None:
    with client("bedrock-runtime", "AKIDONE") as one, client("bedrock-runtime", "AKIDTWO") as two:
        count = {"invokeModel": {"body": BODY}}
        for runtime in (one, two):
            assert runtime.converse(modelId="fast", **HI)["output"]
            assert runtime.count_tokens(modelId="fast", input=count)["inputTokens"]
        system = {"system": [{"text": "Be brief."}], **HI}

        assert code(one.converse, modelId="fast", **system) == "ValidationException"  # 7B has none
        assert two.converse(modelId="fast", **system)["output"]


def test_a_profile_belongs_to_its_account(client: Client) -> None:
    with client("bedrock", "AKIDONE") as one, client("bedrock", "AKIDTWO") as two:
        arn, theirs = make(one, "shared"), make(two, "shared")
        listed = [
            each["inferenceProfileArn"]
            for each in one.list_inference_profiles(typeEquals="APPLICATION")[
                "inferenceProfileSummaries"
            ]
        ]
        with client("bedrock", "AKIDONETOO") as colleague:
            assert colleague.get_inference_profile(inferenceProfileIdentifier=arn)
        for operation, more in (
            (two.get_inference_profile, {"inferenceProfileIdentifier": arn}),
            (two.delete_inference_profile, {"inferenceProfileIdentifier": arn}),
            (two.list_tags_for_resource, {"resourceARN": arn}),
            (two.tag_resource, {"resourceARN": arn, "tags": []}),
        ):
            assert code(operation, **more) == "ResourceNotFoundException"
    with client("bedrock-runtime", "AKIDTWO") as other:
        assert code(other.converse, modelId=arn, **HI) == "AccessDeniedException"

    assert arn.split(":")[4] == "111111111111"
    assert listed == [ARNS[0]["arn"], arn]
    assert theirs not in listed


def test_the_registrys_profile_is_told_and_not_changed(client: Client) -> None:
    arn = ARNS[0]["arn"]
    with client("bedrock", "AKIDONE") as one:
        profile = one.get_inference_profile(inferenceProfileIdentifier="abcdefghij12")
        tags = one.list_tags_for_resource(resourceARN=arn)["tags"]
        for operation, more in (
            (one.delete_inference_profile, {"inferenceProfileIdentifier": arn}),
            (one.tag_resource, {"resourceARN": arn, "tags": []}),
            (
                one.create_inference_profile,
                {
                    "inferenceProfileName": "a",
                    "modelSource": {
                        "copyFrom": "arn:aws:bedrock:us-east-1::foundation-model/my-finetune"
                    },
                },
            ),
        ):
            assert code(operation, **more) == "ValidationException"

    assert profile["inferenceProfileArn"] == arn
    assert profile["inferenceProfileName"] == "Team one"
    assert tags == []


def test_a_model_of_ones_own_is_listed_nowhere(client: Client) -> None:
    with client("bedrock", "AKIDONE") as control, client("bedrock-runtime", "AKIDONE") as runtime:
        listed = [each["modelId"] for each in control.list_foundation_models()["modelSummaries"]]

        assert "my-finetune" not in listed
        assert code(runtime.converse, modelId="my-finetune", **HI) == "ValidationException"


def test_a_quota_goes_by_the_model(client: Client) -> None:
    with client("bedrock-runtime", "AKIDONE") as one:
        one.meta.events.register("needs-retry.*", lambda **_: None)
        arn = own("custom-model-deployment")
        for _ in range(2):
            one.invoke_model(modelId=arn, body=BODY)["body"].read()

        assert code(one.invoke_model, modelId=arn, body=BODY) == "ThrottlingException"


def test_a_guardrail_is_asked_on_an_arn(client: Client) -> None:
    guard = {"guardrailIdentifier": "abcdef123456", "guardrailVersion": "1"}
    said = [{"role": "user", "content": [{"text": "a cactus"}]}]
    with client("bedrock-runtime", "AKIDONE") as one:
        answer = one.converse(modelId=ARNS[0]["arn"], messages=said, guardrailConfig=guard)

    assert answer["stopReason"] == "guardrail_intervened"


def test_the_log_has_the_arn_and_the_metrics_the_model(
    client: Client, accounts: str, log_folder: Path
) -> None:
    with client("bedrock", "AKIDONE") as control:
        arn = make(control, "logged")
    with client("bedrock-runtime", "AKIDONE") as one:
        one.converse(modelId=arn, **HI)
    file = log_folder / "modelinvocations.jsonl"
    until(lambda: arn in file.read_text())
    lines = map(json.loads, file.read_text().splitlines())
    [logged] = [line for line in lines if line["modelId"] == arn]

    assert logged["inferenceRegion"] == "us-east-1"
    assert Scrape(accounts).labels("invoke_api_calls_total", "model_id") <= {
        "",
        SEVEN_B,
        LARGE,
        "my-finetune",
    }


def test_the_journal_and_rules_know_the_arn(bedrock: Any, runtime: Any) -> None:
    west = {"copyFrom": SOURCE["copyFrom"].replace("us-east-1", "us-west-2")}
    with closing(bedrock.client("bedrock")) as control:
        one, two = (make(control, name, west) for name in ("one", "two"))
    bedrock.reply("of one", model_id=one)
    answers = [
        runtime.converse(modelId=arn, **HI)["output"]["message"]["content"][0]["text"]
        for arn in (one, two)
    ]
    kept = [(entry["model_id"], entry["identifier"]) for entry in bedrock.requests]

    assert answers[0] == "of one"
    assert answers[1] != "of one"
    assert kept == [(SEVEN_B, one), (SEVEN_B, two)]


def test_a_profile_is_told_with_status_201(scripted: str) -> None:
    body = json.dumps({"inferenceProfileName": "raw", "modelSource": SOURCE}).encode()
    response, raw = call(scripted, "POST", "/inference-profiles", body)
    answer = json.loads(raw)
    call(scripted, "DELETE", f"/inference-profiles/{answer['inferenceProfileArn'][-12:]}")

    assert (response.status, response.reason) == (201, "Created")
    assert list(answer) == ["inferenceProfileArn", "status"]
