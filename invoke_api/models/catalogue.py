"""Descriptions of models and inference profiles, as the operations of `bedrock` return them.

Keys are in the service model's order, as in the recorded summary of Mistral 7B.
"""

from collections.abc import Sequence
from datetime import UTC, date, datetime, time
from typing import Any

from invoke_api.models.arns import OwnArn
from invoke_api.models.identifiers import PARTITIONS, Identifier
from invoke_api.models.listing import Listing
from invoke_api.models.profiles import Profile


def to_summary(listing: Listing, region: str) -> dict[str, Any]:
    """Return an entry of ListFoundationModels, which is also GetFoundationModel's details."""
    return {
        "modelArn": model_arn(listing.id, region),
        "modelId": listing.id,
        "modelName": listing.name,
        "providerName": listing.provider,
        "inputModalities": listing.input_modalities,
        "outputModalities": listing.output_modalities,
        "responseStreamingSupported": True,
        "customizationsSupported": [],  # AWS offers it for no Mistral model
        "inferenceTypesSupported": listing.inference_types(region),
        "modelLifecycle": _to_lifecycle(listing.launched, listing.end_of_life),
        # Not in the service model, so SDKs drop it. Guess: its position.
        "converse": listing.converse,
    }


def _to_lifecycle(launched: date | None, end_of_life: date | None) -> dict[str, str]:
    """Return the lifecycle. Guess: an end of life means legacy, and days begin at 0:00 UTC."""
    days = {"startOfLifeTime": launched, "endOfLifeTime": end_of_life}
    times = {name: _to_time(day) for name, day in days.items() if day}
    return {"status": "LEGACY" if end_of_life else "ACTIVE", **times}


def _to_time(day: date) -> str:
    return f"{datetime.combine(day, time(tzinfo=UTC)):%Y-%m-%dT%H:%M:%SZ}"


def to_profile(listing: Listing, profile_id: str, region: str, account: str) -> dict[str, Any]:
    """Return a system-defined profile, for ListInferenceProfiles and GetInferenceProfile.

    Bedrock also returns when it was created, which is not known for Mistral's profiles.
    """
    regions = listing.profiles[profile_id]
    model = _display_name(listing)
    return {
        "inferenceProfileName": f"{profile_id.partition('.')[0].upper()} {model}",
        "description": f"Routes requests to {model} in {_join_regions(regions)}.",
        "inferenceProfileArn": (
            f"arn:{PARTITIONS[region]}:bedrock:{region}:{account}:inference-profile/{profile_id}"
        ),
        "models": [{"modelArn": model_arn(listing.id, each)} for each in regions],
        "inferenceProfileId": profile_id,
        "status": "ACTIVE",
        "type": "SYSTEM_DEFINED",
    }


def to_application_profile(profile: Profile, through: Listing | None) -> dict[str, Any]:
    """Return an application profile that was created at run time.

    `through` is the model behind the system-defined profile that it copies, or None if it copies a
    model.
    """
    source = profile.source
    arns = [source.text]
    if through:
        arns = [model_arn(through.id, region) for region in through.profiles[source.id]]
    made = f"{profile.made:%Y-%m-%dT%H:%M:%S.%fZ}"
    described = {"description": profile.description} if profile.description else {}
    return {
        "inferenceProfileName": profile.name,
        **described,
        "createdAt": made,
        "updatedAt": made,
        **_to_own(profile.identifier, arns),
    }


def to_configured_profile(own: OwnArn, listing: Listing) -> dict[str, Any]:
    """Return an application profile from the registry, which has no time of creation."""
    regions: tuple[str, ...] = (own.region,)
    if not listing.is_on_demand_in(own.region):
        regions = next((each for each in listing.profiles.values() if own.region in each), regions)
    arns = [model_arn(listing.id, each) for each in regions]
    return {
        "inferenceProfileName": own.called,
        **_to_own(own.identifier, arns),
    }


def _to_own(identifier: Identifier, arns: Sequence[str]) -> dict[str, Any]:
    return {
        "inferenceProfileArn": identifier.text,
        "models": [{"modelArn": arn} for arn in arns],
        "inferenceProfileId": identifier.id,
        "status": "ACTIVE",
        "type": "APPLICATION",
    }


def to_availability(listing: Listing, region: str, *, is_run: bool) -> dict[str, Any]:
    """Return GetFoundationModelAvailability's answer. Without access there is no agreement."""
    offered = bool(listing.inference_types(region))
    return {
        # Reported for three models: the id without its part after the colon.
        "modelId": listing.id.partition(":")[0],
        "agreementAvailability": {"status": "AVAILABLE" if is_run else "NOT_AVAILABLE"},
        "authorizationStatus": "AUTHORIZED",
        "entitlementAvailability": "AVAILABLE",
        "regionAvailability": "AVAILABLE" if offered else "NOT_AVAILABLE",
    }


def model_arn(model_id: str, region: str) -> str:
    return f"arn:{PARTITIONS[region]}:bedrock:{region}::foundation-model/{model_id}"


def _display_name(listing: Listing) -> str:
    """Return a profile's name for its model, as in the User Guide: Mistral Pixtral Large 25.02."""
    vendor = listing.provider.partition(" ")[0]
    name = listing.name.replace("(", "").replace(")", "")
    return name if name.startswith(vendor) else f"{vendor} {name}"


def _join_regions(regions: tuple[str, ...]) -> str:
    *most, last = regions
    return f"{', '.join(most)} and {last}" if most else last


def to_provisioned(own: OwnArn, listing: Listing, made: datetime) -> dict[str, Any]:
    """Return a provisioned model, for the Get and List operations."""
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
        "creationTime": _to_exact_time(made),
        "lastModifiedTime": _to_exact_time(made),
    }


def to_deployment(own: OwnArn, _: Listing, made: datetime) -> dict[str, Any]:
    """Return a deployment, for GetCustomModelDeployment."""
    return {
        "customModelDeploymentArn": own.identifier.text,
        "modelDeploymentName": own.called,
        "modelArn": _custom_model_arn(own),
        "createdAt": _to_exact_time(made),
        "status": "Active",
    }


def to_listed_deployment(own: OwnArn, listing: Listing, made: datetime) -> dict[str, Any]:
    """Return an entry of ListCustomModelDeployments, which has another key for the name."""
    told = to_deployment(own, listing, made)
    return {
        ("customModelDeploymentName" if key == "modelDeploymentName" else key): value
        for key, value in told.items()
    }


def to_import(own: OwnArn, _: Listing, made: datetime) -> dict[str, Any]:
    """Return an imported model, for the Get and List operations."""
    return {
        "modelArn": own.identifier.text,
        "modelName": own.called,
        "creationTime": _to_exact_time(made),
    }


def _custom_model_arn(own: OwnArn) -> str:
    place = f"arn:{PARTITIONS[own.region]}:bedrock:{own.region}:{own.identifier.account}"
    return f"{place}:custom-model/imported/{own.identifier.id}"


def _to_exact_time(moment: datetime) -> str:
    return f"{moment:%Y-%m-%dT%H:%M:%S.%fZ}"
