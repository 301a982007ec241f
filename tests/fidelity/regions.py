"""Regions in which Converse has a model, and for each model one region in which it has not."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from tests.fidelity.case import Case
from tests.fidelity.identifiers import UNRESOLVED
from tests.support.servers import LARGE_3, MINISTRAL_3B

TEN = (
    *("us-east-1", "us-east-2", "us-west-2", "eu-south-1", "eu-west-1", "eu-west-2"),
    *("ap-northeast-1", "ap-south-1", "ap-southeast-2", "sa-east-1"),
)
OF_LARGE = (
    *("us-east-1", "us-east-2", "us-west-2"),
    *("ap-northeast-1", "ap-south-1", "ap-southeast-2", "sa-east-1"),
)
OF_DEVSTRAL = (
    *("us-east-1", "us-east-2", "us-west-2", "eu-central-1", "eu-north-1", "eu-south-1"),
    *("eu-west-1", "eu-west-2", "ap-northeast-1", "ap-southeast-2", "ap-southeast-3"),
    "sa-east-1",
)


@dataclass(frozen=True, kw_only=True)
class Regions:
    name: str
    model: str
    regions: tuple[str, ...]
    missing: str
    seen: str = "the User Guide, models by region, 2026-11"

    @property
    def cases(self) -> Iterator[Case]:
        for region in self.regions:
            yield self._case(region)
        yield self._case(self.missing, 404)

    def _case(self, region: str, status: int = 200) -> Case:
        refused: dict[str, Any] = {"code": "ResourceNotFoundException", "message": UNRESOLVED}
        return Case(
            name=f"{self.name} in {region}",
            seen=self.seen,
            operations=("converse",),
            model=self.model,
            region=region,
            body={
                "messages": [{"role": "user", "content": [{"text": "Hi"}]}],
                "inferenceConfig": {"maxTokens": 1},
            },
            status=status,
            **(refused if status != 200 else {}),
        )


TABLE = [
    Regions(name=name, model=model, regions=regions, missing=missing)
    for name, model, regions, missing in (
        ("Large 3", LARGE_3, OF_LARGE, "eu-west-1"),
        ("Ministral 3B", MINISTRAL_3B, TEN, "eu-central-1"),
        ("Ministral 8B", "mistral.ministral-3-8b-instruct", TEN, "eu-central-1"),
        ("Ministral 14B", "mistral.ministral-3-14b-instruct", TEN, "eu-central-1"),
        ("Magistral", "mistral.magistral-small-2509", TEN, "eu-central-1"),
        ("Devstral", "mistral.devstral-2-123b", OF_DEVSTRAL, "ap-south-1"),
    )
]
