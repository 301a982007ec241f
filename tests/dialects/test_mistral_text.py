"""The parts of a prompt that rules match."""

import re
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from invoke_api.dialects.mistral_text import MistralText


@given(st.lists(st.sampled_from(["[INST]", "[/INST]", "a", " ", "\n", "["])).map("".join))
def test_messages_of_the_user_stand_between_marks(prompt: str) -> None:
    found = re.findall(r"\[INST\](.*?)\[/INST\]", prompt, re.DOTALL) or [prompt]
    question = MistralText().to_question({"prompt": prompt})

    assert (question.last_user_message, question.turn) == (found[-1].strip(), len(found))


@pytest.mark.parametrize("unit", ["[INST]", "[INST][/INST]", "[/INST]", "["])
def test_no_prompt_takes_long_to_be_looked_at(unit: str) -> None:
    began = time.process_time()
    MistralText().to_question({"prompt": unit * (1_000_000 // len(unit))})

    assert time.process_time() - began < 5
