"""The causes of the messages in docs/troubleshooting.md: each function returns what is said."""

import asyncio
import json
import os
import re
import socket
import subprocess
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import boto3
import pytest
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError
from starlette.requests import Request

from engine.errors import EngineDead
from invoke_api.control.rules_and_journal import one_worker_only
from invoke_api.models import engine_factory
from invoke_api.models.registry import DEFAULT_REGISTRY, load_registry
from invoke_api.testing import Bedrock, Rule, bedrock_running
from tests.support.servers import COMMAND, ROOT, SEVEN_B, call, command_running

PIXTRAL = "mistral.pixtral-large-2502-v1:0"
LARGE_2402 = "mistral.mistral-large-2402-v1:0"
HELLO = {"prompt": "How is the weather?"}
ADDRESS = "127.0.0.1:8080"  # in the page's examples
TOOL: Any = {"toolSpec": {"name": "get_weather", "inputSchema": {"json": {"type": "object"}}}}

Cause = Callable[[Bedrock], str]


def serve(*flags: str, **variables: str) -> str:
    """Return what `invoke-api serve` says as it refuses to start."""
    done = subprocess.run(
        [COMMAND[0], "serve", "--engine", "scripted", *flags],
        env={**os.environ, **variables},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode, done.stderr
    return done.stderr


def on_a_used_port(_: Bedrock) -> str:
    with socket.create_server(("127.0.0.1", 0)) as used:
        name = f"127.0.0.1:{used.getsockname()[1]}"
        return serve("--port", name.partition(":")[2]).replace(name, ADDRESS)


def without_vllm(_: Bedrock) -> str:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(engine_factory, "is_installed", lambda: False)
        model = load_registry(DEFAULT_REGISTRY).models[SEVEN_B]
        choice = engine_factory.EngineChoice(cache=Path())
        with pytest.raises(EngineDead) as caught:
            engine_factory._plan_vllm(model, choice)  # noqa: SLF001 - what the command calls
    return str(caught.value)


def invoke(bedrock: Bedrock, model: str = SEVEN_B, body: object = HELLO) -> str:
    """Return the text of an answer, or what boto3 says of an error."""
    client = bedrock.client(config=Config(retries={"total_max_attempts": 1}, read_timeout=1))
    try:
        with client.invoke_model(modelId=model, body=json.dumps(body))["body"] as answer:
            text: str = answer.read().decode()
            return text
    except (ClientError, BotoCoreError) as error:
        return str(error).replace(bedrock.url, f"http://{ADDRESS}")
    finally:
        client.close()


def converse(bedrock: Bedrock, model: str = LARGE_2402) -> str:
    client = bedrock.client()
    try:
        client.converse(
            modelId=model,
            messages=[{"role": "user", "content": [{"text": "Hi"}]}],
            toolConfig={"tools": [TOOL]},
        )
    except ClientError as error:
        return str(error)
    finally:
        client.close()
    return ""


def with_rule(rule: Rule, then: Cause = invoke) -> Cause:
    """Return the cause that a call is one under a rule."""

    def cause(bedrock: Bedrock) -> str:
        bedrock.rule(**rule)
        return then(bedrock)

    return cause


def explained(bedrock: Bedrock) -> str:
    bedrock.reply("It rains.", prompt="weather")
    invoke(bedrock, body={"prompt": "How is the Weather?"})
    return re.sub(r"rule \S+ did", "rule 1 did", "\n".join(bedrock.explain()))


def refused_rule(bedrock: Bedrock) -> str:
    with pytest.raises(ValueError, match="rule") as caught:
        bedrock.rule(when={"promt": "weather"}, reply="It rains.")  # type: ignore[typeddict-unknown-key]
    return str(caught.value)


def call_of_an_unknown_tool(bedrock: Bedrock) -> str:
    bedrock.reply({"tool_calls": [{"name": "get_wether", "arguments": {}}]})
    return re.sub(r"Rule \S+ calls", "Rule 1 calls", converse(bedrock))


def elsewhere(bedrock: Bedrock, region: str) -> str:
    return invoke(Bedrock(bedrock.url, region=region), "mistral.mistral-large-2407-v1:0")


def strictly(_: Bedrock) -> str:
    with bedrock_running("--engine", "scripted", "--strict") as strict:
        return invoke(strict)


def with_keys(_: Bedrock, known: str, secret: str) -> str:
    """Return what a service that requires a key says to a client with the key `AKIDEXAMPLE`."""
    keys = {"INVOKE_API_ACCESS_KEY_ID": known, "INVOKE_API_SECRET_ACCESS_KEY": secret}
    command = [*COMMAND, "--engine", "scripted", "--auth", "sigv4"]
    with command_running(command, keys) as url:
        return invoke(Bedrock(url, access_key_id="AKIDEXAMPLE", secret_access_key="secret"))


def ask(bedrock: Bedrock, path: str, **headers: str) -> str:
    return call(bedrock.url, "GET", path, None, **headers)[1].decode()


def with_workers(_: Bedrock) -> str:
    request = Request({"type": "http"})
    return bytes(asyncio.run(one_worker_only(request, b"")).body).decode()


def without(_: Bedrock, name: str) -> str:
    """Return what boto3 says to a caller who has set no variables of AWS that begin so."""
    with pytest.MonkeyPatch.context() as patch:
        for each in [each for each in os.environ if each.startswith("AWS_")]:
            patch.delenv(each)
        patch.setenv("AWS_EC2_METADATA_DISABLED", "true")
        patch.setenv("AWS_CONFIG_FILE", "/dev/null")
        patch.setenv("AWS_SHARED_CREDENTIALS_FILE", "/dev/null")
        for each in ("AWS_DEFAULT_REGION", "AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
            if not each.startswith(name):
                patch.setenv(each, "us-east-1")
        try:
            client = boto3.session.Session().client("bedrock-runtime")
            client.invoke_model(modelId=SEVEN_B, body=b"{}")
        except BotoCoreError as error:
            return str(error)
    return ""


def nobody_there(_: Bedrock) -> str:
    with socket.create_server(("127.0.0.1", 0)) as used:
        url = f"http://127.0.0.1:{used.getsockname()[1]}"
    return invoke(Bedrock(url))


def say(*flags: str, **variables: str) -> Cause:
    return lambda _: serve(*flags, **variables)


CAUSES: Sequence[Cause] = (
    # When the service starts
    on_a_used_port,
    say(INVOKE_API_AUHT="sigv4"),
    say("--host", "0.0.0.0"),
    say("--strict", "--no-control"),
    say("--model", "mistral.mistral-7b"),
    without_vllm,
    lambda _: (ROOT / "scripts" / "setup").read_text(),
    # When you call a model
    partial(invoke, model="mistral.nothing"),
    partial(elsewhere, region="us-east-1"),
    partial(invoke, model=PIXTRAL),
    partial(invoke, body={**HELLO, "max_token": 3}),
    partial(converse, model=SEVEN_B),
    with_rule({"state": "not-ready"}),
    with_rule({"fault": "ThrottlingException"}),
    partial(with_keys, known="AKIDOTHER", secret="secret"),
    partial(with_keys, known="AKIDEXAMPLE", secret="another secret"),
    partial(ask, path="/nothing"),
    # When you test
    partial(invoke, body={"prompt": "Hi"}),
    explained,
    refused_rule,
    call_of_an_unknown_tool,
    strictly,
    with_workers,
    partial(ask, path="/health"),
    partial(ask, path="/_emulator/rules", Host="bedrock.test:8080"),
    partial(ask, path="/_emulator/rules", Origin="https://app.example"),
    # Messages of boto3
    partial(without, name="AWS_DEFAULT_REGION"),
    partial(without, name="AWS_ACCESS_KEY_ID"),
    nobody_there,
    with_rule({"fault": {"break": "hang"}}),
)
