"""Catalogue entries of models that differ from Mistral's own."""

from dataclasses import replace
from datetime import date

import pytest

from invoke_api.models.catalogue import to_profile, to_summary
from invoke_api.models.listing import Listing, to_listing
from invoke_api.models.registry import Registry

ENTRY = {"id": "mistral.one-v1:0", "name": "One (25.02)"}
LISTING = to_listing({**ENTRY, "profiles": {"eu.mistral.one-v1:0": ["eu-west-1"]}, "regions": []})


def test_an_entry_may_be_short() -> None:
    summary = to_summary(to_listing(ENTRY), "us-gov-west-1")

    assert summary["modelArn"] == (
        "arn:aws-us-gov:bedrock:us-gov-west-1::foundation-model/mistral.one-v1:0"
    )
    assert summary["providerName"] == "Mistral AI"
    assert summary["inputModalities"] == summary["outputModalities"] == ("TEXT",)
    assert summary["converse"] == {}


def test_converse_is_filled_up() -> None:
    entry = {**ENTRY, "converse": {"maxTokensMaximum": 9}}

    assert to_listing(entry).converse == {
        "additionalRequestFieldsSchema": "{}",
        "maxTokensDefault": None,
        "maxTokensMaximum": 9,
        "reasoningSupported": None,
        "stopSequencesDefault": [],
        "systemRoleSupported": True,
        "userDocumentTypesSupported": [],
        "userImageTypesSupported": [],
        "userVideoTypesSupported": [],
    }


@pytest.mark.parametrize(
    ("regions", "region", "types"),
    [
        (None, "eu-west-1", ["ON_DEMAND", "INFERENCE_PROFILE"]),
        (None, "us-east-1", ["ON_DEMAND"]),
        ((), "eu-west-1", ["INFERENCE_PROFILE"]),
        ((), "us-east-1", []),
        (("us-east-1",), "us-east-1", ["ON_DEMAND"]),
    ],
)
def test_how_a_model_is_called_goes_by_the_region(
    regions: tuple[str, ...] | None, region: str, types: list[str]
) -> None:
    assert replace(LISTING, regions=regions).inference_types(region) == types


def test_a_profile_of_one_region_is_described() -> None:
    profile = to_profile(LISTING, "eu.mistral.one-v1:0", "eu-west-1", "000000000000")

    assert profile["inferenceProfileName"] == "EU Mistral One 25.02"
    assert profile["description"] == "Routes requests to Mistral One 25.02 in eu-west-1."


def test_an_end_ahead_makes_a_model_legacy_and_one_behind_unlisted() -> None:
    dying = replace(LISTING, end_of_life=date(2999, 1, 31), regions=None)
    dead = replace(dying, id="mistral.dead", end_of_life=date(2024, 1, 31))
    listings: dict[str, Listing] = {one.id: one for one in (dying, dead)}

    assert to_summary(dying, "us-east-1")["modelLifecycle"] == {
        "status": "LEGACY",
        "endOfLifeTime": "2999-01-31T00:00:00Z",
    }
    assert Registry({}, listings).offered("us-east-1") == [dying]
