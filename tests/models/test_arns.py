"""The registry's ARNs: their models by region and account, and mistakes with their lines."""

from pathlib import Path

import pytest

from invoke_api.models.identifiers import parse_identifier
from invoke_api.models.registry import Registry, load_registry
from invoke_api.wire.errors import (
    AccessDeniedException,
    InvokeError,
    ResourceNotFoundException,
    ValidationException,
)
from invoke_api.yaml_files import ConfigError

ACCOUNT = "123456789012"
HERE = f"arn:aws:bedrock:us-east-1:{ACCOUNT}"
PROVISIONED = f"{HERE}:provisioned-model/abcdefghij12"
IMPORTED = f"{HERE}:imported-model/abcdefghij12"
MODELS = """\
models:
  - &one
    id: mistral.one
    name: One
    regions: [eu-west-1]
    dialect: mistral-text
    schema: mistral-7b-instruct.json
    tokenizer: v1
    context_length: 32768
    engine: scripted
    weights: ./weights
    demo: dense
  - id: my-import
    name: Mine
    catalogued: false
    dialect: mistral-text
    schema: mistral-7b-instruct.json
    tokenizer: v1
    context_length: 32768
    engine: scripted
    weights: ./weights
    demo: dense
not_run:
  - {id: mistral.two, name: Two, profiles: {us.mistral.two: [us-east-1]}}
  - {id: mistral.gone, name: Gone, end_of_life: '2024-01-31'}
arns:
"""
GOOD = f"""\
  - {{arn: '{PROVISIONED}', name: my-throughput, model: mistral.one}}
  - {{arn: '{HERE}:custom-model-deployment/abcdefghij12', name: mine, model: mistral.one}}
  - {{arn: '{IMPORTED}', model: my-import}}
  - {{arn: '{HERE}:application-inference-profile/abcdefghij12', model: mistral.two}}
  - {{arn: '{HERE}:application-inference-profile/gone', model: mistral.gone}}
  - {{arn: 'arn:aws:bedrock:us-east-1:000000000000:provisioned-model/abcdefghij12',
      name: my-throughput, model: my-import}}
"""


def load(tmp_path: Path, arns: str) -> Registry:
    file = tmp_path / "registry.yaml"
    file.write_text(MODELS + arns)
    return load_registry(file)


@pytest.mark.parametrize(
    ("called", "account", "model"),
    [
        (PROVISIONED, ACCOUNT, "mistral.one"),
        (PROVISIONED, None, "mistral.one"),
        ("my-throughput", ACCOUNT, "mistral.one"),
        ("my-throughput", "000000000000", "my-import"),
        ("my-throughput", None, "mistral.one"),
        (f"{HERE}:custom-model-deployment/abcdefghij12", ACCOUNT, "mistral.one"),
        (IMPORTED, ACCOUNT, "my-import"),
    ],
)
def test_an_arn_or_a_name_stands_for_a_model(
    tmp_path: Path, called: str, account: str | None, model: str
) -> None:
    registry = load(tmp_path, GOOD)

    assert registry.find(parse_identifier(called), "us-east-1", account).id == model


@pytest.mark.parametrize(
    ("called", "region", "account", "error"),
    [
        (PROVISIONED, "us-west-2", ACCOUNT, ValidationException),
        (PROVISIONED, "us-east-1", "999999999999", ValidationException),
        ("my-throughput", "us-west-2", ACCOUNT, ValidationException),
        ("my-throughput", "us-east-1", "999999999999", ValidationException),
        ("mine", "us-east-1", ACCOUNT, ValidationException),  # a deployment has no name to call
        ("abcdefghij12", "us-east-1", ACCOUNT, ValidationException),
        (IMPORTED.replace("12", "13"), "us-east-1", ACCOUNT, ValidationException),
        ("my-import", "us-east-1", ACCOUNT, ValidationException),
        (
            f"{HERE}:application-inference-profile/abcdefghij12",
            "us-east-1",
            ACCOUNT,
            AccessDeniedException,
        ),
        (
            f"{HERE}:application-inference-profile/gone",
            "us-east-1",
            ACCOUNT,
            ResourceNotFoundException,
        ),
    ],
)
def test_an_arn_is_found_in_its_region_and_account_only(
    tmp_path: Path, called: str, region: str, account: str, error: type[InvokeError]
) -> None:
    registry = load(tmp_path, GOOD)
    with pytest.raises(error):
        registry.find(parse_identifier(called), region, account)


def test_a_model_that_is_not_catalogued_is_listed_nowhere(tmp_path: Path) -> None:
    registry = load(tmp_path, GOOD)

    assert [one.id for one in registry.offered("eu-west-1")] == ["mistral.one", "mistral.two"]
    with pytest.raises(ValidationException):
        registry.find_known(parse_identifier("my-import"))


def test_the_arns_of_a_model_that_is_left_out_have_no_access(tmp_path: Path) -> None:
    registry = load(tmp_path, GOOD).only(["mistral.one"])

    assert registry.find(parse_identifier(PROVISIONED), "us-east-1").id == "mistral.one"
    with pytest.raises(AccessDeniedException):
        registry.find(parse_identifier(IMPORTED), "us-east-1")


def entry(arn: str, model: str = "mistral.one", **more: str) -> str:
    lines = [f"arn: '{arn}'", f"model: {model}", *(f"{key}: {more[key]}" for key in more)]
    return "  - " + "\n    ".join(lines) + "\n"


NO_ARN = "is not the ARN of a callable model: write arn:aws:bedrock:REGION:ACCOUNT:KIND/ID"
MISTAKES = [
    ("  - 7\n", ":27: arns.0: 7 is not of type 'object'"),
    (f"  - arn: '{IMPORTED}'\n", ":27: arns.0: 'model' is a required property"),
    ("  - model: mistral.one\n", ":27: arns.0: 'arn' is a required property"),
    (entry(IMPORTED, "mistral.none"), f":28: {IMPORTED!r}: there is no model 'mistral.none'"),
    (entry("mistral.one"), f":27: 'mistral.one' {NO_ARN}"),
    *(
        (entry(arn), f":27: {arn!r} {NO_ARN}")
        for arn in (
            f"{HERE}:imported-model/abc",
            f"{HERE}:imported-model/ABCDEFGHIJKL",
            f"{HERE}:custom-model/mistral.x/abcdefghijkl",
            f"{HERE}:inference-profile/us.mistral.two",
            f"{HERE}:prompt/ABCDEFGHIJ",
            "arn:aws:bedrock:us-east-1::foundation-model/mistral.one",
            "arn:aws:bedrock:us-east-1::imported-model/abcdefghij12",
            f"arn:aws:sagemaker:us-east-1:{ACCOUNT}:endpoint/mistral",
        )
    ),
    (
        entry(IMPORTED.replace("us-east-1", "us-east-9")),
        (
            ":27: 'arn:aws:bedrock:us-east-9:123456789012:imported-model/abcdefghij12' names the"
            " region us-east-9, which is not in the partition aws"
        ),
    ),
    (
        entry(IMPORTED.replace("aws", "aws-cn")),
        (
            ":27: 'arn:aws-cn:bedrock:us-east-1:123456789012:imported-model/abcdefghij12' names the"
            " region us-east-1, which is not in the partition aws-cn"
        ),
    ),
    (entry(IMPORTED) * 2, f":29: the ARN {IMPORTED!r} occurs twice"),
    (
        entry(PROVISIONED, name="x") + entry(PROVISIONED.replace(ACCOUNT, "0" * 12), name="x"),
        None,
    ),
    (
        entry(PROVISIONED, name="x") + entry(PROVISIONED.replace("j12", "j13"), name="x"),
        (
            f":32: the name 'x' of {PROVISIONED.replace('j12', 'j13')} occurs twice in one"
            " account, region and kind"
        ),
    ),
    (
        entry(PROVISIONED, name="mistral"),
        None,
    ),
    (
        entry(PROVISIONED, name="my-import"),
        f":29: the name 'my-import' of {PROVISIONED} is the id of a model or of a profile",
    ),
    (entry(PROVISIONED, name="a b"), f":29: the name 'a b' of {PROVISIONED} has a space"),
    (entry(IMPORTED, name="a b"), None),
    (entry(IMPORTED, name="'-'"), ":29: arns.0.name: '-' does not match"),
]


@pytest.mark.parametrize(("arns", "sentence"), MISTAKES)
def test_a_mistake_is_named_with_its_line(tmp_path: Path, arns: str, sentence: str | None) -> None:
    if sentence is None:
        load(tmp_path, arns)
        return
    with pytest.raises(ConfigError) as caught:
        load(tmp_path, arns)

    assert f"registry.yaml{sentence}" in str(caught.value)


def test_a_model_of_ones_own_has_no_regions(tmp_path: Path) -> None:
    file = tmp_path / "registry.yaml"
    file.write_text(
        MODELS.replace("catalogued: false", "catalogued: false\n    regions: [us-east-1]")
        + entry(IMPORTED)
    )
    with pytest.raises(ConfigError, match=r":16: model 'my-import': only catalogued models have"):
        load_registry(file)
