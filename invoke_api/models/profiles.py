"""Application inference profiles that callers create at run time, kept in memory."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from secrets import choice
from string import ascii_lowercase, digits

from invoke_api.models.identifiers import PARTITIONS, Identifier, parse_identifier
from invoke_api.wire.errors import ConflictException, ServiceQuotaExceededException

# AWS's default quota per account; here for all accounts together, to bound the memory.
MAX_PROFILES = 1_000
ID_LETTERS = ascii_lowercase + digits
# Guess: these two messages.
NAME_TAKEN = "An inference profile with the name {name} already exists."
TOO_MANY_PROFILES = (
    f"The account has reached its limit of {MAX_PROFILES:,} application inference profiles."
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Profile:
    """An application inference profile.

    `source` is the ARN of the foundation model or system-defined profile that it copies. `token` is
    the client's request token, `maker` the access key id of the caller that created it.
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
        """Return the account and region."""
        return self.identifier.account, self.identifier.region


def new_identifier(account: str, region: str) -> Identifier:
    """Return the ARN of a new profile, which ends in 12 random lower-case letters and digits."""
    made = "".join(choice(ID_LETTERS) for _ in range(12))
    place = f"arn:{PARTITIONS[region]}:bedrock:{region}:{account}"
    return parse_identifier(f"{place}:application-inference-profile/{made}")


class ApplicationProfiles:
    """The profiles of all accounts and regions. Any thread may read, one thread may change them."""

    def __init__(self) -> None:
        self._kept: dict[str, Profile] = {}  # by ARN

    def resolve(self, identifier: Identifier) -> Identifier:
        """Return the source of a profile's identifier. Return other identifiers unchanged."""
        profile = self._kept.get(identifier.text)
        return profile.source if profile else identifier

    def add(self, profile: Profile) -> Profile:
        """Add a profile, or return the earlier one that was created with the same token.

        Raises `ConflictException` if the name is taken in its account and region, and
        `ServiceQuotaExceededException` if there are `MAX_PROFILES` profiles.
        """
        there = self.of(*profile.place)
        for other in there:
            if profile.token and other.token == profile.token:
                return other
        if any(other.name == profile.name for other in there):
            raise ConflictException(NAME_TAKEN.format(name=profile.name))
        if len(self._kept) >= MAX_PROFILES:
            raise ServiceQuotaExceededException(TOO_MANY_PROFILES)
        self._kept[profile.identifier.text] = profile
        return profile

    def replace(self, profile: Profile) -> None:
        """Replace the profile with the same ARN."""
        self._kept[profile.identifier.text] = profile

    def remove(self, profile: Profile) -> None:
        self._kept.pop(profile.identifier.text, None)

    def find(self, arn: str) -> Profile | None:
        return self._kept.get(arn)

    def of(self, account: str | None, region: str | None) -> list[Profile]:
        """Return the profiles of an account in a region, in order of creation."""
        return [one for one in list(self._kept.values()) if one.place == (account, region)]

    def clear(self, maker: str | None = None) -> None:
        """Delete all profiles, or those that one access key has created."""
        kept = {arn: one for arn, one in self._kept.items() if maker not in (None, one.maker)}
        self._kept = kept
