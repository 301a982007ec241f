"""SageMaker's models, endpoint configurations and endpoints that callers create, in memory."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from invoke_api.models.endpoints import Endpoint, read_environment
from invoke_api.models.registry import Registry

MAX_RESOURCES = 1_000  # of each kind, of all accounts together, to bound the memory


@dataclass(frozen=True, slots=True, kw_only=True)
class Resource:
    """A model, an endpoint configuration or an endpoint that failed, as its caller created it."""

    name: str
    region: str
    account: str
    document: Mapping[str, Any]
    maker: str | None = None
    made: datetime = field(default_factory=lambda: datetime.now(UTC))

    @property
    def place(self) -> tuple[str, str, str]:
        """Return the region, account and name."""
        return self.region, self.account, self.name


@dataclass(slots=True)
class Resources:
    """The resources of all accounts and regions, by their places."""

    models: dict[tuple[str, str, str], Resource] = field(default_factory=dict)
    configs: dict[tuple[str, str, str], Resource] = field(default_factory=dict)
    failed: dict[tuple[str, str, str], Resource] = field(default_factory=dict)

    def clear(self, maker: str | None = None) -> None:
        """Delete all resources, or those that one access key has created."""
        for kept in (self.models, self.configs, self.failed):
            for place in [key for key, one in kept.items() if maker in (None, one.maker)]:
                del kept[place]


def to_endpoint(config: Resource, model: Resource, name: str, registry: Registry) -> Endpoint | str:
    """Return the endpoint that a configuration describes, or the reason why it fails.

    JumpStart names the model in the place of its weights, other callers in `HF_MODEL_ID`.
    """
    container = _as_map(model.document.get("PrimaryContainer"))
    others = model.document.get("Containers")
    if not container and isinstance(others, list) and others:
        container = _as_map(others[0])
    environment = _as_map(container.get("Environment"))
    weights = str(environment.get("HF_MODEL_ID", ""))
    model_id = _find_model(registry, weights, str(container), model.name)
    if model_id is None:
        return f"Invoke API runs no model for {(weights or model.name)!r}."
    try:
        limits = read_environment(environment)
    except ValueError as error:
        return f"The container's environment is invalid: {error}."
    return Endpoint(
        name=name,
        model_id=model_id,
        container=_to_container(str(container.get("Image", ""))),
        account=config.account,
        region=config.region,
        config=config.name,
        variant=config.document["ProductionVariants"][0]["VariantName"],
        maker=config.maker,
        **limits,  # type: ignore[arg-type]  # mypy tells no field from another
    )


def _as_map(value: object) -> Mapping[str, Any]:
    """Return a map, also for a value of another type, which says nothing."""
    return value if isinstance(value, dict) else {}


def _find_model(registry: Registry, weights: str, container: str, name: str) -> str | None:
    """Return the id of the model with these weights, or with JumpStart's name for it."""
    for model in registry.models.values():
        if weights and weights == model.weights:
            return model.id
    known = [each for each in registry.endpoints if each.name in container or each.name in name]
    return max(known, key=lambda each: len(each.name)).model_id if known else None


def _to_container(image: str) -> str:
    """Return the container of an image, by the name of AWS's deep-learning images."""
    if "djl" in image or "lmi" in image:
        return "lmi"
    found = re.search(r"tgi(\d+)", image)
    return "tgi-3" if found and int(found[1]) >= 2 else "tgi-1.1"
