"""Calls of the OpenAI API and of SageMaker's endpoints are recorded and replayed to the byte."""

import json
from http.client import HTTPConnection
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest

from invoke_api.cassettes.reader import load_recordings
from invoke_api.recording.upstream import Upstream
from tests.support.servers import COMMAND, MINISTRAL_3B, command_running, wait_until_ready

KEYS = {"AWS_ACCESS_KEY_ID": "AKIDREAL", "AWS_SECRET_ACCESS_KEY": "the-real-secret"}
CHAT = {"model": MINISTRAL_3B, "messages": [{"role": "user", "content": "Hi"}], "max_tokens": 3}
TGI = {"inputs": "Hi", "parameters": {"max_new_tokens": 3}}
ENDPOINT = "/endpoints/huggingface-llm-mistral-7b-instruct"
CALLS: dict[str, tuple[str, Any]] = {
    "runtime": ("/openai/v1/chat/completions", CHAT),
    "runtime, streamed": ("/openai/v1/chat/completions", {**CHAT, "stream": True}),
    "mantle, streamed": ("/v1/chat/completions", {**CHAT, "stream": True}),
    "mantle, refused": ("/v1/chat/completions", {**CHAT, "model": "no.such-model"}),
    "models": ("/v1/models", None),
    "endpoint": (f"{ENDPOINT}/invocations", TGI),
    "endpoint, streamed": (f"{ENDPOINT}/invocations-response-stream", {**TGI, "stream": True}),
    "endpoint, refused": (f"{ENDPOINT}/invocations", {"inputs": ""}),
}
SECRET = "Bearer sk-a-secret-that-nobody-keeps"


def send(url: str, path: str, body: Any) -> tuple[int, str, bytes]:
    connection = HTTPConnection(urlsplit(url).netloc, timeout=30)
    raw = None if body is None else json.dumps(body).encode()
    headers = {"Content-Type": "application/json", "Authorization": SECRET}
    connection.request("GET" if body is None else "POST", path, raw, headers)
    response = connection.getresponse()
    answer = response.status, response.headers["Content-Type"], response.read()
    connection.close()
    return answer


def test_what_is_recorded_is_replayed(scripted: str, tmp_path: Path) -> None:
    record = ["record", "--to", str(tmp_path), "--upstream", scripted, "--port", "0"]
    with command_running([COMMAND[0], *record], KEYS) as url:
        said = {name: send(url, *call) for name, call in CALLS.items()}
    replay = ["serve", "--engine", "replay", "--cassettes", str(tmp_path), "--port", "0"]
    with command_running([COMMAND[0], *replay]) as url:
        wait_until_ready(url, seconds=30)
        again = {name: send(url, *call) for name, call in CALLS.items()}
        status, _, missing = send(url, "/v1/chat/completions", {**CHAT, "max_tokens": 4})
        listed = send(url, "/_emulator/requests", None)[2]

    assert again == said
    assert said["runtime, streamed"][1] == "text/event-stream"
    assert (status, json.loads(missing)["error"]["code"]) == (400, "validation_error")
    assert not any("secret" in path.read_text() for path in tmp_path.glob("*.json"))
    calls = json.loads(listed)["requests"]
    assert [call["operation"] for call in calls[:2]] == ["ChatCompletions"] * 2
    assert calls[0]["text"] == calls[1]["text"] != ""
    assert calls[1]["output_tokens"] is not None


def test_a_stream_of_events_is_kept_event_by_event(scripted: str, tmp_path: Path) -> None:
    record = ["record", "--to", str(tmp_path), "--upstream", scripted, "--port", "0"]
    with command_running([COMMAND[0], *record], KEYS) as url:
        send(url, *CALLS["mantle, streamed"])
    [(_, recording)] = load_recordings(tmp_path)
    [file] = tmp_path.glob("*.json")

    assert recording.is_stream
    assert [part.raw[-2:] for part in recording.parts] == [b"\n\n"] * len(recording.parts)
    assert recording.parts[-1].raw == b"data: [DONE]\n\n"
    frames = json.loads(file.read_text())["response"]["frames"]
    assert all(frame["text"].startswith("data: ") for frame in frames)


@pytest.mark.parametrize(
    ("path", "base"),
    [
        ("/model/a/invoke", "https://bedrock-runtime.eu-west-1.amazonaws.com"),
        ("/openai/v1/chat/completions", "https://bedrock-runtime.eu-west-1.amazonaws.com"),
        ("/v1/models", "https://bedrock-mantle.eu-west-1.api.aws"),
        ("/anthropic/v1/messages", "https://bedrock-mantle.eu-west-1.api.aws"),
        ("/endpoints/a/invocations", "https://runtime.sagemaker.eu-west-1.amazonaws.com"),
        ("/foundation-models", "https://bedrock.eu-west-1.amazonaws.com"),
    ],
)
def test_each_path_has_its_service(path: str, base: str) -> None:
    upstream = Upstream(None, None, None, "eu-west-1", "us-east-1")  # type: ignore[arg-type]  # sends nothing

    assert upstream.base(path, None) == base
