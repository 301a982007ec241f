"""Services for the tables: one without authentication, and one for each kind of it."""

from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
import yaml

from invoke_api.models.registry import DEFAULT_REGISTRY
from tests.fidelity import api_keys
from tests.fidelity.engine_rows import Place, Target, all_cases
from tests.fidelity.identifiers import ACCOUNT, NOT_RUN, OWN, PROFILED, RETIRED
from tests.fidelity.imported import IMPORTED
from tests.fidelity.model_server import MODELS, model_server_running
from tests.fidelity.wire import REMOTE, Wire, send
from tests.support.servers import COMMAND, GUARDRAILS, command_running, wait_until_ready

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

# The recorder signs requests again, with these keys only.
NO_AWS = {
    "AWS_ACCESS_KEY_ID": "AKIDEXAMPLE",
    "AWS_SECRET_ACCESS_KEY": "recorder",
    "AWS_CONFIG_FILE": "/nowhere",
    "AWS_SHARED_CREDENTIALS_FILE": "/nowhere",
    "AWS_EC2_METADATA_DISABLED": "true",
}


@pytest.fixture(scope="session")
def credentials(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the file of the keys that the tables sign with."""
    file = tmp_path_factory.mktemp("credentials") / "credentials.yaml"
    file.write_text(yaml.safe_dump(CREDENTIALS))
    file.chmod(0o600)
    return file


@pytest.fixture(scope="session")
def registry(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a copy of the shipped registry with a model of each kind that it lacks."""
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
    imported = {**document["models"][2], "id": "imported", "catalogued": False, "tokenizer": "v3"}
    imported["dialect"] = "imported"
    for key in ("schema", "regions", "abilities"):
        del imported[key]
    document["models"].append(imported)
    document["arns"] = [*OWN, {"arn": IMPORTED, "model": "imported"}]
    file = tmp_path_factory.mktemp("registry") / "registry.yaml"
    file.write_text(yaml.safe_dump(document))
    return file


@pytest.fixture(scope="session")
def urls(credentials: Path, registry: Path) -> Iterator[dict[str, str]]:
    """Yield the URL of each service of `case.Service`."""
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


@pytest.fixture(scope="session")
def wire() -> Iterator[Wire]:
    """Yield connections that all rows share."""
    opened = Wire()
    yield opened
    opened.close()


@pytest.fixture
def place(target: Target, request: pytest.FixtureRequest, wire: Wire) -> Place:
    """Return the service of the row's target."""
    return Place(target, request.getfixturevalue(target.fixture), wire)


@pytest.fixture(scope="session")
def replayed(scripted: str, wire: Wire, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Yield a service that replays the scripted engine's answers to all rows."""
    folder = str(tmp_path_factory.mktemp("cassettes"))
    record = [COMMAND[0], "record", "--port", "0", "--to", folder, "--upstream", scripted]
    with command_running(record, NO_AWS) as url:
        for case in all_cases():
            for operation in case.operations:
                send(wire, case, operation, url, "http/1.1")
    replay = [*COMMAND, "--engine", "replay", "--cassettes", folder]
    with command_running(replay) as url:
        wait_until_ready(url, seconds=30)
        yield url


@pytest.fixture(scope="session")
def stubbed() -> Iterator[str]:
    """Yield a service in front of a model server that answers as the scripted engine does."""
    names = [part for model in MODELS for part in ("--model", model.id)]
    with model_server_running() as server:
        command = [*COMMAND, "--engine", "remote", "--remote", server, *names]
        with command_running(command) as url:
            wait_until_ready(url, seconds=30)
            yield url
