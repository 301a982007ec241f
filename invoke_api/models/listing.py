"""What Bedrock makes known of a model, and how the registry's file says it."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import date
from typing import Any

ON_DEMAND = "ON_DEMAND"
INFERENCE_PROFILE = "INFERENCE_PROFILE"  # heard from Bedrock, and in no service model
DAYS = ("launched", "end_of_life")  # the registry's keys of a model's life
# What Bedrock says of a model's side of Converse, unless the registry says other.
CONVERSE: dict[str, Any] = {
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


@dataclass(frozen=True, slots=True, kw_only=True)
class Listing:
    """What Bedrock makes known of a model, whether this service runs it or not.

    `regions` is where it can be had on demand, None for everywhere; `profiles` are the ids of its
    inference profiles, each with the regions it may be called from. `converse` is empty for the
    models of which Bedrock says nothing there. A model that is not `is_catalogued` is one of an
    account's own: AWS lists it nowhere, and it is called by its ARNs only.
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
        """Whether it takes images."""
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
        """How it can be called from this region; not at all where AWS does not offer it."""
        if not self.is_catalogued:
            return []
        profiled = any(region in regions for regions in self.profiles.values())
        ways = ((ON_DEMAND, self.is_on_demand_in(region)), (INFERENCE_PROFILE, profiled))
        return [name for name, is_there in ways if is_there]

    def is_retired(self, day: date) -> bool:
        return self.end_of_life is not None and self.end_of_life <= day


def to_listing(entry: Mapping[str, Any]) -> Listing:
    """An entry that the registry's schema has found right."""
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
        converse=CONVERSE | entry["converse"] if "converse" in entry else {},
        is_catalogued=entry.get("catalogued", True),
    )


# What the registry says of a model only where AWS lists it.
LISTED = frozenset({"regions", "profiles"})
Problem = tuple[list[str | int], str, str]  # the way there, the model's id, what is wrong


def listing_problems(document: Mapping[str, Any]) -> Iterator[Problem]:
    """What the schema can't say: names that must be unique, and days that must exist."""
    seen: set[str] = set()
    for group in ("models", "not_run"):
        for index, entry in enumerate(document.get(group, [])):
            names = [("id", entry["id"]), *(("profiles", key) for key in _profiles(entry))]
            for step, name in names:
                if name in seen:
                    yield [group, index, step], name, " stands here twice"
                seen.add(name)
            for step, problem in _entry_problems(entry):
                yield [group, index, step], entry["id"], problem


def _entry_problems(entry: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """Yield the key of each mistake in one entry, and what is wrong there."""
    if not entry.get("catalogued", True):
        for step in LISTED.intersection(entry):
            yield step, f": {step!r} is of catalogued models"
    for key in DAYS:
        try:
            _to_day(entry, key)
        except ValueError:
            yield key, f": there is no day {entry[key]}"


def _to_day(entry: Mapping[str, Any], key: str) -> date | None:
    """Raises `ValueError`."""
    return date.fromisoformat(entry[key]) if key in entry else None


def _profiles(entry: Mapping[str, Any]) -> dict[str, list[str]]:
    profiles: dict[str, list[str]] = entry.get("profiles", {})
    return profiles
