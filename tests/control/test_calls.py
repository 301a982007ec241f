"""`/_emulator/calls`, `/recordings`, `/engines` and `/models`, which the page reads."""

import json
from base64 import b64decode
from pathlib import Path
from typing import Any

import pytest

from invoke_api.cassettes.reader import load_recordings
from invoke_api.control.engines import parse_cache_use, percentile
from invoke_api.observability.kept_answer import MAX_KEPT_BYTES, KeptAnswer
from tests.support.clients import client
from tests.support.servers import (
    COMMAND,
    LARGE,
    LARGE_3,
    SEVEN_B,
    call,
    command_running,
    wait_until_ready,
)

KEY = "AKIDCALLS"


def get(url: str, path: str, status: int = 200) -> Any:
    response, body = call(url, "GET", f"/_emulator/{path}")
    assert response.status == status, body
    return json.loads(body)


def invoke(url: str, prompt: str, step: str = "invoke", **headers: str) -> tuple[str, bytes]:
    """Call InvokeModel, and return the request id and the answer's body."""
    body = json.dumps({"prompt": prompt, "max_tokens": 8}).encode()
    response, answer = call(url, "POST", f"/model/{SEVEN_B}/{step}", body, **headers)
    return response.headers["x-amzn-requestid"] or "", answer


def test_only_new_calls_and_those_asked_for_are_listed(url: str) -> None:
    for text in ("one", "two", "three"):
        invoke(url, text)
    listed = get(url, "calls")
    numbers = [each["number"] for each in listed["calls"]]
    newer = get(url, f"calls?after={numbers[1]}&open={numbers[0]}")

    assert (listed["count"], listed["last"]) == (3, numbers[-1])
    assert [each["number"] for each in newer["calls"]] == [numbers[0], numbers[2]]
    assert "body" not in listed["calls"][0]


@pytest.mark.parametrize(
    "query", ["after=x", "after=-1", "open=1,x", "after=1e3", "after=" + "9" * 400, "after=²"]
)
def test_a_number_that_is_none_is_refused(url: str, query: str) -> None:
    assert "after is a number" in get(url, f"calls?{query.replace('²', '%C2%B2')}", 400)["error"]


def test_an_answer_is_kept_as_it_was_sent(url: str) -> None:
    request_id, body = invoke(url, "Hi")
    answer = get(url, f"calls/{request_id}")["answer"]

    assert answer["body"] == {"json": json.loads(body)}
    assert answer["status"] == 200
    assert answer["headers"]["x-amzn-RequestId"] == request_id


def test_a_streams_writes_are_its_bytes(url: str) -> None:
    request_id, body = invoke(url, "Hi", "invoke-with-response-stream")
    found = get(url, f"calls/{request_id}")
    writes = found["answer"]["writes"]

    assert b"".join(b64decode(each["base64"]) for each in writes) == body
    assert [each["at_ms"] for each in writes] == sorted(each["at_ms"] for each in writes)
    frames = [frame for each in writes for frame in each["frames"]]
    assert {frame["headers"][":event-type"] for frame in frames} == {"chunk"}
    assert found["path"] == f"/model/{SEVEN_B}/invoke-with-response-stream"


def test_server_sent_events_are_told_apart(url: str) -> None:
    body = {"model": LARGE_3, "messages": [{"role": "user", "content": "Hi"}], "stream": True}
    response, sent = call(url, "POST", "/v1/chat/completions", json.dumps(body).encode())
    assert response.status == 200, sent
    [summary] = get(url, "calls")["calls"]
    writes = get(url, f"calls/{summary['request_id']}")["answer"]["writes"]
    frames = [frame for each in writes for frame in each["frames"]]

    assert frames[-1] == {"text": "data: [DONE]\n\n"}


def test_errors_are_kept_without_the_signature(url: str) -> None:
    request_id, body = invoke(url, "", Authorization="Bearer sk-secretsecretsecret")
    found = json.dumps(get(url, f"calls/{request_id}"))

    assert "sk-secretsecretsecret" not in found
    assert body


@pytest.mark.parametrize("step", ["invoke", "invoke-with-response-stream"])
def test_a_recording_has_the_bytes_of_the_call(url: str, tmp_path: Path, step: str) -> None:
    request_id, body = invoke(url, "Hi", step)
    response, text = call(url, "GET", f"/_emulator/recordings/{request_id}")
    path = tmp_path / "call.json"
    path.write_bytes(text)
    [(_, recording)] = load_recordings(path)

    assert b"".join(part.raw for part in recording.parts) == body
    assert json.loads(recording.request_body)["prompt"] == "Hi"
    assert recording.path == f"/model/{SEVEN_B}/{step}"
    assert f'filename="{step}' in (response.headers["content-disposition"] or "")


def test_a_recording_is_replayed(url: str, tmp_path: Path) -> None:
    with client(url, KEY, "us-east-1") as runtime:
        asked = [{"role": "user", "content": [{"text": "Hi"}]}]
        first = runtime.converse(modelId=LARGE, messages=asked)
    request_id = first["ResponseMetadata"]["RequestId"]
    (tmp_path / "call.json").write_bytes(call(url, "GET", f"/_emulator/recordings/{request_id}")[1])
    flags = ["--engine", "replay", "--cassettes", str(tmp_path)]
    with command_running([*COMMAND, *flags]) as replaying:
        wait_until_ready(replaying, seconds=30)
        with client(replaying, KEY, "us-east-1") as runtime:
            again = runtime.converse(modelId=LARGE, messages=asked)

    assert again["output"] == first["output"]


@pytest.mark.parametrize("route", ["calls", "recordings", "explain"])
def test_an_unknown_call_is_not_found(url: str, route: str) -> None:
    assert "The journal has no call 'none'" in get(url, f"{route}/none", 404)["error"]


def test_a_long_answer_is_kept_in_part() -> None:
    kept = KeptAnswer()
    kept.start(200, ())
    for _ in range(3):
        kept.add(b"x" * (MAX_KEPT_BYTES // 2))

    assert (len(kept.writes), kept.left_out) == (2, 1)
    kept.keep(200, (), b"x" * (MAX_KEPT_BYTES + 1))
    assert (len(kept.writes[0][1]), kept.left_out) == (MAX_KEPT_BYTES, 1)


def test_rules_tell_how_often_they_are_left(url: str) -> None:
    call(url, "POST", "/_emulator/rules", b'{"reply": "Hi", "times": 2}')
    invoke(url, "one")
    [once] = get(url, "rules")["rules"]
    invoke(url, "two")
    [twice] = get(url, "rules")["rules"]

    assert (once["spoken"], once["left"], once.get("over")) == (1, 1, None)
    assert (twice["spoken"], twice["left"], twice["over"]) == (2, 0, "it has applied 2 times")


def test_an_engine_has_its_figures_and_last_errors(url: str) -> None:
    invoke(url, "one")
    fault = {"fault": "ServiceUnavailableException", "times": 1}
    call(url, "POST", "/_emulator/rules", json.dumps(fault).encode())
    invoke(url, "two")
    call(url, "POST", f"/model/{SEVEN_B}/invoke", b'{"temperature": 9}')  # the client's fault
    cards = get(url, "engines")["engines"]
    [card] = [each for each in cards if SEVEN_B in each["models"]]

    assert (card["engine"], card["status"], card["running"], card["calls"]) == (
        *("scripted", "ready"),
        *(0, 3),
    )
    assert card["tokens_per_second"] > 0
    assert card["first_token_ms"]["p50"] <= card["first_token_ms"]["p99"]
    assert [each["error"]["type"] for each in card["errors"]] == ["ServiceUnavailableException"]


def test_the_use_of_kv_caches_is_read_from_vllms_metrics() -> None:
    text = (
        "# HELP vllm:kv_cache_usage_perc KV-cache usage.\n"
        "# TYPE vllm:kv_cache_usage_perc gauge\n"
        'vllm:kv_cache_usage_perc{engine="0",model_name="mistralai/X"} 0.25\n'
        "# TYPE other gauge\nother 1.0\n"
    )

    assert parse_cache_use(text) == {"mistralai/X": 0.25}


def test_percentiles_are_by_nearest_rank() -> None:
    values = list(range(1, 101))

    assert (percentile(values, 50), percentile(values, 99)) == (50, 99)
    assert (percentile([7], 99), percentile([], 50)) == (7, None)


def test_models_have_the_parameters_of_their_schemas(url: str) -> None:
    found = {each["id"]: each for each in get(url, "models")["models"]}
    parameters = found[SEVEN_B]["forms"]["body"]

    assert parameters["max_tokens"] == {
        "required": False,
        "type": "integer",
        "minimum": 1,
        "maximum": 8192,
        "default": 512,
    }
    assert parameters["prompt"]["required"]
    assert found[SEVEN_B]["converse"]["maxTokens"] == parameters["max_tokens"]
    assert found[SEVEN_B]["dialect"] == "mistral-text"
