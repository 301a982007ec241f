"""`/v1/completions` beside vLLM's own server: the same bodies, streams and errors."""

import json
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import yaml

from engine.demo import options as demo
from invoke_api.testing import Bedrock
from tests.openai.completion_requests import BAD, GOOD, PROMPT, STREAMED
from tests.openai.test_chat import read_events, send
from tests.support.servers import COMMAND, command_running, wait_until_ready
from tests.support.vllm_server import CONTEXT

PATH = "/v1/completions"
MODEL = "demo"
# Members that differ each time, or that name the server.
MASKED = {"id", "created", "system_fingerprint"}


MODEL_ENTRY = {
    "id": "base",
    "name": "Base",
    "catalogued": False,
    "dialect": "imported",
    "tokenizer": "v1",
    "context_length": CONTEXT,
    "engine": "vllm",
    "weights": MODEL,
    "demo": "dense",
}
# The usual prompt in the vocabulary of vLLM's server. Its tokenizer begins a text with a blank, and
# the registry's v3 does not.
IDS = [1, 2752, 16788, 2844, 3255, 1117]
BY_REMOTE = [
    *("greedy", "a seed", "two choices", "ids to the end", "alternatives to the end"),
    *("a stop string", "a stop token that is kept", "the EOS as a mere stop token", "no EOS"),
    *("a late EOS", "a bias", "allowed tokens", "penalties", "a min_p", "one of two texts"),
    *("bad words", "a salt", "a structural tag"),
]


@contextmanager
def serving(folder: Path, entry: dict[str, Any], *flags: str) -> Iterator[str]:
    """Run a service with this model only. Yield its URL."""
    file = folder / "registry.yaml"
    file.write_text(yaml.safe_dump({"models": [entry]}))
    with command_running([*COMMAND, "--registry", str(file), *flags], demo.ENVIRONMENT) as url:
        wait_until_ready(url, seconds=280)
        yield url


@pytest.fixture(scope="module")
def ours(
    vllm_server: str, checkpoints: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[str]:
    """Yield the URL of a service with the checkpoint that vLLM's server has."""
    assert vllm_server, "it makes the checkpoint"
    folder = tmp_path_factory.mktemp("registry")
    with serving(folder, MODEL_ENTRY, "--demo", "tiny", "--cache-dir", str(checkpoints)) as url:
        yield url


@pytest.fixture(scope="module")
def fronting(vllm_server: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Yield the URL of a service in front of vLLM's server."""
    entry = {**MODEL_ENTRY, "engine": "remote", "tokenizer": "v3", "remote": {"url": vllm_server}}
    with serving(tmp_path_factory.mktemp("registry"), entry) as url:
        yield url


def ask(url: str, body: object) -> tuple[int, Any]:
    """Return status and answer, without what differs each time."""
    status, headers, raw = send(Bedrock(url), PATH, body)
    kind = {name.lower(): value for name, value in headers.items()}["content-type"]
    if kind == "application/json":
        return status, mask(json.loads(raw))
    assert kind == "text/event-stream; charset=utf-8"
    return status, join_events(read_events(raw))


def join_events(events: list[Any]) -> dict[str, Any]:
    """Return a stream's choices, each as one, and the events without any.

    How many tokens an event of vLLM's has, and which choice comes first, is chance.
    """
    choices: dict[int, dict[str, Any]] = {}
    others = []
    for event in events:
        if isinstance(event, dict):
            event.pop("system_fingerprint", None)  # ours has none
        if event == "[DONE]" or not event.get("choices"):
            others.append(mask(event))
            continue
        [choice] = event["choices"]
        before = choices.setdefault(choice["index"], {"heads": [], "usages": []})
        before["heads"] = [mask({**event, "choices": [*choice], "usage": "usage" in event})]
        before["usages"] = [event.get("usage")]
        before["text"] = before.get("text", "") + choice["text"]
        for name in ("token_ids", "prompt_token_ids"):
            before[name] = before.get(name, []) + (choice[name] or [])
        for name, values in (choice["logprobs"] or {}).items():
            before[name] = before.get(name, []) + mask(values)
        before["ends"] = (choice["finish_reason"], choice["stop_reason"])
    return {"choices": choices, "others": others}


def mask(told: Any) -> Any:
    if isinstance(told, dict):
        return {key: "*" if key in MASKED else mask(value) for key, value in told.items()}
    if isinstance(told, list):
        return [mask(each) for each in told]
    if isinstance(told, float):
        return round(told, 3)
    # xgrammar's messages tell the time.
    return re.sub(r"\[\d\d:\d\d:\d\d\]", "[*]", told) if isinstance(told, str) else told


def usual(more: Any, **others: Any) -> Any:
    if isinstance(more, bytes):
        return more
    return {"model": MODEL, "prompt": PROMPT, "max_tokens": 6, "temperature": 0, **others, **more}


@pytest.mark.parametrize("name", GOOD)
def test_answers_are_alike(vllm_server: str, ours: str, name: str) -> None:
    body = usual(GOOD[name])

    status, told = ask(ours, body)

    assert (status, told) == ask(vllm_server, body)
    assert status == 200, told


@pytest.mark.parametrize("name", BAD)
def test_refusals_are_alike(vllm_server: str, ours: str, name: str) -> None:
    body = usual(BAD[name])

    status, told = ask(ours, body)

    assert (status, told) == ask(vllm_server, body)
    assert status == 400


@pytest.mark.parametrize("name", STREAMED)
def test_streams_are_alike(vllm_server: str, ours: str, name: str) -> None:
    body = usual(STREAMED[name], stream=True)

    assert ask(ours, body) == ask(vllm_server, body)


def test_an_unknown_model_is_told_alike(vllm_server: str, ours: str) -> None:
    status, told = ask(ours, usual({"model": "nope"}))
    other = ask(vllm_server, usual({"model": "nope"}))
    told["error"]["message"] = told["error"]["message"].replace(
        "aliases: demo.", "aliases: demo, mistralai/Mistral-Small-Instruct-2409."
    )

    assert (status, told) == other


def test_no_model_is_the_only_one(vllm_server: str, ours: str) -> None:
    body = usual({"model": None})

    assert ask(ours, body) == ask(vllm_server, body)


@pytest.mark.parametrize("name", BY_REMOTE)
def test_a_service_in_front_of_vllm_answers_like_it(
    vllm_server: str, fronting: str, name: str
) -> None:
    body = usual(GOOD[name], prompt=IDS)

    status, told = ask(fronting, body)

    assert (status, told) == ask(vllm_server, body)
    assert status == 200, told
