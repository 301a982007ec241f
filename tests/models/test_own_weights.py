"""Fine-tuned models behind ARNs, on real vLLM: a checkpoint, and an adapter on its engine."""

import json
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import yaml

from engine.demo import options as demo
from engine.demo.checkpoints import DEMOS, write_checkpoint
from invoke_api.testing import Bedrock
from tests.support.adapters import make_adapter
from tests.support.servers import COMMAND, command_running, wait_until_ready

ARN = "arn:aws:bedrock:us-east-1:123456789012:{}/{}".format
ADAPTED = ARN("custom-model-deployment", "adapted12345")
TUNED = ARN("imported-model", "tuned1234567")
LORA = {"enable_lora": True, "max_lora_rank": 8, "max_loras": 2}


def entry(name: str, weights: Path, **more: Any) -> dict[str, Any]:
    return {
        "id": name,
        "name": name,
        "catalogued": False,
        "dialect": "imported",
        "tokenizer": "v3",
        "context_length": 2_048,
        "engine": "vllm",
        "weights": str(weights),
        "demo": "dense",
        "vllm": {**demo.OPTIONS, **LORA},
        **more,
    }


@pytest.fixture
def bedrock(checkpoints: Path, tmp_path: Path) -> Iterator[Bedrock]:
    """Yield a service with two models on one engine, whose random weights are not the demo's."""
    write_checkpoint(replace(DEMOS["dense"], seed=3), tmp_path / "weights")
    adapter = make_adapter(checkpoints / "tuned")
    document = {
        "models": [
            entry("tuned", tmp_path / "weights"),
            entry("adapted", tmp_path / "weights", lora={"adapter": str(adapter)}),
        ],
        "arns": [{"arn": TUNED, "model": "tuned"}, {"arn": ADAPTED, "model": "adapted"}],
    }
    file = tmp_path / "registry.yaml"
    file.write_text(yaml.safe_dump(document))
    with command_running([*COMMAND, "--registry", str(file)], demo.ENVIRONMENT) as url:
        wait_until_ready(url, seconds=280)
        yield Bedrock(url)


def complete(runtime: Any, model: str) -> str:
    body = json.dumps({"prompt": "Why?", "max_tokens": 8, "temperature": 0})
    answer = runtime.invoke_model(modelId=model, body=body)
    with answer["body"] as raw:
        text: str = json.load(raw)["choices"][0]["text"]
    return text


def stream(runtime: Any, model: str) -> str:
    body = json.dumps({"prompt": "Why?", "max_tokens": 8, "temperature": 0})
    events = runtime.invoke_model_with_response_stream(modelId=model, body=body)["body"]
    chunks = [json.loads(event["chunk"]["bytes"]) for event in events]
    return "".join(chunk["choices"][0]["text"] for chunk in chunks)


def test_fine_tunes_answer_behind_their_arns(bedrock: Bedrock) -> None:
    runtime = bedrock.client()
    models = [TUNED, ADAPTED]
    texts = [complete(runtime, model) for model in models]
    with ThreadPoolExecutor(len(models)) as pool:
        streamed = list(pool.map(lambda model: stream(runtime, model), models))
    runtime.close()

    assert len(set(texts)) == 2
    assert streamed == texts
