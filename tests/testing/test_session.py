"""`pytest --bedrock`: clients that are made at import, and whose calls a test sees."""

import signal
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest

from tests.support.servers import COMMAND
from tests.support.waiting import until
from tests.testing.test_plugin import QUICK

APP = """
    import json

    import boto3
    from botocore.config import Config

    BODY = json.dumps({"prompt": "Summarise this."})
    CONFIG = Config(retries={"total_max_attempts": 1})
    DEFAULT = boto3.client("bedrock-runtime", config=CONFIG)
    OWN = boto3.Session().client("bedrock-runtime", config=CONFIG)


    def summarise(client=DEFAULT):
        answer = client.invoke_model(modelId="mistral.mistral-7b-instruct-v0:2", body=BODY)
        with answer["body"] as body:
            return json.load(body)["outputs"][0]["text"]
"""
TESTS = """
    import os

    import boto3
    import pytest
    from app import DEFAULT, OWN, summarise


    @pytest.mark.parametrize("client", [DEFAULT, OWN], ids=["default", "own"])
    @pytest.mark.parametrize("text", [" One.", " Two."])
    def test_a_client_that_was_made_at_import(bedrock, client, text):
        bedrock.reply(text)

        assert summarise(client) == text
        [call] = bedrock.requests
        assert call["access_key_id"] == bedrock.access_key_id == os.environ["AWS_ACCESS_KEY_ID"]


    @pytest.fixture(scope="module")
    def shared():
        return boto3.client("bedrock-runtime")


    @pytest.mark.parametrize("text", [" Three.", " Four."])
    def test_a_client_of_a_wider_fixture(bedrock, shared, text):
        bedrock.reply(text)

        assert summarise(shared) == text


    def test_without_the_fixture():
        assert summarise().startswith(" Scripted answer")


    def test_nothing_is_left(bedrock):
        assert bedrock.requests == []
        assert summarise().startswith(" Scripted answer")


    class TestUnit:
        def test_a_class(self):
            assert summarise().startswith(" Scripted answer")
"""


@pytest.fixture
def suite(pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch) -> pytest.Pytester:
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_DEFAULT_REGION", "AWS_REGION"):
        monkeypatch.delenv(name, raising=False)
    pytester.makepyfile(app=APP)
    pytester.makeini("[pytest]\n")
    return pytester


@pytest.mark.parametrize(
    ("ini", "flags"),
    [("", ["--bedrock"]), ("bedrock = true\n", []), ("", ["--bedrock", "-n", "2"])],
    ids=["flag", "ini", "workers"],
)
def test_clients_that_are_made_at_import_are_answered_by_each_tests_rules(
    suite: pytest.Pytester, ini: str, flags: list[str]
) -> None:
    suite.makeini(f"[pytest]\n{ini}")
    suite.makepyfile(TESTS)
    result = suite.runpytest_subprocess(*QUICK, *flags)

    result.assert_outcomes(passed=9)


def test_without_the_flag_a_client_of_the_real_aws_is_refused_by_its_endpoint(
    suite: pytest.Pytester, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "AKIDREAL")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "secret")
    monkeypatch.setenv("AWS_DEFAULT_REGION", "eu-west-1")
    suite.makepyfile(
        """
        import socket

        import pytest
        from app import OWN, summarise


        def test_refused(bedrock):
            with pytest.raises(Exception, match="would call the real AWS") as caught:
                summarise(OWN)
            assert "the client's endpoint is bedrock-runtime.eu-west-1.amazonaws.com" in str(
                caught.value
            )
            assert bedrock.requests == []


        @pytest.mark.parametrize("host", ["S3.Amazonaws.com", "x.amazonaws.com.cn.", "sts.api.aws"])
        def test_whatever_looks_it_up(bedrock, host):
            with pytest.raises(RuntimeError, match=f"endpoint is {host}"):
                socket.getaddrinfo(host, 443)


        @pytest.mark.parametrize("host", ["allowed.amazonaws.com", "amazonaws.com.example.invalid"])
        def test_others_are_looked_up(bedrock, host):
            with pytest.raises(socket.gaierror):  # there is no network here, and no such host
                socket.getaddrinfo(host, 443, proto=1_000)


        def test_outside_of_the_fixture_nothing_is_refused():
            with pytest.raises(socket.gaierror):
                socket.getaddrinfo("x.amazonaws.com", 443, proto=1_000)
        """
    )
    suite.makeini("[pytest]\nbedrock_allowed_hosts = allowed.amazonaws.com\n")
    result = suite.runpytest_subprocess(*QUICK)

    result.assert_outcomes(passed=7)


def test_a_report_says_whose_key_a_kept_client_carried(suite: pytest.Pytester) -> None:
    suite.makepyfile(
        test_kept="""
        import boto3
        from app import summarise

        kept = []


        def test_first(bedrock):
            kept.append(boto3.client("bedrock-runtime"))
            summarise(kept[0])


        def test_second(bedrock):
            bedrock.reply(" By rule.")

            assert summarise(kept[0]) == " By rule."


        def test_third(bedrock):
            assert bedrock.requests
        """
    )
    result = suite.runpytest_subprocess(*QUICK, "--bedrock")

    result.assert_outcomes(passed=1, failed=2)
    text = result.stdout.str()
    second, third = text.split("_ test_third _")
    assert "Bedrock requests with other access keys" in second
    assert "with the key of test_kept.py::test_first, so this test's rules did not apply:" in second
    assert "other access keys" not in third


def test_a_report_names_a_key_that_is_no_tests(suite: pytest.Pytester) -> None:
    suite.makepyfile(
        """
        import boto3
        from app import summarise


        def test_own_key(bedrock):
            bedrock.reply(" By rule.")
            own = boto3.client(
                "bedrock-runtime", aws_access_key_id="AKIDMINE", aws_secret_access_key="x"
            )

            assert summarise(own) == " By rule."
        """
    )
    result = suite.runpytest_subprocess(*QUICK, "--bedrock")

    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(
        ["with the access key AKIDMINE, which is no test's, so this test's rules did not apply: *"]
    )


STARTS = {
    "the fixture": "def test_it(bedrock, pytestconfig):\n    wait()\n",
    "--bedrock": "wait()\n",
    "bedrock_running": "from invoke_api.testing import bedrock_running\n"
    "with bedrock_running():\n    wait()\n",
}
WAIT = """\
import pathlib, time
def wait():
    pathlib.Path("started").touch()
    time.sleep(600)
"""


@pytest.mark.parametrize("start", STARTS)
def test_the_service_ends_with_a_program_that_is_killed(tmp_path: Path, start: str) -> None:
    file = tmp_path / "test_program.py"
    file.write_text(WAIT + STARTS[start])
    flags = ["--bedrock"] if start == "--bedrock" else []
    pytest_command = ["-m", "pytest", "-c", "/dev/null", *QUICK, *flags, "-p", "no:xdist"]
    arguments = [] if start == "bedrock_running" else pytest_command
    parent = subprocess.Popen([sys.executable, *arguments, file.name], cwd=tmp_path)
    assert_ends_with(parent, tmp_path / "started")


def test_the_service_of_a_command_ends_with_it(tmp_path: Path) -> None:
    started = tmp_path / "started"
    command = [sys.executable, "-m", "invoke_api", "exec", "--", "sh", "-c"]
    script = f"touch {started}; exec sleep 5"
    parent = subprocess.Popen([*command, script], start_new_session=True)
    assert_ends_with(parent, started)


def assert_ends_with(parent: subprocess.Popen[bytes], started: Path) -> None:
    """Kill the parent, and check that the service, which was there, ends soon."""
    try:
        until(started.exists, seconds=60)
        services = [
            child
            for child in psutil.Process(parent.pid).children(recursive=True)
            if "serve" in child.cmdline()
        ]
        assert services
    finally:
        parent.send_signal(signal.SIGKILL)
        parent.wait()
    gone, alive = psutil.wait_procs(services, timeout=20)
    for service in alive:
        service.kill()
    assert not alive
    assert gone


def test_a_service_without_an_open_standard_input_stops(tmp_path: Path) -> None:
    began = time.monotonic()
    done = subprocess.run(
        [*COMMAND, "--engine", "scripted", "--port", "0", "--stop-with-stdin"],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        cwd=tmp_path,
        check=False,
        timeout=60,
    )

    assert "standard input has closed: stopping" in done.stderr
    assert time.monotonic() - began < 60
