"""Who wants calls logged: one configuration for each account and region, kept in memory."""

from collections.abc import Mapping
from typing import Any

Configuration = Mapping[str, Any]  # the service model's LoggingConfig

# What the operator who names a folder is taken to have put. Bedrock wants a bucket named.
OF_THE_OPERATOR: Configuration = {
    "s3Config": {"bucketName": "invocation-log"},
    "textDataDeliveryEnabled": True,
    "imageDataDeliveryEnabled": True,
    "embeddingDataDeliveryEnabled": True,
}


class LoggingConfigurations:
    """`initial` holds for every account and region until somebody puts another there."""

    def __init__(self, initial: Configuration | None = None) -> None:
        self._initial = initial
        self._put: dict[tuple[str, str], Configuration | None] = {}

    def of(self, account: str, region: str) -> Configuration | None:
        return self._put.get((account, region), self._initial)

    def put(self, account: str, region: str, configuration: Configuration | None) -> None:
        """None for no logging at all."""
        self._put[account, region] = configuration

    def wants_text(self, account: str, region: str) -> bool:
        """Guess: who does not say whether texts are wanted wants them."""
        configuration = self.of(account, region)
        return configuration is not None and configuration.get("textDataDeliveryEnabled", True)
