"""`invoke-api record` between real SDKs and a service that checks signatures."""

import json
import os
import re
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from http.client import HTTPConnection
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from botocore.exceptions import ClientError
from urllib3.exceptions import ProtocolError

from invoke_api.cassettes.reader import load_recordings
from tests.rules.test_rules import client
from tests.sdk.javascript import call_js
from tests.support.full_disks import fill, small_disk
from tests.support.servers import (
    COMMAND,
    SEVEN_B,
    call,
    command_running,
    run_command,
    wait_until_ready,
)
from tests.support.streams import split_frames

KEYS = {"AWS_ACCESS_KEY_ID": "AKIDREAL", "AWS_SECRET_ACCESS_KEY": "the-real-secret"}
API_KEY = "ABSKQmVkcm9ja0FQSUtleS1nb29kLWF0LTEyMzQ1Njc4OTAxMjpzZWNyZXQ="
CLEAN = {
    "AWS_CONFIG_FILE": "/nowhere",
    "AWS_SHARED_CREDENTIALS_FILE": "/nowhere",
    "AWS_EC2_METADATA_DISABLED": "true",
}
BODY = json.dumps({"prompt": "Zürich 🦜", "max_tokens": 5})
PACE = {"reply": " one two three", "pace": {"first_token": 0.2, "tokens_per_second": 20}}


@pytest.fixture(scope="module")
def upstream(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Run a service that accepts the real key only and answers slowly, and yield its URL."""
    folder = tmp_path_factory.mktemp("upstream")
    keys = folder / "keys.json"
    access_key = {"access_key_id": "AKIDREAL", "secret_access_key": "the-real-secret"}
    keys.write_text(json.dumps({"access_keys": [access_key], "api_keys": [{"api_key": API_KEY}]}))
    keys.chmod(0o600)
    rules = folder / "rules.json"
    cut = {
        "when": {"prompt": "cut"},
        "reply": " a b c",
        "fault": {"break": "cut", "after_tokens": 2},
    }
    late = {
        "when": {"prompt": "late"},
        "reply": " a",
        "fault": {"exception": "ThrottlingException", "after_tokens": 1},
    }
    rules.write_text(json.dumps({"rules": [PACE, cut, late]}))
    flags = ["--engine", "scripted", "--auth", "any", "--credentials", str(keys)]
    with command_running([*COMMAND, *flags, "--rules", str(rules)]) as url:
        wait_until_ready(url, seconds=30)
        yield url


@contextmanager
def recording(to: Path, upstream: str, *flags: str, **env: str) -> Iterator[str]:
    command = [COMMAND[0], "record", "--port", "0", "--to", str(to), "--upstream", upstream]
    with command_running([*command, *flags], {**CLEAN, **(env or KEYS)}) as url:
        yield url


def documents(folder: Path) -> list[dict[str, Any]]:
    return [json.loads(path.read_text()) for path in sorted(folder.glob("*.json"))]


def test_a_call_passes_unchanged_and_is_kept_without_secrets(upstream: str, tmp_path: Path) -> None:
    with recording(tmp_path, upstream) as url, client(url, key="AKIDDUMMY") as runtime:
        answer = runtime.invoke_model(modelId=SEVEN_B, body=BODY)
        body = answer["body"].read()
    [document] = documents(tmp_path)
    kept = document["response"]

    assert json.loads(body) == {"outputs": [{"text": " one two three", "stop_reason": "stop"}]}
    assert kept["body"] == {"json": json.loads(body)}
    names = [line.partition(":")[0] for line in kept["headers"]]
    assert names[:5] == ["Date", "Content-Type", "Content-Length", "Connection", "x-amzn-RequestId"]
    headers = answer["ResponseMetadata"]["HTTPHeaders"]
    assert [line.partition(": ")[2] for line in kept["headers"]] == list(headers.values())
    assert document["request"]["path"] == "/model/mistral.mistral-7b-instruct-v0%3A2/invoke"
    assert document["request"]["body"] == {"json": json.loads(BODY), "style": "spaced"}
    text = json.dumps(document)
    assert "the-real-secret" not in text
    assert "AKIDREAL" not in text
    assert "Signature=[redacted]" in text


def test_a_stream_passes_as_it_comes_and_is_kept_with_its_times(
    upstream: str, tmp_path: Path
) -> None:
    with recording(tmp_path, upstream) as url, client(url) as runtime:
        began = time.monotonic()
        answer = runtime.invoke_model_with_response_stream(modelId=SEVEN_B, body=BODY)
        seen = [(time.monotonic() - began, event["chunk"]["bytes"]) for event in answer["body"]]
    [document] = documents(tmp_path)
    frames = document["response"]["frames"]

    assert [json.loads(raw) for _, raw in seen] == [
        frame["payload"]["json"]["bytes"]["json"] for frame in frames
    ]
    assert len(frames) == 4
    # The first token arrived before the last one was generated, also by the recorded times.
    assert seen[0][0] < seen[-1][0] - 0.1
    assert frames[0]["at"] > 190
    assert frames[-1]["at"] > frames[0]["at"] + 120


@pytest.mark.parametrize("handler", ["default", "node"])
def test_the_javascript_sdk_is_recorded(upstream: str, tmp_path: Path, handler: str) -> None:
    with recording(tmp_path / "all.json", upstream) as url:
        [got] = call_js(
            endpoint=url,
            handler=handler,
            operation="stream",
            modelId=SEVEN_B,
            body={"prompt": "Hi", "max_tokens": 2},
        )
    document = json.loads((tmp_path / "all.json").read_text())

    assert [chunk["outputs"][0]["text"] for chunk in got["chunks"]] == [" one", " two"]
    assert len(document["response"]["frames"]) == 2


def test_an_api_key_signs_too(upstream: str, tmp_path: Path) -> None:
    env = {"AWS_BEARER_TOKEN_BEDROCK": API_KEY}
    with recording(tmp_path, upstream, **env) as url, client(url) as runtime:
        runtime.invoke_model(modelId=SEVEN_B, body=BODY)["body"].read()
    [document] = documents(tmp_path)

    assert document["response"]["status"] == 200
    assert API_KEY not in json.dumps(document)


def test_refusals_are_recorded_and_reach_the_client_as_they_are(
    upstream: str, tmp_path: Path
) -> None:
    wrong = {**KEYS, "AWS_SECRET_ACCESS_KEY": "wrong"}
    with recording(tmp_path, upstream) as url, client(url) as runtime:
        with pytest.raises(ClientError, match="Malformed input request: #/prompt: expected type"):
            runtime.invoke_model(modelId=SEVEN_B, body='{"prompt": 7}')
        refused = pytest.raises(ClientError, match="ResourceNotFoundException")
        with client(url, region="eu-central-1") as other, refused:
            other.invoke_model(modelId=SEVEN_B, body=BODY)
    refused = pytest.raises(ClientError, match="InvalidSignatureException")
    with recording(tmp_path, upstream, **wrong) as url, client(url) as runtime, refused:
        runtime.invoke_model(modelId=SEVEN_B, body=BODY)

    assert [document["response"]["status"] for document in documents(tmp_path)] == [400, 404, 403]


def test_a_region_for_all_calls(upstream: str, tmp_path: Path) -> None:
    refused = pytest.raises(ClientError, match="ResourceNotFoundException")
    elsewhere = recording(tmp_path, upstream, "--region", "eu-central-1")
    with elsewhere as url, client(url) as runtime, refused:
        runtime.invoke_model(modelId=SEVEN_B, body=BODY)


def test_a_stream_that_breaks_off_breaks_off_here_and_is_kept_so(
    upstream: str, tmp_path: Path
) -> None:
    with recording(tmp_path, upstream) as url, client(url) as runtime:
        answer = runtime.invoke_model_with_response_stream(
            modelId=SEVEN_B, body='{"prompt": "cut"}'
        )
        with pytest.raises(ProtocolError):
            list(answer["body"])
        answer["body"].close()
    [document] = documents(tmp_path)

    assert document["response"]["complete"] is False
    assert len(document["response"]["frames"]) == 2


def test_any_path_and_query_reach_the_service_as_they_are(upstream: str, tmp_path: Path) -> None:
    path = "/foundation-models?byProvider=Mistral%20AI&x=%2F"
    with recording(tmp_path, upstream) as url:
        response, body = call(url, "GET", path)
    [document] = documents(tmp_path)

    assert (response.status, b"modelSummaries" in body) == (200, True)
    assert document["request"]["path"] == path


def test_every_loopback_address_is_this_machine(upstream: str, tmp_path: Path) -> None:
    with recording(tmp_path, upstream, "--host", "127.0.0.2") as url:
        response, _ = call(url, "GET", "/foundation-models")

    assert (url.rpartition(":")[0], response.status) == ("http://127.0.0.2", 200)


def test_a_web_page_gets_nothing_signed(upstream: str, tmp_path: Path) -> None:
    headers = [
        {"Origin": "https://example.com"},
        {"Sec-Fetch-Site": "cross-site"},
        {"Host": "example.com"},  # a name that resolves to loopback
        {"Sec-Fetch-Site": "same-origin"},  # the recorder has no pages
    ]
    with recording(tmp_path, upstream) as url:
        path = f"/model/{SEVEN_B}/invoke"
        answers = [call(url, "POST", path, b"{}", **header) for header in headers]

    for (response, body), header in zip(answers, headers, strict=True):
        assert response.status == 403, header
        assert json.loads(body)["Message"].startswith("The recorder signs no calls of web pages. ")
    assert documents(tmp_path) == []


def test_a_name_of_the_recorder_may_be_said(upstream: str, tmp_path: Path) -> None:
    with recording(tmp_path, upstream, "--allowed-host", "recorder.test") as url:
        response, _ = call(url, "GET", "/foundation-models", Host="recorder.test:8080")

    assert response.status == 200


def test_a_presigned_callers_signature_is_neither_sent_nor_kept(
    upstream: str, tmp_path: Path
) -> None:
    query = "X-Amz-Signature=abc&X-Amz-Security-Token=def"
    secrets = {"X-Api-Key": "ghi", "Proxy-Authorization": "jkl", "Cookie": "mno"}
    with recording(tmp_path, upstream) as url:
        response, _ = call(
            url, "POST", f"/model/{SEVEN_B}/invoke?{query}", BODY.encode(), **secrets
        )
    [document] = documents(tmp_path)
    text = json.dumps(document)

    assert response.status == 200
    assert document["request"]["path"] == f"/model/{SEVEN_B}/invoke"
    assert not [secret for secret in ("abc", "def", "ghi", "jkl", "mno") if f"{secret}" in text]


def test_a_service_that_is_not_there_is_a_503_and_a_line_in_the_log(tmp_path: Path) -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        nobody = f"http://127.0.0.1:{unused.getsockname()[1]}"
        caught = pytest.raises(ClientError)
        with recording(tmp_path, nobody) as url, client(url) as runtime, caught as refused:
            runtime.invoke_model(modelId=SEVEN_B, body=BODY)

    error = refused.value.response["Error"]
    assert error["Code"] == "ServiceUnavailableException"
    assert error["Message"] == f"The recorder got no answer from {nobody}."


def read_request(connection: socket.socket) -> bytes:
    asked = b""
    while not asked.endswith(b"{}"):
        more = connection.recv(65_536)
        if not more:
            break
        asked += more
    return asked


HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%b"


def test_what_a_service_sends_behind_an_answer_is_not_the_next_one(tmp_path: Path) -> None:
    # The service sends two answers to each request of a connection.

    def serve(connection: socket.socket) -> None:
        with connection, suppress(ConnectionError):
            while asked := read_request(connection):
                number = asked.partition(b"/model/")[2][:1]
                connection.sendall(HEAD % (1, number) + HEAD % (1, b"x"))

    def accept(server: socket.socket) -> None:
        with suppress(OSError):  # closed
            while True:
                connection, _ = server.accept()
                threading.Thread(target=serve, args=[connection], daemon=True).start()

    with socket.create_server(("127.0.0.1", 0)) as server:
        threading.Thread(target=accept, args=[server], daemon=True).start()
        with recording(tmp_path, f"http://127.0.0.1:{server.getsockname()[1]}") as url:
            bodies = [call(url, "POST", f"/model/{n}/invoke", b"{}")[1] for n in range(1, 4)]
        server.shutdown(socket.SHUT_RDWR)

    assert bodies == [b"1", b"2", b"3"]
    assert [each["response"]["body"]["json"] for each in documents(tmp_path)] == [1, 2, 3]


def test_a_client_that_leaves_ends_the_call_upstream(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        server.settimeout(20)
        with recording(tmp_path, f"http://127.0.0.1:{server.getsockname()[1]}") as url:
            leaving = HTTPConnection(urlsplit(url).netloc, timeout=10)
            leaving.request("POST", f"/model/{SEVEN_B}/invoke", b"{}")
            connection, _ = server.accept()
            with connection:
                connection.settimeout(20)
                read_request(connection)
                leaving.close()

                assert connection.recv(1) == b""
    assert documents(tmp_path) == []


@pytest.mark.parametrize(
    ("flags", "env", "sentence"),
    [
        (
            ["--to", "x"],
            {},
            "Error: no AWS credentials were found where the AWS SDKs look for them",
        ),
        (["--to", "x", "--profile", "none"], {}, "Error: The config profile (none) could not be"),
        (
            ["--to", "x", "--host", "0.0.0.0"],
            KEYS,
            "every client that reaches this machine could call AWS",
        ),
        (["--to", "x", "--upstream", "aws"], KEYS, "--upstream must be a URL without a path"),
        (["--to", "x", "--region", "moon"], KEYS, "AWS has no region 'moon'."),
        (["--to", "/proc/x"], KEYS, "Error: can't write to /proc/x: "),
        ([], KEYS, "Missing option '--to'"),
    ],
)
def test_what_can_not_work_is_a_sentence(
    tmp_path: Path, flags: list[str], env: dict[str, str], sentence: str
) -> None:
    kept = {name: value for name, value in os.environ.items() if not name.startswith("AWS_")}
    env = {**kept, **CLEAN, **env}
    done = run_command("record", "--port", "0", *flags, cwd=tmp_path, env=env)

    assert done.returncode != 0
    assert sentence in done.stderr
    assert "Traceback" not in done.stderr


def test_a_full_disk_costs_the_recording_and_not_the_answer(upstream: str, tmp_path: Path) -> None:
    with small_disk(tmp_path / "disk", 65_536) as disk:
        with recording(disk / "calls.json", upstream) as url:
            before, _ = call(url, "GET", "/foundation-models?n=1")
            filling = fill(disk, leave=2_048)
            answers = [call(url, "GET", "/foundation-models?n=2") for _ in range(3)]
            filling.unlink()
            after, _ = call(url, "GET", "/foundation-models?n=3")
        paths = [each.path for _, each in load_recordings(disk / "calls.json")]

    assert [response.status for response, _ in answers] == [200, 200, 200]
    assert all(b"modelSummaries" in body for _, body in answers)
    assert (before.status, after.status) == (200, 200)
    assert paths == ["/foundation-models?n=1", "/foundation-models?n=3"]


def test_a_second_recorder_is_refused_at_its_start(upstream: str, tmp_path: Path) -> None:
    with recording(tmp_path, upstream):
        env = {**os.environ, **CLEAN, **KEYS}
        second = run_command("record", "--port", "0", "--to", str(tmp_path), env=env)
    said = re.fullmatch(
        rf"Error: can't write to {re.escape(str(tmp_path))}: process (\d+) is recording there\n",
        second.stderr,
    )

    assert second.returncode == 1
    assert said


def test_frames_are_split_where_they_end(upstream: str, tmp_path: Path) -> None:
    # The recorder forwards the bytes unchanged.
    body = b'{"prompt": "late"}'
    with recording(tmp_path, upstream) as url:
        _, raw = call(url, "POST", f"/model/{SEVEN_B}/invoke-with-response-stream", body)
    [document] = documents(tmp_path)

    kinds = [frame.headers.get(":exception-type") for frame in split_frames(raw)]
    assert kinds == [None, "throttlingException"]
    assert [
        frame["headers"].get(":exception-type") for frame in document["response"]["frames"]
    ] == kinds
