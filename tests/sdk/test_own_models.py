"""Provisioned models, deployments and imports of the registry, by boto3."""

from collections.abc import Iterator
from typing import Any

import pytest
import yaml
from botocore.exceptions import ClientError

from invoke_api.models.registry import DEFAULT_REGISTRY
from tests.sdk.test_catalogue import client
from tests.support.servers import COMMAND, SEVEN_B, command_running, wait_until_ready

HERE = "arn:aws:bedrock:us-east-1:123456789012"
# Operations, the argument of the Get operation, the name of a list's entries, the key of an ARN.
KINDS = {
    "provisioned-model": (
        ("get_provisioned_model_throughput", "list_provisioned_model_throughputs"),
        "provisionedModelId",
        "provisionedModelSummaries",
        "provisionedModelArn",
    ),
    "custom-model-deployment": (
        ("get_custom_model_deployment", "list_custom_model_deployments"),
        "customModelDeploymentIdentifier",
        "modelDeploymentSummaries",
        "customModelDeploymentArn",
    ),
    "imported-model": (
        ("get_imported_model", "list_imported_models"),
        "modelIdentifier",
        "modelSummaries",
        "modelArn",
    ),
}
OTHERS = "arn:aws:bedrock:us-east-1:999999999999:imported-model/abcdefghij12"
NAMES = ("first", "second", "third")


def to_arn(kind: str, number: int) -> str:
    return f"{HERE}:{kind}/abcdefghij1{number}"


@pytest.fixture(scope="module")
def url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Yield a service whose registry has three ARNs of each kind, and one in another region."""
    document = yaml.safe_load(DEFAULT_REGISTRY.read_text())
    document["arns"] = [
        {"arn": to_arn(kind, number), "name": name, "model": SEVEN_B}
        for kind in KINDS
        for number, name in enumerate(NAMES)
    ]
    west = to_arn("imported-model", 9).replace("us-east-1", "us-west-2")
    document["arns"] += [{"arn": west, "model": SEVEN_B}, {"arn": OTHERS, "model": SEVEN_B}]
    file = tmp_path_factory.mktemp("own") / "registry.yaml"
    file.write_text(yaml.safe_dump(document))
    with command_running([*COMMAND, "--engine", "scripted", "--registry", str(file)]) as running:
        wait_until_ready(running, seconds=30)
        yield running


@pytest.fixture
def control(url: str) -> Iterator[Any]:
    with client(url) as made:
        yield made


@pytest.mark.parametrize("kind", KINDS)
def test_one_is_told_by_its_arn_and_by_its_name(control: Any, kind: str) -> None:
    (get, _), argument, _, key = KINDS[kind]
    by_name = getattr(control, get)(**{argument: "second"})
    by_arn = getattr(control, get)(**{argument: to_arn(kind, 1)})
    del by_name["ResponseMetadata"], by_arn["ResponseMetadata"]

    assert by_name == by_arn
    assert by_name[key] == to_arn(kind, 1)
    assert by_name.get("status") == {
        "provisioned-model": "InService",
        "custom-model-deployment": "Active",
    }.get(kind)


def test_a_caller_of_no_known_account_may_name_any(control: Any) -> None:
    told = control.get_imported_model(modelIdentifier=OTHERS)

    assert (told["modelArn"], told["modelName"]) == (OTHERS, "abcdefghij12")


@pytest.mark.parametrize("kind", KINDS)
def test_one_that_is_not_there_is_not_found(control: Any, kind: str) -> None:
    (get, _), argument, _, _ = KINDS[kind]
    for asked in ("none", to_arn(kind, 8)):
        with pytest.raises(control.exceptions.ResourceNotFoundException):
            getattr(control, get)(**{argument: asked})


@pytest.mark.parametrize("kind", KINDS)
def test_all_are_listed_page_by_page(control: Any, kind: str) -> None:
    (_, listing), _, name, key = KINDS[kind]
    pages = control.get_paginator(listing).paginate(PaginationConfig={"PageSize": 2})
    listed = [[entry[key] for entry in page[name]] for page in pages]

    assert listed == [[to_arn(kind, 0), to_arn(kind, 1)], [to_arn(kind, 2)]]


@pytest.mark.parametrize(
    ("kind", "filters", "names"),
    [
        *(
            (kind, filters, names)
            for kind in KINDS
            for filters, names in (
                ({"nameContains": "ir"}, ("first", "third")),
                ({"sortBy": "CreationTime", "sortOrder": "Ascending"}, NAMES),
                ({"sortBy": "CreationTime", "sortOrder": "Descending"}, NAMES[::-1]),
            )
        ),
        *(
            (kind, filters, names)
            for kind in ("provisioned-model", "imported-model")
            for filters, names in (
                ({"creationTimeAfter": "2020-01-01T00:00:00Z"}, NAMES),
                ({"creationTimeAfter": "2999-01-01T00:00:00Z"}, ()),
                ({"creationTimeBefore": "2999-01-01T00:00:00Z"}, NAMES),
                ({"creationTimeBefore": "2020-01-01T00:00:00Z"}, ()),
            )
        ),
        ("custom-model-deployment", {"createdAfter": "2999-01-01T00:00:00Z"}, ()),
        ("custom-model-deployment", {"createdBefore": "2020-01-01T00:00:00Z"}, ()),
        ("custom-model-deployment", {"statusEquals": "Active"}, NAMES),
        ("custom-model-deployment", {"statusEquals": "Creating"}, ()),
        ("provisioned-model", {"statusEquals": "InService"}, NAMES),
        ("provisioned-model", {"statusEquals": "Failed"}, ()),
        (
            "provisioned-model",
            {"modelArnEquals": f"arn:aws:bedrock:us-east-1::foundation-model/{SEVEN_B}"},
            NAMES,
        ),
        (
            "provisioned-model",
            {"modelArnEquals": f"{HERE}:custom-model/imported/abcdefghij11"},
            (),
        ),
        (
            "custom-model-deployment",
            {"modelArnEquals": f"{HERE}:custom-model/imported/abcdefghij11"},
            ("second",),
        ),
    ],
)
def test_filters_leave_what_they_name(
    control: Any, kind: str, filters: dict[str, str], names: tuple[str, ...]
) -> None:
    (_, listing), _, entries, key = KINDS[kind]
    listed = getattr(control, listing)(**filters)[entries]

    assert [entry[key] for entry in listed] == [to_arn(kind, NAMES.index(name)) for name in names]


@pytest.mark.parametrize(
    ("listing", "filters"),
    [
        ("list_imported_models", {"nextToken": "abc"}),
        ("list_imported_models", {"sortBy": "Name"}),
        ("list_provisioned_model_throughputs", {"statusEquals": "Active"}),
        ("list_custom_model_deployments", {"nameContains": "-"}),
        ("list_custom_model_deployments", {"maxResults": 1001}),
    ],
)
def test_a_filter_that_is_none_is_refused(
    control: Any, listing: str, filters: dict[str, Any]
) -> None:
    with pytest.raises(ClientError) as caught:
        getattr(control, listing)(**filters)

    assert caught.value.response["Error"]["Code"] == "ValidationException"
