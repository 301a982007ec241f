"""The access log: one line for each call, as text or JSON, with every way that a call can end."""

import asyncio
import json
import logging
import re
import threading
from collections.abc import Callable, Iterator
from contextlib import closing, suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import boto3
import pytest
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError
from urllib3.exceptions import HTTPError

from invoke_api.cli import serve_command
from invoke_api.observability import access_log
from invoke_api.observability.access_log import AccessLog, AccessRecord
from invoke_api.server.settings import Settings
from tests.support.logs import access_lines, json_lines, logged_service
from tests.support.servers import LARGE_3, SEVEN_B, call, connect
from tests.support.waiting import until, until_in_loop

KEY = "AKIAIOSFODNN7EXAMPLE"
RFC_3339 = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z")
BODY = json.dumps({"prompt": "<s>[INST] Hello [/INST]", "max_tokens": 5}).encode()
FAILURES = (ClientError, BotoCoreError, HTTPError)  # the last one for a torn stream
FIELDS = {
    *("time", "level", "logger", "message", "request_id", "key_id", "operation", "model", "status"),
    *("ended", "error", "input_tokens", "output_tokens", "first_token_ms", "total_ms", "engine"),
    "worker",
}


@pytest.fixture(scope="module")
def log(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("logs") / "stderr"


@pytest.fixture(scope="module")
def url(log: Path) -> Iterator[str]:
    flags = ["--engine", "scripted", "--log-format", "json"]
    with logged_service(log, *flags, env={"TZ": "Asia/Kolkata"}) as url:
        yield url


def aws(service: str, url: str) -> Any:
    """Return a client that retries nothing."""
    return boto3.client(
        service,
        endpoint_url=url,
        region_name="us-west-2",
        aws_access_key_id=KEY,
        aws_secret_access_key="secret",
        config=Config(retries={"total_max_attempts": 1}),
    )


def whole(runtime: Any) -> None:
    runtime.invoke_model(modelId=SEVEN_B, body=BODY)["body"].read()


def streamed(runtime: Any) -> None:
    answer = runtime.invoke_model_with_response_stream(modelId=SEVEN_B, body=BODY)
    with closing(answer["body"]) as events:
        list(events)


def converse(runtime: Any) -> None:
    messages = [{"role": "user", "content": [{"text": "Hello"}]}]
    runtime.converse(modelId=LARGE_3, messages=messages)


def refused(runtime: Any) -> None:
    runtime.invoke_model(modelId=SEVEN_B, body=b"{}")


def unknown_model(runtime: Any) -> None:
    runtime.invoke_model(modelId="mistral.nobody-v1:0", body=BODY)


OUTCOMES: list[tuple[Callable[[Any], None], dict[str, Any] | None, dict[str, Any]]] = [
    (whole, None, {"operation": "InvokeModel", "status": 200, "ended": "length"}),
    (
        streamed,
        None,
        {"operation": "InvokeModelWithResponseStream", "status": 200, "ended": "length"},
    ),
    (converse, None, {"operation": "Converse", "model": LARGE_3, "status": 200, "ended": "stop"}),
    (
        refused,
        None,
        {"status": 400, "ended": "error", "error": "ValidationException", "engine": None},
    ),
    (
        unknown_model,
        None,
        {"model": "mistral.nobody-v1:0", "status": 400, "error": "ValidationException"},
    ),
    (
        whole,
        {"fault": "ThrottlingException"},
        {"status": 429, "ended": "error", "error": "ThrottlingException", "output_tokens": None},
    ),
    (
        streamed,
        {
            "reply": "one two three",
            "fault": {"exception": "ModelTimeoutException", "after_tokens": 2},
        },
        {"status": 200, "ended": "error", "error": "ModelTimeoutException", "output_tokens": 2},
    ),
    (
        streamed,
        {"reply": "one two three", "fault": {"break": "cut", "after_tokens": 2}},
        {"status": 200, "ended": "cut", "error": None, "output_tokens": 2},
    ),
]


@pytest.mark.parametrize(("send", "rule", "expected"), OUTCOMES)
def test_each_call_has_one_line_with_its_outcome(
    url: str,
    log: Path,
    send: Callable[[Any], None],
    rule: dict[str, Any] | None,
    expected: dict[str, Any],
) -> None:
    call(url, "POST", "/_emulator/reset")
    if rule:
        response, said = call(url, "POST", "/_emulator/rules", json.dumps(rule).encode())
        assert response.status < 300, said
    before = len(access_lines(log))
    with closing(aws("bedrock-runtime", url)) as runtime, suppress(*FAILURES):
        send(runtime)
    until(lambda: len(access_lines(log)) > before)
    line = access_lines(log)[before]

    assert line.keys() == FIELDS
    assert {name: line[name] for name in expected} == expected
    assert line["key_id"] == KEY
    assert line["worker"] is None
    assert RFC_3339.fullmatch(line["time"])
    moment = datetime.fromisoformat(line["time"])
    assert abs((datetime.now(UTC) - moment).total_seconds()) < 60
    _, journal = call(url, "GET", "/_emulator/requests")
    entry = json.loads(journal)["requests"][0]
    assert line["request_id"] == entry["request_id"]
    assert line["engine"] == entry["engine"]
    if entry["output_tokens"]:
        assert line["input_tokens"] == entry["input_tokens"]
        assert line["output_tokens"] == entry["output_tokens"]
    if line["output_tokens"]:
        assert 0 <= line["first_token_ms"] <= line["total_ms"]


def test_a_client_that_leaves_is_a_cancelled_call(url: str, log: Path) -> None:
    call(url, "POST", "/_emulator/reset")
    rule = {"reply": "one two", "pace": {"tokens_per_second": 0.01}}
    call(url, "POST", "/_emulator/rules", json.dumps(rule).encode())
    before = len(access_lines(log))
    connection = connect(url)
    connection.request("POST", f"/model/{SEVEN_B}/invoke-with-response-stream", BODY)
    connection.getresponse()  # its status: the first token has been sent
    connection.close()
    until(lambda: len(access_lines(log)) > before, seconds=30)

    line = access_lines(log)[before]
    assert (line["ended"], line["status"], line["error"]) == ("cancelled", None, None)
    assert line["output_tokens"] == 1


def test_calls_without_a_model_have_lines_and_the_emulators_own_routes_have_none(
    url: str, log: Path
) -> None:
    before = len(access_lines(log))
    call(url, "GET", "/_emulator/health")
    catalogue = aws("bedrock", url)
    catalogue.list_foundation_models()
    catalogue.close()
    call(url, "GET", "/nothing")
    until(lambda: len(access_lines(log)) >= before + 2)
    listing, unknown = access_lines(log)[before:]

    assert (listing["operation"], listing["model"], listing["ended"]) == (
        "ListFoundationModels",
        None,
        "ok",
    )
    assert (unknown["operation"], unknown["error"]) == (None, "UnknownOperationException")


def test_text_lines_are_lines_whatever_the_client_writes(tmp_path: Path) -> None:
    log = tmp_path / "stderr"
    with logged_service(log, "--engine", "scripted") as url:
        before = len(log.read_text().splitlines())
        call(url, "POST", "/model/a%0D12:00:00%20INFO%20forged/invoke", BODY)
        call(url, "POST", f"/model/{SEVEN_B}/invoke", BODY)
    lines = [each for each in log.read_text().splitlines()[before:] if " ms=" in each]

    assert len(lines) == 2
    assert r"InvokeModel 'a\r12:00:00 INFO forged' 400 error error=ValidationException" in lines[0]
    assert re.fullmatch(
        rf"\d\d:\d\d:\d\d INFO    InvokeModel {SEVEN_B} 200 length in=\d+ out=5 first_ms=[\d.]+"
        r" ms=[\d.]+ engine=scripted id=[\w-]{36}",
        lines[1],
    )


def test_access_lines_can_be_switched_off(tmp_path: Path) -> None:
    log = tmp_path / "stderr"
    flags = ["--engine", "scripted", "--log-format", "json", "--no-access-log"]
    with logged_service(log, *flags) as url:
        call(url, "POST", f"/model/{SEVEN_B}/invoke", BODY)

    assert access_lines(log) == []
    assert any("listens on" in line["message"] for line in json_lines(log))


@pytest.mark.parametrize(
    ("level", "has_lines"), [("debug", True), ("info", True), ("warning", False), ("error", False)]
)
def test_access_lines_have_the_level_info(level: str, *, has_lines: bool) -> None:
    flags = serve_command.make_context("invoke-api serve", ["--log-level", level]).params

    assert Settings(**flags).logs_access == has_lines


def test_lines_of_workers_name_the_worker(tmp_path: Path) -> None:
    log = tmp_path / "stderr"
    flags = ["--engine", "scripted", "--workers", "2", "--log-format", "json"]
    with logged_service(log, *flags, "--log-level", "debug") as url:
        for _ in range(4):
            call(url, "POST", f"/model/{SEVEN_B}/invoke", BODY)

    lines = access_lines(log)
    assert len(lines) == 4  # written also if the service ends at once
    assert {line["worker"] for line in lines} <= {"worker-1", "worker-2"}


A_RECORD = AccessRecord(0.0, "id", None, "InvokeModel", None, 200, "ok", None, 1, 2, 3.0, 4.0, None)


async def test_a_blocked_log_blocks_no_call_and_tells_what_it_has_lost(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(access_log, "MAX_WAITING_LINES", 3)
    monkeypatch.setattr(access_log, "FLUSH_SECONDS", 0.001)
    began, may_write = threading.Event(), threading.Event()
    written: list[bytes] = []

    def write(data: bytes) -> None:
        began.set()
        assert may_write.wait(30)
        written.append(data)

    log = AccessLog("json", "worker-1", write)
    log.add(A_RECORD)
    await until_in_loop(began.is_set)
    for _ in range(5):
        log.add(A_RECORD)
    await asyncio.sleep(0.01)
    assert written == []
    may_write.set()
    with caplog.at_level(logging.WARNING):
        await log.close()

    assert b"".join(written).count(b"\n") == 1 + 3
    assert "2 lines of the access log are lost" in caplog.text


async def test_lines_are_written_whole_in_the_order_of_calls() -> None:
    written: list[bytes] = []
    log = AccessLog("json", None, written.append)
    for number in range(100):
        log.add(A_RECORD._replace(request_id=str(number), model="\x00" * 1_000))
    await log.close()

    assert all(len(each) <= 4_096 and each.endswith(b"\n") for each in written)
    lines = [json.loads(line) for line in b"".join(written).splitlines()]
    assert [line["request_id"] for line in lines] == [str(number) for number in range(100)]
    assert {len(line["model"]) for line in lines} == {256}
