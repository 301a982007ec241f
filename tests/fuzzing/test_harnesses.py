"""The harnesses, over their corpora and mutations of these; `make fuzz` runs longer."""

from itertools import islice
from random import Random

import pytest

from tests.fuzzing.kept import CORPUS, HARNESSES, check_of, corpus_of, mutations

MUTATIONS = 800  # per corpus


@pytest.mark.parametrize("name", HARNESSES)
def test_whatever_was_found_once_holds(name: str) -> None:
    check = check_of(name)
    for data in corpus_of(name):
        check(data)


@pytest.mark.parametrize("name", HARNESSES)
def test_what_is_true_of_the_corpus_is_true_of_its_mutations(name: str) -> None:
    check = check_of(name)
    for number, data in enumerate(islice(mutations(name, Random(name)), MUTATIONS)):
        try:
            check(data)
        except Exception as error:
            shown = data if len(data) < 500 else data[:500] + b"..."
            raise AssertionError(f"mutation {number}: {shown!r}") from error


def test_each_harness_has_a_corpus_that_stays_small() -> None:
    assert {folder.name for folder in CORPUS.iterdir()} == set(HARNESSES)
    for name in HARNESSES:
        assert 5 < len(corpus_of(name)) < 100
        assert sum(map(len, corpus_of(name))) < 100_000
