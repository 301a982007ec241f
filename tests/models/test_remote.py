"""The service with remote servers: real vLLM, and one that takes text only."""

import asyncio
import json
import os
import subprocess
from pathlib import Path

import pytest

from tests.support.clients import client
from tests.support.completions_server import CompletionsServer, answer, say, stuck, torn
from tests.support.servers import (
    COMMAND,
    SMALL,
    call,
    command_running,
    connect,
    invoke,
    wait_until_ready,
)
from tests.support.waiting import until

REGISTRY = """\
models:
  - id: {model}
    name: Small
    dialect: mistral-text
    schema: mistral-small-2402.json
    tokenizer: v2
    context_length: 32768
    engine: remote
    weights: nobody/has-them
    demo: dense
    remote:
      url: {url}/v1/
      model: theirs
      token_ids: false
      api_key_variable: FLEET_KEY
"""


def test_boto3_is_answered_by_a_vllm_server(vllm_server: str) -> None:
    command = [*COMMAND, "--engine", "remote", "--remote", vllm_server, "--model", SMALL]
    body = json.dumps({"prompt": "<s>[INST] Why? [/INST]", "max_tokens": 40, "temperature": 0})
    with (
        command_running(command) as url,
        client(url, "AKIAEXAMPLE", "us-east-1") as bedrock,
    ):
        wait_until_ready(url, seconds=30)
        whole = bedrock.invoke_model(modelId=SMALL, body=body)
        headers = whole["ResponseMetadata"]["HTTPHeaders"]
        [output] = json.loads(whole["body"].read())["outputs"]
        stream = bedrock.invoke_model_with_response_stream(modelId=SMALL, body=body)
        chunks = [json.loads(event["chunk"]["bytes"]) for event in stream["body"]]
        _, raw = call(url, "GET", "/_emulator/requests")

    texts = [part["outputs"][0]["text"] for part in chunks]
    assert output["text"] == "".join(texts)
    assert len(output["text"]) > 10
    assert output["stop_reason"] == chunks[-1]["outputs"][0]["stop_reason"] == "stop"
    assert int(headers["x-amzn-bedrock-output-token-count"]) == len(chunks)
    assert [entry["engine"] for entry in json.loads(raw)["requests"]] == ["remote", "remote"]


async def test_a_registry_names_a_server_its_model_and_where_its_key_is(tmp_path: Path) -> None:
    server = CompletionsServer(
        [say(" A", " small", " parrot"), answer(429, "too many")],
        models=[{"id": "theirs"}],
        api_key="sk-secret",
    )
    registry = tmp_path / "registry.yaml"
    command = [*COMMAND, "--registry", str(registry)]

    def ask_twice() -> tuple[bytes, str]:
        with command_running(command, {"FLEET_KEY": "sk-secret"}) as url:
            wait_until_ready(url, seconds=30)
            _, body = invoke(url, {"prompt": "[INST] Why?[/INST]"}, SMALL)
            response, _ = invoke(url, {"prompt": "Why?"}, SMALL)
            return body, response.headers["x-amzn-ErrorType"]

    async with server.running():
        registry.write_text(REGISTRY.format(model=SMALL, url=server.url))
        body, refused = await asyncio.to_thread(ask_twice)

    assert json.loads(body) == {"outputs": [{"text": " A small parrot", "stop_reason": "stop"}]}
    assert server.asked[0]["model"] == "theirs"
    assert server.asked[0]["prompt"] == "[INST] Why?[/INST]"
    assert refused.startswith("ThrottlingException:")


async def test_a_server_that_is_missing_what_is_asked_for_is_told_to_operators(
    tmp_path: Path,
) -> None:
    server = CompletionsServer([say(" A")], models=[{"id": "other"}])
    registry = tmp_path / "registry.yaml"
    command = [*COMMAND, "--registry", str(registry)]

    def look() -> tuple[bytes, str]:
        with command_running(command, {"FLEET_KEY": "sk-secret"}) as url:
            body = b""
            while b"failed" not in body:
                _, body = call(url, "GET", "/_emulator/ready")
            response, _ = invoke(url, {"prompt": "Why?"}, SMALL)
            return body, response.headers["x-amzn-ErrorType"]

    async with server.running():
        registry.write_text(REGISTRY.format(model=SMALL, url=server.url))
        told, refused = await asyncio.to_thread(look)

    assert f"{server.url}: it has no model 'theirs'; it has 'other'".encode() in told
    assert refused.startswith("ServiceUnavailableException:")


@pytest.mark.parametrize("operation", ["invoke", "invoke-with-response-stream"])
async def test_a_disconnect_cancels_the_remote_request(tmp_path: Path, operation: str) -> None:
    server = CompletionsServer([stuck(" A")], models=[{"id": "theirs"}])
    registry = tmp_path / "registry.yaml"
    command = [*COMMAND, "--registry", str(registry)]

    def leave() -> None:
        with command_running(command, {"FLEET_KEY": "sk-secret"}) as url:
            wait_until_ready(url, seconds=30)
            connection = connect(url)
            path = f"/model/{SMALL.replace(':', '%3A')}/{operation}"
            connection.request("POST", path, b'{"prompt": "Why?"}')
            until(lambda: len(server.asked) == 1)
            if operation != "invoke":
                assert connection.getresponse().read1()
            connection.close()
            until(lambda: server.left == 1)
            response, _ = call(url, "GET", "/_emulator/ready")
            assert response.status == 200

    async with server.running():
        registry.write_text(REGISTRY.format(model=SMALL, url=server.url))
        await asyncio.to_thread(leave)


async def test_a_server_that_breaks_off_breaks_the_stream_with_an_exception(tmp_path: Path) -> None:
    server = CompletionsServer([torn(" A", " small")], models=[{"id": "theirs"}])
    registry = tmp_path / "registry.yaml"
    command = [*COMMAND, "--registry", str(registry)]

    def listen() -> tuple[int, bytes]:
        with command_running(command, {"FLEET_KEY": "sk-secret"}) as url:
            wait_until_ready(url, seconds=30)
            body = {"prompt": "Why?"}
            response, raw = invoke(url, body, SMALL, "invoke-with-response-stream")
            return response.status, raw

    async with server.running():
        registry.write_text(REGISTRY.format(model=SMALL, url=server.url))
        status, raw = await asyncio.to_thread(listen)

    assert status == 200
    assert raw.count(b"chunk") == 2
    assert b"serviceUnavailableException" in raw


@pytest.mark.parametrize("key", [{}, {"FLEET_KEY": ""}])
def test_a_variable_that_is_not_set_is_named(tmp_path: Path, key: dict[str, str]) -> None:
    registry = tmp_path / "registry.yaml"
    registry.write_text(REGISTRY.format(model=SMALL, url="http://127.0.0.1:1"))
    done = subprocess.run(
        [*COMMAND, "--registry", str(registry)],
        env={**os.environ, **key},
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )

    assert done.returncode == 2
    assert "The registry names FLEET_KEY for an API key; set it." in done.stderr
