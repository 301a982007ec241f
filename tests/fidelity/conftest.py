"""Services for the tables: one that lets everybody in, one for each way to prove who you are."""

from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
import yaml

from invoke_api.registry import DEFAULT_REGISTRY
from tests.fidelity import api_keys
from tests.fidelity.identifiers import ACCOUNT, NOT_RUN, PROFILED, RETIRED
from tests.fidelity.wire import REMOTE
from tests.servers import COMMAND, GUARDRAILS, command_running, wait_until_ready

CREDENTIALS = {
    "access_keys": [
        {
            "access_key_id": "AKIDEXAMPLE",
            "secret_access_key": "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY",
            "account_id": ACCOUNT,
        },
        {
            "access_key_id": "ASIATEMPORARY",
            "secret_access_key": "temporary",
            "session_token": "the/token+==",
            "expires": "2999-01-01T00:00:00Z",
        },
        {
            "access_key_id": "ASIAEXPIRED",
            "secret_access_key": "expired",
            "session_token": "old",
            "expires": "2024-01-01T00:00:00Z",
        },
    ],
    "api_keys": [
        {"api_key": api_keys.GOOD, "expires": "2999-01-01T00:00:00Z"},
        {"api_key": api_keys.EXPIRED, "expires": "2024-01-01T00:00:00Z"},
    ],
}


@pytest.fixture(scope="session")
def credentials(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The keys that the tables sign with."""
    file = tmp_path_factory.mktemp("credentials") / "credentials.yaml"
    file.write_text(yaml.safe_dump(CREDENTIALS))
    file.chmod(0o600)
    return file


@pytest.fixture(scope="session")
def registry(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The shipped registry, with a model of each kind that Mistral's own are not."""
    document = yaml.safe_load(DEFAULT_REGISTRY.read_text())
    profiled = {
        **document["models"][0],
        "id": PROFILED,
        "regions": [],
        "profiles": {
            f"us.{PROFILED}": ["us-east-1", "us-west-2"],
            f"eu.{PROFILED}": ["eu-west-1"],
            f"apac.{PROFILED}": ["ap-northeast-1"],
            f"global.{PROFILED}": ["us-east-1", "ap-southeast-2"],
        },
    }
    governed = {
        **document["models"][0],
        "id": PROFILED.replace("profiled", "gov"),
        "regions": ["us-gov-west-1", "cn-north-1"],
    }
    document["models"] += [profiled, governed]
    document["not_run"] = [
        {"id": NOT_RUN, "name": "Without access"},
        {"id": RETIRED, "name": "Retired", "end_of_life": "2024-06-01"},
    ]
    file = tmp_path_factory.mktemp("registry") / "registry.yaml"
    file.write_text(yaml.safe_dump(document))
    return file


@pytest.fixture(scope="session")
def urls(credentials: Path, registry: Path) -> Iterator[dict[str, str]]:
    """The URL of each service of `case.Service`."""
    if REMOTE:
        yield dict.fromkeys(("open", "sigv4", "bearer", "any"), "")
        return
    keys = ["--credentials", str(credentials)]
    with ExitStack() as stack:
        urls = {}
        for service, auth in (("open", "none"), ("sigv4",) * 2, ("bearer",) * 2, ("any",) * 2):
            command = [*COMMAND, "--engine", "scripted", "--registry", str(registry)]
            command += ["--guardrails", str(GUARDRAILS)]
            command += ["--auth", auth, *keys] if auth != "none" else []
            urls[service] = stack.enter_context(command_running(command))
            wait_until_ready(urls[service], seconds=30)
        yield urls
