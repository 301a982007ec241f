"""A service with an endpoint of each container."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from invoke_api.testing import Bedrock
from tests.support.servers import COMMAND, command_running, wait_until_ready

REGISTRY = """\
models:
  - id: mistral.mistral-7b-instruct-v0:2
    name: Mistral 7B Instruct
    dialect: mistral-text
    schema: mistral-7b-instruct.json
    tokenizer: v1
    context_length: 32768
    engine: scripted
    weights: none
    demo: dense
endpoints:
  - {name: lmi, model: &m mistral.mistral-7b-instruct-v0:2, container: lmi}
  - {name: tgi-3, model: *m, container: tgi-3}
  - {name: narrow, model: *m, container: tgi-1.1, environment: {MAX_CONCURRENT_REQUESTS: 1}}
"""


@pytest.fixture(scope="module")
def others(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bedrock]:
    """Yield a service with an endpoint of each other container, and one for a single call."""
    path: Path = tmp_path_factory.mktemp("registry") / "registry.yaml"
    path.write_text(REGISTRY)
    with command_running([*COMMAND, "--registry", str(path)]) as url:
        wait_until_ready(url, seconds=30)
        yield Bedrock(url)
