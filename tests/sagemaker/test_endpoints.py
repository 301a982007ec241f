"""Endpoints in the registry: limits, accounts, regions, and mistakes with their lines."""

from pathlib import Path

import pytest

from invoke_api.models.endpoints import Endpoint, Endpoints
from invoke_api.models.registry import DEFAULT_REGISTRY, load_registry
from invoke_api.yaml_files import ConfigError
from tests.models.test_arns import MODELS

GOOD = "  - {name: mine, model: mistral.one, container: tgi-1.1"


def load(tmp_path: Path, endpoints: str) -> Endpoints:
    path = tmp_path / "registry.yaml"
    path.write_text(MODELS.replace("arns:\n", f"endpoints:\n{endpoints}"))
    return load_registry(path).endpoints


def test_the_default_registry_has_jumpstarts_endpoints() -> None:
    endpoints = {each.name: each for each in load_registry(DEFAULT_REGISTRY).endpoints}

    assert set(endpoints) == {
        f"huggingface-llm-{name}"
        for name in (
            "mistral-7b",
            "mistral-7b-instruct",
            "mixtral-8x7b",
            "mixtral-8x7b-instruct",
        )
    }
    one = endpoints["huggingface-llm-mistral-7b-instruct"]
    assert (one.max_input_length, one.max_total_tokens) == (8191, 8192)
    assert one.max_concurrent_requests == 128


def test_a_registry_of_some_models_has_their_endpoints_only() -> None:
    some = load_registry(DEFAULT_REGISTRY).only(["mistral.mixtral-8x7b-instruct-v0:1"])

    assert {each.model_id for each in some.endpoints} == {"mistral.mixtral-8x7b-instruct-v0:1"}
    assert len(some.endpoints) == 2


def test_limits_are_the_containers_unless_the_environment_sets_them(tmp_path: Path) -> None:
    [plain] = load(tmp_path, GOOD + "}\n")
    [set_] = load(tmp_path, GOOD + ", environment: {MAX_TOTAL_TOKENS: 4000, SM_NUM_GPUS: 1}}\n")

    assert (plain.max_input_length, plain.max_total_tokens) == (1024, 2048)
    assert (set_.max_input_length, set_.max_total_tokens) == (1024, 4000)


@pytest.mark.parametrize(
    ("keys", "region", "account", "is_found"),
    [
        ("", "us-east-1", None, True),
        ("region: eu-west-1", "eu-west-1", None, True),
        ("region: eu-west-1", "us-east-1", None, False),
        ("account: '111122223333'", "us-east-1", "111122223333", True),
        ("account: '111122223333'", "us-east-1", "444455556666", False),
        ("account: '111122223333'", "us-east-1", None, True),
    ],
)
def test_an_endpoint_is_found_in_its_region_and_account(
    tmp_path: Path,
    keys: str,
    region: str,
    account: str | None,
    is_found: bool,  # noqa: FBT001 - a parameter of the test
) -> None:
    endpoints = load(tmp_path, f"{GOOD}, {keys}}}\n")

    assert (endpoints.find("mine", region, account) is not None) is is_found


@pytest.mark.parametrize(
    ("endpoints", "sentence"),
    [
        (GOOD + "}\n" + GOOD + "}\n", ":28: the endpoint 'mine' occurs twice"),
        (
            GOOD.replace("mistral.one", "nothing") + "}\n",
            ":27: the endpoint 'mine': there is no model",
        ),
        (
            GOOD + ", environment: {MAX_INPUT_LENGTH: 2048}}\n",
            ":27: the endpoint 'mine': MAX_INPUT_LENGTH (2048) must be less than MAX_TOTAL_TOKENS",
        ),
        (GOOD.replace("tgi-1.1", "tgi-9") + "}\n", "'tgi-9' is not one of"),
        (GOOD.replace("mine", "-mine") + "}\n", "does not match"),
    ],
)
def test_a_mistake_is_named_with_its_line(tmp_path: Path, endpoints: str, sentence: str) -> None:
    with pytest.raises(ConfigError) as caught:
        load(tmp_path, endpoints)

    assert sentence in str(caught.value)


def test_a_container_takes_as_many_calls_as_its_environment_says() -> None:
    endpoint = Endpoint(name="a", model_id="m", container="tgi-1.1", max_concurrent_requests=1)
    endpoints = Endpoints([endpoint])

    with endpoints.calling(endpoint) as first, endpoints.calling(endpoint) as second:
        assert (first, second) == (True, False)
    with endpoints.calling(endpoint) as later:
        assert later
