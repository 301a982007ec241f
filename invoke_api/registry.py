"""The model registry: a YAML file into frozen `Model` records, found by whatever names them."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import orjson
from jsonschema import SchemaError

from engine import vllm_engine
from invoke_api.config_files import (
    ROOT,
    SCHEMAS,
    ConfigError,
    Source,
    find_mistakes,
    load_schema,
    read_config,
)
from invoke_api.dialects import DIALECTS, Dialect
from invoke_api.dialects.converse import Abilities
from invoke_api.identifiers import Identifier
from invoke_api.validation.schema import BodySchema
from invoke_api.wire.errors import (
    END_OF_LIFE,
    NOT_ON_DEMAND,
    AccessDeniedException,
    ResourceNotFoundException,
    ValidationException,
)

DEFAULT_REGISTRY = ROOT / "model_registry.yaml"
# vLLM's engine arguments that the registry has its own key for.
OURS = {"model": "weights", "max_model_len": "context_length"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Listing:
    """What Bedrock makes known of a model, whether this service runs it or not.

    `regions` is where it can be had on demand, None for everywhere; `profiles` are the ids of its
    inference profiles, each with the regions it may be called from.
    """

    id: str
    name: str
    regions: tuple[str, ...] | None
    profiles: Mapping[str, tuple[str, ...]]
    end_of_life: date | None

    @property
    def is_on_demand(self) -> bool:
        return self.regions is None or bool(self.regions)


@dataclass(frozen=True, slots=True, kw_only=True)
class Model:
    """One model that this service runs, as the registry describes it."""

    listing: Listing
    dialect_name: str
    schema: BodySchema
    tokenizer: str
    context_length: int
    abilities: Abilities
    service_tiers: tuple[str, ...]
    requests_per_minute: int | None
    tokens_per_minute: int | None
    engine: str
    weights: str
    stand_in: str | None
    demo: str
    vllm: Mapping[str, Any]

    @property
    def id(self) -> str:
        return self.listing.id

    @property
    def dialect(self) -> Dialect:
        return DIALECTS[self.dialect_name]


@dataclass(frozen=True, slots=True)
class Registry:
    """The models that are run, and the listings of these and of all others that Bedrock knows."""

    models: Mapping[str, Model]
    listings: Mapping[str, Listing]

    def find(self, identifier: Identifier, region: str) -> Model:
        """The model that a call in this region names.

        Raises what Bedrock answers instead: `ValidationException`, `ResourceNotFoundException`,
        `AccessDeniedException`.
        """
        # Guess for foundation-model ARNs; seen for the ARN of an application's own profile.
        if identifier.region not in (None, region):
            raise _invalid()
        listing = self._listing(identifier, region)
        if listing.end_of_life and listing.end_of_life <= datetime.now(UTC).date():
            raise ResourceNotFoundException(END_OF_LIFE)
        if listing.id not in self.models:
            raise AccessDeniedException
        return self.models[listing.id]

    def _listing(self, identifier: Identifier, region: str) -> Listing:
        if identifier.kind in ("id", "inference-profile"):
            for listing in self.listings.values():
                if region in listing.profiles.get(identifier.id, ()):
                    return listing
        if identifier.kind not in ("id", "foundation-model") or identifier.id not in self.listings:
            raise _invalid()
        listing = self.listings[identifier.id]
        if not listing.is_on_demand:
            raise ValidationException(NOT_ON_DEMAND.format(model_id=identifier.id))
        if listing.regions is not None and region not in listing.regions:
            raise ResourceNotFoundException
        return listing

    def only(self, ids: Sequence[str]) -> "Registry":
        """The registry with these models run only; all of it for none. Raises `ConfigError`."""
        unknown = [model_id for model_id in ids if model_id not in self.models]
        if unknown:
            known = "\n  ".join(self.models)
            raise ConfigError(f"no model {unknown[0]!r} in the registry, which has\n  {known}")
        models = {key: self.models[key] for key in ids} if ids else self.models
        return Registry(models, self.listings)


def _invalid() -> ValidationException:
    return ValidationException("The provided model identifier is invalid.")


def load_registry(path: Path) -> Registry:
    """Raises `ConfigError` with every mistake in the file."""
    document, source = read_config(path)
    if mistakes := list(find_mistakes(document, source, "model_registry.json", name="id")):
        raise ConfigError("\n".join(mistakes))
    if contradictions := list(_find_contradictions(document, source)):
        raise ConfigError("\n".join(contradictions))
    models = [_to_model(entry) for entry in document["models"]]
    others = [_to_listing(entry) for entry in document.get("not_run", [])]
    return Registry(
        {model.id: model for model in models},
        {listing.id: listing for listing in [*(model.listing for model in models), *others]},
    )


def _find_contradictions(document: dict[str, Any], source: Source) -> Iterator[str]:
    """What a schema can't say: names that must be unique, exist elsewhere, or be known to vLLM."""
    for steps, model_id, problem in [*_listing_problems(document), *_model_problems(document)]:
        yield f"{source.where(steps)}: model {model_id!r}{problem}"


Problem = tuple[list[str | int], str, str]  # the way there, the model's id, what is wrong


def _listing_problems(document: dict[str, Any]) -> Iterator[Problem]:
    seen: set[str] = set()
    for group in ("models", "not_run"):
        for index, entry in enumerate(document.get(group, [])):
            for step, name in [
                ("id", entry["id"]),
                *(("profiles", key) for key in _profiles(entry)),
            ]:
                if name in seen:
                    yield [group, index, step], name, " stands here twice"
                seen.add(name)
            try:
                date.fromisoformat(entry.get("end_of_life", "2000-01-01"))
            except ValueError:
                day = entry["end_of_life"]
                yield [group, index, "end_of_life"], entry["id"], f": there is no day {day}"


def _model_problems(document: dict[str, Any]) -> Iterator[Problem]:
    for index, entry in enumerate(document["models"]):
        for wrong in _schema_problems(entry["schema"]):
            yield ["models", index, "schema"], entry["id"], f": {wrong}"
        for option in entry.get("vllm", {}):
            if problem := _option_problem(option):
                yield ["models", index, "vllm", option], entry["id"], f": {problem}"


def _option_problem(option: str) -> str | None:
    if option in OURS:
        return f"{option!r} is said by {OURS[option]!r}"
    if not vllm_engine.is_installed():
        return None
    return vllm_engine.explain_unknown_option(option)


def _schema_problems(name: str) -> Iterator[str]:
    try:
        BodySchema(load_schema(name))
    except FileNotFoundError:
        yield f"there is no schema {SCHEMAS / name}"
    except (orjson.JSONDecodeError, SchemaError) as error:
        yield f"{SCHEMAS / name} is no JSON Schema: {error}"


def _profiles(entry: dict[str, Any]) -> dict[str, list[str]]:
    profiles: dict[str, list[str]] = entry.get("profiles", {})
    return profiles


def _to_listing(entry: dict[str, Any]) -> Listing:
    regions = entry.get("regions")
    return Listing(
        id=entry["id"],
        name=entry["name"],
        regions=None if regions is None else tuple(regions),
        profiles={key: tuple(value) for key, value in _profiles(entry).items()},
        end_of_life=entry.get("end_of_life") and date.fromisoformat(entry["end_of_life"]),
    )


def _to_model(entry: dict[str, Any]) -> Model:
    return Model(
        listing=_to_listing(entry),
        dialect_name=entry["dialect"],
        schema=BodySchema(load_schema(entry["schema"])),
        tokenizer=entry["tokenizer"],
        context_length=entry["context_length"],
        abilities=Abilities(**entry.get("converse", {})),
        service_tiers=tuple(entry.get("service_tiers", ["default"])),
        requests_per_minute=entry.get("quotas", {}).get("requests_per_minute"),
        tokens_per_minute=entry.get("quotas", {}).get("tokens_per_minute"),
        engine=entry["engine"],
        weights=entry["weights"],
        stand_in=entry.get("stand_in"),
        demo=entry["demo"],
        vllm=entry.get("vllm", {}),
    )
