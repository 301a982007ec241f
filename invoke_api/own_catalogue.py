"""Describe the registry's provisioned models, deployments and imports for Get and List.

Guesses: one unit for each provisioned model, and the time when the registry was read for that of
the making. Keys stand in the service model's order.
"""

from datetime import datetime
from typing import Any

from invoke_api.arns import OwnArn
from invoke_api.catalogue import model_arn
from invoke_api.identifiers import PARTITIONS
from invoke_api.listing import Listing


def to_provisioned(own: OwnArn, listing: Listing, made: datetime) -> dict[str, Any]:
    """One of ListProvisionedModelThroughputs', and GetProvisionedModelThroughput's answer."""
    model = model_arn(listing.id, own.region) if listing.is_catalogued else _custom_model_arn(own)
    return {
        "modelUnits": 1,
        "desiredModelUnits": 1,
        "provisionedModelName": own.called,
        "provisionedModelArn": own.identifier.text,
        "modelArn": model,
        "desiredModelArn": model,
        "foundationModelArn": model_arn(listing.id, own.region),
        "status": "InService",
        "creationTime": _to_time(made),
        "lastModifiedTime": _to_time(made),
    }


def to_deployment(own: OwnArn, _: Listing, made: datetime) -> dict[str, Any]:
    """GetCustomModelDeployment's answer."""
    return {
        "customModelDeploymentArn": own.identifier.text,
        "modelDeploymentName": own.called,
        "modelArn": _custom_model_arn(own),
        "createdAt": _to_time(made),
        "status": "Active",
    }


def to_listed_deployment(own: OwnArn, listing: Listing, made: datetime) -> dict[str, Any]:
    """One of ListCustomModelDeployments', which has another key for the name."""
    told = to_deployment(own, listing, made)
    return {
        ("customModelDeploymentName" if key == "modelDeploymentName" else key): value
        for key, value in told.items()
    }


def to_import(own: OwnArn, _: Listing, made: datetime) -> dict[str, Any]:
    """One of ListImportedModels', and GetImportedModel's answer."""
    return {
        "modelArn": own.identifier.text,
        "modelName": own.called,
        "creationTime": _to_time(made),
    }


def _custom_model_arn(own: OwnArn) -> str:
    place = f"arn:{PARTITIONS[own.region]}:bedrock:{own.region}:{own.identifier.account}"
    return f"{place}:custom-model/imported/{own.identifier.id}"


def _to_time(moment: datetime) -> str:
    return f"{moment:%Y-%m-%dT%H:%M:%S.%fZ}"
