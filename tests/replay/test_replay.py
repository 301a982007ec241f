"""`serve --engine replay` answers with recorded bytes, and rules override them."""

import json
import time
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import ClientError, EventStreamError
from urllib3.exceptions import ProtocolError

from invoke_api.cassettes.recording import RecordedPart, Recording
from invoke_api.cassettes.writer import CassetteWriter
from invoke_api.wire.errors import ThrottlingException
from invoke_api.wire.events import encode_chunk
from invoke_api.wire.eventstream import encode_frame
from tests.cassettes.test_reader import a_recording
from tests.rules.test_rules import client, control, requests, rule
from tests.support.metrics import Scrape
from tests.support.servers import (
    COMMAND,
    MIXTRAL,
    SEVEN_B,
    call,
    command_running,
    connect,
    invoke,
    run_command,
    wait_until_ready,
)
from tests.support.streams import split_frames
from tests.support.waiting import until

STREAM = "invoke-with-response-stream"
PATH = f"/model/{SEVEN_B.replace(':', '%3A')}"
CLAUDE = "anthropic.claude-3-haiku-20240307-v1:0"
REQUEST_ID = "11111111-2222-3333-4444-555555555555"


def chunk(text: str, stop: str | None = None, **more: object) -> bytes:
    body = {"outputs": [{"text": text, "stop_reason": stop}], **more}
    return encode_chunk(json.dumps(body, separators=(",", ":")).encode(), 7)


def stream_of(frames: list[bytes], body: object, **other: Any) -> Recording:
    given: dict[str, Any] = {
        "path": f"{PATH}/{STREAM}",
        "headers": (
            ("Date", "Tue, 24 Nov 2020 06:02:52 GMT"),
            ("Content-Type", "application/vnd.amazon.eventstream"),
            ("Transfer-Encoding", "chunked"),
            ("Connection", "keep-alive"),
            ("x-amzn-RequestId", REQUEST_ID),
            ("X-Amzn-Bedrock-Content-Type", "application/json"),
        ),
        "parts": tuple(RecordedPart(at=200 * n, raw=raw) for n, raw in enumerate(frames, 1)),
        "is_stream": True,
        "at": 200,
        **other,
    }
    return a_recording(json.dumps(body).encode(), **given)


METRICS = {
    "inputTokenCount": 3,
    "outputTokenCount": 2,
    "invocationLatency": 9,
    "firstByteLatency": 4,
}
FRAMES = [chunk(" Hel"), chunk("lo", "length", **{"amazon-bedrock-invocationMetrics": METRICS})]
THROTTLED = a_recording(
    b'{"prompt":"busy"}',
    status=429,
    headers=(("x-amzn-ErrorType", "ThrottlingException:http://x/"),),
    parts=(RecordedPart(at=12, raw=b'{"message":"Too many requests"}'),),
)
CONVERSED = [
    encode_frame({":event-type": "messageStart"}, b'{"p":"ab","role":"assistant"}'),
    encode_frame({":event-type": "contentBlockDelta"}, b'{"delta":{"text":"Oui"},"p":"ab"}'),
    encode_frame({":event-type": "messageStop"}, b'{"p":"ab","stopReason":"end_turn"}'),
]
RECORDINGS = [
    a_recording(
        b'{"prompt":"Hi","max_tokens":3}',
        headers=(
            ("Date", "Tue, 24 Nov 2020 06:02:52 GMT"),
            ("Content-Type", "application/json"),
            ("Content-Length", "1"),
            ("x-amzn-RequestId", REQUEST_ID),
            ("X-Amzn-Bedrock-Output-Token-Count", "3"),
            ("X-Amzn-Bedrock-Input-Token-Count", "2"),
        ),
        parts=(
            RecordedPart(at=300, raw=b'{"outputs":[{"text":" A B C","stop_reason":"length"}]}'),
        ),
        at=300,
    ),
    stream_of(FRAMES, {"prompt": "Hi"}),
    stream_of([*FRAMES[:1], ThrottlingException().to_frame()], {"prompt": "late"}),
    stream_of(FRAMES[:1], {"prompt": "cut"}, complete=False),
    THROTTLED,
    a_recording(b'{"prompt":"busy"}', headers=(("Content-Type", "application/json"),)),
    replace(stream_of(CONVERSED, {"messages": []}), path=f"/model/{CLAUDE}/converse-stream?x=1"),
    a_recording(method="GET", body=b"", path="/foundation-models?byProvider=x"),
    a_recording(b'{"prompt":"old","max_tokens":5000}', path=f"/model/{MIXTRAL}/invoke"),
]


@pytest.fixture(scope="module")
def cassettes(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("cassettes")
    writer = CassetteWriter(folder)
    for recording in RECORDINGS:
        writer.write(recording)
    return folder


@contextmanager
def replaying(cassettes: Path, *flags: str) -> Iterator[str]:
    command = [*COMMAND, "--engine", "replay", "--cassettes", str(cassettes), *flags]
    with command_running(command) as url:
        yield url


@pytest.fixture(scope="module")
def shared(cassettes: Path) -> Iterator[str]:
    with replaying(cassettes) as url:
        yield url


@pytest.fixture
def url(shared: str) -> Iterator[str]:
    yield shared
    control(shared, "POST", "/reset")


def test_a_whole_answer_comes_back_with_its_headers(url: str) -> None:
    response, body = invoke(url, {"max_tokens": 3, "prompt": "Hi"})
    [entry] = requests(url)

    assert body == RECORDINGS[0].parts[0].raw
    headers = dict(response.getheaders())
    assert list(headers) == [name for name, _ in RECORDINGS[0].headers]
    assert headers["Content-Length"] == str(len(body))  # a body may have been edited
    assert headers["x-amzn-RequestId"] == REQUEST_ID
    assert "2020" not in headers["Date"]
    assert (entry["engine"], entry["text"], entry["ended"]) == ("replay", " A B C", "length")
    assert (entry["input_tokens"], entry["output_tokens"]) == (2, 3)
    assert entry["cassette"].endswith("0001-invoke-mistral.mistral-7b-instruct-v0-2.json:1")
    assert entry["differs"] == []


def test_a_stream_comes_back_byte_by_byte(url: str) -> None:
    response, body = invoke(url, {"prompt": "Hi"}, operation=STREAM)
    [entry] = requests(url)

    assert body == b"".join(FRAMES)
    assert response.headers["X-Amzn-Bedrock-Content-Type"] == "application/json"
    assert (entry["text"], entry["ended"], entry["output_tokens"]) == (" Hello", "length", 2)


def test_boto3_reads_it(url: str) -> None:
    with client(url) as runtime:
        answer = runtime.invoke_model_with_response_stream(modelId=SEVEN_B, body='{"prompt":"Hi"}')
        texts = [json.loads(event["chunk"]["bytes"])["outputs"] for event in answer["body"]]

    assert [text[0]["text"] for text in texts] == [" Hel", "lo"]


def test_failures_come_back_too(url: str) -> None:
    with client(url) as runtime:
        with pytest.raises(ClientError, match=r"\(ThrottlingException\).*: Too many requests$"):
            runtime.invoke_model(modelId=SEVEN_B, body='{"prompt":"busy"}')
        late = runtime.invoke_model_with_response_stream(modelId=SEVEN_B, body='{"prompt":"late"}')
        with pytest.raises(EventStreamError, match="throttlingException"):
            list(late["body"])
        late["body"].close()
        cut = runtime.invoke_model_with_response_stream(modelId=SEVEN_B, body='{"prompt":"cut"}')
        with pytest.raises(ProtocolError):
            list(cut["body"])
        cut["body"].close()
    busy, late, cut = requests(url)

    error = {"type": "ThrottlingException", "message": "Too many requests"}
    assert (busy["status"], busy["error"], busy["ended"]) == (429, error, "error")
    assert (late["status"], late["error"]["type"]) == (200, "ThrottlingException")
    assert cut["ended"] == "cut"


def test_recordings_of_one_request_are_taken_in_turn(url: str) -> None:
    statuses = [invoke(url, {"prompt": "busy"})[0].status for _ in range(3)]
    control(url, "POST", "/reset")

    assert statuses == [429, 200, 200]
    assert invoke(url, {"prompt": "busy"})[0].status == 429


def test_any_operation_of_any_model_is_replayed(url: str) -> None:
    _, stream = call(url, "POST", f"/model/{CLAUDE}/converse-stream?x=1", b'{"messages":[]}')
    listed, _ = call(url, "GET", "/foundation-models?byProvider=x")
    conversed, listing = requests(url)

    assert stream == b"".join(CONVERSED)
    assert (conversed["operation"], conversed["model_id"]) == ("ConverseStream", CLAUDE)
    assert (conversed["text"], conversed["ended"]) == ("Oui", "stop")
    assert listed.status == 200
    assert listing["operation"] == "GET /foundation-models"


def test_a_recording_of_a_model_that_is_not_served_waits_for_no_engine(url: str) -> None:
    rule(url, pace={"first_token": 30})
    with closing(connect(url)) as client:
        path = f"/model/{CLAUDE}/converse-stream?x=1"
        client.request("POST", path, b'{"messages":[]}')
        until(lambda: Scrape(url).sum("invoke_api_calls_under_way") == 1)

        assert Scrape(url).sum("invoke_api_engine_calls_waiting") == 0


def refusal(url: str, body: Mapping[str, object], model: str = SEVEN_B) -> str:
    response, raw = invoke(url, body, model)
    message: str = json.loads(raw)["message"]
    assert response.status == 400
    return message


def test_an_unrecorded_request_is_told_the_nearest_one(url: str) -> None:
    said = refusal(url, {"prompt": "Hi", "max_tokens": 4})

    assert said.startswith("No recording answers this request: the nearest is ")
    assert said.endswith(
        "/0001-invoke-mistral.mistral-7b-instruct-v0-2.json:1, which differs in #/max_tokens"
    )


def test_a_mistake_in_a_request_has_bedrocks_own_words(url: str) -> None:
    assert refusal(url, {"prompt": 7}).startswith("Malformed input request: #/prompt: expected")


def test_a_stale_recording_is_named_and_answers_nothing(url: str) -> None:
    said = refusal(url, {"prompt": "old", "max_tokens": 5000}, MIXTRAL)

    assert "#/max_tokens: 5000 is not less or equal to 4096" in said


def test_the_nearest_answers_if_it_may_and_the_journal_says_so(cassettes: Path) -> None:
    with replaying(cassettes, "--match", "nearest") as url:
        response, body = invoke(url, {"prompt": "Hi there", "max_tokens": 3})
        wrong = refusal(url, {"prompt": "Hi", "max_tokens": 0})
        [near, _] = requests(url)

    assert (response.status, body) == (200, RECORDINGS[0].parts[0].raw)
    assert near["differs"] == ["#/prompt"]
    assert "#/max_tokens: 0 is not greater or equal to 1" in wrong


def test_the_recorded_times_are_kept_if_asked_for(cassettes: Path) -> None:
    with replaying(cassettes, "--timing", "recorded") as url, client(url) as runtime:
        began = time.monotonic()
        answer = runtime.invoke_model_with_response_stream(modelId=SEVEN_B, body='{"prompt":"Hi"}')
        times = [time.monotonic() - began for _ in answer["body"]]
        between = time.monotonic()
        invoke(url, {"prompt": "Hi", "max_tokens": 3})
        whole = time.monotonic() - between

    assert 0.2 <= times[0] < times[1] - 0.1
    assert 0.3 <= whole < 1


def test_rules_stand_in_front(url: str) -> None:
    rule(url, fault="ModelErrorException", times=1)
    rule(url, reply=" By rule.", when={"prompt": "weather"})
    rule(url, fault={"exception": "ThrottlingException", "after_tokens": 1}, when={"prompt": "Hi"})
    _, said = invoke(url, {"prompt": "How is the weather?"})
    failed, _ = invoke(url, {"prompt": "busy"})
    _, broken = invoke(url, {"prompt": "Hi"}, operation=STREAM)
    whole, _ = invoke(url, {"prompt": "Hi", "max_tokens": 3})

    assert b" By rule." in said
    assert failed.status == 424
    assert [frame.headers.get(":exception-type") for frame in split_frames(broken)] == [
        None,
        "throttlingException",
    ]
    assert broken.startswith(FRAMES[0])
    assert whole.status == 429


def test_a_rules_text_is_for_what_can_be_said_here(url: str) -> None:
    rule(url, reply=" By rule.")
    response, body = call(url, "POST", f"/model/{CLAUDE}/converse", b"{}")

    assert response.status == 400
    assert b"has a reply, but Converse of anthropic.claude" in body


def test_a_rules_pace_goes_before_the_recorded_one(url: str) -> None:
    rule(url, pace={"tokens_per_second": 10})
    began = time.monotonic()
    invoke(url, {"prompt": "Hi", "max_tokens": 3})  # of three tokens, two wait

    assert 0.2 <= time.monotonic() - began < 1


def test_a_rule_keeps_the_times_of_a_recording(cassettes: Path) -> None:
    [path] = cassettes.glob("0002-*.json")
    flags = ["--engine", "scripted", "--recordings", str(cassettes)]
    with command_running([*COMMAND, *flags]) as url, client(url) as runtime:
        wait_until_ready(url, seconds=30)
        rule(url, pace={"recording": path.name}, reply=" one two")
        began = time.monotonic()
        runtime.invoke_model(modelId=SEVEN_B, body='{"prompt":"Hi"}')["body"].read()
        took = time.monotonic() - began

    assert 0.6 <= took < 2  # three tokens, the EOS being one


def test_a_recorded_pace_that_is_none_is_a_sentence(scripted: str, tmp_path: Path) -> None:
    missing = json.dumps({"pace": {"recording": str(tmp_path / "none.json")}}).encode()
    both = json.dumps({"pace": {"recording": "x", "first_token": 1}}).encode()
    answers = [call(scripted, "POST", "/_emulator/rules", body) for body in (missing, both)]

    assert [response.status for response, _ in answers] == [400, 400]
    assert b"rules over HTTP can use recordings only if --recordings" in answers[0][1]
    assert b"a pace with a recording can't have first_token" in answers[1][1]


@pytest.mark.parametrize(
    ("flags", "sentence"),
    [
        (["--engine", "replay"], "--engine replay and --cassettes go together."),
        (["--cassettes", "x"], "--engine replay and --cassettes go together."),
        (["--engine", "replay", "--cassettes", "/nowhere"], "there is no such file or folder"),
    ],
)
def test_what_can_not_work_is_a_sentence(flags: list[str], sentence: str) -> None:
    done = run_command(*COMMAND[1:], *flags)

    assert done.returncode != 0
    assert sentence in done.stderr
    assert "Traceback" not in done.stderr
