"""SageMaker endpoints, from the registry or created by callers: models, containers and limits."""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

# Environment variables that limit a container: the field of `Endpoint` for each.
LIMITS = {
    "MAX_INPUT_LENGTH": "max_input_length",
    "MAX_TOTAL_TOKENS": "max_total_tokens",
    "MAX_CONCURRENT_REQUESTS": "max_concurrent_requests",
    "MAX_BEST_OF": "max_best_of",
    "MAX_STOP_SEQUENCES": "max_stop_sequences",
    "MAX_TOP_N_TOKENS": "max_top_n_tokens",
    "MAX_CLIENT_BATCH_SIZE": "max_client_batch_size",
}
Mistake = tuple[list[str | int], str]  # its path in the document, and a message


@dataclass(frozen=True, slots=True, kw_only=True)
class Endpoint:
    """A SageMaker endpoint. Its model runs in a container, whose limits its environment sets.

    `container` is a key of `CONTAINERS` (invoke_api/sagemaker/containers/kinds.py). An endpoint
    without `account` or `region` exists in all of them. `config` is the name of its configuration,
    `variant` the name of its only variant, `maker` the access key id of the caller that created it.
    The defaults of the limits are those of TGI's launcher. An endpoint that `has_hub_model` loads
    its weights from Hugging Face's hub by itself.
    """

    name: str
    model_id: str
    container: str
    account: str | None = None
    region: str | None = None
    config: str | None = None
    variant: str = "AllTraffic"
    maker: str | None = None
    made: datetime = field(default_factory=lambda: datetime.now(UTC))
    max_input_length: int = 1_024  # tokens of the prompt
    max_total_tokens: int = 2_048  # tokens of prompt and answer
    max_concurrent_requests: int = 128
    max_best_of: int = 2
    max_stop_sequences: int = 4
    max_top_n_tokens: int = 5
    max_client_batch_size: int = 4
    has_hub_model: bool = False

    @property
    def place(self) -> tuple[str, str | None, str | None]:
        """Return the name, region and account."""
        return self.name, self.region, self.account

    def is_in(self, region: str, account: str | None) -> bool:
        """Tell whether it exists in a region and an account, which is None if it is not known."""
        return self.region in (None, region) and (
            account is None or self.account in (None, account)
        )


class Endpoints:
    """Endpoints, and the number of calls in flight at each of them."""

    def __init__(self, endpoints: Sequence[Endpoint] = ()) -> None:
        self._by_name: dict[str, list[Endpoint]] = {}
        for endpoint in endpoints:
            self.add(endpoint)
        self._in_flight: Counter[tuple[str, str | None, str | None]] = Counter()

    def __len__(self) -> int:
        return sum(map(len, self._by_name.values()))

    def __iter__(self) -> Iterator[Endpoint]:
        for named in self._by_name.values():
            yield from named

    def add(self, endpoint: Endpoint) -> None:
        self._by_name.setdefault(endpoint.name, []).append(endpoint)

    def remove(self, endpoint: Endpoint) -> None:
        self._by_name[endpoint.name].remove(endpoint)

    def clear(self, maker: str | None = None) -> None:
        """Delete all endpoints that callers have created, or those of one access key."""
        for endpoint in [*self]:
            if endpoint.config is not None and maker in (None, endpoint.maker):
                self.remove(endpoint)

    def find(self, name: str, region: str, account: str | None) -> Endpoint | None:
        """Return the endpoint with this name in a region, or None.

        `account` is the caller's, or None if it is not known.
        """
        named = self._by_name.get(name, ())
        return next((each for each in named if each.is_in(region, account)), None)

    def of(self, models: Mapping[str, object]) -> "Endpoints":
        """Return the endpoints whose models are among these, by model id."""
        return Endpoints([each for each in self if each.model_id in models])

    @contextmanager
    def calling(self, endpoint: Endpoint) -> Iterator[bool]:
        """Count a call in flight. Yield False if the container takes no further one."""
        takes = self._in_flight[endpoint.place] < endpoint.max_concurrent_requests
        self._in_flight[endpoint.place] += takes
        try:
            yield takes
        finally:
            self._in_flight[endpoint.place] -= takes


def read_environment(environment: Mapping[str, Any]) -> dict[str, int]:
    """Return what a container's environment sets, by the fields of `Endpoint`.

    Raises `ValueError` for one that is no positive integer.
    """
    limits = {}
    for name, field_ in LIMITS.items():
        if name in environment:
            limits[field_] = int(str(environment[name])[:20])
            if limits[field_] < 0:
                raise ValueError(f"{name} is negative")
    weights = str(environment.get("HF_MODEL_ID", ""))
    limits["has_hub_model"] = bool(weights) and not weights.startswith(("/", "."))
    return limits


def to_endpoints(document: Mapping[str, Any]) -> Endpoints:
    """Return the endpoints of a valid registry document."""
    return Endpoints([_to_endpoint(entry) for entry in document.get("endpoints", [])])


def _to_endpoint(entry: Mapping[str, Any]) -> Endpoint:
    return Endpoint(
        name=entry["name"],
        model_id=entry["model"],
        container=entry["container"],
        account=entry.get("account"),
        region=entry.get("region"),
        **read_environment(entry.get("environment", {})),  # type: ignore[arg-type]  # mypy tells no field from another
    )


def endpoint_problems(document: Mapping[str, Any]) -> Iterator[Mistake]:
    """Yield the mistakes in endpoints that the JSON schema can't express."""
    models = {entry["id"] for entry in document["models"]}
    seen: set[str] = set()
    for index, entry in enumerate(document.get("endpoints", [])):
        name, limits = entry["name"], _to_endpoint(entry)
        if name in seen:
            yield ["endpoints", index, "name"], f"the endpoint {name!r} occurs twice"
        seen.add(name)
        if entry["model"] not in models:
            where: list[str | int] = ["endpoints", index, "model"]
            yield where, f"the endpoint {name!r}: there is no model {entry['model']!r}"
        if limits.max_input_length >= limits.max_total_tokens:  # TGI's launcher refuses it
            problem = (
                f"MAX_INPUT_LENGTH ({limits.max_input_length}) must be less than MAX_TOTAL_TOKENS"
                f" ({limits.max_total_tokens})"
            )
            yield ["endpoints", index], f"the endpoint {name!r}: {problem}"
