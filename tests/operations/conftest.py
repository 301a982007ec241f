"""A service with extensions, the invocation log and ARNs."""

from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

from invoke_api.models.identifiers import OWN_KINDS
from invoke_api.models.registry import DEFAULT_REGISTRY
from tests.support.servers import COMMAND, GUARDRAILS, SEVEN_B, command_running, wait_until_ready

ARNS = [
    {"arn": f"arn:aws:bedrock:us-west-2:123456789012:{kind}/{made}", "name": name, "model": model}
    for kind in OWN_KINDS
    for made, name, model in (
        ("abcdefghij12", "catalogued", SEVEN_B),
        ("abcdefghij13", "own", "own.model-v1:0"),
    )
]


@pytest.fixture(scope="session")
def log_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("logs") / "made" / "by it"


@pytest.fixture(scope="session")
def registry(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Write the shipped registry with an ARN of each kind in us-west-2."""
    document = yaml.safe_load(DEFAULT_REGISTRY.read_text())
    own = {"id": "own.model-v1:0", "catalogued": False}
    first = {key: value for key, value in document["models"][0].items() if key != "regions"}
    document["models"].append({**first, **own})
    document["arns"] = ARNS
    file = tmp_path_factory.mktemp("registry") / "registry.yaml"
    file.write_text(yaml.safe_dump(document))
    return file


@pytest.fixture(scope="session")
def extended(log_folder: Path, registry: Path) -> Iterator[str]:
    """Yield the URL of a service with `--extensions`, `--invocation-log` and ARNs."""
    flags = ["--engine", "scripted", "--extensions", "--invocation-log", str(log_folder)]
    flags += ["--registry", str(registry)]
    flags += ["--guardrails", str(GUARDRAILS)]
    with command_running([*COMMAND, *flags]) as url:
        wait_until_ready(url, seconds=30)
        yield url
