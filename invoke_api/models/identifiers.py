"""Identifiers of models in requests: ids, names and ARNs, of models and of inference profiles."""

import re
from dataclasses import dataclass
from functools import lru_cache
from typing import Literal, get_args

OwnKind = Literal[
    "application-inference-profile",
    "custom-model-deployment",
    "imported-model",
    "provisioned-model",
]
IdentifierKind = Literal["id", "foundation-model", "inference-profile", "other"] | OwnKind
# The kinds of ARN that belong to an account and can be called.
OWN_KINDS: tuple[OwnKind, ...] = get_args(OwnKind)

ARN_PATTERN = re.compile(
    r"arn:(?P<partition>aws(?:-[^:]+)?):(?P<service>[a-z]+):(?P<region>[a-z0-9-]+):"
    r"(?P<account>[0-9]{12})?:(?P<resource>[a-z-]+)/(?P<id>.+)"
)

# AWS's regions by partition, as botocore lists them; in `aws` only those with Bedrock.
REGIONS = {
    "aws": """
        af-south-1 ap-east-2 ap-northeast-1 ap-northeast-2 ap-northeast-3 ap-south-1 ap-south-2
        ap-southeast-1 ap-southeast-2 ap-southeast-3 ap-southeast-4 ap-southeast-5 ap-southeast-6
        ap-southeast-7 ca-central-1 ca-west-1 eu-central-1 eu-central-2 eu-north-1 eu-south-1
        eu-south-2 eu-west-1 eu-west-2 eu-west-3 il-central-1 me-central-1 me-south-1 mx-central-1
        sa-east-1 us-east-1 us-east-2 us-west-1 us-west-2
    """,
    "aws-cn": "cn-north-1 cn-northwest-1",
    "aws-us-gov": "us-gov-east-1 us-gov-west-1",
}
PARTITIONS = {name: partition for partition, names in REGIONS.items() for name in names.split()}


@dataclass(frozen=True, slots=True)
class Identifier:
    """A parsed identifier of a model.

    `region` and `account` are those of an ARN, and `id` is its last part. Names have the kind `id`,
    too.
    """

    text: str
    kind: IdentifierKind
    id: str
    region: str | None = None
    account: str | None = None

    def __str__(self) -> str:
        return self.text


@lru_cache(maxsize=256)
def parse_identifier(text: str) -> Identifier:
    """Return the parts of an id, name or ARN.

    The kind `other` is for ARNs that can't be called, for example of a custom model or a prompt.
    """
    found = ARN_PATTERN.fullmatch(text)
    if not found:
        return Identifier(text, "id", text)
    region, account = found["region"], found["account"]
    if found["service"] == "bedrock" and PARTITIONS.get(region) == found["partition"]:
        if found["resource"] == "foundation-model" and account is None:
            return Identifier(text, "foundation-model", found["id"], region)
        if found["resource"] == "inference-profile" and account:
            return Identifier(text, "inference-profile", found["id"], region, account)
        for kind in OWN_KINDS if account else ():
            if found["resource"] == kind:
                return Identifier(text, kind, found["id"], region, account)
    return Identifier(text, "other", text, region, account)
