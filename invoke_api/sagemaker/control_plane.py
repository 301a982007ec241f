"""SageMaker's control plane, as far as applications and `JumpStartModel.deploy` need it.

AWS JSON 1.1: `POST /` with the operation in the header `X-Amz-Target`. An endpoint is `InService`
as soon as it is created. Source: botocore's service model of sagemaker. Guess: the sentences that
are not reported anywhere.
"""

from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any

from invoke_api.authentication.gate import Caller
from invoke_api.models.endpoint_resources import MAX_RESOURCES, Resource, Resources, to_endpoint
from invoke_api.models.endpoints import Endpoint
from invoke_api.models.identifiers import PARTITIONS
from invoke_api.operations.request_checks import check_alone
from invoke_api.pipeline.admission import read_and_admit
from invoke_api.pipeline.call import Call
from invoke_api.pipeline.responses import HttpResponse, json_response, unknown_operation_response
from invoke_api.sagemaker.control_plane_body import check_name, read_members
from invoke_api.sagemaker.errors import JSON_ERRORS
from invoke_api.validation.coral import misread
from invoke_api.wire.errors import (
    SerializationException,
    ServiceQuotaExceededException,
    UnknownOperationException,
    ValidationException,
)
from invoke_api.wire.json_text import write_json

TARGET = "x-amz-target"
PREFIX = "SageMaker."
JSON_TYPE = "application/x-amz-json-1.1"
MAX_LISTED = 100
Document = dict[str, Any]


async def answer_target(call: Call) -> HttpResponse:
    """Answer the operation that the header names. Raises `InvokeError`s, `ClientDisconnected`."""
    target = call.header_text.get(TARGET, "")
    name = target.removeprefix(PREFIX)
    if not target.startswith(PREFIX):
        await call.read_body()
        return unknown_operation_response(call)
    call.errors = JSON_ERRORS
    if name not in OPERATIONS:
        await read_and_admit(call)
        raise UnknownOperationException
    call.operation = name
    caller = await read_and_admit(call)
    required, answer = OPERATIONS[name]
    document = answer(Plane(call, caller), read_members(call.body, required))
    reply = json_response(call, write_json(document))
    is_typed = [key == b"Content-Type" for key, _ in reply.headers]
    reply.headers = [
        (key, JSON_TYPE.encode() if typed else value)
        for (key, value), typed in zip(reply.headers, is_typed, strict=True)
    ]
    return reply


class Plane:
    """The control plane of one caller, in its region and account."""

    def __init__(self, call: Call, caller: Caller) -> None:
        self._services = call.services
        self._caller = caller
        self._endpoints = call.services.endpoints
        self._resources: Resources = call.services.resources

    def _arn(self, kind: str, name: str) -> str:
        region = self._caller.region
        place = f"arn:{PARTITIONS[region]}:sagemaker:{region}:{self._caller.account_id}"
        return f"{place}:{kind}/{name.lower()}"

    def _missing(self, kind: str, words: str, name: str) -> ValidationException:
        return ValidationException(f'Could not find {words} "{self._arn(kind, name)}".')

    def _place(self, name: str) -> tuple[str, str, str]:
        return self._caller.region, self._caller.account_id, name

    def _create(
        self, kept: dict[tuple[str, str, str], Resource], kind: str, name: str, asked: Document
    ) -> Resource:
        """Keep a resource. Raises `ValidationException` and `ServiceQuotaExceededException`."""
        check_alone(self._services, "SageMaker's resources")
        if self._place(name) in kept:
            raise ValidationException(
                f"Cannot create already existing {kind.replace('-', ' ')}"
                f' "{self._arn(kind, name)}".'
            )
        if len(kept) >= MAX_RESOURCES:
            raise ServiceQuotaExceededException(
                f"The account has reached its limit of {MAX_RESOURCES:,} resources."
            )
        region, account, _ = self._place(name)
        made = Resource(
            name=name,
            region=region,
            account=account,
            document=asked,
            maker=self._caller.access_key_id,
        )
        kept[made.place] = made
        return made

    def create_model(self, asked: Document) -> Document:
        self._create(self._resources.models, "model", asked["ModelName"], asked)
        return {"ModelArn": self._arn("model", asked["ModelName"])}

    def describe_model(self, asked: Document) -> Document:
        name = asked["ModelName"]
        model = self._resources.models.get(self._place(name))
        if model is None:
            raise self._missing("model", "model", name)
        times = {"CreationTime": _seconds(model.made)}
        return {**model.document, **times, "ModelArn": self._arn("model", name)}

    def delete_model(self, asked: Document) -> Document:
        if self._resources.models.pop(self._place(asked["ModelName"]), None) is None:
            raise self._missing("model", "model", asked["ModelName"])
        return {}

    def create_config(self, asked: Document) -> Document:
        name = asked["EndpointConfigName"]
        for number, variant in enumerate(asked["ProductionVariants"], 1):
            if not isinstance(variant, dict):
                raise SerializationException(misread(variant, "object"))
            check_name(
                variant.get("VariantName"), f"productionVariants.{number}.member.variantName"
            )
            self._model_of(variant)
        self._create(self._resources.configs, "endpoint-config", name, asked)
        return {"EndpointConfigArn": self._arn("endpoint-config", name)}

    def describe_config(self, asked: Document) -> Document:
        name = asked["EndpointConfigName"]
        config = self._resources.configs.get(self._place(name))
        if config is None:
            raise self._missing("endpoint-config", "endpoint configuration", name)
        arn = {"EndpointConfigArn": self._arn("endpoint-config", name)}
        return {**config.document, **arn, "CreationTime": _seconds(config.made)}

    def delete_config(self, asked: Document) -> Document:
        name = asked["EndpointConfigName"]
        if self._resources.configs.pop(self._place(name), None) is None:
            raise self._missing("endpoint-config", "endpoint configuration", name)
        return {}

    def create_endpoint(self, asked: Document) -> Document:
        """Create an endpoint, which fails if its model is none of the registry's."""
        name, config_name = asked["EndpointName"], asked["EndpointConfigName"]
        arn = self._arn("endpoint", name)
        config = self._resources.configs.get(self._place(config_name))
        if config is None:
            raise self._missing("endpoint-config", "endpoint configuration", config_name)
        if self._find(name) or self._place(name) in self._resources.failed:
            raise ValidationException(f'Cannot create already existing endpoint "{arn}".')
        if len(self._endpoints) >= MAX_RESOURCES:
            raise ServiceQuotaExceededException(
                f"The account has reached its limit of {MAX_RESOURCES:,} endpoints."
            )
        check_alone(self._services, "SageMaker's resources")
        model = self._model_of(config.document["ProductionVariants"][0])
        made = to_endpoint(config, model, name, self._services.registry)
        if isinstance(made, str):
            failed = {"EndpointConfigName": config_name, "FailureReason": made}
            self._create(self._resources.failed, "endpoint", name, failed)
        else:
            self._endpoints.add(made)
        return {"EndpointArn": arn}

    def _model_of(self, variant: Document) -> Resource:
        """Return the model of a variant. Raises `ValidationException`."""
        name = str(variant.get("ModelName"))
        model = self._resources.models.get(self._place(name))
        if model is None:
            raise self._missing("model", "model", name)
        return model

    def describe_endpoint(self, asked: Document) -> Document:
        name = asked["EndpointName"]
        if endpoint := self._find(name):
            return {**self._summary(endpoint), **_variants(endpoint)}
        failed = self._resources.failed.get(self._place(name))
        if failed is None:
            raise self._missing("endpoint", "endpoint", name)
        made = _seconds(failed.made)
        return {
            "EndpointName": name,
            "EndpointArn": self._arn("endpoint", name),
            **failed.document,
            "EndpointStatus": "Failed",
            "CreationTime": made,
            "LastModifiedTime": made,
        }

    def list_endpoints(self, asked: Document) -> Document:
        """Return the endpoints of the account, by name. `NextToken` is the next one's number."""
        start = int(token) if str(token := asked.get("NextToken") or 0).isdecimal() else 0
        most = asked.get("MaxResults") or 10
        if not isinstance(most, int) or not 0 < most <= MAX_LISTED:
            raise ValidationException(
                f"1 validation error detected: Value '{str(most)[:100]}' at 'maxResults' failed to"
                f" satisfy constraint: Member must have value less than or equal to {MAX_LISTED}"
            )
        contained = str(asked.get("NameContains") or "")
        region, account = self._caller.region, self._caller.account
        there = sorted(
            (each for each in self._endpoints if each.is_in(region, account)),
            key=lambda each: each.name,
        )
        there = [each for each in there if contained in each.name]
        more = {"NextToken": str(start + most)} if len(there) > start + most else {}
        return {"Endpoints": [*map(self._summary, there[start : start + most])], **more}

    def delete_endpoint(self, asked: Document) -> Document:
        name = asked["EndpointName"]
        if self._resources.failed.pop(self._place(name), None):
            return {}
        endpoint = self._find(name)
        if endpoint is None:
            raise self._missing("endpoint", "endpoint", name)
        if endpoint.config is None:
            raise ValidationException(f"The endpoint {name} is in Invoke API's registry.")
        check_alone(self._services, "SageMaker's resources")
        self._endpoints.remove(endpoint)
        return {}

    def no_tags(self, asked: Document) -> Document:
        """Answer with the tags of the request: they are not kept."""
        return {"Tags": asked.get("Tags") or []}

    def _find(self, name: str) -> Endpoint | None:
        return self._endpoints.find(name, self._caller.region, self._caller.account)

    def _summary(self, endpoint: Endpoint) -> Document:
        made = _seconds(endpoint.made)
        return {
            "EndpointName": endpoint.name,
            "EndpointArn": self._arn("endpoint", endpoint.name),
            "CreationTime": made,
            "LastModifiedTime": made,
            "EndpointStatus": "InService",
        }


def _variants(endpoint: Endpoint) -> Document:
    variant = {
        "VariantName": endpoint.variant,
        "CurrentWeight": 1.0,
        "DesiredWeight": 1.0,
        "CurrentInstanceCount": 1,
        "DesiredInstanceCount": 1,
    }
    name = endpoint.config or endpoint.name
    return {"EndpointConfigName": name, "ProductionVariants": [variant]}


def _seconds(moment: datetime) -> float:
    return round(moment.timestamp(), 3)


Answer = Callable[[Plane, Document], Document]
# The operations: the members that must be there, and the method that answers.
OPERATIONS: Mapping[str, tuple[Mapping[str, str], Answer]] = {
    "CreateModel": ({"ModelName": "string"}, Plane.create_model),
    "DescribeModel": ({"ModelName": "string"}, Plane.describe_model),
    "DeleteModel": ({"ModelName": "string"}, Plane.delete_model),
    "CreateEndpointConfig": (
        {"EndpointConfigName": "string", "ProductionVariants": "array"},
        Plane.create_config,
    ),
    "DescribeEndpointConfig": ({"EndpointConfigName": "string"}, Plane.describe_config),
    "DeleteEndpointConfig": ({"EndpointConfigName": "string"}, Plane.delete_config),
    "CreateEndpoint": (
        {"EndpointName": "string", "EndpointConfigName": "string"},
        Plane.create_endpoint,
    ),
    "DescribeEndpoint": ({"EndpointName": "string"}, Plane.describe_endpoint),
    "ListEndpoints": ({}, Plane.list_endpoints),
    "DeleteEndpoint": ({"EndpointName": "string"}, Plane.delete_endpoint),
    "AddTags": ({}, Plane.no_tags),
    "ListTags": ({}, Plane.no_tags),
}
