"""Findings of the trials, written for docs/reliability.md or compared with it."""

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import TypedDict

from tests.reliability.trials import TRIALS

RESULTS = Path(__file__).parent / "results"
FOUND = RESULTS / "trials.json"
WRITES = "RELIABILITY_WRITES"  # set by `python -m tests.reliability.report`


class Found(TypedDict):
    """The number of attempts of a trial, and of those that were lost."""

    tried: int
    lost: int


class Evidence:
    """The findings of one run."""

    def record(self, name: str, tried: int, lost: int) -> None:
        """Keep a finding, or compare it with the page's. Fails if anything was lost."""
        assert name in TRIALS, f"trials.py has no {name}"
        found = Found(tried=tried, lost=lost)
        assert not lost, f"{lost} of {tried} lost"
        if os.environ.get(WRITES):
            FOUND.write_text(encode({**load(), name: found}))
        else:
            assert load().get(name) == found, "out of date: python -m tests.reliability.report"


def load() -> dict[str, Found]:
    return json.loads(FOUND.read_text()) if FOUND.exists() else {}


def encode(document: Mapping[str, object]) -> str:
    return json.dumps(document, indent=1, sort_keys=True) + "\n"
