"""Run every code block of docs/test and of docs/guardrails.md."""

import json
import re
import shlex
import shutil
import subprocess
from http.client import HTTPResponse
from pathlib import Path
from textwrap import indent

import pytest
import yaml

from invoke_api.rules.parser import load_rules, parse_rules
from tests.support.servers import COMMAND, ROOT, command_running, invoke
from tests.support.vitest import PACKAGES, link_packages, run_vitest
from tests.testing.test_plugin import QUICK

BLOCKS = [
    (page.stem, language, code)
    for page in sorted((ROOT / "docs" / "test").glob("*.md"))
    for language, code in re.findall(r"```(\w+)\n(.*?)```", page.read_text(), re.DOTALL)
]


def blocks(language: str, *, without: str = "") -> list[str]:
    return [code for page, found, code in BLOCKS if found == language and page != without]


RECIPES = [
    pytest.param(code, id=f"{page}-{number}")
    for number, (page, language, code) in enumerate(BLOCKS)
    if language == "python" and page != "testcontainers"  # tests/testing/test_testcontainers.py
]
CONVERT, EXEC, CURL, RECORD, REPLAY = blocks("sh", without="ci")
[FIXTURES] = blocks("json")
[RULES] = blocks("yaml", without="ci")
[VITEST] = blocks("js", without="testcontainers")
OURS, AIMOCKS = blocks("ts")
CONTROL, JUNIT = blocks("java")

# Calls Bedrock like an SDK, with a key in the header and a signature that is not checked.
JAVA_TEST = """\
import java.net.http.*;

class Main {
    public static void main(String[] arguments) throws Exception {
        var bedrock = new Bedrock();
        bedrock.rule("{\\"reply\\": \\" It rains.\\"}");
        var path = "/model/mistral.mistral-7b-instruct-v0%3A2/invoke";
        var credential = bedrock.key + "/20260101/us-east-1/bedrock/aws4_request";
        var request = HttpRequest.newBuilder(Bedrock.URL.resolve(path))
            .header("Authorization", "AWS4-HMAC-SHA256 Credential=" + credential
                + ", SignedHeaders=host, Signature=0")
            .POST(HttpRequest.BodyPublishers.ofString("{\\"prompt\\": \\"Hi\\"}"));
        HttpClient.newHttpClient().send(request.build(), HttpResponse.BodyHandlers.discarding());
        System.out.println(bedrock.requests());
        System.out.println(new Bedrock().requests());
        try {
            bedrock.rule("{}");
        } catch (IllegalArgumentException error) {
            System.out.println(error.getMessage());
        }
    }
}
"""
# Stubs of what the JUnit recipe uses of JUnit and the AWS SDK.
LIBRARIES = {
    "class Test",
    "method assertTrue(boolean)",
    "variable AwsBasicCredentials",
    "variable BedrockRuntimeClient",
    "variable Region",
    "variable SdkBytes",
    "variable StaticCredentialsProvider",
}
OPERATIONS = ("invoke", "invoke-with-response-stream")
needs_java = pytest.mark.skipif(not shutil.which("javac"), reason="this machine has no JDK")


def test_the_recipes_are_found() -> None:
    assert len(RECIPES) >= 17


@pytest.mark.parametrize("code", RECIPES)
def test_a_recipe_runs_as_it_stands(pytester: pytest.Pytester, code: str) -> None:
    pytester.makepyfile(code)
    result = pytester.runpytest_subprocess(*QUICK)

    assert result.ret == 0
    assert "passed" in result.stdout.str()


def test_the_guardrail_does_what_is_said_of_it(pytester: pytest.Pytester) -> None:
    document = (ROOT / "docs" / "guardrails.md").read_text()
    [(_, guardrails), (_, code)] = re.findall(r"```(\w+)\n(.*?)```", document, re.DOTALL)
    pytester.makefile(".yaml", guardrails=guardrails)
    pytester.makepyfile(
        "import boto3, pytest\n"
        '@pytest.mark.bedrock(guardrails="guardrails.yaml")\n'
        "def test_it(bedrock):\n"
        + indent(code, "    ")
        + '    assert answer["stopReason"] == "guardrail_intervened"\n'
        "    [block] = answer['output']['message']['content']\n"
        '    assert block["text"] == "I can\'t talk about this."\n'
        '    assert answer["trace"]["guardrail"]["actionReason"] == "Guardrail blocked."\n'
    )
    result = pytester.runpytest_subprocess(*QUICK)

    assert result.ret == 0, result.stdout.str()


def test_the_rules_are_rules() -> None:
    assert len(parse_rules(yaml.safe_load(RULES))) == 4


def test_the_fixtures_become_two_rules(tmp_path: Path) -> None:
    (tmp_path / "fixtures.json").write_text(FIXTURES)
    command = CONVERT.replace("invoke-api", COMMAND[0])
    subprocess.run(["bash", "-ec", command], cwd=tmp_path, timeout=60, check=True)

    assert len(load_rules(tmp_path / "rules.json")) == 2


def test_the_command_is_one() -> None:
    assert EXEC.startswith("invoke-api exec --rules rules.yaml -- ")


def test_the_http_recipe_works(scripted: str) -> None:
    code = CURL.replace("http://127.0.0.1:8080", scripted)
    done = subprocess.run(
        ["bash", "-ec", code], capture_output=True, text=True, timeout=30, check=True
    )
    added, requests, reset = (json.loads(line) for line in done.stdout.splitlines())

    assert added["rules"][0]["reply"] == " It rains."
    assert requests == {"requests": []}
    assert reset == {}


def test_what_is_recorded_is_replayed(scripted: str, tmp_path: Path) -> None:
    keys = {"AWS_ACCESS_KEY_ID": "AKIDEXAMPLE", "AWS_SECRET_ACCESS_KEY": "secret"}
    record, replay = (
        [COMMAND[0], *shlex.split(code.splitlines()[0].removesuffix(" &"))[1:-1], str(tmp_path)]
        for code in (RECORD, REPLAY)
    )
    with command_running([*record, "--port", "0", "--upstream", scripted], keys) as url:
        said = [invoke(url, {"prompt": "Hi"}, operation=operation) for operation in OPERATIONS]
    with command_running([*replay, "--port", "0"]) as url:
        again = [invoke(url, {"prompt": "Hi"}, operation=operation) for operation in OPERATIONS]

    assert [body for _, body in again] == [body for _, body in said]
    assert [strip(response) for response, _ in again] == [strip(response) for response, _ in said]


def strip(response: HTTPResponse) -> list[tuple[str, str]]:
    return [(name, value) for name, value in response.getheaders() if name != "Date"]


def test_the_recipe_for_vitest_runs_as_it_stands(tmp_path: Path) -> None:
    suite = tmp_path / "suite"
    suite.mkdir()
    (suite / "node_modules").symlink_to(PACKAGES)
    (suite / "package.json").write_text('{"type": "module"}')
    (suite / "weather.test.js").write_text(VITEST)
    report = run_vitest(suite, tmp_path)

    assert report["success"], report
    assert report["numPassedTests"] == report["numTotalTests"] == 1


def test_a_failure_in_vitest_says_why_rules_did_not_match(tmp_path: Path) -> None:
    suite = tmp_path / "suite"
    suite.mkdir()
    (suite / "node_modules").symlink_to(PACKAGES)
    (suite / "package.json").write_text('{"type": "module"}')
    (suite / "weather.test.js").write_text(VITEST.replace('"weather"', '"Weather"'))
    report = run_vitest(suite, tmp_path)
    [test] = report["testResults"][0]["assertionResults"]

    assert test["status"] == "failed"
    assert (
        "rule 1 did not match: prompt lacks 'Weather' but has 'weather'"
        in test["failureMessages"][0]
    )


def test_the_same_test_is_shorter_than_aimocks_and_can_say_more(tmp_path: Path) -> None:
    suite = tmp_path / "suite"
    link_packages(suite)
    (suite / "ours.test.ts").write_text(OURS)
    (suite / "aimock.test.ts").write_text(AIMOCKS)
    report = run_vitest(suite, tmp_path)
    outcomes = {
        Path(file["name"]).name: [test["status"] for test in file["assertionResults"]]
        for file in report["testResults"]
    }

    assert outcomes == {"ours.test.ts": ["passed"] * 2, "aimock.test.ts": ["passed", "failed"]}
    assert len(OURS.splitlines()) == 29
    assert len(AIMOCKS.splitlines()) == 39


@needs_java
def test_the_class_for_junit_gives_rules_and_reads_calls(tmp_path: Path) -> None:
    (tmp_path / "Bedrock.java").write_text(CONTROL)
    (tmp_path / "Main.java").write_text(JAVA_TEST)
    compiled = java("javac", "-Xlint:all", "-Werror", "Bedrock.java", "Main.java", folder=tmp_path)
    done = java(COMMAND[0], "exec", "--", "java", "-cp", ".", "Main", folder=tmp_path)
    own, others, mistake = (json.loads(line) for line in done.stdout.split("\n") if line)

    assert compiled.returncode == done.returncode == 0, compiled.stderr + done.stderr
    assert [call["text"] for call in own["requests"]] == [" It rains."]
    assert others == {"requests": []}
    assert mistake["error"].startswith("rule 1:")


@needs_java
def test_the_recipe_for_junit_lacks_but_its_libraries(tmp_path: Path) -> None:
    """Accept errors of javac only about libraries, which come from a Maven repository."""
    (tmp_path / "Bedrock.java").write_text(CONTROL)
    (tmp_path / "WeatherTest.java").write_text(JUNIT)
    done = java("javac", "Bedrock.java", "WeatherTest.java", folder=tmp_path)
    mistakes = re.findall(r"error: (.*)", done.stderr)
    symbols = set(re.findall(r"symbol: +(.*)", done.stderr))

    assert set(mistakes) == {"cannot find symbol"}, done.stderr
    assert symbols == LIBRARIES


def java(*command: str, folder: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        command, cwd=folder, capture_output=True, text=True, timeout=60, check=False
    )
