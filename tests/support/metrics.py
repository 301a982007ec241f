"""Parsing of `/metrics`, as by Prometheus."""

from collections.abc import Mapping
from typing import Any

from prometheus_client.parser import text_string_to_metric_families

from tests.support.servers import call

Sample = tuple[str, frozenset[tuple[str, str]]]
CALLS = "invoke_api_calls_total"


class Scrape:
    """A scrape that sums samples by name and some labels; 0 if there is none."""

    def __init__(self, url: str) -> None:
        response, body = call(url, "GET", "/metrics")
        assert response.status == 200
        self.text = body.decode()
        self.families = {
            family.name: family for family in text_string_to_metric_families(self.text)
        }
        samples = [sample for family in self.families.values() for sample in family.samples]
        self.samples: dict[Sample, float] = {
            (sample.name, frozenset(sample.labels.items())): sample.value for sample in samples
        }
        assert len(self.samples) == len(samples), "a series is told twice"

    def sum(self, name: str, **labels: str) -> float:
        return sum(
            value
            for (named, labelled), value in self.samples.items()
            if named == name and labels.items() <= labelled
        )

    def labels(self, name: str, label: str) -> set[str]:
        return {
            value
            for named, labelled in self.samples
            if named == name
            for key, value in labelled
            if key == label
        }


def new_calls(before: Scrape, after: Scrape) -> list[Mapping[str, Any]]:
    """Return the labels of the calls between two scrapes, once for each call."""
    return [
        dict(labels)
        for (name, labels), value in after.samples.items()
        if name == CALLS
        for _ in range(round(value - before.samples.get((name, labels), 0)))
    ]
