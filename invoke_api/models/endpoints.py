"""SageMaker endpoints in the registry: their models, containers and limits."""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

# Environment variables that limit a container: the field of `Endpoint` for each.
LIMITS = {
    "MAX_INPUT_LENGTH": "max_input_length",
    "MAX_TOTAL_TOKENS": "max_total_tokens",
    "MAX_CONCURRENT_REQUESTS": "max_concurrent_requests",
    "MAX_BEST_OF": "max_best_of",
    "MAX_STOP_SEQUENCES": "max_stop_sequences",
    "MAX_TOP_N_TOKENS": "max_top_n_tokens",
}
Mistake = tuple[list[str | int], str]  # its path in the document, and a message


@dataclass(frozen=True, slots=True, kw_only=True)
class Endpoint:
    """A SageMaker endpoint. Its model runs in a container, whose limits its environment sets.

    `container` is a key of `CONTAINERS` (invoke_api/sagemaker/containers.py). An endpoint without
    `account` or `region` exists in all of them. The defaults are those of TGI's launcher.
    """

    name: str
    model_id: str
    container: str
    account: str | None = None
    region: str | None = None
    max_input_length: int = 1_024  # tokens of the prompt
    max_total_tokens: int = 2_048  # tokens of prompt and answer
    max_concurrent_requests: int = 128
    max_best_of: int = 2
    max_stop_sequences: int = 4
    max_top_n_tokens: int = 5


class Endpoints:
    """The endpoints of the registry, and the number of calls in flight at each of them."""

    def __init__(self, endpoints: Sequence[Endpoint] = ()) -> None:
        self._by_name = {endpoint.name: endpoint for endpoint in endpoints}
        self._in_flight: Counter[str] = Counter()

    def __len__(self) -> int:
        return len(self._by_name)

    def __iter__(self) -> Iterator[Endpoint]:
        return iter(self._by_name.values())

    def get(self, name: str) -> Endpoint | None:
        return self._by_name.get(name)

    def find(self, name: str, region: str, account: str | None) -> Endpoint | None:
        """Return the endpoint with this name in a region, or None.

        `account` is the caller's, or None if it is not known.
        """
        found = self._by_name.get(name)
        if found is None or found.region not in (None, region):
            return None
        return found if account is None or found.account in (None, account) else None

    def of(self, models: Mapping[str, object]) -> "Endpoints":
        """Return the endpoints whose models are among these, by model id."""
        return Endpoints([each for each in self if each.model_id in models])

    @contextmanager
    def calling(self, endpoint: Endpoint) -> Iterator[bool]:
        """Count a call in flight. Yield False if the container takes no further one."""
        name = endpoint.name
        takes = self._in_flight[name] < endpoint.max_concurrent_requests
        self._in_flight[name] += takes
        try:
            yield takes
        finally:
            self._in_flight[name] -= takes


def to_endpoints(document: Mapping[str, Any]) -> Endpoints:
    """Return the endpoints of a valid registry document."""
    return Endpoints([_to_endpoint(entry) for entry in document.get("endpoints", [])])


def _to_endpoint(entry: Mapping[str, Any]) -> Endpoint:
    environment = entry.get("environment", {})
    limits = {field: environment[name] for name, field in LIMITS.items() if name in environment}
    return Endpoint(
        name=entry["name"],
        model_id=entry["model"],
        container=entry["container"],
        account=entry.get("account"),
        region=entry.get("region"),
        **limits,
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
