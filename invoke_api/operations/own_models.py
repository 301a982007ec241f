"""Get and List of provisioned models, custom-model deployments and imported models.

They are those of the registry's file: nothing makes or changes one here.
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
from invoke_api.models.identifiers import Own, parse_identifier
from invoke_api.models.listing import Listing
from invoke_api.operations.paging import to_page
from invoke_api.pipeline.admission import read_and_admit
from invoke_api.pipeline.call import Call
from invoke_api.pipeline.responses import Reply, json_reply
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

NOT_FOUND = "The provided {kind} identifier is not found."  # guess
Describe = Callable[[OwnArn, Listing, datetime], dict[str, Any]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Kind:
    """One kind of ARN, with its Get and List operations.

    `get` has one member, which stands in the path. `summaries` is the name of a list's entries,
    `arn` and `made` the keys of their ARNs and times.
    """

    kind: Own
    get: Mapping[str, Member]
    list: Mapping[str, Member]
    describe: Describe
    summarize: Describe
    summaries: str
    arn: str
    made: str = "creationTime"


PROVISIONED = Kind(
    kind="provisioned-model",
    get=GET_PROVISIONED,
    list=LIST_PROVISIONED,
    describe=to_provisioned,
    summarize=to_provisioned,
    summaries="provisionedModelSummaries",
    arn="provisionedModelArn",
)
DEPLOYMENTS = Kind(
    kind="custom-model-deployment",
    get=GET_DEPLOYMENT,
    list=LIST_DEPLOYMENTS,
    describe=to_deployment,
    summarize=to_listed_deployment,
    summaries="modelDeploymentSummaries",
    arn="customModelDeploymentArn",
    made="createdAt",
)
IMPORTED = Kind(
    kind="imported-model",
    get=GET_IMPORTED,
    list=LIST_IMPORTED,
    describe=to_import,
    summarize=to_import,
    summaries="modelSummaries",
    arn="modelArn",
)


async def get_own(call: Call, *, kind: Kind) -> Reply:
    """Answer by ARN or name. Raise `ResourceNotFoundException`."""
    caller = await read_and_admit(call)
    check_query(kind.get, call.labels)
    [asked] = call.labels.values()
    registry = call.services.registry
    # As on InvokeModel, who is in no known account may name any.
    account = caller.account or parse_identifier(asked).account or caller.account_id
    for own in registry.arns.of(kind.kind, caller.region, account):
        if asked in (own.identifier.text, own.called):
            told = kind.describe(own, registry.listings[own.model_id], registry.arns.read)
            return json_reply(call, orjson.dumps(told))
    raise ResourceNotFoundException(NOT_FOUND.format(kind=kind.kind.replace("-", " ")))


async def list_own(call: Call, *, kind: Kind) -> Reply:
    caller = await read_and_admit(call)
    query = call.query
    check_query(kind.list, query)
    registry = call.services.registry
    told = [
        kind.summarize(own, registry.listings[own.model_id], registry.arns.read)
        for own in registry.arns.of(kind.kind, caller.region, caller.account_id)
        if query.get("nameContains", "") in own.called
    ]
    found = [entry for entry in told if _passes(entry, query, kind)]
    if query.get("sortOrder") == "Descending":  # of entries of one time
        found.reverse()
    return json_reply(call, orjson.dumps(to_page(found, query, name=kind.summaries, key=kind.arn)))


def _passes(entry: Mapping[str, Any], query: Mapping[str, str], kind: Kind) -> bool:
    equal = (("statusEquals", "status"), ("modelArnEquals", "modelArn"))
    if any(name in query and entry[key] != query[name] for name, key in equal):
        return False
    made = parse_time(entry[kind.made])
    assert made, "it is ours"
    prefix = kind.made.removesuffix("At")  # createdAfter, but creationTimeAfter
    after, before = (parse_time(query.get(prefix + name, "")) for name in ("After", "Before"))
    return (after is None or made > after) and (before is None or made < before)


def _to_routes(kind: Kind, get: str, listed: str, path: str, one: str) -> list[OperationRoute]:
    """A partial of a coroutine function is one to Starlette, too."""
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
