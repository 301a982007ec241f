"""docs/reliability.md matches the findings of all trials."""

from tests.reliability.evidence import load
from tests.reliability.report import FILE, report
from tests.reliability.trials import TRIALS


def test_the_page_is_made_of_the_findings() -> None:
    assert FILE.read_text() == report()


def test_every_trial_has_a_finding_and_every_finding_a_trial() -> None:
    assert set(load()) == set(TRIALS)
