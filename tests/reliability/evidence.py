"""What each trial tried and lost: written for docs/reliability.md, or held against what it says."""

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
    """How often a trial tried, and how many of these it lost."""

    tried: int
    lost: int


class Evidence:
    """The findings of one run."""

    def record(self, name: str, tried: int, lost: int) -> None:
        """Keep a finding, or compare it with the one that the page tells. Nothing may be lost."""
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
