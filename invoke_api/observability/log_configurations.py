"""Configurations of the invocation log, one per account and region, kept in memory."""

from collections.abc import Mapping
from typing import Any

Configuration = Mapping[str, Any]  # the service model's LoggingConfig

# The default if the operator names a folder. Bedrock's configuration needs a bucket.
OPERATOR_CONFIGURATION: Configuration = {
    "s3Config": {"bucketName": "invocation-log"},
    "textDataDeliveryEnabled": True,
    "imageDataDeliveryEnabled": True,
    "embeddingDataDeliveryEnabled": True,
}


class LoggingConfigurations:
    """The logging configurations. `initial` applies to accounts and regions without their own."""

    def __init__(self, initial: Configuration | None = None) -> None:
        self._initial = initial
        self._put: dict[tuple[str, str], Configuration | None] = {}

    def of(self, account: str, region: str) -> Configuration | None:
        return self._put.get((account, region), self._initial)

    def put(self, account: str, region: str, configuration: Configuration | None) -> None:
        """Set the configuration of an account and region; None disables logging."""
        self._put[account, region] = configuration

    def wants_text(self, account: str, region: str) -> bool:
        """Tell whether texts are logged. Guess: they are if the configuration does not say."""
        configuration = self.of(account, region)
        return configuration is not None and configuration.get("textDataDeliveryEnabled", True)
