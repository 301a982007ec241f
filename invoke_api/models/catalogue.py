"""What the catalogue says of models and inference profiles: the records of `bedrock`'s operations.

Keys stand in the service model's order, as the recorded summary of Mistral 7B has them.
"""

from collections.abc import Sequence
from datetime import UTC, date, datetime, time
from typing import Any

from invoke_api.models.arns import OwnArn
from invoke_api.models.identifiers import PARTITIONS, Identifier
from invoke_api.models.listing import Listing
from invoke_api.models.profiles import Profile


def to_summary(listing: Listing, region: str) -> dict[str, Any]:
    """One of ListFoundationModels' `modelSummaries`, and GetFoundationModel's `modelDetails`."""
    return {
        "modelArn": model_arn(listing.id, region),
        "modelId": listing.id,
        "modelName": listing.name,
        "providerName": listing.provider,
        "inputModalities": listing.input_modalities,
        "outputModalities": listing.output_modalities,
        "responseStreamingSupported": True,
        "customizationsSupported": [],  # AWS lets no model of Mistral's be customized
        "inferenceTypesSupported": listing.inference_types(region),
        "modelLifecycle": _to_lifecycle(listing.launched, listing.end_of_life),
        # In no service model, and so in no SDK's result. Where it stands is a guess.
        "converse": listing.converse,
    }


def _to_lifecycle(launched: date | None, end_of_life: date | None) -> dict[str, str]:
    """Guess: whatever has an end ahead is a legacy model; a day begins at midnight, in UTC."""
    days = {"startOfLifeTime": launched, "endOfLifeTime": end_of_life}
    times = {name: _to_time(day) for name, day in days.items() if day}
    return {"status": "LEGACY" if end_of_life else "ACTIVE", **times}


def _to_time(day: date) -> str:
    return f"{datetime.combine(day, time(tzinfo=UTC)):%Y-%m-%dT%H:%M:%SZ}"


def to_profile(listing: Listing, profile_id: str, region: str, account: str) -> dict[str, Any]:
    """One of ListInferenceProfiles' summaries, and the whole of GetInferenceProfile's answer.

    Bedrock gives the time of its making too, which nobody has told for Mistral's.
    """
    regions = listing.profiles[profile_id]
    model = _spoken(listing)
    return {
        "inferenceProfileName": f"{profile_id.partition('.')[0].upper()} {model}",
        "description": f"Routes requests to {model} in {_enumerated(regions)}.",
        "inferenceProfileArn": (
            f"arn:{PARTITIONS[region]}:bedrock:{region}:{account}:inference-profile/{profile_id}"
        ),
        "models": [{"modelArn": model_arn(listing.id, each)} for each in regions],
        "inferenceProfileId": profile_id,
        "status": "ACTIVE",
        "type": "SYSTEM_DEFINED",
    }


def to_application_profile(profile: Profile, through: Listing | None) -> dict[str, Any]:
    """The same of a profile that an application has made.

    `through` is the model of Bedrock's profile that it copies, None where it copies a model.
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
    """The same of one that the registry names; nobody knows when it was made."""
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
    """GetFoundationModelAvailability's answer: who has no access has made no agreement."""
    offered = bool(listing.inference_types(region))
    return {
        # Heard so of three models: what stands behind the last colon is not repeated.
        "modelId": listing.id.partition(":")[0],
        "agreementAvailability": {"status": "AVAILABLE" if is_run else "NOT_AVAILABLE"},
        "authorizationStatus": "AUTHORIZED",
        "entitlementAvailability": "AVAILABLE",
        "regionAvailability": "AVAILABLE" if offered else "NOT_AVAILABLE",
    }


def model_arn(model_id: str, region: str) -> str:
    return f"arn:{PARTITIONS[region]}:bedrock:{region}::foundation-model/{model_id}"


def _spoken(listing: Listing) -> str:
    """As the User Guide calls the model of a profile: Mistral Pixtral Large 25.02."""
    vendor = listing.provider.partition(" ")[0]
    name = listing.name.replace("(", "").replace(")", "")
    return name if name.startswith(vendor) else f"{vendor} {name}"


def _enumerated(regions: tuple[str, ...]) -> str:
    *most, last = regions
    return f"{', '.join(most)} and {last}" if most else last


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
        "creationTime": _to_exact_time(made),
        "lastModifiedTime": _to_exact_time(made),
    }


def to_deployment(own: OwnArn, _: Listing, made: datetime) -> dict[str, Any]:
    """GetCustomModelDeployment's answer."""
    return {
        "customModelDeploymentArn": own.identifier.text,
        "modelDeploymentName": own.called,
        "modelArn": _custom_model_arn(own),
        "createdAt": _to_exact_time(made),
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
        "creationTime": _to_exact_time(made),
    }


def _custom_model_arn(own: OwnArn) -> str:
    place = f"arn:{PARTITIONS[own.region]}:bedrock:{own.region}:{own.identifier.account}"
    return f"{place}:custom-model/imported/{own.identifier.id}"


def _to_exact_time(moment: datetime) -> str:
    return f"{moment:%Y-%m-%dT%H:%M:%S.%fZ}"
