"""Spans of calls, as a collector receives them, and the trace context for the next server."""

import json
import os
import re
import subprocess
import sys
from asyncio import to_thread
from collections.abc import Iterator
from contextlib import closing, suppress
from pathlib import Path
from typing import Any

import boto3
import click
import pytest
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError
from urllib3.exceptions import HTTPError

from invoke_api.observability.trace_context import passed_on
from invoke_api.server.environment import otlp_protocol
from tests.support.completions_server import CompletionsServer, event, send
from tests.support.logs import logged_service
from tests.support.otlp import Collector, Received, collecting
from tests.support.servers import COMMAND, LARGE_3, ROOT, SEVEN_B, call, connect
from tests.support.waiting import until

SERVER, ERROR = 2, 2  # SpanKind and StatusCode in opentelemetry/proto/trace/v1/trace.proto
TRACE, PARENT = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"
TRACEPARENT = f"00-{TRACE}-{PARENT}-01"
BODY = json.dumps({"prompt": "<s>[INST] Hello [/INST]", "max_tokens": 5, "top_k": 7}).encode()


@pytest.fixture(scope="module")
def collector() -> Iterator[Collector]:
    with collecting() as collector:
        yield collector


def otel(collector: Collector, **more: str) -> dict[str, str]:
    return {
        "OTEL_EXPORTER_OTLP_ENDPOINT": collector.url,
        "OTEL_EXPORTER_OTLP_HEADERS": "x-team=search",
        "OTEL_BSP_SCHEDULE_DELAY": "50",
        **more,
    }


@pytest.fixture(scope="module")
def url(collector: Collector, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    log = tmp_path_factory.mktemp("log") / "stderr"
    with logged_service(log, "--engine", "scripted", env=otel(collector)) as url:
        yield url


@pytest.fixture(autouse=True)
def fresh(request: pytest.FixtureRequest) -> None:
    if "url" in request.fixturenames:
        call(request.getfixturevalue("url"), "POST", "/_emulator/reset")


def aws(url: str, **headers: str) -> Any:
    """Return a client that retries nothing, and sends these headers."""
    runtime = boto3.client(
        "bedrock-runtime",
        endpoint_url=url,
        region_name="us-west-2",
        aws_access_key_id="AKIAIOSFODNN7EXAMPLE",
        aws_secret_access_key="secret",
        config=Config(retries={"total_max_attempts": 1}),
    )
    runtime.meta.events.register(
        "before-send.*", lambda request, **_: request.headers.update(headers)
    )
    return closing(runtime)


def set_rule(url: str, **rule: Any) -> None:
    response, said = call(url, "POST", "/_emulator/rules", json.dumps(rule).encode())
    assert response.status < 300, said


def last_request(url: str) -> str:
    _, journal = call(url, "GET", "/_emulator/requests")
    request_id: str = json.loads(journal)["requests"][-1]["request_id"]
    return request_id


def spans_of(collector: Collector, request_id: str) -> list[Received]:
    until(lambda: bool(collector.of_request(request_id)))
    return collector.of_request(request_id)


def test_a_whole_answer(url: str, collector: Collector) -> None:
    with aws(url, traceparent=TRACEPARENT, tracestate="vendor=1") as runtime:
        answer = runtime.invoke_model(modelId=SEVEN_B, body=BODY)
    request_id = answer["ResponseMetadata"]["RequestId"]
    headers = answer["ResponseMetadata"]["HTTPHeaders"]
    root, *children = spans_of(collector, request_id)

    assert (root.trace_id, root.parent_id, root.state) == (TRACE, PARENT, "vendor=1")
    assert root.name == f"text_completion {SEVEN_B}"
    assert (root.kind, root.status) == (SERVER, 0)
    assert root.attributes == {
        "gen_ai.operation.name": "text_completion",
        "gen_ai.provider.name": "aws.bedrock",
        "gen_ai.request.model": SEVEN_B,
        "gen_ai.request.stream": False,
        "gen_ai.request.max_tokens": 5,
        "gen_ai.request.temperature": 0.5,
        "gen_ai.request.top_p": 0.9,
        "gen_ai.request.top_k": 7,
        "gen_ai.response.model": SEVEN_B,
        "gen_ai.response.id": request_id,
        "gen_ai.response.finish_reasons": ["length"],
        "gen_ai.usage.input_tokens": int(headers["x-amzn-bedrock-input-token-count"]),
        "gen_ai.usage.output_tokens": 5,
        "aws.request_id": request_id,
        "rpc.method": "InvokeModel",
        "server.address": "127.0.0.1",
        "server.port": int(url.rpartition(":")[2]),
        "http.response.status_code": 200,
    }
    assert root.events == ["first_token"]
    assert root.resource["service.name"] == "invoke-api"
    prepare, engine, queue = sorted(children, key=lambda span: (span.begin, span.end))
    if engine.name == "queue":  # both began at once
        engine, queue = queue, engine
    assert [prepare.name, engine.name, queue.name] == ["prepare", "engine scripted", "queue"]
    assert {prepare.parent_id, engine.parent_id} == {root.span_id}
    assert queue.parent_id == engine.span_id
    assert {each.trace_id for each in children} == {TRACE}
    assert root.begin == prepare.begin <= prepare.end == engine.begin == queue.begin
    assert queue.end <= engine.end <= root.end
    assert collector.headers[-1]["x-team"] == "search"


def test_a_streamed_answer_and_a_chat(url: str, collector: Collector) -> None:
    with aws(url) as runtime:
        answer = runtime.invoke_model_with_response_stream(modelId=SEVEN_B, body=BODY)
        list(answer["body"])
        messages = [{"role": "user", "content": [{"text": "Hello"}]}]
        chat = runtime.converse(modelId=LARGE_3, messages=messages)
    streamed, *_ = spans_of(collector, answer["ResponseMetadata"]["RequestId"])
    whole, *_ = spans_of(collector, chat["ResponseMetadata"]["RequestId"])

    assert streamed.attributes["gen_ai.request.stream"] is True
    seconds = streamed.attributes["gen_ai.response.time_to_first_chunk"]
    assert 0 <= seconds <= (streamed.end - streamed.begin) / 1e9
    assert streamed.parent_id == ""
    assert streamed.trace_id != whole.trace_id
    assert whole.name == f"chat {LARGE_3}"
    assert whole.attributes["gen_ai.response.finish_reasons"] == ["stop"]
    assert whole.attributes["gen_ai.usage.output_tokens"] == chat["usage"]["outputTokens"]


@pytest.mark.parametrize(
    ("body", "rule", "failure"),
    [
        (b"{}", None, ("ValidationException", 400)),
        (BODY, {"fault": "ThrottlingException"}, ("ThrottlingException", 429)),
        (BODY, {"fault": "InternalServerException"}, ("InternalServerException", 500)),
        (
            BODY,
            {"reply": "a b c", "fault": {"exception": "ModelTimeoutException", "after_tokens": 2}},
            ("ModelTimeoutException", 200),
        ),
        (BODY, {"reply": "a b c", "fault": {"break": "cut", "after_tokens": 2}}, ("cut", 200)),
    ],
)
def test_a_call_that_fails_or_is_refused(
    url: str,
    collector: Collector,
    body: bytes,
    rule: dict[str, Any] | None,
    failure: tuple[str, int],
) -> None:
    error, status = failure
    if rule:
        set_rule(url, **rule)
    with (
        aws(url, traceparent=TRACEPARENT) as runtime,
        suppress(ClientError, BotoCoreError, HTTPError),
    ):
        answer = runtime.invoke_model_with_response_stream(modelId=SEVEN_B, body=body)
        with closing(answer["body"]) as events:
            list(events)
    root, *children = spans_of(collector, last_request(url))

    assert root.attributes["error.type"] == error
    assert root.attributes["http.response.status_code"] == status
    assert (root.trace_id, root.status) == (TRACE, ERROR)
    assert "gen_ai.response.finish_reasons" not in root.attributes
    assert root.attributes.get("gen_ai.usage.output_tokens") == (2 if status == 200 else None)
    if body != BODY:  # the engine was not reached
        assert children == []


def test_a_client_that_leaves(url: str, collector: Collector) -> None:
    set_rule(url, reply="one two", pace={"tokens_per_second": 0.01})
    connection = connect(url)
    connection.request(
        "POST",
        f"/model/{SEVEN_B}/invoke-with-response-stream",
        BODY,
        {"traceparent": TRACEPARENT},
    )
    connection.getresponse()
    connection.close()
    root, *_ = spans_of(collector, last_request(url))

    assert (root.attributes["error.type"], root.status) == ("cancelled", ERROR)
    assert root.attributes["gen_ai.usage.output_tokens"] == 1
    assert "http.response.status_code" not in root.attributes


def test_an_operation_that_generates_nothing(url: str, collector: Collector) -> None:
    response, _ = call(url, "GET", "/foundation-models")
    request_id = response.headers["x-amzn-requestid"]
    [root] = spans_of(collector, request_id)

    assert root.name == "ListFoundationModels"
    assert not any(name.startswith("gen_ai.request") for name in root.attributes)
    assert root.attributes["http.response.status_code"] == 200


def test_the_sampler_and_the_names_are_the_operators(collector: Collector, tmp_path: Path) -> None:
    env = otel(collector, OTEL_TRACES_SAMPLER="parentbased_always_off", OTEL_SERVICE_NAME="mine")
    with logged_service(tmp_path / "log", "--engine", "scripted", env=env) as url:
        unsampled, _ = call(url, "POST", f"/model/{SEVEN_B}/invoke", BODY)
        sampled, _ = call(url, "POST", f"/model/{SEVEN_B}/invoke", BODY, traceparent=TRACEPARENT)
        # Sent when the service ends, if not before.
    [root, *_] = collector.of_request(sampled.headers["x-amzn-requestid"])

    assert root.resource["service.name"] == "mine"
    assert not collector.of_request(unsampled.headers["x-amzn-requestid"])


def test_spans_are_exported_by_grpc(tmp_path: Path) -> None:
    exports = tmp_path / "exports"
    exports.mkdir()
    receiver = subprocess.Popen(
        [sys.executable, "-m", "tests.support.otlp_grpc", str(exports)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        cwd=ROOT,
        text=True,
    )
    assert receiver.stdout
    env = {
        "OTEL_EXPORTER_OTLP_ENDPOINT": f"http://127.0.0.1:{receiver.stdout.readline().strip()}",
        "OTEL_EXPORTER_OTLP_PROTOCOL": "grpc",
    }
    with logged_service(tmp_path / "log", "--engine", "scripted", env=env) as url:
        response, _ = call(url, "POST", f"/model/{SEVEN_B}/invoke", BODY, traceparent=TRACEPARENT)
    receiver.communicate(timeout=30)
    collector = Collector()
    for export in exports.glob("*.export"):
        collector.take(export.read_bytes())
    root, *children = collector.of_request(response.headers["x-amzn-requestid"])

    assert (root.name, root.trace_id) == (f"text_completion {SEVEN_B}", TRACE)
    assert {span.name for span in children} == {"prepare", "engine scripted", "queue"}


def test_a_collector_that_is_down_delays_no_call_and_no_end(tmp_path: Path) -> None:
    env = {"OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:9", "OTEL_BSP_SCHEDULE_DELAY": "10"}
    log = tmp_path / "log"
    with logged_service(log, "--engine", "scripted", env=env) as url:
        response, _ = call(url, "POST", f"/model/{SEVEN_B}/invoke", BODY)

    assert response.status == 200
    assert "stopped" in log.read_text()


async def head_at_remote(tmp_path: Path, env: dict[str, str], headers: dict[str, str]) -> str:
    """Return the head of the request that a remote server gets for a call with these headers."""

    async def play(writer: Any) -> None:
        first = event(" Hi", prompt_token_ids=[1], token_ids=[16127])
        await send(writer, first, event(finish="length", token_ids=[]), b"data: [DONE]\n\n")
        writer.write(b"0\r\n\r\n")

    async with CompletionsServer([play]).running() as server:
        server.models = [{"id": "mistralai/Mistral-7B-Instruct-v0.2"}]
        flags = ["--engine", "remote", "--remote", server.url, "--model", SEVEN_B]

        def ask() -> str:
            with logged_service(tmp_path / "log", *flags, env=env) as url:
                path = f"/model/{SEVEN_B}/invoke"
                response, said = call(url, "POST", path, BODY, **headers)
                assert response.status == 200, said
                request_id: str = response.headers["x-amzn-requestid"]
                return request_id

        request_id = await to_thread(ask)
        [head] = server.heads
        assert f"x-request-id: {request_id}\r\n" in head.lower()
        return head


async def test_a_remote_server_gets_the_context_of_the_engines_span(
    collector: Collector, tmp_path: Path
) -> None:
    given = {"traceparent": TRACEPARENT, "tracestate": "vendor=1"}
    head = await head_at_remote(tmp_path, otel(collector), given)
    found = re.search(rf"traceparent: 00-{TRACE}-(\w+)-01\r\n", head)

    assert found
    [engine] = [span for span in collector.spans if span.span_id == found[1]]
    assert engine.name == "engine remote"
    assert "tracestate: vendor=1\r\n" in head


async def test_without_an_exporter_the_context_is_passed_on_unchanged(tmp_path: Path) -> None:
    head = await head_at_remote(tmp_path, {}, {"traceparent": TRACEPARENT, "tracestate": "a=1"})

    assert f"traceparent: {TRACEPARENT}\r\n" in head
    assert "tracestate: a=1\r\n" in head


@pytest.mark.parametrize(
    ("given", "passed"),
    [
        ({}, None),
        ({"tracestate": "a=1"}, None),
        ({"traceparent": TRACEPARENT}, {"traceparent": TRACEPARENT}),
        ({"traceparent": f"00-{TRACE.upper()}-{PARENT}-01"}, None),
        ({"traceparent": f"00-{'0' * 32}-{PARENT}-01"}, None),
        ({"traceparent": f"00-{TRACE}-{'0' * 16}-01"}, None),
        ({"traceparent": f"ff-{TRACE}-{PARENT}-01"}, None),
        ({"traceparent": f"{TRACEPARENT}x"}, None),
        ({"traceparent": f"{TRACEPARENT}-{'x' * 600}"}, None),
        (
            {"traceparent": TRACEPARENT, "tracestate": "é"},
            {"traceparent": TRACEPARENT},
        ),
    ],
)
def test_only_a_valid_context_is_passed_on(
    given: dict[str, str], passed: dict[str, str] | None
) -> None:
    assert passed_on(given) == passed


HERE = {"OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:4318"}


@pytest.mark.parametrize(
    ("env", "protocol"),
    [
        ({}, None),
        (HERE, "http/protobuf"),
        ({"OTEL_TRACES_EXPORTER": "otlp"}, "http/protobuf"),
        ({**HERE, "OTEL_EXPORTER_OTLP_PROTOCOL": "grpc"}, "grpc"),
        (
            {
                **HERE,
                "OTEL_EXPORTER_OTLP_PROTOCOL": "http/protobuf",
                "OTEL_EXPORTER_OTLP_TRACES_PROTOCOL": "grpc",
            },
            "grpc",
        ),
        ({**HERE, "OTEL_SDK_DISABLED": "true"}, None),
        ({**HERE, "OTEL_TRACES_EXPORTER": "none"}, None),
        ({"OTEL_EXPORTER_OTLP_ENDPOINT": ""}, None),
    ],
)
def test_the_variables_choose_the_protocol(
    monkeypatch: pytest.MonkeyPatch, env: dict[str, str], protocol: str | None
) -> None:
    monkeypatch.setattr(os, "environ", env)
    assert otlp_protocol() == protocol


@pytest.mark.parametrize(
    ("name", "value"),
    [("OTEL_TRACES_EXPORTER", "zipkin"), ("OTEL_EXPORTER_OTLP_PROTOCOL", "http/json")],
)
def test_other_exporters_are_refused(
    monkeypatch: pytest.MonkeyPatch, name: str, value: str
) -> None:
    monkeypatch.setattr(os, "environ", {**HERE, name: value})
    with pytest.raises(click.UsageError, match=f"{name} must be .*, not '{value}'"):
        otlp_protocol()


def test_a_missing_package_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "opentelemetry").mkdir()
    (tmp_path / "opentelemetry" / "__init__.py").touch()  # a package without the SDK
    env = {**os.environ, **HERE, "PYTHONPATH": str(tmp_path)}
    done = subprocess.run(
        [sys.executable, "-m", "invoke_api", *COMMAND[1:], "--engine", "scripted"],
        capture_output=True,
        text=True,
        env=env,
        timeout=60,
        check=False,
    )

    assert done.returncode == 1
    [line] = [each for each in done.stderr.splitlines() if each]
    assert line == (
        "Error: OTEL_* variables ask for traces, and No module named 'opentelemetry.sdk': install"
        " bedrock-invoke-api[otel], or set OTEL_SDK_DISABLED=true"
    )


def test_nothing_of_opentelemetry_is_imported_without_an_exporter() -> None:
    code = "import sys, invoke_api.server.bootstrap; print('opentelemetry' in sys.modules)"
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=True
    )
    assert done.stdout == "False\n"
