"""Get and List of provisioned models, custom-model deployments and imported models.

All of them come from the registry's file. There are no operations that create or change one.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from typing import Any

import orjson

from invoke_api.models.arns import OwnArn
from invoke_api.models.catalogue import (
    to_deployment,
    to_import,
    to_listed_deployment,
    to_provisioned,
)
from invoke_api.models.identifiers import OwnKind, parse_identifier
from invoke_api.models.listing import Listing
from invoke_api.operations.paging import to_page
from invoke_api.pipeline.admission import read_and_admit
from invoke_api.pipeline.call import Call
from invoke_api.pipeline.responses import HttpResponse, json_response
from invoke_api.pipeline.routes import OperationRoute
from invoke_api.validation.constraints import Member
from invoke_api.validation.queries import (
    GET_DEPLOYMENT,
    GET_IMPORTED,
    GET_PROVISIONED,
    LIST_DEPLOYMENTS,
    LIST_IMPORTED,
    LIST_PROVISIONED,
    check_query,
    parse_time,
)
from invoke_api.wire.errors import ResourceNotFoundException

OWN_MODEL_NOT_FOUND = "The provided {kind} identifier is not found."  # guess
Describe = Callable[[OwnArn, Listing, datetime], dict[str, Any]]


@dataclass(frozen=True, slots=True, kw_only=True)
class OwnModelKind:
    """The Get and List operations of one kind of ARN.

    `get` has one member, which is the label of the path. `summaries` is the key of the entries in a
    list. `arn` and `made` are the keys of an entry's ARN and creation time.
    """

    kind: OwnKind
    get: Mapping[str, Member]
    list: Mapping[str, Member]
    describe: Describe
    summarize: Describe
    summaries: str
    arn: str
    made: str = "creationTime"


PROVISIONED = OwnModelKind(
    kind="provisioned-model",
    get=GET_PROVISIONED,
    list=LIST_PROVISIONED,
    describe=to_provisioned,
    summarize=to_provisioned,
    summaries="provisionedModelSummaries",
    arn="provisionedModelArn",
)
DEPLOYMENTS = OwnModelKind(
    kind="custom-model-deployment",
    get=GET_DEPLOYMENT,
    list=LIST_DEPLOYMENTS,
    describe=to_deployment,
    summarize=to_listed_deployment,
    summaries="modelDeploymentSummaries",
    arn="customModelDeploymentArn",
    made="createdAt",
)
IMPORTED = OwnModelKind(
    kind="imported-model",
    get=GET_IMPORTED,
    list=LIST_IMPORTED,
    describe=to_import,
    summarize=to_import,
    summaries="modelSummaries",
    arn="modelArn",
)


async def get_own(call: Call, *, kind: OwnModelKind) -> HttpResponse:
    """Describe the model with this ARN or name. Raises `ResourceNotFoundException`."""
    caller = await read_and_admit(call)
    check_query(kind.get, call.labels)
    [asked] = call.labels.values()
    registry = call.services.registry
    # A caller without a known account may name any account, as on InvokeModel.
    account = caller.account or parse_identifier(asked).account or caller.account_id
    for own in registry.arns.of(kind.kind, caller.region, account):
        if asked in (own.identifier.text, own.called):
            described = kind.describe(own, registry.listings[own.model_id], registry.arns.read)
            return json_response(call, orjson.dumps(described))
    raise ResourceNotFoundException(OWN_MODEL_NOT_FOUND.format(kind=kind.kind.replace("-", " ")))


async def list_own(call: Call, *, kind: OwnModelKind) -> HttpResponse:
    caller = await read_and_admit(call)
    query = call.query
    check_query(kind.list, query)
    registry = call.services.registry
    described = [
        kind.summarize(own, registry.listings[own.model_id], registry.arns.read)
        for own in registry.arns.of(kind.kind, caller.region, caller.account_id)
        if query.get("nameContains", "") in own.called
    ]
    found = [entry for entry in described if _passes(entry, query, kind)]
    if query.get("sortOrder") == "Descending":  # all were created at the same time
        found.reverse()
    page = to_page(found, query, name=kind.summaries, key=kind.arn)
    return json_response(call, orjson.dumps(page))


def _passes(entry: Mapping[str, Any], query: Mapping[str, str], kind: OwnModelKind) -> bool:
    equal = (("statusEquals", "status"), ("modelArnEquals", "modelArn"))
    if any(name in query and entry[key] != query[name] for name, key in equal):
        return False
    made = parse_time(entry[kind.made])
    assert made, "the service writes valid times"
    prefix = kind.made.removesuffix("At")  # createdAfter, but creationTimeAfter
    after, before = (parse_time(query.get(prefix + name, "")) for name in ("After", "Before"))
    return (after is None or made > after) and (before is None or made < before)


def _to_routes(
    kind: OwnModelKind, get: str, listed: str, path: str, one: str
) -> list[OperationRoute]:
    """Return the routes of a kind's Get and List operations."""
    [label] = kind.get
    return [
        OperationRoute(path, partial(list_own, kind=kind), name=listed),
        OperationRoute(f"{one}/{{{label}:path}}", partial(get_own, kind=kind), name=get),
    ]


OWN_MODELS = [
    *_to_routes(
        PROVISIONED,
        "GetProvisionedModelThroughput",
        "ListProvisionedModelThroughputs",
        "/provisioned-model-throughputs",
        "/provisioned-model-throughput",
    ),
    *_to_routes(
        DEPLOYMENTS,
        "GetCustomModelDeployment",
        "ListCustomModelDeployments",
        "/model-customization/custom-model-deployments",
        "/model-customization/custom-model-deployments",
    ),
    *_to_routes(
        IMPORTED, "GetImportedModel", "ListImportedModels", "/imported-models", "/imported-models"
    ),
]
