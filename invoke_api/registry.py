"""The model registry: a YAML file into frozen `Model` records, each mistake named by its line."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import orjson
import yaml
from jsonschema import SchemaError

from engine import vllm_engine
from invoke_api.dialects import DIALECTS, Dialect
from invoke_api.validation.schema import BodySchema, Validator
from invoke_api.wire.errors import ValidationException

ROOT = Path(__file__).parent.parent  # the checkout, or site-packages once installed
SCHEMAS = ROOT / "schemas"
DEFAULT_REGISTRY = ROOT / "model_registry.yaml"
# vLLM's engine arguments that the registry has its own key for.
OURS = {"model": "weights", "max_model_len": "context_length"}


class RegistryError(Exception):
    """The registry can't be used; a sentence a line, each with file, line and entry."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Model:
    """One model as the registry describes it."""

    id: str
    name: str
    dialect_name: str
    schema: BodySchema
    tokenizer: str
    context_length: int
    engine: str
    weights: str
    stand_in: str | None
    demo: str
    vllm: Mapping[str, Any]

    @property
    def dialect(self) -> Dialect:
        return DIALECTS[self.dialect_name]


@dataclass(frozen=True, slots=True)
class Registry:
    models: Mapping[str, Model]

    def find(self, model_id: str) -> Model:
        """The model that a request names. Raises `ValidationException`, as Bedrock does."""
        try:
            return self.models[model_id]
        except KeyError:
            raise ValidationException("The provided model identifier is invalid.") from None

    def only(self, ids: Sequence[str]) -> "Registry":
        """The registry cut down to these ids; all of it for none. Raises `RegistryError`."""
        unknown = [model_id for model_id in ids if model_id not in self.models]
        if unknown:
            known = "\n  ".join(self.models)
            raise RegistryError(f"no model {unknown[0]!r} in the registry, which has\n  {known}")
        return Registry({key: self.models[key] for key in ids} if ids else self.models)


def load_registry(path: Path) -> Registry:
    """Raises `RegistryError` with every mistake in the file."""
    document, source = _read(path)
    if mistakes := list(_find_mistakes(document, source)):
        raise RegistryError("\n".join(mistakes))
    return Registry({entry["id"]: _to_model(entry) for entry in document["models"]})


def _read(path: Path) -> tuple[Any, "_Source"]:
    try:
        text = path.read_text()
        document = yaml.safe_load(text)
        node = yaml.compose(text, Loader=yaml.SafeLoader)
    except OSError as error:
        raise RegistryError(f"{path}: {error.strerror}") from error
    except yaml.MarkedYAMLError as error:
        line = error.problem_mark.line + 1 if error.problem_mark else 1
        raise RegistryError(f"{path}:{line}: {error.problem}") from error
    except (ValueError, RecursionError, yaml.YAMLError) as error:
        raise RegistryError(f"{path}: {error}") from error
    if node is None:
        raise RegistryError(f"{path}:1: the file is empty")
    return document, _Source(path, node)


@dataclass(frozen=True, slots=True)
class _Source:
    """Where in the file a value stands."""

    path: Path
    root: yaml.Node

    def where(self, steps: Sequence[str | int]) -> str:
        node = self.root
        for step in steps:
            child = _child(node, step)
            if child is None:
                break
            node = child
        return f"{self.path}:{node.start_mark.line + 1}"

    def repeated_keys(self) -> Iterator[str]:
        """YAML forbids a key twice, PyYAML takes the last in silence."""
        todo = [self.root]
        done: set[int] = set()  # an alias may lead back to where it stands
        while todo:
            node = todo.pop()
            if id(node) in done:
                continue
            done.add(id(node))
            children = node.value if isinstance(node.value, list) else []
            if isinstance(node, yaml.MappingNode):
                seen: set[str] = set()
                for key, _ in children:
                    if key.value in seen:
                        line = key.start_mark.line + 1
                        yield f"{self.path}:{line}: the key {key.value!r} stands here twice"
                    seen.add(key.value)
                children = [value for _, value in children]
            todo.extend(children)


def _child(node: yaml.Node, step: str | int) -> yaml.Node | None:
    if isinstance(node, yaml.MappingNode):
        return next((value for key, value in node.value if key.value == step), None)
    if isinstance(node, yaml.SequenceNode) and isinstance(step, int):
        child: yaml.Node = node.value[step]
        return child
    return None


def _find_mistakes(document: Any, source: _Source) -> Iterator[str]:  # noqa: ANN401 - any YAML
    schema = orjson.loads((SCHEMAS / "model_registry.json").read_bytes())
    wrong = False
    yield from source.repeated_keys()
    for error in Validator(schema).iter_errors(document):
        wrong = True
        steps = list(error.absolute_path)
        yield f"{source.where(steps)}: {_entry(document, steps)}{error.message}"
    if not wrong:
        yield from _find_contradictions(document, source)


def _find_contradictions(document: dict[str, Any], source: _Source) -> Iterator[str]:
    """What a schema can't say: names that must be unique, exist elsewhere, or be known to vLLM."""
    seen: set[str] = set()
    for index, entry in enumerate(document["models"]):
        steps: list[str | int] = ["models", index]
        if entry["id"] in seen:
            yield f"{source.where([*steps, 'id'])}: model {entry['id']!r} stands here twice"
        seen.add(entry["id"])
        for wrong in _schema_problems(entry["schema"]):
            yield f"{source.where([*steps, 'schema'])}: model {entry['id']!r}: {wrong}"
        for option in entry.get("vllm", {}):
            if problem := _option_problem(option):
                where = source.where([*steps, "vllm", option])
                yield f"{where}: model {entry['id']!r}: {problem}"


def _option_problem(option: str) -> str | None:
    if option in OURS:
        return f"{option!r} is said by {OURS[option]!r}"
    if not vllm_engine.is_installed():
        return None
    return vllm_engine.explain_unknown_option(option)


def _entry(document: Any, steps: Sequence[str | int]) -> str:  # noqa: ANN401 - any YAML
    if len(steps) > 1 and steps[0] == "models" and isinstance(document["models"][steps[1]], dict):
        return f"model {document['models'][steps[1]].get('id')!r}: "
    return ""


def _schema_problems(name: str) -> Iterator[str]:
    try:
        _load_schema(name)
    except FileNotFoundError:
        yield f"there is no schema {SCHEMAS / name}"
    except (orjson.JSONDecodeError, SchemaError) as error:
        yield f"{SCHEMAS / name} is no JSON Schema: {error}"


def _load_schema(name: str) -> BodySchema:
    return BodySchema(orjson.loads((SCHEMAS / name).read_bytes()))


def _to_model(entry: dict[str, Any]) -> Model:
    return Model(
        id=entry["id"],
        name=entry["name"],
        dialect_name=entry["dialect"],
        schema=_load_schema(entry["schema"]),
        tokenizer=entry["tokenizer"],
        context_length=entry["context_length"],
        engine=entry["engine"],
        weights=entry["weights"],
        stand_in=entry.get("stand_in"),
        demo=entry["demo"],
        vllm=entry.get("vllm", {}),
    )
