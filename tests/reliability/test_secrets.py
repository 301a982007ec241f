"""Secrets in all places of a request, which must not be in any log, journal or recording."""

import json
import os
import re
import socket
from collections.abc import Iterator
from datetime import UTC, datetime
from http.client import HTTPConnection
from pathlib import Path
from urllib.parse import quote, urlsplit

import pytest
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials

from tests.reliability.evidence import Evidence
from tests.reliability.service import SCRIPTED, Service, seconds_until, service_running
from tests.support.servers import GUARDRAILS, SEVEN_B

KEY_ID = "AKIASECRECYTRIAL0001"
OTHER_KEY_ID = "AKIASECRECYTRIAL0002"
STORED = "STORED-secret-access-key"
READER = "AKIDOPERATOR"  # may read the journal
STORED_API_KEY = "ABSKU1RPUkVELWFwaS1rZXktb2YtdGhlLXRyaWFs"
SIGNATURE = "51646e6174757265" * 4
# Places for secrets outside a signature.
HEADERS = {
    "Cookie": "session=COOKIE-secret; theme=dark",
    "Proxy-Authorization": "Basic UFJPWFktc2VjcmV0",
    "X-Api-Key": "APIKEY-secret",
    "Api-Key": "AZURE-api-key-secret",
    "X-Goog-Api-Key": "GOOGLE-api-key-secret",
    "X-Forwarded-Authorization": "Bearer FORWARDED-secret",
    "X-Amzn-Oidc-Data": "OIDC-secret-of-a-balancer",
    "X-Auth-Token": "AUTH-token-secret",
    "X-Whatever": "ASIASECRECYTRIAL0003",
}
TOKEN = "SESSION-token-secret/+="
QUERY = "&".join(
    f"{name}={quote(value, safe='')}"
    for name, value in {
        "X-Amz-Algorithm": "AWS4-HMAC-SHA256",
        "X-Amz-Credential": f"{OTHER_KEY_ID}/20261130/us-east-1/bedrock/aws4_request",
        "X-Amz-Security-Token": "QUERY-token-secret",
        "X-Amz-Signature": "QUERY-signature-secret",
    }.items()
)
UNSIGNED = [
    *("COOKIE-secret", "UFJPWFktc2VjcmV0", "APIKEY-secret", "AZURE-api-key-secret"),
    *("GOOGLE-api-key-secret", "FORWARDED-secret", "OIDC-secret-of-a-balancer"),
    *("AUTH-token-secret", "ASIASECRECYTRIAL0003"),
]
SIGNED = [SIGNATURE, TOKEN, "QUERY-token-secret", "QUERY-signature-secret", OTHER_KEY_ID]
BEARER = ["ABSKQkVBUkVSLXNlY3JldA", "BEARER-secret", "BARE-secret-without-a-scheme"]
NEVER = [STORED, STORED_API_KEY, *UNSIGNED, *SIGNED, *BEARER]


def authorizations(now: datetime) -> list[str]:
    """Return signatures with all errors that AWS quotes, and API keys."""
    scope = f"{now:%Y%m%d}/us-east-1/bedrock/aws4_request"
    signed = "SignedHeaders=host;x-amz-date;x-amz-security-token"
    credential = f"AWS4-HMAC-SHA256 Credential={KEY_ID}/{scope}"
    return [
        f"{credential}, {signed}, Signature={SIGNATURE}",
        f"{credential}, {signed}, Signature",
        f"{credential}, Signature={SIGNATURE}",
        f"AWS4-HMAC-SHA256 Credential={KEY_ID}/1/2, {signed}, Signature={SIGNATURE}",
        f"AWS4-HMAC-SHA256 {SIGNATURE}",
        f"Bearer {BEARER[0]}",
        f"Bearer {BEARER[1]}",
        BEARER[2],
    ]


PATHS = [
    ("POST", f"/model/{SEVEN_B}/invoke?{QUERY}", {"prompt": "Hi", "max_tokens": 2}),
    ("POST", f"/model/{SEVEN_B}/invoke", {"prompt": 7}),
    ("POST", f"/model/{SEVEN_B}/invoke-with-response-stream", {"prompt": "Hi", "max_tokens": 2}),
    ("POST", f"/model/{SEVEN_B}/converse", {"messages": []}),
    ("POST", f"/model/{SEVEN_B}/count-tokens", {"input": {}}),
    ("POST", "/guardrail/words1234567/version/DRAFT/apply", {"source": "INPUT", "content": []}),
    ("POST", "/model/no.such-model/invoke", {}),
    ("GET", f"/foundation-models?{QUERY}", None),
    ("GET", f"/no/such/path?{QUERY}", None),
]


def ask_all(url: str) -> list[str]:
    """Send every secret with every kind of call; return the answers."""
    answers = []
    for authorization in authorizations(now := datetime.now(UTC)):
        for method, path, body in PATHS:
            connection = HTTPConnection(urlsplit(url).netloc, timeout=30)
            headers = {
                "Authorization": authorization,
                "X-Amz-Date": f"{now:%Y%m%dT%H%M%SZ}",
                "X-Amz-Security-Token": TOKEN,
                **HEADERS,
            }
            connection.request(method, path, None if body is None else json.dumps(body), headers)
            response = connection.getresponse()
            answers.append(f"{response.headers}\n{response.read().decode(errors='replace')}")
            connection.close()
    return answers


def found(text: str, secrets: list[str]) -> list[str]:
    return [secret for secret in secrets if secret in text or quote(secret, safe="") in text]


@pytest.fixture
def keys(tmp_path: Path) -> Path:
    file = tmp_path / "keys.json"
    access_key = {"access_key_id": KEY_ID, "secret_access_key": STORED}
    operator = {"access_key_id": READER, "secret_access_key": "operates", "operator": True}
    known = {"access_keys": [access_key, operator], "api_keys": [{"api_key": STORED_API_KEY}]}
    file.write_text(json.dumps(known))
    file.chmod(0o600)
    return file


@pytest.fixture(params=["none", "sigv4", "any"])
def served(request: pytest.FixtureRequest, tmp_path: Path, keys: Path) -> Iterator[Service]:
    flags = ["--auth", request.param, "--control", "--guardrails", str(GUARDRAILS)]
    if request.param != "none":
        flags += ["--credentials", str(keys)]
    logs = ["--invocation-log", str(tmp_path / "invocations"), "--log-format", "json"]
    with service_running(*SCRIPTED, *flags, *logs) as service:
        yield service


def test_nothing_that_serve_keeps_has_a_secret(
    served: Service, tmp_path: Path, evidence: Evidence, request: pytest.FixtureRequest
) -> None:
    answers = ask_all(served.url)
    seconds_until(lambda: served.under_way() == 0, most=30)
    kept = {path: read(served.url, path) for path in ("/_emulator/requests", "/metrics")}
    journal = json.loads(kept["/_emulator/requests"])["requests"]
    for entry in journal:
        entry.pop("access_key_id")  # identifies the calls of a test: docs/test/journal.md
    kept["/_emulator/requests"] = json.dumps(journal)
    served.end()
    # Identifies the caller, as the journal does: docs/operate/logs.md.
    kept["log"] = re.sub(r'"key_id":"[^"]*"', "", served.text())
    kept["invocation log"] = (tmp_path / "invocations" / "modelinvocations.jsonl").read_text()
    leaks = {place: found(text, [*NEVER, KEY_ID]) for place, text in kept.items()}
    # AWS's errors about a signature quote the signed text to its caller.
    echoed = found("\n".join(answers), [STORED, STORED_API_KEY, *UNSIGNED])

    assert journal
    assert {place: secrets for place, secrets in leaks.items() if secrets} == {}
    assert echoed == []
    evidence.record(f"secrets-{request.node.callspec.params['served']}", len(answers), 0)


def read(url: str, path: str) -> str:
    connection = HTTPConnection(urlsplit(url).netloc, timeout=30)
    request = AWSRequest("GET", f"{url}{path}")
    SigV4Auth(Credentials(READER, "operates"), "bedrock", "us-east-1").add_auth(request)
    connection.request("GET", path, headers=dict(request.headers))
    text = connection.getresponse().read().decode()
    connection.close()
    return text


NO_AWS = {
    "AWS_CONFIG_FILE": os.devnull,
    "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
    "AWS_EC2_METADATA_DISABLED": "true",
}
OPERATOR = {
    "AWS_ACCESS_KEY_ID": "AKIAOPERATORTRIAL001",
    "AWS_SECRET_ACCESS_KEY": "OPERATOR-secret-access-key",
    "AWS_SESSION_TOKEN": "OPERATOR-session-token/+=",
}


def test_no_recording_has_a_secret_of_the_caller_or_of_the_operator(
    tmp_path: Path, keys: Path, evidence: Evidence
) -> None:
    # The upstream service refuses the operator's signature, and quotes it as AWS does.
    known = json.loads(keys.read_text())
    known["access_keys"][0]["access_key_id"] = OPERATOR["AWS_ACCESS_KEY_ID"]
    keys.write_text(json.dumps(known))
    refusing = service_running(*SCRIPTED, "--auth", "sigv4", "--credentials", str(keys))
    env = {**OPERATOR, **NO_AWS}
    with refusing as upstream:
        for number, behind in enumerate((upstream.url, "http://127.0.0.1:9")):
            to = ["--to", str(tmp_path / f"tape-{number}"), "--upstream", behind]
            with service_running(*to, command="record", env=env) as recorder:
                asked = len(ask_all(recorder.url))
                recorder.end()
                log = recorder.text()
            assert found(log, [*NEVER, KEY_ID, *OPERATOR.values()]) == []
    written = [path.read_text() for path in sorted((tmp_path / "tape-0").glob("*.json"))]

    assert len(written) == asked
    assert any("The Canonical String" in text for text in written)
    assert found("".join(written), [*NEVER, KEY_ID, *OPERATOR.values()]) == []
    evidence.record("secrets-recorded", asked, 0)


@pytest.mark.parametrize("name", ["AWS_BEARER_TOKEN_BEDROCK", "AWS_SESSION_TOKEN"])
def test_credentials_that_can_stand_in_no_header_are_not_quoted(name: str, tmp_path: Path) -> None:
    env = {**OPERATOR, **NO_AWS, name: "BROKEN-secret\n, with a line break"}
    with socket.create_server(("127.0.0.1", 0), backlog=100) as behind:
        upstream = f"http://127.0.0.1:{behind.getsockname()[1]}"
        to = ["--to", str(tmp_path), "--upstream", upstream]
        with service_running(*to, command="record", env=env) as recorder:
            answers = ask_all(recorder.url)
            recorder.end()
            log = recorder.text()

    assert "check the credentials for line breaks" in log
    assert found(log + "".join(answers), ["BROKEN-secret", *OPERATOR.values()]) == []
