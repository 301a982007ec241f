"""The search of the site finds the page that answers a newcomer's question."""

import json
import subprocess
from collections.abc import Sequence
from pathlib import Path

import pytest

from tests.sdk.programs import NODE

PROGRAM = Path(__file__).parent / "assets" / "search.mjs"
# The pages that answer a question. One of them must be the first or the second that is found.
QUESTIONS = {
    "how do I mock bedrock in pytest": ["questions/", "test/first-test/"],
    "run without AWS credentials": ["questions/", "tutorial/"],
    "test a streaming response": ["test/streams/", "questions/"],
    "simulate ThrottlingException": ["test/failures/", "questions/"],
    "which models are supported": ["questions/", "operate/models/"],
    "use it with LangChain": ["clients/", "questions/"],
    "use the OpenAI client": ["openai/", "questions/"],
    "run it in docker": ["operate/docker/", "questions/"],
    "my rule does not match": ["questions/", "test/control-api/"],
    "serve real weights on a GPU": ["questions/", "operate/weights/"],
    "run tests in CI": ["test/ci/", "questions/"],
    "does it support Claude": ["questions/"],
    "environment variables": ["reference/command-line/", "questions/"],
    "reset rules between tests": ["questions/", "test/control-api/"],
    "count tokens": ["questions/", "fidelity/"],
    "how much memory does it need": ["questions/", "performance/"],
    "JSON schema structured output": ["operate/structured-output/", "test/structured-answers/"],
    "slow responses and timeouts": ["test/slow-answers/"],
    "guardrails personal data": ["guardrails/"],
    "deploy on kubernetes": ["operate/deployment/", "operate/kubernetes/"],
    "prometheus metrics": ["operate/metrics/"],
    "javascript vitest example": ["test/vitest/"],
    "sagemaker endpoint": ["sagemaker/"],
    "fine-tuned model ARN": ["operate/fine-tunes/", "arns/"],
    "403 from browser page": ["operate/web-pages/"],
    # Messages as they are seen
    "Address already in use": ["troubleshooting/"],
    "Could not connect to the endpoint URL": ["troubleshooting/"],
    "signature does not match": ["troubleshooting/"],
    "The provided model identifier is invalid.": ["troubleshooting/"],
    "UnknownOperationException": ["troubleshooting/"],
}


@pytest.fixture(scope="module")
def found(site: Path) -> dict[str, list[str]]:
    """Return the pages found for each question, best first."""
    done = subprocess.run(
        [NODE, PROGRAM, site, *QUESTIONS], capture_output=True, text=True, check=True, timeout=60
    )
    return {
        question: [location.partition("#")[0] for location in locations]
        for question, locations in zip(QUESTIONS, json.loads(done.stdout), strict=True)
    }


@pytest.mark.parametrize(("question", "pages"), QUESTIONS.items())
def test_a_page_with_the_answer_is_found_early(
    question: str, pages: Sequence[str], found: dict[str, list[str]]
) -> None:
    assert set(pages) & set(found[question][:2])


def test_nonsense_finds_nothing(site: Path) -> None:
    done = subprocess.run(
        [NODE, PROGRAM, site, "qzxqzx"], capture_output=True, text=True, check=True, timeout=60
    )

    assert json.loads(done.stdout) == [[]]
