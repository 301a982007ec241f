"""The model registry: read a YAML file into `Model` records, and find them by identifiers."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

import orjson
from jsonschema import SchemaError, ValidationError

from engine.lora import Adapter, to_adapter
from engine.protocol import EngineLimits
from engine.vllm import options as vllm_options
from engine.vllm.device_counts import count_problems
from invoke_api.bundled import ROOT
from invoke_api.dialects import Dialect, imported, open_dialect
from invoke_api.dialects.converse_checks import Abilities
from invoke_api.dialects.model_servers import SERVERS, ModelServer, name_server
from invoke_api.models.arns import NO_ARNS, Arns, OwnArn, arn_problems, to_arns
from invoke_api.models.endpoints import Endpoints, endpoint_problems, to_endpoints
from invoke_api.models.identifiers import Identifier
from invoke_api.models.listing import Listing, Problem, listing_problems, to_listing
from invoke_api.validation.body_forms import FormSchemas
from invoke_api.validation.schema import BodySchema
from invoke_api.validation.serde_errors import InvalidBody
from invoke_api.wire.errors import (
    END_OF_LIFE,
    NOT_ON_DEMAND,
    AccessDeniedException,
    ResourceNotFoundException,
    ValidationException,
)
from invoke_api.yaml_files import (
    SCHEMAS,
    ConfigError,
    Source,
    find_mistakes,
    load_schema,
    read_config,
)

DEFAULT_REGISTRY = ROOT / "model_registry.yaml"
# vLLM's engine arguments for which the registry has a key of its own.
REGISTRY_KEYS_OF_OPTIONS = {"model": "weights", "max_model_len": "context_length"}
# Defaults of `abilities` by dialect. Of imported models only GPT-OSS has tools, and that one has no
# Converse (User Guide, invoke-imported-model).
DEFAULT_ABILITIES = {"imported": {"tools": False}}
MODEL_KINDS = ("id", "foundation-model")  # kinds of identifiers of catalogued models


@dataclass(frozen=True, slots=True, kw_only=True)
class Model:
    """A model that this service runs, as the registry describes it.

    `where_weights` is the file and line that name the weights.
    """

    listing: Listing
    dialect_name: str
    dialect: Dialect
    schema: BodySchema | FormSchemas
    server: ModelServer
    tokenizer: str
    context_length: int
    abilities: Abilities
    service_tiers: tuple[str, ...]
    requests_per_minute: int | None
    tokens_per_minute: int | None
    engine: str
    weights: str
    adapter: Adapter | None
    stand_in: str | None
    demo: str
    vllm: Mapping[str, Any]
    remote: Mapping[str, Any]
    limits: EngineLimits
    where_weights: str
    created: int | None
    id: str = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "id", self.listing.id)  # it is frozen

    def parse_body(self, raw: bytes) -> dict[str, Any]:
        """Return an InvokeModel body with its defaults. Raises `ValidationException`."""
        return self.fill_body(self.schema.read(raw))

    def fill_body(
        self,
        value: Any,  # noqa: ANN401 - any JSON
        *,
        prefix: str = "",
        shown: Mapping[str, Any] = {},
    ) -> dict[str, Any]:
        """Return a parsed InvokeModel body with its defaults.

        Raises `ValidationException` in the words of the model server, after `prefix`. The message
        quotes the body with the members of `shown`.
        """

        def word(errors: Iterable[ValidationError]) -> str:
            return self.server.word_body(InvalidBody(value, errors, self.id, shown), prefix)

        return self.schema.fill(value, word)


@dataclass(frozen=True, slots=True)
class Registry:
    """The models that the service runs, and the listings of all models that Bedrock knows.

    `arns` are the ARNs of accounts' own models and profiles, `endpoints` those of SageMaker.
    """

    models: Mapping[str, Model]
    listings: Mapping[str, Listing]
    arns: Arns = NO_ARNS
    endpoints: Endpoints = field(default_factory=Endpoints)
    profiles: Mapping[str, Listing] = field(init=False)  # by the ids of their profiles

    def __post_init__(self) -> None:
        profiles = {name: each for each in self.listings.values() for name in each.profiles}
        object.__setattr__(self, "profiles", profiles)  # it is frozen

    def find(self, identifier: Identifier, region: str, account: str | None = None) -> Model:
        """Return the model that a call in this region names.

        `account` is the caller's, or None if it is not known. ARNs and names of other accounts are
        not found. Raises `ValidationException`, `ResourceNotFoundException` and
        `AccessDeniedException`, as Bedrock does.
        """
        # Recorded for ARNs of application profiles. Guess: foundation-model ARNs.
        if identifier.region not in (None, region):
            raise _invalid()
        own = self.find_own(identifier, region, account)
        listing = self.listings[own.model_id] if own else self._listing(identifier, region)
        if listing.is_retired:
            raise ResourceNotFoundException(END_OF_LIFE)
        if listing.id not in self.models:
            raise AccessDeniedException
        return self.models[listing.id]

    def names(self) -> set[str]:
        """Return the ids and names by which calls can name a model, without ARNs."""
        own = {each.called for each in self.arns}
        endpoints = {endpoint.name for endpoint in self.endpoints}
        return {*self.models, *self.listings, *self.profiles, *own, *endpoints}

    def offered(self, region: str) -> list[Listing]:
        """Return the models that AWS offers in a region. Guess: without retired ones."""
        return [
            listing
            for listing in self.listings.values()
            if listing.inference_types(region) and not listing.is_retired
        ]

    def find_known(self, identifier: Identifier) -> Listing:
        """Return a catalogued model by its id or ARN. Raises `ValidationException`."""
        listing = self.listings.get(identifier.id) if identifier.kind in MODEL_KINDS else None
        if listing is None or not listing.is_catalogued:
            raise _invalid()
        return listing

    def find_listed(self, identifier: Identifier, region: str) -> Listing:
        """Return a catalogued model that AWS offers in a region, on demand or by a profile.

        Raises `ValidationException` and `ResourceNotFoundException`.
        """
        if identifier.region not in (None, region):
            raise _invalid()
        listing = self.find_known(identifier)
        if not listing.inference_types(region):
            raise ResourceNotFoundException
        return listing

    def find_profile(self, identifier: Identifier, region: str) -> Listing | None:
        """Return the model behind a system-defined profile that a region may call, or None."""
        if identifier.kind in ("id", "inference-profile") and identifier.region in (None, region):
            listing = self.profiles.get(identifier.id)
            if listing and region in listing.profiles[identifier.id]:
                return listing
        return None

    def find_own(
        self, identifier: Identifier, region: str, account: str | None = None
    ) -> OwnArn | None:
        """Return an account's own ARN in a region, by the ARN or its name, or None."""
        return self.arns.find(identifier, region, account)

    def _listing(self, identifier: Identifier, region: str) -> Listing:
        if listing := self.find_profile(identifier, region):
            return listing
        listing = self.find_known(identifier)
        if not listing.is_on_demand:
            raise ValidationException(NOT_ON_DEMAND.format(model_id=identifier.id))
        if not listing.is_on_demand_in(region):
            raise ResourceNotFoundException
        return listing

    def only(self, ids: Sequence[str]) -> "Registry":
        """Return a registry that runs only these models, or all if `ids` is empty.

        Raises `ConfigError` for an unknown id.
        """
        unknown = [model_id for model_id in ids if model_id not in self.models]
        if unknown:
            known = "\n  ".join(self.models)
            raise ConfigError(f"there is no model {unknown[0]!r}; the registry has\n  {known}")
        models = {key: self.models[key] for key in ids} if ids else self.models
        return Registry(models, self.listings, self.arns, self.endpoints.of(models))


def _invalid() -> ValidationException:
    return ValidationException("The provided model identifier is invalid.")


def load_registry(path: Path) -> Registry:
    """Read a registry. Raises `ConfigError` with every mistake in the file."""
    document, source = read_config(path)
    if mistakes := list(find_mistakes(document, source, "model_registry.json", name="id")):
        raise ConfigError("\n".join(mistakes))
    if contradictions := list(_find_contradictions(document, source)):
        raise ConfigError("\n".join(contradictions))
    models = [
        _to_model(entry, source.where(["models", index, "weights"]))
        for index, entry in enumerate(document["models"])
    ]
    others = [to_listing(entry) for entry in document.get("not_run", [])]
    return Registry(
        {model.id: model for model in models},
        {listing.id: listing for listing in [*(model.listing for model in models), *others]},
        to_arns(document),
        to_endpoints(document),
    )


def _find_contradictions(document: dict[str, Any], source: Source) -> Iterator[str]:
    """Yield mistakes that a JSON schema can't express, such as duplicate or unknown names."""
    for steps, model_id, problem in [*listing_problems(document), *_model_problems(document)]:
        yield f"{source.where(steps)}: model {model_id!r}{problem}"
    for steps, sentence in [*arn_problems(document), *endpoint_problems(document)]:
        yield f"{source.where(steps)}: {sentence}"


def _model_problems(document: dict[str, Any]) -> Iterator[Problem]:
    for index, entry in enumerate(document["models"]):
        for wrong in _schema_problems(entry["schema"]) if "schema" in entry else ():
            yield ["models", index, "schema"], entry["id"], f": {wrong}"
        for option, value in entry.get("vllm", {}).items():
            if problem := _option_problem(option, value):
                yield ["models", index, "vllm", option], entry["id"], f": {problem}"
        if entry["engine"] == "vllm":
            for option, problem in count_problems(entry["weights"], entry.get("vllm", {})):
                yield ["models", index, "vllm", option], entry["id"], f": {problem}"


def _option_problem(option: str, value: object) -> str | None:
    if option in REGISTRY_KEYS_OF_OPTIONS:
        return f"set {REGISTRY_KEYS_OF_OPTIONS[option]!r} instead of {option!r}"
    return vllm_options.explain_option(option, value)


@cache
def _body_schema(name: str) -> BodySchema:
    """Return a schema, checked once: checks take longer than the rest of the start."""
    return BodySchema(load_schema(name))


def _schema_problems(name: str) -> Iterator[str]:
    try:
        _body_schema(name)
    except FileNotFoundError:
        yield f"there is no schema {SCHEMAS / name}"
    except (orjson.JSONDecodeError, SchemaError) as error:
        yield f"{SCHEMAS / name} is no JSON Schema: {error}"


def _to_schema(entry: dict[str, Any]) -> BodySchema | FormSchemas:
    if "schema" in entry:
        return _body_schema(entry["schema"])
    return FormSchemas(
        schemas={form: _body_schema(name) for form, name in imported.SCHEMAS.items()},
        find_form=imported.find_form,
        normalize=imported.normalize,
    )


def _to_model(entry: dict[str, Any], where_weights: str) -> Model:
    defaults = DEFAULT_ABILITIES.get(entry["dialect"], {})
    abilities = Abilities(**defaults | entry.get("abilities", {}))
    answers = entry.get("answers", "2025")
    return Model(
        listing=to_listing(entry),
        dialect_name=entry["dialect"],
        dialect=open_dialect(entry["dialect"], model_id=entry["id"], answers=answers),
        schema=_to_schema(entry),
        server=SERVERS[name_server(entry["dialect"], abilities.template, answers)],
        tokenizer=entry["tokenizer"],
        context_length=entry["context_length"],
        abilities=abilities,
        service_tiers=tuple(entry.get("service_tiers", ["default"])),
        requests_per_minute=entry.get("quotas", {}).get("requests_per_minute"),
        tokens_per_minute=entry.get("quotas", {}).get("tokens_per_minute"),
        engine=entry["engine"],
        weights=entry["weights"],
        adapter=to_adapter(**entry["lora"]) if "lora" in entry else None,
        stand_in=entry.get("stand_in"),
        demo=entry["demo"],
        vllm=entry.get("vllm", {}),
        remote=entry.get("remote", {}),
        limits=EngineLimits(**entry.get("limits", {})),
        where_weights=where_weights,
        created=entry.get("openai", {}).get("created"),
    )
