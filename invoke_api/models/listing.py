"""Catalogue entries of models, and how they are read from the registry's file."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime
from difflib import get_close_matches
from functools import cache
from typing import Any

import orjson

from invoke_api.yaml_files import SCHEMAS

ON_DEMAND = "ON_DEMAND"
INFERENCE_PROFILE = "INFERENCE_PROFILE"  # reported from Bedrock; not in the service model
DATE_KEYS = ("launched", "end_of_life")  # keys in the registry
# Defaults of the `converse` member of a summary; the registry can override them.
CONVERSE_DEFAULTS: dict[str, Any] = {
    "additionalRequestFieldsSchema": "{}",
    "maxTokensDefault": None,
    "maxTokensMaximum": None,
    "reasoningSupported": None,
    "stopSequencesDefault": [],
    "systemRoleSupported": True,
    "userDocumentTypesSupported": [],
    "userImageTypesSupported": [],
    "userVideoTypesSupported": [],
}

# Keys in the registry that only catalogued models have.
CATALOGUE_KEYS = frozenset({"regions", "profiles"})
Problem = tuple[list[str | int], str, str]  # path in the document, model id, message


@dataclass(frozen=True, slots=True, kw_only=True)
class Listing:
    """The catalogue entry of a model, whether this service runs it or not.

    `regions` are those with the model on demand; None means all. `profiles` are the ids of its
    inference profiles, each with the regions from which it may be called. `converse` is empty for
    models whose summary has no such member. A model that is not `is_catalogued` belongs to an
    account: AWS lists it nowhere, and only its ARNs can be called.
    """

    id: str
    name: str
    provider: str
    regions: tuple[str, ...] | None
    profiles: Mapping[str, tuple[str, ...]]
    launched: date | None
    end_of_life: date | None
    input_modalities: tuple[str, ...]
    output_modalities: tuple[str, ...]
    converse: Mapping[str, Any]
    is_catalogued: bool = True

    @property
    def sees(self) -> bool:
        """Tell whether the model takes images."""
        return "IMAGE" in self.input_modalities

    @property
    def hears(self) -> bool:
        """Tell whether the model takes audio."""
        return "SPEECH" in self.input_modalities

    @property
    def is_on_demand(self) -> bool:
        return self.regions is None or bool(self.regions)

    def is_on_demand_in(self, region: str) -> bool:
        return self.regions is None or region in self.regions

    def inference_types(self, region: str) -> list[str]:
        """Return the ways to call the model from a region, none if AWS does not offer it there."""
        if not self.is_catalogued:
            return []
        profiled = any(region in regions for regions in self.profiles.values())
        ways = ((ON_DEMAND, self.is_on_demand_in(region)), (INFERENCE_PROFILE, profiled))
        return [name for name, is_there in ways if is_there]

    @property
    def is_retired(self) -> bool:
        """Tell whether its life has ended by today, in UTC."""
        return self.end_of_life is not None and self.end_of_life <= datetime.now(UTC).date()


def to_listing(entry: Mapping[str, Any]) -> Listing:
    """Return the listing of a valid entry of the registry."""
    regions = entry.get("regions")
    return Listing(
        id=entry["id"],
        name=entry["name"],
        provider=entry.get("provider", "Mistral AI"),
        regions=None if regions is None else tuple(regions),
        profiles={key: tuple(value) for key, value in _profiles(entry).items()},
        launched=_to_day(entry, "launched"),
        end_of_life=_to_day(entry, "end_of_life"),
        input_modalities=tuple(entry.get("input_modalities", ["TEXT"])),
        output_modalities=tuple(entry.get("output_modalities", ["TEXT"])),
        converse=CONVERSE_DEFAULTS | entry["converse"] if "converse" in entry else {},
        is_catalogued=entry.get("catalogued", True),
    )


def listing_problems(document: Mapping[str, Any]) -> Iterator[Problem]:
    """Yield mistakes that the JSON schema can't express: duplicate names, invalid dates."""
    seen: set[str] = set()
    for group in ("models", "not_run"):
        for index, entry in enumerate(document.get(group, [])):
            names = [("id", entry["id"]), *(("profiles", key) for key in _profiles(entry))]
            for step, name in names:
                if name in seen:
                    yield [group, index, step], name, " occurs twice"
                seen.add(name)
            for step, problem in _entry_problems(entry):
                yield [group, index, step], entry["id"], problem


def _entry_problems(entry: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """Yield the key of each mistake in one entry, and a message."""
    if not entry.get("catalogued", True):
        for step in CATALOGUE_KEYS.intersection(entry):
            yield step, f": only catalogued models have {step!r}"
    for step, regions in {"regions": entry.get("regions", ()), **_profiles(entry)}.items():
        for region in regions:
            if region not in aws_regions():
                close = get_close_matches(region, aws_regions(), n=1)
                hint = f"; did you mean {close[0]}?" if close else ""
                key = step if step == "regions" else "profiles"
                yield key, f": AWS has no region {region}{hint}"
    for key in DATE_KEYS:
        try:
            _to_day(entry, key)
        except ValueError:
            yield key, f": {entry[key]} is not a date"


@cache
def aws_regions() -> frozenset[str]:
    """Return the regions of all partitions of AWS, by botocore's data."""
    return frozenset(orjson.loads((SCHEMAS / "regions.json").read_bytes()))


def _to_day(entry: Mapping[str, Any], key: str) -> date | None:
    """Return a date of an entry, or None. Raises `ValueError`."""
    return date.fromisoformat(entry[key]) if key in entry else None


def _profiles(entry: Mapping[str, Any]) -> dict[str, list[str]]:
    profiles: dict[str, list[str]] = entry.get("profiles", {})
    return profiles
