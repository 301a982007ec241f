"""A short soak, and its messages for losses and growth."""

import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from tests.reliability.answers import ANSWERED, CUT, LEFT
from tests.reliability.ledger import CALL_HEADER, Ledger, Made
from tests.reliability.mix import KINDS, STEPS
from tests.reliability.watching import MAX_GROWTH, MAX_LEFT, Sample, complaints
from tests.support.servers import ROOT

MINUTES = 0.15


def test_nine_seconds_of_everything_lose_nothing(tmp_path: Path) -> None:
    to = tmp_path / "soak.json"
    command = [sys.executable, "-m", "tests.reliability.soak", "--minutes", str(MINUTES)]
    done = subprocess.run(
        [*command, "--to", str(to)], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert not done.returncode, done.stdout + done.stderr
    found = json.loads(to.read_text())

    assert found["wrong"] == []
    assert found["differences"] == 0
    assert sum(found["outcomes"].values()) == found["calls"] > 100
    assert {ANSWERED, CUT, LEFT, "ThrottlingException", "ValidationException"} <= set(
        found["outcomes"]
    )


def test_the_mix_has_all_operations_that_are_built() -> None:
    operations = {kind.operation for kind in KINDS}

    assert set(STEPS) <= operations
    assert {"ApplyGuardrail", "ListFoundationModels", "ListInferenceProfiles", ""} <= operations


PLAIN = next(kind for kind in KINDS if kind.outcome == ANSWERED and kind.is_kept)
GIVEN_UP = next(kind for kind in KINDS if kind.outcome == LEFT and kind.is_kept)
ENTRY = {"headers": {CALL_HEADER: "1"}, "error": None, "ended": "stop"}
FAILED = {**ENTRY, "error": {"type": "InternalServerException"}, "ended": "error"}


@pytest.mark.parametrize(
    ("made", "entries", "differences"),
    [
        ([Made("1", PLAIN, ANSWERED)], [ENTRY], 0),
        ([Made("1", PLAIN, ANSWERED)], [], 1),
        ([Made("1", PLAIN, ANSWERED)], [ENTRY, ENTRY], 1),
        ([Made("1", PLAIN, CUT)], [ENTRY], 1),
        ([Made("1", PLAIN, ANSWERED)], [FAILED], 1),
        ([Made("1", PLAIN, ANSWERED)], [{**ENTRY, "ended": None}], 1),
        ([], [ENTRY], 1),
        ([Made("1", GIVEN_UP, LEFT)], [ENTRY], 0),
        ([Made("1", GIVEN_UP, LEFT)], [{**ENTRY, "ended": "cancelled"}], 0),
        ([Made("1", GIVEN_UP, LEFT)], [{**ENTRY, "ended": None}], 1),
        ([Made("1", GIVEN_UP, LEFT)], [FAILED], 1),
    ],
)
def test_a_call_has_one_outcome(
    made: list[Made], entries: list[dict[str, object]], differences: int
) -> None:
    ledger = Ledger()
    ledger.settle(made, entries)

    assert ledger.differences == differences == len(ledger.wrong)


REST = Sample(at=0, memory=200, files=10, threads=8, tasks=9, calls=0)
FLAT = [replace(REST, at=number, files=10 + number % 5) for number in range(300)]


def test_what_stays_flat_is_no_complaint() -> None:
    assert complaints(FLAT, REST, REST) == []


@pytest.mark.parametrize("name", MAX_GROWTH)
def test_what_grows_is_named(name: str) -> None:
    grown = [
        replace(each, **{name: getattr(REST, name) + each.at / 300 * 2 * MAX_GROWTH[name]})
        for each in FLAT
    ]

    [sentence] = complaints(grown, REST, REST)
    assert sentence.startswith(f"{name} grew by ")


@pytest.mark.parametrize("name", MAX_LEFT)
def test_what_is_left_is_named(name: str) -> None:
    after = replace(REST, **{name: getattr(REST, name) + MAX_LEFT[name] + 1})

    [sentence] = complaints(FLAT, REST, after)
    assert sentence.startswith(f"{name}: ")
