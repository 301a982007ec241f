"""Application inference profiles that callers make at run time, kept in memory."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from secrets import choice
from string import ascii_lowercase, digits

from invoke_api.models.identifiers import PARTITIONS, Identifier, parse_identifier
from invoke_api.wire.errors import ConflictException, ServiceQuotaExceededException

# AWS's default quota of an account; here of all accounts together, so that memory has a bound.
MOST = 1_000
ID_LETTERS = ascii_lowercase + digits
# Guesses, both.
TAKEN = "An inference profile with the name {name} already exists."
TOO_MANY = f"The account has reached its limit of {MOST:,} application inference profiles."


@dataclass(frozen=True, slots=True, kw_only=True)
class Profile:
    """One application inference profile.

    `source` is the ARN of the foundation model or of Bedrock's profile that it copies, `token` the
    client's request token, `maker` the access key id of the caller that made it.
    """

    identifier: Identifier
    name: str
    source: Identifier
    description: str | None = None
    token: str | None = None
    maker: str | None = None
    tags: Mapping[str, str] = field(default_factory=dict)
    made: datetime = field(default_factory=lambda: datetime.now(UTC))

    @property
    def place(self) -> tuple[str | None, str | None]:
        """Its account and region."""
        return self.identifier.account, self.identifier.region


def new_identifier(account: str, region: str) -> Identifier:
    """Return the ARN of a new profile, which ends in 12 small letters and digits."""
    made = "".join(choice(ID_LETTERS) for _ in range(12))
    place = f"arn:{PARTITIONS[region]}:bedrock:{region}:{account}"
    return parse_identifier(f"{place}:application-inference-profile/{made}")


class ApplicationProfiles:
    """The profiles of all accounts and regions. Safe to ask from any thread, changed by one."""

    def __init__(self) -> None:
        self._kept: dict[str, Profile] = {}  # by ARN

    def resolve(self, identifier: Identifier) -> Identifier:
        """Return what a profile of ours stands for, and any other identifier as it is."""
        profile = self._kept.get(identifier.text)
        return profile.source if profile else identifier

    def add(self, profile: Profile) -> Profile:
        """Keep a profile; return the earlier one that was made with the same token, if any.

        Raise `ConflictException` if its name is taken in its account and region, and
        `ServiceQuotaExceededException` if there are `MOST` profiles.
        """
        there = self.of(*profile.place)
        for other in there:
            if profile.token and other.token == profile.token:
                return other
        if any(other.name == profile.name for other in there):
            raise ConflictException(TAKEN.format(name=profile.name))
        if len(self._kept) >= MOST:
            raise ServiceQuotaExceededException(TOO_MANY)
        self._kept[profile.identifier.text] = profile
        return profile

    def replace(self, profile: Profile) -> None:
        """Keep a profile in place of the one with its ARN."""
        self._kept[profile.identifier.text] = profile

    def remove(self, profile: Profile) -> None:
        self._kept.pop(profile.identifier.text, None)

    def find(self, arn: str) -> Profile | None:
        return self._kept.get(arn)

    def of(self, account: str | None, region: str | None) -> list[Profile]:
        """Return the profiles of an account in a region, in the order in which they were made."""
        return [one for one in list(self._kept.values()) if one.place == (account, region)]

    def clear(self, maker: str | None = None) -> None:
        """Forget all profiles, or those that one access key has made."""
        kept = {arn: one for arn, one in self._kept.items() if maker not in (None, one.maker)}
        self._kept = kept
