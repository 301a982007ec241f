"""Guard tags in a prompt, found in linear time."""

import re
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from invoke_api.pipeline.guardrail_check import split_tags


@given(st.lists(st.sampled_from(["<x>", "</x>", "a", "<", "x>", "\n"])).map("".join))
def test_a_text_is_split_at_each_pair_of_tags(text: str) -> None:
    found = re.split("<x>(.*?)</x>", text, flags=re.DOTALL)

    assert [*split_tags(text, "<x>", "</x>")] == found


@pytest.mark.parametrize("unit", ["<x>", "</x>", "<x></x>", "<"])
def test_no_text_takes_long_to_be_split(unit: str) -> None:
    began = time.process_time()
    [*split_tags(unit * 1_000_000, "<x>", "</x>")]

    assert time.process_time() - began < 5
