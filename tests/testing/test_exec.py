"""`invoke-api exec` and the context manager, for commands and for unittest."""

import subprocess
import sys
from pathlib import Path

import pytest

from invoke_api.testing import OVERRIDING_VARIABLES, bedrock_running
from tests.support.servers import COMMAND

PROGRAM = """\
import boto3, json
client = boto3.client("bedrock-runtime")
answer = client.invoke_model(modelId="mistral.mistral-7b-instruct-v0:2", body='{"prompt": "Hi"}')
print(json.load(answer["body"])["outputs"][0]["text"])
raise SystemExit(7)
"""


def execute(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [COMMAND[0], "exec", *arguments], capture_output=True, text=True, timeout=60, check=False
    )


def test_a_command_finds_bedrock_and_its_status_comes_back(tmp_path: Path) -> None:
    rules = tmp_path / "rules.yaml"
    rules.write_text('rules: [{reply: " By rule."}]\n')
    done = execute("--rules", str(rules), "--", sys.executable, "-c", PROGRAM)

    assert (done.stdout, done.returncode) == (" By rule.\n", 7)


def test_a_command_that_fails_is_told_why_rules_did_not_match(tmp_path: Path) -> None:
    rules = tmp_path / "rules.yaml"
    rules.write_text('rules: [{when: {prompt: weather}, reply: " By rule."}]\n')
    done = execute("--rules", str(rules), "--", sys.executable, "-c", PROGRAM)
    silent = execute("--", "false")
    good = execute("--rules", str(rules), "--", sys.executable, "-c", PROGRAM[:-21])

    assert done.returncode == 7
    assert "Bedrock rules:\nCall " in done.stderr
    assert ", InvokeModel of mistral.mistral-7b-instruct-v0:2: no rule answered; " in done.stderr
    assert "  rule 1 did not match: prompt lacks 'weather'\n" in done.stderr
    assert "    - prompt: 'weather'\n    + prompt: 'Hi'\n" in done.stderr
    assert silent.stderr == "Bedrock rules:\nThe command made no calls.\n"
    assert good.returncode == 0, good.stderr
    assert "Bedrock rules" not in good.stderr


def test_what_would_speak_louder_is_kept_from_the_command(monkeypatch: pytest.MonkeyPatch) -> None:
    louder = dict.fromkeys(OVERRIDING_VARIABLES, "true")
    for name, value in louder.items():
        monkeypatch.setenv(name, value)
    done = execute("--", sys.executable, "-c", "import os; print(*os.environ)")

    assert done.returncode == 0
    assert not set(louder) & set(done.stdout.split())
    assert "AWS_ACCESS_KEY_ID" in done.stdout


def test_a_command_that_is_not_there_is_a_sentence() -> None:
    done = execute("--", "no-such-command")

    assert done.returncode == 1
    assert done.stderr == "Error: [Errno 2] No such file or directory: 'no-such-command'\n"


def test_rules_that_are_wrong_stop_it(tmp_path: Path) -> None:
    rules = tmp_path / "rules.yaml"
    rules.write_text("rules: 7\n")
    done = execute("--rules", str(rules), "--", "true")

    assert done.returncode == 1
    assert f"{rules}:1: rules: 7 must be a list" in done.stderr


def test_a_unittest_has_it_as_a_context_manager() -> None:
    with bedrock_running() as bedrock:
        bedrock.reply(" one", " two")
        client = bedrock.client()
        texts = []
        for _ in range(2):
            answer = client.invoke_model(modelId=bedrock.model, body='{"prompt": "Hi"}')
            texts.append(answer["body"].read())
        client.close()
        calls = bedrock.requests
        bedrock.reset()

        assert b" one" in texts[0]
        assert b" two" in texts[1]
        assert [call["engine"] for call in calls] == ["rule", "rule"]
        assert bedrock.requests == []
