"""The registry: its contents, and mistakes with their lines."""

import dataclasses
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import orjson
import pytest

from engine.vllm import options as vllm_options
from invoke_api import yaml_files
from invoke_api.bundled import ROOT
from invoke_api.models.identifiers import parse_identifier
from invoke_api.models.registry import DEFAULT_REGISTRY, load_registry
from invoke_api.wire.errors import AccessDeniedException, ValidationException
from invoke_api.yaml_files import SCHEMAS, ConfigError
from tests.models.regions import FILE, known_regions
from tests.support.servers import BASE, BASE_WEIGHTS, LARGE, MIXTRAL, SEVEN_B, SMALL

GOOD = """\
models:
  - id: mistral.one
    name: One
    dialect: mistral-text
    schema: mistral-7b-instruct.json
    tokenizer: v1
    context_length: 32768
    engine: vllm
    weights: ./weights
    demo: dense
    vllm:
      dtype: bfloat16
"""

MISTAKES = [
    (
        GOOD + "    regions: [us-east-1, us-est-1]\n",
        ":13: model 'mistral.one': AWS has no region us-est-1; did you mean us-",
    ),
    (
        GOOD + "    profiles:\n      us.mistral.one: [us-north-1]\n",
        ":14: model 'mistral.one': AWS has no region us-north-1",
    ),
    (
        GOOD.replace("dtype: bfloat16", "quantization: fp9"),
        ":12: model 'mistral.one': no vLLM from 0.26 to 0.33 has the quantization 'fp9'",
    ),
    (
        GOOD.replace("dtype: bfloat16", "data_parallel_size_local: 2"),
        ":12: model 'mistral.one': data_parallel_size_local is 2, and data_parallel_size only 1",
    ),
    ("models: []\n", ":1: models: [] should be non-empty"),
    ("", ":1: the file is empty"),
    ("models: [\n", ":2: expected the node content"),
    ("models: !!python/name:os.system\n", ":1: could not determine a constructor for the tag"),
    ("? [a]\n: 1\n", ":1: found unhashable key"),
    ("models: 2001-99-99\n", ": month must be in 1..12"),
    ("[" * 3_000, ":1: nested deeper than 64 levels"),
    ("models: &a [*a]\n", ":1: an alias refers to a value that contains it"),
    (
        GOOD.replace("dtype: bfloat16", "1: x"),
        ":12: model 'mistral.one': vllm: 1 is not of type",
    ),
    (
        GOOD.replace("32768", "32768.0"),
        ":7: model 'mistral.one': context_length: 32768.0 is not of type 'integer'",
    ),
    (
        GOOD.replace("dtype: bfloat16", "gpu_memory_utilization: .nan"),
        ":12: .nan is not a number",
    ),
    (
        GOOD.replace("dtype: bfloat16", "distributed_executor_backend: rey"),
        ":12: model 'mistral.one': vllm.distributed_executor_backend: 'rey' is not one of",
    ),
    ("models: [7]\n", ":1: models.0: 7 is not of type 'object'"),
    ("other: 1\n", ":1: 'models' is a required property"),
    (GOOD.replace("    name: One\n", ""), ":2: model 'mistral.one': 'name' is a required property"),
    (
        GOOD.replace("v1", "v9"),
        ":6: model 'mistral.one': tokenizer: 'v9' is not one of ['v1', 'v2', 'v3', 'v7', 'tekken'",
    ),
    (
        GOOD.replace("32768", "many"),
        ":7: model 'mistral.one': context_length: 'many' is not of type 'integer'",
    ),
    (GOOD + "    wieghts: x\n", ":2: model 'mistral.one': Additional properties are not allowed"),
    (GOOD + "    name: Two\n", ":13: duplicate key 'name'"),
    (GOOD + GOOD.removeprefix("models:\n"), ":13: model 'mistral.one' occurs twice"),
    (
        GOOD + "not_run:\n  - {id: mistral.one, name: One}\n",
        ":14: model 'mistral.one' occurs twice",
    ),
    (
        GOOD.replace("    demo", "    profiles: {mistral.one: [us-east-1]}\n    demo"),
        ":10: model 'mistral.one': profiles: 'mistral.one' does not match",
    ),
    (
        GOOD.replace("    demo", "    end_of_life: soon\n    demo"),
        ":10: model 'mistral.one': end_of_life: 'soon' does",
    ),
    (
        GOOD.replace("    demo", "    end_of_life: '2026-02-30'\n    demo"),
        ":10: model 'mistral.one': 2026-02-30 is not a date",
    ),
    (
        GOOD.replace("    demo", "    launched: '2025-12-32'\n    demo"),
        ":10: model 'mistral.one': launched: '2025-12-32' does not match",
    ),
    (
        GOOD.replace("    demo", "    launched: '2025-11-31'\n    demo"),
        ":10: model 'mistral.one': 2025-11-31 is not a date",
    ),
    (
        GOOD.replace("    demo", "    input_modalities: [text]\n    demo"),
        ":10: model 'mistral.one': input_modalities.0: 'text' is not one of ['TEXT', 'IMAGE'",
    ),
    (
        GOOD.replace("    demo", "    output_modalities: []\n    demo"),
        ":10: model 'mistral.one': output_modalities: [] should be non-empty",
    ),
    (
        GOOD.replace("    demo", "    converse: {}\n    demo"),
        ":10: model 'mistral.one': converse: 'maxTokensMaximum' is a required property",
    ),
    (
        GOOD + "not_run:\n  - id: mistral.two\n    name: Two\n    converse: {maxTokens: 1}\n",
        ":16: model 'mistral.two': converse: Additional properties are not",
    ),
    (
        GOOD + "not_run:\n  - id: mistral.two\n    name: Two\n    provider: ''\n",
        ":16: model 'mistral.two': provider: '' should be non-empty",
    ),
    (GOOD.replace("mistral-7b-instruct.json", "none.json"), ":5: model 'mistral.one': there is no"),
    (
        GOOD.replace("dtype", "max_model_len"),
        ":12: model 'mistral.one': set 'context_length' instead of",
    ),
    (
        GOOD.replace("dtype: bfloat16", "tensor_paralel_size: 2"),
        ":12: model 'mistral.one': the installed vLLM has no engine argument 'tensor_paralel",
    ),
    (
        GOOD.replace("dtype: bfloat16", "dtype: float9"),
        ":12: model 'mistral.one': vllm.dtype: 'float9' is not one of",
    ),
    (GOOD + "    remote: 7\n", ":13: model 'mistral.one': remote: 7 is not of type 'object'"),
    (
        GOOD + "    remote:\n      url: host:8000\n",
        ":14: model 'mistral.one': remote.url: 'host:8000' does not match '^https?://",
    ),
    (
        GOOD + "    remote:\n      url: http://me:secret@host\n",
        ":14: model 'mistral.one': remote.url: 'http://me:secret@host' does not match",
    ),
    (
        GOOD + "    remote:\n      token_ids: maybe\n",
        ":14: model 'mistral.one': remote.token_ids: 'maybe' is not of type 'boolean'",
    ),
    (
        GOOD + "    remote:\n      api_key: sk\n",
        ":14: model 'mistral.one': remote: Additional properties are not allowed ('api_key'",
    ),
    (
        GOOD + "    remote:\n      api_key_variable: my key\n",
        ":14: model 'mistral.one': remote.api_key_variable: 'my key' does not match",
    ),
    (
        GOOD + "    remote:\n      connect_seconds: 0\n",
        ":14: model 'mistral.one': remote.connect_seconds: 0 is less than or equal to",
    ),
    (
        GOOD.replace("    demo", "    limits: {queue: 0}\n    demo"),
        ":10: model 'mistral.one': limits.queue: 0 is less than the minimum of 1",
    ),
    (
        GOOD.replace("    demo", "    limits: {load_seconds: 0}\n    demo"),
        ":10: model 'mistral.one': limits.load_seconds: 0 is less than or equal to",
    ),
    (
        GOOD.replace("    demo", "    limits: {load_minutes: 1}\n    demo"),
        ":10: model 'mistral.one': limits: Additional properties are not allowed ('load_",
    ),
    *(
        (
            GOOD.replace("dtype: bfloat16", f"{option}: {value}"),
            f":12: model 'mistral.one': {option!r} is {shown}, and vLLM takes {kind}",
        )
        for option, value, shown, kind in (
            ("enforce_eager", '"yes"', "'yes'", "bool"),
            ("max_num_seqs", "true", "True", "int | None"),
            ("seed", "1.5", "1.5", "int"),
            ("revision", "7", "7", "str | None"),
        )
    ),
    (
        GOOD.replace("dtype: bfloat16", "gpu_memory_utilization: 90"),
        ":12: model 'mistral.one': vllm.gpu_memory_utilization: 90 is greater than",
    ),
]


@pytest.mark.parametrize(("text", "sentence"), MISTAKES)
def test_a_mistake_is_named_with_its_line(tmp_path: Path, text: str, sentence: str) -> None:
    file = tmp_path / "registry.yaml"
    file.write_text(text)
    with pytest.raises(ConfigError) as caught:
        load_registry(file)

    assert f"{file}{sentence}" in str(caught.value)


def test_what_needs_ray_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(
        "engine.vllm.options.find_spec", lambda name: name != "ray" and find_spec(name)
    )
    file = tmp_path / "registry.yaml"
    file.write_text(GOOD.replace("dtype: bfloat16", "distributed_executor_backend: ray"))
    with pytest.raises(ConfigError) as caught:
        load_registry(file)

    assert f"{file}:12: model 'mistral.one': 'distributed_executor_backend' is 'ray'" in str(
        caught.value
    )
    assert "Ray is not installed; pip install 'ray[cgraph]'" in str(caught.value)


def test_a_schema_that_is_none_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, text in {"json.json": "{", "kind.json": '{"type": 7}'}.items():
        (tmp_path / name).write_text(text)
    (tmp_path / "model_registry.json").write_bytes((SCHEMAS / "model_registry.json").read_bytes())
    monkeypatch.setattr(yaml_files, "SCHEMAS", tmp_path)
    file = tmp_path / "registry.yaml"
    for name in ("json.json", "kind.json"):
        file.write_text(GOOD.replace("mistral-7b-instruct.json", name))
        with pytest.raises(ConfigError, match=f":5: model 'mistral.one': .*{name} is no JSON Sch"):
            load_registry(file)


def test_all_mistakes_are_named_at_once(tmp_path: Path) -> None:
    file = tmp_path / "registry.yaml"
    file.write_text(GOOD.replace("v1", "v9").replace("dense", "sparse"))
    with pytest.raises(ConfigError) as caught:
        load_registry(file)

    assert len(str(caught.value).splitlines()) == 2


def test_a_file_that_is_no_text_is_named(tmp_path: Path) -> None:
    file = tmp_path / "registry.yaml"
    for raw in (b"\xff\xfe\x00", b"models: \x00"):
        file.write_bytes(raw)
        with pytest.raises(ConfigError, match=r"registry\.yaml: "):
            load_registry(file)


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"none\.yaml: No such file or directory"):
        load_registry(tmp_path / "none.yaml")


def test_the_shipped_registry_has_the_models_of_both_dialects() -> None:
    shipped = load_registry(DEFAULT_REGISTRY).models

    assert list(shipped)[:4] == [SEVEN_B, MIXTRAL, SMALL, LARGE]
    assert {shipped[model_id].dialect_name for model_id in list(shipped)[:4]} == {"mistral-text"}
    assert {shipped[model_id].dialect_name for model_id in list(shipped)[4:-1]} == {"mistral-chat"}
    assert shipped[BASE].weights == BASE_WEIGHTS
    assert not shipped[BASE].listing.is_catalogued
    assert [model.id for model in shipped.values() if model.stand_in] == [SMALL, LARGE]


def test_a_model_that_is_left_out_is_one_without_access() -> None:
    only = load_registry(DEFAULT_REGISTRY).only([MIXTRAL])

    assert only.find(parse_identifier(MIXTRAL), "us-east-1").id == MIXTRAL
    with pytest.raises(AccessDeniedException):
        only.find(parse_identifier(SEVEN_B), "us-east-1")
    with pytest.raises(ConfigError, match=r"there is no model 'mistral\.none'; the registry has"):
        only.only(["mistral.none"])


# Amazon Bedrock User Guide, model-parameters-mistral-text-completion: default and top of
# max_tokens; default temperature, top_p, top_k.
PARAMETERS = [
    (SEVEN_B, (512, 8192), 0.5, 0.9, 50),
    (MIXTRAL, (512, 4096), 0.5, 0.9, 50),
    (SMALL, (8192, 8192), 0.7, 1, None),
    (LARGE, (8192, 8192), 0.7, 1, None),
]


@pytest.mark.parametrize(("model", "max_tokens", "temperature", "top_p", "top_k"), PARAMETERS)
def test_defaults_and_bounds_are_those_of_the_user_guide(
    model: str, max_tokens: tuple[int, int], temperature: float, top_p: float, top_k: int | None
) -> None:
    schema = load_registry(DEFAULT_REGISTRY).models[model].schema
    default, top = max_tokens
    expected: dict[str, Any] = {
        "prompt": "Hi",
        "max_tokens": default,
        "stop": [],
        "temperature": temperature,
        "top_p": top_p,
    }
    if top_k:
        expected["top_k"] = top_k

    assert schema.parse(b'{"prompt": "Hi"}') == expected
    for key, low, high in (
        ("max_tokens", 1, top),
        ("temperature", 0, 1),
        ("top_p", 0, 1),
        ("top_k", 1, 200),
    ):
        for legal in (low, high):
            assert schema.parse(orjson.dumps({"prompt": "Hi", key: legal}))[key] == legal
        for illegal in (low - 1, high + 1):
            with pytest.raises(ValidationException):
                schema.parse(orjson.dumps({"prompt": "Hi", key: illegal}))


def test_the_regions_are_those_that_botocore_knows() -> None:
    assert orjson.loads(FILE.read_bytes()) == known_regions()


def test_every_schema_is_used() -> None:
    sources = [DEFAULT_REGISTRY, *(ROOT / "invoke_api").rglob("*.py")]
    text = "".join(source.read_text() for source in sources)
    files = {path.name for path in SCHEMAS.glob("*.json")}

    assert [name for name in files if name not in text] == []


@pytest.mark.vllm
@pytest.mark.filterwarnings("default")
def test_the_options_read_from_vllms_source_are_vllms() -> None:
    from vllm.engine.arg_utils import AsyncEngineArgs  # noqa: PLC0415 - it takes seconds

    fields = {field.name: field for field in dataclasses.fields(AsyncEngineArgs)}
    known = vllm_options.known_options()
    plain = {name: kind for name, kind in known.items() if kind in vllm_options.TYPES}

    assert known.keys() == fields.keys()
    assert len(plain) > 50
    assert plain == {name: getattr(fields[name].type, "__name__", "") for name in plain}
