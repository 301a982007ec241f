"""Pages of ListInferenceProfiles, with more profiles than Mistral's own."""

import json
from collections.abc import Iterator
from typing import Any

import pytest
import yaml

from invoke_api.models.registry import DEFAULT_REGISTRY
from tests.sdk.test_catalogue import client
from tests.support.servers import COMMAND, call, command_running

NAMES = [f"us.mistral.model-{number}-v1:0" for number in range(5)]


@pytest.fixture(scope="module")
def profiled(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    document: dict[str, Any] = yaml.safe_load(DEFAULT_REGISTRY.read_text())
    model = {**document["models"][0], "profiles": {name: ["us-east-1"] for name in NAMES}}
    file = tmp_path_factory.mktemp("registry") / "registry.yaml"
    file.write_text(yaml.safe_dump({"models": [model]}))
    with command_running([*COMMAND, "--engine", "scripted", "--registry", str(file)]) as url:
        yield url


@pytest.mark.parametrize("size", [1, 2, 4, 5, 1000])
def test_pages_hold_what_is_asked_for_and_nothing_twice(profiled: str, size: int) -> None:
    with client(profiled) as bedrock:
        paginator = bedrock.get_paginator("list_inference_profiles")
        pages = [
            [profile["inferenceProfileId"] for profile in page["inferenceProfileSummaries"]]
            for page in paginator.paginate(maxResults=size)
        ]

    assert [name for page in pages for name in page] == NAMES
    assert {len(page) for page in pages[:-1]} <= {size}


def test_the_last_page_has_no_token(profiled: str) -> None:
    _, raw = call(profiled, "GET", "/inference-profiles?maxResults=5")

    assert list(json.loads(raw)) == ["inferenceProfileSummaries"]
