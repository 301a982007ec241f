"""Options in the headers of a request: latency, service tier, metadata."""

from collections.abc import Mapping

from invoke_api.registry import Model
from invoke_api.validation.request_metadata import check_metadata
from invoke_api.wire.errors import ValidationException

LATENCY = "x-amzn-bedrock-performanceconfig-latency"
SERVICE_TIER = "x-amzn-bedrock-service-tier"
METADATA = "x-amzn-bedrock-request-metadata"
# Guess: the service model has both in the answer, and no recording shows when.
REPEATED = {
    LATENCY: "X-Amzn-Bedrock-PerformanceConfig-Latency",
    SERVICE_TIER: "X-Amzn-Bedrock-Service-Tier",
}
TIERS = ("priority", "default", "flex", "reserved")  # the service model's ServiceTierType


def grant_options(headers: Mapping[str, str], model: Model, region: str) -> dict[str, str]:
    """The headers that the answer repeats. Raises `ValidationException` for what can't be had.

    Names of headers are in small letters, as ASGI has them.
    """
    if headers.get(LATENCY) == "optimized":
        raise ValidationException(
            f"Latency performance configuration is not supported for {model.id} in {region}"
        )
    check_tier(headers.get(SERVICE_TIER), model)
    if metadata := headers.get(METADATA):
        check_metadata(metadata)
    return {name: headers[key] for key, name in REPEATED.items() if key in headers}


def check_tier(tier: str | None, model: Model) -> None:
    """Raises `ValidationException` for a tier that the model can't be had in."""
    if tier in (None, "default", "auto"):  # OpenAI's name for what is the default here
        return
    if tier not in TIERS:
        raise ValidationException("service tier provided is invalid")
    if tier == "reserved":
        raise ValidationException("Reservation not found.")
    if tier not in model.service_tiers:
        raise ValidationException("The provided service tier is not supported for this model.")
