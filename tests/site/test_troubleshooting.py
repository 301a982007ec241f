"""Each message that docs/troubleshooting.md explains is said, by what the page says causes it."""

import re
from collections.abc import Iterator

import pytest

from invoke_api.testing import Bedrock, bedrock_running
from tests.site.causes import CAUSES, Cause
from tests.support.servers import ROOT

PAGE = (ROOT / "docs" / "troubleshooting.md").read_text()
MESSAGES = re.findall(r"^### `(.+)`$", PAGE, re.MULTILINE)
# The digits of a scripted answer depend on the prompt.
SCRIPTED = re.compile(r"Scripted answer [0-9a-f]{8}\.")


@pytest.fixture(scope="module")
def url() -> Iterator[str]:
    with bedrock_running("--engine", "scripted") as bedrock:
        yield bedrock.url


def test_each_message_has_a_cause_in_the_order_of_the_page() -> None:
    assert len(MESSAGES) == len(CAUSES) == len(re.findall("^### ", PAGE, re.MULTILINE))


@pytest.mark.parametrize(("message", "cause"), list(zip(MESSAGES, CAUSES, strict=False)))
def test_the_message_is_said(message: str, cause: Cause, url: str) -> None:
    said = SCRIPTED.sub("Scripted answer 47f8c056.", cause(Bedrock(url)).replace('\\"', '"'))

    assert message in said
