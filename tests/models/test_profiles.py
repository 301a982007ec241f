"""Application inference profiles in memory: names, request tokens and the quota."""

from dataclasses import replace

import pytest

from invoke_api.models.identifiers import parse_identifier
from invoke_api.models.profiles import MAX_PROFILES, ApplicationProfiles, Profile, new_identifier
from invoke_api.wire.errors import ConflictException, ServiceQuotaExceededException

SOURCE = parse_identifier("arn:aws:bedrock:us-east-1::foundation-model/mistral.one")
ONE, TWO = "111111111111", "222222222222"


def profile(name: str, account: str = ONE, region: str = "us-east-1") -> Profile:
    return Profile(identifier=new_identifier(account, region), name=name, source=SOURCE)


def test_an_arn_ends_in_twelve_letters_and_digits() -> None:
    made = new_identifier(ONE, "us-gov-west-1")

    assert made.text.startswith(f"arn:aws-us-gov:bedrock:us-gov-west-1:{ONE}:application-inference")
    assert (made.kind, len(made.id)) == ("application-inference-profile", 12)


def test_only_a_profile_of_ours_stands_for_its_source() -> None:
    profiles = ApplicationProfiles()
    made = profiles.add(profile("a"))

    assert profiles.resolve(made.identifier) == SOURCE
    assert profiles.resolve(SOURCE) == SOURCE


def test_a_name_is_taken_in_its_account_and_region_only() -> None:
    profiles = ApplicationProfiles()
    made = profiles.add(profile("a"))
    profiles.add(profile("a", TWO))
    profiles.add(profile("a", region="us-west-2"))
    with pytest.raises(ConflictException, match="with the name a already exists"):
        profiles.add(profile("a"))
    profiles.remove(made)

    assert profiles.add(profile("a")).name == "a"


def test_a_token_is_of_its_account_and_region() -> None:
    profiles = ApplicationProfiles()
    made = profiles.add(replace(profile("a"), token="once"))
    again = profiles.add(replace(profile("b"), token="once"))
    elsewhere = profiles.add(replace(profile("b", TWO), token="once"))

    assert again is made
    assert elsewhere.name == "b"


def test_there_are_so_many_at_most() -> None:
    profiles = ApplicationProfiles()
    for number in range(MAX_PROFILES):
        profiles.add(profile(str(number)))
    with pytest.raises(ServiceQuotaExceededException, match="1,000"):
        profiles.add(profile("one more", TWO))
    profiles.clear()

    assert profiles.add(profile("one more")).name == "one more"
