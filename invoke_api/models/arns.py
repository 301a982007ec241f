"""The registry's ARNs: those of an account's own, and the models that they stand for."""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from invoke_api.models.identifiers import ARN, OWN, PARTITIONS, Identifier, parse_identifier

# The last part of each kind of ARN, as botocore's service model has it.
TWELVE = "[a-z0-9]{12}"
IDS: dict[str, str] = {
    **dict.fromkeys(OWN, TWELVE),
    "application-inference-profile": "[a-zA-Z0-9-:.]{1,64}",
}
NAMED = "provisioned-model"  # the only kind that can be called by its name
FORM = (
    "is no ARN that stands for a model: write arn:aws:bedrock:REGION:ACCOUNT:KIND/ID with one of"
    f" the kinds {', '.join(OWN)}, and for ID 12 small letters and digits"
)


@dataclass(frozen=True, slots=True)
class OwnArn:
    """One ARN of the registry's, and the id of the model behind it; `name` is None without one."""

    identifier: Identifier
    name: str | None
    model_id: str

    @property
    def called(self) -> str:
        """Its name, or the last part of the ARN without one."""
        return self.name or self.identifier.id

    @property
    def region(self) -> str:
        assert self.identifier.region, "a checked ARN has a region"
        return self.identifier.region


class Arns:
    """The registry's ARNs, found by themselves or by the names of provisioned models.

    `read` is when the registry was read.
    """

    def __init__(self, arns: Sequence[OwnArn] = ()) -> None:
        self.read = datetime.now(UTC)
        self._arns = arns
        self._by_text: dict[str, list[OwnArn]] = {}
        for own in arns:
            self._by_text.setdefault(own.identifier.text, []).append(own)
            if own.name and own.identifier.kind == NAMED:
                self._by_text.setdefault(own.name, []).append(own)

    def __len__(self) -> int:
        return len(self._arns)

    def find(self, identifier: Identifier, region: str, account: str | None) -> OwnArn | None:
        """Return what stands for a model in this region.

        `account` is the caller's, who has no other account's; None where it is not known.
        """
        for own in self._by_text.get(identifier.text, ()):
            if own.identifier.region == region and account in (None, own.identifier.account):
                return own
        return None

    def of(self, kind: str, region: str, account: str) -> list[OwnArn]:
        """Return all of this kind that the account has in the region."""
        place = (kind, region, account)
        return [
            own
            for own in self._arns
            if (own.identifier.kind, own.identifier.region, own.identifier.account) == place
        ]


NO_ARNS = Arns()


def to_arns(document: Mapping[str, Any]) -> Arns:
    """Read the ARNs of a registry that has no mistakes."""
    return Arns([_to_own(entry) for entry in document.get("arns", [])])


def _to_own(entry: Mapping[str, Any]) -> OwnArn:
    identifier = parse_identifier(entry["arn"])
    return OwnArn(identifier, entry.get("name"), entry["model"])


Mistake = tuple[list[str | int], str]  # the way there, and a sentence


def arn_problems(document: Mapping[str, Any]) -> Iterator[Mistake]:
    """Yield what the schema can't say of ARNs, their models and their names."""
    models = {entry["id"] for group in GROUPS for entry in document.get(group, [])}
    profiles = {key for group in GROUPS for key in _profiles(document.get(group, []))}
    seen: set[object] = set()
    for index, entry in enumerate(document.get("arns", [])):
        arn, name = entry["arn"], entry.get("name")
        if sentence := _malformed(arn):
            yield ["arns", index, "arn"], f"{arn!r} {sentence}"
        elif arn in seen:
            yield ["arns", index, "arn"], f"the ARN {arn!r} stands here twice"
        elif name is not None:
            place = (*arn.split("/")[:1], name)  # a name is unique in its account, region and kind
            if sentence := _misnamed(arn, name, models | profiles, is_taken=place in seen):
                yield ["arns", index, "name"], f"the name {name!r} of {arn} {sentence}"
            seen.add(place)
        seen.add(arn)
        if entry["model"] not in models:
            yield ["arns", index, "model"], f"{arn!r}: there is no model {entry['model']!r}"


GROUPS = ("models", "not_run")


def _profiles(entries: Sequence[Mapping[str, Any]]) -> Iterator[str]:
    for entry in entries:
        yield from entry.get("profiles", {})


def _malformed(arn: str) -> str | None:
    found = ARN.fullmatch(arn)
    if found is None or found["service"] != "bedrock" or found["account"] is None:
        return FORM
    if not re.fullmatch(IDS.get(found["resource"], "(?!)"), found["id"]):
        return FORM
    region, partition = found["region"], found["partition"]
    if PARTITIONS.get(region) != partition:
        return f"names the region {region}, which is not in the partition {partition}"
    return None


def _misnamed(arn: str, name: str, ids: set[str], *, is_taken: bool) -> str | None:
    if is_taken:
        return "stands here twice for one account, region and kind"
    if f":{NAMED}/" in arn:
        if " " in name:
            return "has a blank, which a provisioned model's name can't have"
        if name in ids:
            return "is the id of a model or of a profile"
    return None
