"""SageMaker's limit of the time that a container takes."""

import json

import pytest

from invoke_api.sagemaker import invoke_endpoint
from tests.support.servers import call, engine_running
from tests.support.stubs import StubEngine

PATH = "/endpoints/huggingface-llm-mistral-7b-instruct/invocations"


@pytest.mark.parametrize(("pause", "status"), [(30, 424), (0, 200)])
def test_sagemaker_waits_for_a_whole_answer_as_long_as_its_limit(
    monkeypatch: pytest.MonkeyPatch, pause: float, status: int
) -> None:
    monkeypatch.setattr(invoke_endpoint, "MAX_SECONDS", 0.5)
    with engine_running(StubEngine([" a"], pause=pause)) as url:
        sent = json.dumps({"inputs": "a"}).encode()
        response, body = call(url, "POST", PATH, sent, **{"Content-Type": "application/json"})

    assert response.status == status
    if status == 424:
        error = json.loads(body)
        assert error["OriginalStatusCode"] == 0
        assert error["OriginalMessage"].startswith("Your invocation timed out while waiting for")
