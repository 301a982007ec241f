"""Authentication by SDKs: signatures and API keys, over HTTP/1.1, HTTP/2 and TLS."""

import json
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import boto3
import pytest
import trustme
from aws_bedrock_token_generator import BedrockTokenGenerator
from botocore.credentials import Credentials
from botocore.exceptions import ClientError

from tests.sdk.javascript import call_js_in_turn
from tests.support.servers import COMMAND, LARGE, SEVEN_B, command_running, wait_until_ready

KEY_ID = "AKIDEXAMPLE"
SECRET = "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY"
TOKEN = "a/session+token=="
API_KEY = "ABSKQmVkcm9ja0FQSUtleS1nb29kLWF0LTEyMzQ1Njc4OTAxMjpzZWNyZXQ="
OLD_KEY = API_KEY.replace("b29k", "b2xk")
OTHER_KEY = "ABSKQmVkcm9ja0FQSUtleS1ub25lLWF0LTEyMzQ1Njc4OTAxMjpzZWNyZXQ="
BODY = {"prompt": "Why?", "max_tokens": 5}
UNKNOWN = ("UnrecognizedClientException", "The security token included in the request is invalid.")
FAILED = (
    "AccessDeniedException",
    "Authentication failed: Please make sure your API Key is valid.",
)
FORMAT = (
    "AccessDeniedException",
    "Invalid API Key format: Must start with pre-defined prefix",
)
EXPIRED = ("AccessDeniedException", "Bearer Token has expired")
PROFILE_ARN = f"arn:aws:bedrock:us-east-1::foundation-model/{LARGE}"


@pytest.fixture(scope="module")
def keys(tmp_path_factory: pytest.TempPathFactory) -> Path:
    file = tmp_path_factory.mktemp("keys") / "keys.json"
    old = {"api_key": OLD_KEY, "expires": "2024-01-01T00:00:00Z"}
    document = {
        "access_keys": [
            {"access_key_id": KEY_ID, "secret_access_key": SECRET},
            {"access_key_id": "ASIA", "secret_access_key": SECRET, "session_token": TOKEN},
        ],
        "api_keys": [{"api_key": API_KEY}, old],
    }
    file.write_text(json.dumps(document))
    file.chmod(0o600)
    return file


@pytest.fixture(scope="module")
def guarded(keys: Path) -> Iterator[str]:
    """Yield the URL of a service that requires a signature or an API key."""
    command = [*COMMAND, "--engine", "scripted", "--auth", "any", "--credentials", str(keys)]
    with command_running(command) as url:
        wait_until_ready(url, seconds=30)
        yield url


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder with a certificate for localhost, its key, and its authority."""
    folder = tmp_path_factory.mktemp("tls")
    authority = trustme.CA()
    certificate = authority.issue_cert("localhost", "127.0.0.1")
    authority.cert_pem.write_to_path(folder / "ca.pem")
    certificate.private_key_pem.write_to_path(folder / "key.pem")
    certificate.cert_chain_pems[0].write_to_path(folder / "cert.pem")
    return folder


@pytest.fixture(scope="module")
def tls(keys: Path, authority: Path) -> Iterator[str]:
    """Yield the URL of the same service over https."""
    files = ["--tls-cert", str(authority / "cert.pem"), "--tls-key", str(authority / "key.pem")]
    command = [*COMMAND, "--engine", "scripted", "--auth", "any", "--credentials", str(keys)]
    with command_running([*command, *files]) as url:
        assert url.startswith("https://127.0.0.1:")
        wait_until_ready(url, seconds=30)
        yield url


def ask(url: str, operation: str = "invoke_model", model: str = SEVEN_B, **more: Any) -> Any:
    """Return the body, or code and message of boto3's error."""
    client = boto3.client(
        "bedrock-runtime", endpoint_url=url, **{"region_name": "us-east-1", **more}
    )
    with closing(client):
        try:
            answer = getattr(client, operation)(modelId=model, body=json.dumps(BODY))
        except ClientError as error:
            return error.response["Error"]["Code"], error.response["Error"]["Message"]
        with closing(answer["body"]) as body:
            if operation == "invoke_model":
                return json.loads(body.read())
            return [json.loads(event["chunk"]["bytes"]) for event in body]


def signing(key_id: str = KEY_ID, secret: str = SECRET, token: str | None = None) -> dict[str, Any]:
    return {
        "aws_access_key_id": key_id,
        "aws_secret_access_key": secret,
        "aws_session_token": token,
    }


@pytest.mark.parametrize("operation", ["invoke_model", "invoke_model_with_response_stream"])
def test_boto3s_signature_passes(guarded: str, operation: str) -> None:
    for keys in (signing(), signing("ASIA", SECRET, TOKEN)):
        for model in (SEVEN_B, PROFILE_ARN):
            assert isinstance(ask(guarded, operation, model, **keys), dict | list)


@pytest.mark.parametrize(
    ("signer", "code"),
    [
        (signing("AKIDNOBODY"), "UnrecognizedClientException"),
        (signing(secret="wrong"), "InvalidSignatureException"),
        (signing("ASIA"), "UnrecognizedClientException"),
        (signing("ASIA", SECRET, "another"), "UnrecognizedClientException"),
    ],
)
def test_boto3s_wrong_signature_does_not(guarded: str, signer: dict[str, Any], code: str) -> None:
    assert ask(guarded, **signer)[0] == code


def test_keys_of_the_environment_pass() -> None:
    env = {
        "INVOKE_API_ACCESS_KEY_ID": KEY_ID,
        "INVOKE_API_SECRET_ACCESS_KEY": SECRET,
        "INVOKE_API_SESSION_TOKEN": TOKEN,
    }
    with command_running([*COMMAND, "--engine", "scripted", "--auth", "sigv4"], env) as url:
        wait_until_ready(url, seconds=30)

        assert "outputs" in ask(url, **signing(token=TOKEN))
        assert ask(url, **signing()) == UNKNOWN


def test_a_signature_tells_the_region(guarded: str) -> None:
    code, message = ask(guarded, region_name="eu-central-1", **signing())

    assert code == "ResourceNotFoundException"
    assert message.startswith("Could not resolve the foundation model")


def bearer(monkeypatch: pytest.MonkeyPatch, authority: Path, token: str) -> dict[str, Any]:
    # boto3 sends API keys over https only.
    monkeypatch.setenv("AWS_BEARER_TOKEN_BEDROCK", token)
    return {"verify": str(authority / "ca.pem")}


@pytest.mark.parametrize("operation", ["invoke_model", "invoke_model_with_response_stream"])
def test_boto3s_api_keys_pass(
    monkeypatch: pytest.MonkeyPatch, tls: str, authority: Path, operation: str
) -> None:
    short = BedrockTokenGenerator().get_token(Credentials(KEY_ID, SECRET), "us-east-1")
    for token in (API_KEY, short):
        more = bearer(monkeypatch, authority, token)

        assert isinstance(ask(tls, operation, **more), dict | list)


@pytest.mark.parametrize(
    ("token", "error"),
    [
        (OTHER_KEY, FAILED),
        (OLD_KEY, EXPIRED),
        ("sk-123", FORMAT),
    ],
)
def test_boto3s_wrong_api_key_does_not(
    monkeypatch: pytest.MonkeyPatch,
    tls: str,
    authority: Path,
    token: str,
    error: tuple[str, str],
) -> None:
    assert ask(tls, **bearer(monkeypatch, authority, token)) == error


def test_boto3_signs_over_tls_too(tls: str, authority: Path) -> None:
    assert "outputs" in ask(tls, verify=str(authority / "ca.pem"), **signing())


@pytest.mark.parametrize("handler", ["default", "node"])
@pytest.mark.parametrize("operation", ["invoke", "stream"])
@pytest.mark.parametrize("over", ["guarded", "tls"])
def test_the_js_sdk_signs_and_sends_keys(
    request: pytest.FixtureRequest, authority: Path, handler: str, operation: str, over: str
) -> None:
    what: dict[str, Any] = {
        "endpoint": request.getfixturevalue(over),
        "handler": handler,
        "operation": operation,
        "body": BODY,
        "modelId": SEVEN_B,
    }
    callers: dict[str, dict[str, Any]] = {
        "signed": {"keys": [KEY_ID, SECRET]},
        "temporary, by ARN": {"keys": ["ASIA", SECRET, TOKEN], "modelId": PROFILE_ARN},
        "key": {"token": API_KEY},
        "nobody": {"keys": ["AKIDNOBODY", SECRET]},
        "wrong": {"keys": [KEY_ID, "wrong"]},
        "other key": {"token": OTHER_KEY},
        "old key": {"token": OLD_KEY},
        "no prefix": {"token": "sk-123"},
    }
    env = {"NODE_EXTRA_CA_CERTS": str(authority / "ca.pem")}
    answers = call_js_in_turn([{**what, **more} for more in callers.values()], env=env)
    errors = {
        name: (answer["error"], answer["message"])
        for name, [answer] in zip(callers, answers, strict=True)
        if "error" in answer
    }
    code, message = errors.pop("wrong")

    assert (code, message.partition("\n")[0][:46]) == (
        "InvalidSignatureException",
        "The request signature we calculated does not m",
    )
    assert errors == {
        "nobody": UNKNOWN,
        "other key": FAILED,
        "old key": EXPIRED,
        "no prefix": FORMAT,
    }
