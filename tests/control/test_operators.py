"""With authentication, control routes accept only operators' keys."""

import json
import subprocess
from collections.abc import Iterator
from pathlib import Path

import boto3
import pytest
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials

from tests.support.servers import COMMAND, call, command_running, wait_until_ready

CALLERS = "ABSKY2FsbGVyY2FsbGVyY2FsbGVy"
OPERATORS = "ABSKb3BlcmF0b3JvcGVyYXRvcm9w"
KEYS = f"""\
access_keys:
  - access_key_id: AKIDCALLER
    secret_access_key: secret
  - access_key_id: AKIDOPERATOR
    secret_access_key: secret
    operator: true
api_keys:
  - api_key: {CALLERS}
  - api_key: {OPERATORS}
    operator: true
"""
CONTROL = [
    ("GET", "/_emulator/rules", b""),
    ("POST", "/_emulator/rules", b'{"reply": "a"}'),
    ("DELETE", "/_emulator/rules", b""),
    ("GET", "/_emulator/requests?scope=AKIDCALLER", b""),
    ("DELETE", "/_emulator/requests", b""),
    ("POST", "/_emulator/reset", b""),
]


@pytest.fixture(scope="module")
def url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    file = tmp_path_factory.mktemp("keys") / "credentials.yaml"
    file.write_text(KEYS)
    file.chmod(0o600)
    flags = ["--engine", "scripted", "--auth", "any", "--control", "--credentials", str(file)]
    with command_running([*COMMAND, *flags]) as started:
        wait_until_ready(started, seconds=30)
        yield started


def signed(request: AWSRequest, key: str, secret: str) -> dict[str, str]:
    SigV4Auth(Credentials(key, secret), "bedrock", "us-east-1").add_auth(request)
    return dict(request.headers)


@pytest.mark.parametrize(("method", "path", "body"), CONTROL)
def test_only_an_operators_key_opens_them(url: str, method: str, path: str, body: bytes) -> None:
    def asked(**headers: str) -> int:
        return call(url, method, path, body, **headers)[0].status

    def request() -> AWSRequest:
        return AWSRequest(method, f"{url}{path}", data=body)

    assert asked() == 403
    assert asked(Authorization="Bearer ABSKd3Jvbmd3cm9uZ3dyb25nd3Jv") == 403
    assert asked(Authorization=f"Bearer {CALLERS}") == 403
    assert asked(**signed(request(), "AKIDCALLER", "secret")) == 403
    assert asked(**signed(request(), "AKIDOPERATOR", "wrong")) == 403
    assert asked(**signed(request(), "AKIDOPERATOR", "secret")) < 300
    assert asked(Authorization=f"Bearer {OPERATORS}") < 300


def test_a_key_without_it_is_told_so(url: str) -> None:
    _, body = call(url, "GET", "/_emulator/rules", Authorization=f"Bearer {CALLERS}")

    assert json.loads(body) == {
        "error": "This key may only call models; rules and journal need a key with `operator: true`"
        " in the credentials file."
    }


def test_a_page_is_refused_even_with_an_operators_key(url: str) -> None:
    headers = {"Authorization": f"Bearer {OPERATORS}", "Origin": "http://evil.example"}

    assert call(url, "GET", "/_emulator/rules", None, **headers)[0].status == 403


@pytest.mark.parametrize(
    "path", ["/_emulator/health", "/_emulator/ready", "/metrics", "/_emulator/openapi.json"]
)
def test_public_routes_ask_for_no_key(url: str, path: str) -> None:
    assert call(url, "GET", path)[0].status == 200


def test_a_callers_key_still_calls_models(url: str) -> None:
    client = boto3.client(
        "bedrock-runtime",
        endpoint_url=url,
        region_name="us-east-1",
        aws_access_key_id="AKIDCALLER",
        aws_secret_access_key="secret",
    )
    answer = client.converse(
        modelId="mistral.mistral-7b-instruct-v0:2",
        messages=[{"role": "user", "content": [{"text": "Hi"}]}],
    )
    client.close()

    assert answer["stopReason"] == "end_turn"


def test_control_without_an_operator_is_warned_of(tmp_path: Path) -> None:
    file = tmp_path / "credentials.yaml"
    file.write_text(f"api_keys: [{{api_key: {CALLERS}}}]\n")
    file.chmod(0o600)
    flags = ["--engine", "scripted", "--auth", "bearer", "--control", "--credentials", str(file)]
    process = subprocess.Popen([*COMMAND, *flags], stderr=subprocess.PIPE, text=True)
    assert process.stderr
    with process:
        said = ""
        while "listens on" not in said:
            said += process.stderr.readline()
        process.terminate()

    assert "No key can use --control: none in --credentials has `operator: true`" in said
