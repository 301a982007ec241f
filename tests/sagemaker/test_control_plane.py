"""SageMaker's control plane by boto3: what the registry has, and what callers create and delete."""

import json
from copy import deepcopy
from http.client import HTTPConnection
from random import Random
from typing import Any
from urllib.parse import urlsplit

import pytest
from botocore.exceptions import ClientError

from invoke_api.sagemaker.control_plane import OPERATIONS
from invoke_api.testing import Bedrock
from tests.fuzzing.requests import encode_oddly, mutate
from tests.fuzzing.values import write

NAME = "huggingface-llm-mistral-7b-instruct"
IMAGE = "763104351884.dkr.ecr.us-west-2.amazonaws.com/huggingface-pytorch-tgi-inference:{}"
WEIGHTS = "mistralai/Mistral-7B-Instruct-v0.2"


def deploy(bedrock: Bedrock, name: str, container: dict[str, Any]) -> Any:
    """Create a model, a configuration and an endpoint of this name, as JumpStart does."""
    client = bedrock.client("sagemaker")
    client.create_model(ModelName=name, PrimaryContainer=container, ExecutionRoleArn=ROLE)
    variant = {"VariantName": "AllTraffic", "ModelName": name, "InitialInstanceCount": 1}
    client.create_endpoint_config(EndpointConfigName=name, ProductionVariants=[variant])
    client.create_endpoint(EndpointName=name, EndpointConfigName=name)
    return client


def test_an_endpoint_has_the_variant_of_its_configuration(bedrock: Bedrock) -> None:
    client = bedrock.client("sagemaker")
    container = {"Image": IMAGE.format("2.1.1-tgi1.1.0"), "Environment": {"HF_MODEL_ID": WEIGHTS}}
    client.create_model(ModelName="mine", PrimaryContainer=container, ExecutionRoleArn=ROLE)
    variant = {"VariantName": "blue", "ModelName": "mine", "InitialInstanceCount": 1}
    client.create_endpoint_config(EndpointConfigName="mine", ProductionVariants=[variant])
    client.create_endpoint(EndpointName="mine", EndpointConfigName="mine")
    bedrock.reply("Hi.")

    asked: Any = {
        "EndpointName": "mine",
        "Body": '{"inputs": "a"}',
        "ContentType": "application/json",
    }
    told = client.describe_endpoint(EndpointName="mine")["ProductionVariants"]
    answer = bedrock.sagemaker().invoke_endpoint(**asked, TargetVariant="blue")

    assert [each["VariantName"] for each in told] == ["blue"]
    assert answer["InvokedProductionVariant"] == "blue"
    bedrock.reset()


ROLE = "arn:aws:iam::123456789012:role/it"


def refused(operation: Any, **asked: Any) -> str:
    with pytest.raises(ClientError) as caught:
        operation(**asked)
    error = caught.value.response["Error"]
    assert error["Code"] == "ValidationException"
    return str(error["Message"])


def test_an_endpoint_of_the_registry_is_in_service(bedrock: Bedrock) -> None:
    client = bedrock.client("sagemaker")

    endpoint = client.describe_endpoint(EndpointName=NAME)

    assert endpoint["EndpointStatus"] == "InService"
    assert endpoint["EndpointArn"] == (
        f"arn:aws:sagemaker:{bedrock.region}:123456789012:endpoint/{NAME}"
    )
    client.get_waiter("endpoint_in_service").wait(EndpointName=NAME)


def test_endpoints_are_listed_page_by_page(bedrock: Bedrock) -> None:
    client = bedrock.client("sagemaker")

    pages = client.get_paginator("list_endpoints").paginate(MaxResults=3, NameContains="llm-mi")
    names = [each["EndpointName"] for page in pages for each in page["Endpoints"]]

    assert len(names) == 4
    assert names == sorted(names)
    assert client.list_endpoints(NameContains="nobody")["Endpoints"] == []


@pytest.mark.parametrize(
    ("container", "generated"),
    [
        ({"Image": IMAGE.format("2.0.1-tgi1.1.0"), "Environment": {"HF_MODEL_ID": WEIGHTS}}, list),
        (
            {
                "Image": "763104351884.dkr.ecr.us-west-2.amazonaws.com/djl-inference:0.28.0-lmi10",
                "Environment": {"HF_MODEL_ID": "/opt/ml/model"},
                "ModelDataUrl": f"s3://jumpstart-cache-prod-us-west-2/huggingface-llm/{NAME}/",
            },
            dict,
        ),
    ],
)
def test_what_is_deployed_can_be_called_until_it_is_deleted(
    bedrock: Bedrock, container: dict[str, Any], generated: type
) -> None:
    bedrock.reply("It runs.")
    client = deploy(bedrock, "mine", container)
    runtime = bedrock.sagemaker()
    asked: Any = {
        "EndpointName": "mine",
        "Body": b'{"inputs": "Hi"}',
        "ContentType": "application/json",
    }

    client.get_waiter("endpoint_in_service").wait(EndpointName="mine")
    answer = json.load(runtime.invoke_endpoint(**asked)["Body"])
    client.delete_endpoint(EndpointName="mine")

    assert type(answer) is generated
    with pytest.raises(ClientError, match="not found"):
        runtime.invoke_endpoint(**asked)
    client.delete_endpoint_config(EndpointConfigName="mine")
    client.delete_model(ModelName="mine")
    assert "Could not find model" in refused(client.describe_model, ModelName="mine")


def test_the_environment_limits_what_is_deployed(bedrock: Bedrock) -> None:
    environment = {"HF_MODEL_ID": WEIGHTS, "MAX_INPUT_LENGTH": "9", "MAX_TOTAL_TOKENS": "10"}
    deploy(bedrock, "short", {"Image": IMAGE.format("tgi1.1.0"), "Environment": environment})

    with pytest.raises(ClientError, match=r"must be <= 10\. Given: 2"):
        bedrock.sagemaker().invoke_endpoint(
            EndpointName="short", Body=b'{"inputs": "Hi"}', ContentType="application/json"
        )


@pytest.mark.parametrize(
    ("environment", "reason"),
    [
        ({"HF_MODEL_ID": "meta-llama/Llama-2-7b"}, "runs no model for 'meta-llama/Llama-2-7b'"),
        ({"HF_MODEL_ID": WEIGHTS, "MAX_TOTAL_TOKENS": "many"}, "environment is invalid"),
    ],
)
def test_a_model_that_is_not_run_fails(
    bedrock: Bedrock, environment: dict[str, str], reason: str
) -> None:
    client = deploy(bedrock, "other", {"Image": IMAGE.format("tgi1"), "Environment": environment})

    endpoint = client.describe_endpoint(EndpointName="other")

    assert endpoint["EndpointStatus"] == "Failed"
    assert reason in endpoint["FailureReason"]
    client.delete_endpoint(EndpointName="other")
    assert "Could not find endpoint" in refused(client.describe_endpoint, EndpointName="other")


def test_a_name_is_taken_once(bedrock: Bedrock) -> None:
    client = deploy(bedrock, "twice", {"Image": "tgi1", "Environment": {"HF_MODEL_ID": WEIGHTS}})

    asked = {"EndpointName": "twice", "EndpointConfigName": "twice"}
    assert "already existing endpoint" in refused(client.create_endpoint, **asked)
    asked = {"EndpointName": NAME, "EndpointConfigName": "twice"}
    assert "already existing endpoint" in refused(client.create_endpoint, **asked)
    assert "registry" in refused(client.delete_endpoint, EndpointName=NAME)
    bedrock.reset()
    assert "Could not find endpoint" in refused(client.describe_endpoint, EndpointName="twice")


def test_what_was_created_is_described(bedrock: Bedrock) -> None:
    client = deploy(bedrock, "told", {"Image": "tgi1", "Environment": {"HF_MODEL_ID": WEIGHTS}})

    model = client.describe_model(ModelName="told")
    config = client.describe_endpoint_config(EndpointConfigName="told")

    assert model["PrimaryContainer"]["Environment"] == {"HF_MODEL_ID": WEIGHTS}
    assert config["ProductionVariants"][0]["ModelName"] == "told"
    tags = client.add_tags(ResourceArn=model["ModelArn"], Tags=[{"Key": "a", "Value": "b"}])
    assert tags["Tags"] == [{"Key": "a", "Value": "b"}]


@pytest.mark.parametrize(
    ("target", "body", "status", "kind"),
    [
        ("DescribeEndpoint", b"{}", 400, "ValidationException"),
        ("DescribeEndpoint", b'{"EndpointName": "-"}', 400, "ValidationException"),
        ("DescribeEndpoint", b'{"EndpointName": 3}', 400, "SerializationException"),
        ("DescribeEndpoint", b"[]", 400, "SerializationException"),
        ("DescribeEndpoint", b"{", 400, "SerializationException"),
        ("CreateEndpointConfig", b'{"EndpointConfigName": "a"}', 400, "ValidationException"),
        (
            "CreateEndpointConfig",
            b'{"EndpointConfigName": "a", "ProductionVariants": []}',
            400,
            "ValidationException",
        ),
        (
            "CreateEndpointConfig",
            b'{"EndpointConfigName": "a", "ProductionVariants": [3]}',
            400,
            "SerializationException",
        ),
        (
            "CreateEndpointConfig",
            b'{"EndpointConfigName": "a", "ProductionVariants": [{"ModelName": "none"}]}',
            400,
            "ValidationException",
        ),
        (
            "CreateEndpointConfig",
            b'{"EndpointConfigName": "a", "ProductionVariants": [{"VariantName": 3}]}',
            400,
            "SerializationException",
        ),
        ("ListEndpoints", b'{"MaxResults": 0.5}', 400, "ValidationException"),
        ("ListEndpoints", b'{"MaxResults": 101}', 400, "ValidationException"),
    ],
)
def test_a_bad_request_is_refused(
    bedrock: Bedrock, target: str, body: bytes, status: int, kind: str
) -> None:
    got, answer = _post(bedrock, f"SageMaker.{target}", body)

    assert (got, answer["__type"]) == (status, kind)
    assert answer["message"]


def test_another_operation_is_refused(bedrock: Bedrock) -> None:
    with pytest.raises(ClientError) as caught:
        bedrock.client("sagemaker").list_training_jobs()

    assert caught.value.response["Error"]["Code"] == "UnknownOperationException"


def test_a_wrong_type_is_named(bedrock: Bedrock) -> None:
    _, answer = _post(bedrock, "SageMaker.DescribeEndpoint", b'{"EndpointName": 3}')

    assert answer["message"] == "NUMBER_VALUE can not be converted to a String"


def test_whatever_is_asked_is_answered_or_refused(bedrock: Bedrock) -> None:
    random = Random("sagemaker")
    valid = {
        "ModelName": "a",
        "EndpointConfigName": "a",
        "EndpointName": "a",
        "PrimaryContainer": {"Image": "tgi1", "Environment": {"HF_MODEL_ID": WEIGHTS}},
        "ProductionVariants": [{"ModelName": "a", "VariantName": "b"}],
        "MaxResults": 3,
        "NextToken": "1",
        "Tags": [],
    }
    for number in range(400):
        document = mutate(random, mutate(random, deepcopy(valid)))
        target = f"SageMaker.{list(OPERATIONS)[number % len(OPERATIONS)]}"
        status, answer = _post(bedrock, target, encode_oddly(random, write(document)))

        assert status in (200, 400), (target, document, answer)
        assert status == 200 or (answer["__type"] and answer["message"])


def _post(bedrock: Bedrock, target: str, body: bytes) -> tuple[int, Any]:
    connection = HTTPConnection(urlsplit(bedrock.url).netloc, timeout=30)
    connection.request("POST", "/", body, {"X-Amz-Target": target})
    response = connection.getresponse()
    answer = response.status, json.load(response)
    connection.close()
    return answer
