"""ARNs of accounts' own models and profiles in the registry, and the models behind them."""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from invoke_api.models.identifiers import (
    ARN_PATTERN,
    OWN_KINDS,
    PARTITIONS,
    Identifier,
    parse_identifier,
)

# Patterns of the ids in each kind of ARN (botocore's service model).
ID_PATTERNS: dict[str, str] = {
    **dict.fromkeys(OWN_KINDS, "[a-z0-9]{12}"),
    "application-inference-profile": "[a-zA-Z0-9-:.]{1,64}",
}
MODEL_GROUPS = ("models", "not_run")  # the registry's keys of lists of models
PROVISIONED_MODEL = "provisioned-model"  # the only kind that calls may name without an ARN
MALFORMED_ARN = (
    "is not the ARN of a callable model: write arn:aws:bedrock:REGION:ACCOUNT:KIND/ID with one of"
    f" the kinds {', '.join(OWN_KINDS)}, and an ID of 12 lower-case letters and digits"
)

Mistake = tuple[list[str | int], str]  # its path in the document, and a message


@dataclass(frozen=True, slots=True)
class OwnArn:
    """An ARN in the registry, its name if it has one, and the id of the model behind it."""

    identifier: Identifier
    name: str | None
    model_id: str

    @property
    def called(self) -> str:
        """Return the name, or else the last part of the ARN."""
        return self.name or self.identifier.id

    @property
    def region(self) -> str:
        assert self.identifier.region, "a checked ARN has a region"
        return self.identifier.region


class Arns:
    """The registry's ARNs, also by the names of provisioned models.

    `read` is the time when the registry was read.
    """

    def __init__(self, arns: Sequence[OwnArn] = ()) -> None:
        self.read = datetime.now(UTC)
        self._arns = arns
        self._by_text: dict[str, list[OwnArn]] = {}
        for own in arns:
            self._by_text.setdefault(own.identifier.text, []).append(own)
            if own.name and own.identifier.kind == PROVISIONED_MODEL:
                self._by_text.setdefault(own.name, []).append(own)

    def __len__(self) -> int:
        return len(self._arns)

    def __iter__(self) -> Iterator[OwnArn]:
        return iter(self._arns)

    def find(self, identifier: Identifier, region: str, account: str | None) -> OwnArn | None:
        """Return the ARN of this region that an identifier names, or None.

        `account` is the caller's, or None if it is not known. ARNs of other accounts are not found.
        """
        for own in self._by_text.get(identifier.text, ()):
            if own.identifier.region == region and account in (None, own.identifier.account):
                return own
        return None

    def of(self, kind: str, region: str, account: str) -> list[OwnArn]:
        """Return an account's ARNs of one kind in a region."""
        place = (kind, region, account)
        return [
            own
            for own in self._arns
            if (own.identifier.kind, own.identifier.region, own.identifier.account) == place
        ]


NO_ARNS = Arns()


def to_arns(document: Mapping[str, Any]) -> Arns:
    """Return the ARNs of a valid registry document."""
    return Arns([_to_own(entry) for entry in document.get("arns", [])])


def _to_own(entry: Mapping[str, Any]) -> OwnArn:
    identifier = parse_identifier(entry["arn"])
    return OwnArn(identifier, entry.get("name"), entry["model"])


def arn_problems(document: Mapping[str, Any]) -> Iterator[Mistake]:
    """Yield the mistakes in ARNs, their models and names that the JSON schema can't express."""
    models = {entry["id"] for group in MODEL_GROUPS for entry in document.get(group, [])}
    profiles = {key for group in MODEL_GROUPS for key in _profiles(document.get(group, []))}
    seen: set[object] = set()
    for index, entry in enumerate(document.get("arns", [])):
        arn, name = entry["arn"], entry.get("name")
        if sentence := _malformed(arn):
            yield ["arns", index, "arn"], f"{arn!r} {sentence}"
        elif arn in seen:
            yield ["arns", index, "arn"], f"the ARN {arn!r} occurs twice"
        elif name is not None:
            place = (*arn.split("/")[:1], name)  # a name is unique in its account, region and kind
            if sentence := _misnamed(arn, name, models | profiles, is_taken=place in seen):
                yield ["arns", index, "name"], f"the name {name!r} of {arn} {sentence}"
            seen.add(place)
        seen.add(arn)
        if entry["model"] not in models:
            yield ["arns", index, "model"], f"{arn!r}: there is no model {entry['model']!r}"


def _profiles(entries: Sequence[Mapping[str, Any]]) -> Iterator[str]:
    for entry in entries:
        yield from entry.get("profiles", {})


def _malformed(arn: str) -> str | None:
    found = ARN_PATTERN.fullmatch(arn)
    if found is None or found["service"] != "bedrock" or found["account"] is None:
        return MALFORMED_ARN
    if not re.fullmatch(ID_PATTERNS.get(found["resource"], "(?!)"), found["id"]):
        return MALFORMED_ARN
    region, partition = found["region"], found["partition"]
    if PARTITIONS.get(region) != partition:
        return f"names the region {region}, which is not in the partition {partition}"
    return None


def _misnamed(arn: str, name: str, ids: set[str], *, is_taken: bool) -> str | None:
    if is_taken:
        return "occurs twice in one account, region and kind"
    if f":{PROVISIONED_MODEL}/" in arn:
        if " " in name:
            return "has a space, which a provisioned model's name can't have"
        if name in ids:
            return "is the id of a model or of a profile"
    return None
