"""Validation of imported models' bodies: any body is accepted or refused with a message."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.errors import EngineError
from engine.tokenization.tokenizer import Tokenizer, load_tokenizer
from invoke_api.dialects.imported import SCHEMAS, ImportedDialect, find_form
from invoke_api.models.registry import Model, load_registry
from invoke_api.wire.errors import ValidationException

REGISTRY = """\
models:
  - id: any
    name: Any
    dialect: imported
    tokenizer: v3
    context_length: 100
    engine: scripted
    weights: none
    demo: dense
"""
KEYS = ["type", "text", "image_url", "url", "role", "content", "json_schema", "schema", "json"]
LEAVES = (
    st.none()
    | st.booleans()
    | st.integers(-(10**25), 10**25)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.sampled_from(["user", "assistant", "text", "image_url", "json_schema", "a+", ""])
)
ANYTHING = st.recursive(
    LEAVES,
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(KEYS), inner, max_size=3)
    ),
    max_leaves=8,
)
MESSAGE = st.fixed_dictionaries({"role": st.sampled_from(["user", "system"]), "content": ANYTHING})
FORMS: Mapping[str, Mapping[str, st.SearchStrategy[Any]]] = {
    "bedrock-completion": {"prompt": st.text()},
    "openai-completion": {"prompt": st.text(), "max_tokens": st.integers(1, 50)},
    "openai-chat": {"messages": st.lists(MESSAGE, min_size=1, max_size=3)},
}
GOOD: Mapping[str, st.SearchStrategy[Any]] = {
    "temperature": st.floats(0, 1),
    "stop": st.text() | st.lists(st.text(), max_size=3),
    "seed": st.integers(),
    "logit_bias": st.dictionaries(st.text(max_size=3), st.integers(), max_size=2),
    "logprobs": st.booleans() | st.integers(0, 20),
    "top_logprobs": st.integers(0, 20),
    "return_logprobs": st.booleans(),
    "response_format": st.fixed_dictionaries(
        {"type": st.sampled_from(["json_schema", "json_object", "text"])},
        optional={"json_schema": ANYTHING},
    ),
    "structured_outputs": st.fixed_dictionaries({"json": ANYTHING})
    | st.fixed_dictionaries({"choice": st.lists(st.text(), max_size=3)}),
}


def bodies(form: str) -> st.SearchStrategy[dict[str, Any]]:
    more = {key: good | good | ANYTHING for key, good in GOOD.items()}
    return st.fixed_dictionaries(dict(FORMS[form]), optional=more)


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Model:
    file: Path = tmp_path_factory.mktemp("registry") / "registry.yaml"
    file.write_text(REGISTRY)
    return load_registry(file).models["any"]


def outcome(model: Model, body: Any, tokenizer: Tokenizer) -> str:
    """Return `taken` or the error message for a body."""
    try:
        filled = model.parse_body(json.dumps(body).encode())
        ImportedDialect().to_question(filled)
        ImportedDialect().texts(filled)
        ImportedDialect().writer(filled, tokenizer, "id").reply("", "stop")
        ImportedDialect().to_request(filled, tokenizer, 100, "id")
    except (ValidationException, EngineError) as refused:
        return str(refused)
    return "taken"


@given(body=st.one_of(*map(bodies, SCHEMAS), ANYTHING), version=st.sampled_from(["v3", "v7"]))
def test_a_body_is_taken_or_refused(model: Model, body: Any, version: str) -> None:
    assert outcome(model, body, load_tokenizer(version))


@pytest.mark.parametrize(
    ("form", "body"),
    [
        ("bedrock-completion", {"prompt": ""}),
        ("openai-completion", {"prompt": "", "max_tokens": 1}),
        ("openai-chat", {"messages": [{"role": "user"}]}),
    ],
)
def test_a_form_is_the_same_once_its_defaults_are_filled_in(
    model: Model, form: str, body: dict[str, Any]
) -> None:
    filled = model.parse_body(json.dumps(body).encode())

    assert find_form(body) == find_form(filled) == form
