"""The kinds of tasks with which Mistral 7B was announced on JumpStart, by SageMaker's own SDK."""

import json
import os
import subprocess
from pathlib import Path

from invoke_api.testing import Bedrock
from tests.support.servers import ROOT

PROGRAM = ROOT / "tests" / "sdk" / "clients" / "predict_tasks.py"
PYTHON = ROOT / ".venv-clients-sagemaker" / "bin" / "python"


def test_every_task_is_answered(bedrock: Bedrock, tmp_path: Path) -> None:
    done = subprocess.run(
        [PYTHON, "-P", PROGRAM],
        env={"PATH": os.environ["PATH"], "HOME": str(tmp_path), **bedrock.environment},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout.partition("answers: ")[2])
    texts = {name: answer[0]["generated_text"] for name, answer in told["answers"].items()}
    calls = bedrock.requests

    assert [call["body"]["inputs"] for call in calls] == [
        asked for asked, _ in told["asked"].values()
    ]
    assert {call["status"] for call in calls} == {200}
    assert all(texts.values())
    assert texts["passage"].startswith(told["asked"]["passage"][0])
    for call, (_, parameters) in zip(calls, told["asked"].values(), strict=True):
        assert call["output_tokens"] <= parameters["max_new_tokens"]
    [bash] = told["answers"]["bash"]
    assert bash["details"]["generated_tokens"] == len(bash["details"]["tokens"])
