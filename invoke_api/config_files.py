"""The operator's YAML and JSON files, read strictly: every mistake with its file and line."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import orjson
import yaml

from invoke_api.validation.schema import Validator

ROOT = Path(__file__).parent.parent  # the checkout, or site-packages once installed
SCHEMAS = ROOT / "schemas"
NAMES_KEYS = ("required", "additionalProperties")  # whose messages quote keys alone


class Loader(yaml.SafeLoader):
    """Not libyaml's, which is faster: a file of many brackets overflows its stack.

    With constructors of its own: lm-format-enforcer, which vLLM imports at the first schema for an
    answer, has PyYAML's own read dates as strings from then on.
    """

    yaml_constructors: ClassVar[dict[Any, Any]] = dict(yaml.SafeLoader.yaml_constructors)


class ConfigError(Exception):
    """A file can't be used; a sentence a line."""


@dataclass(frozen=True, slots=True)
class Source:
    """Where in a file a value stands."""

    path: Path
    root: yaml.Node

    def where(self, steps: Sequence[str | int]) -> str:
        """`file:line` of the value at the end of these keys and indices."""
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


def read_config(path: Path) -> tuple[Any, Source]:
    """The document, of which nothing is checked yet, and its lines. Raises `ConfigError`."""
    try:
        loader = Loader(path.read_text())
        node = loader.get_single_node()
        document = node and loader.construct_document(node)
    except OSError as error:
        raise ConfigError(f"{path}: {error.strerror}") from error
    except yaml.MarkedYAMLError as error:
        line = error.problem_mark.line + 1 if error.problem_mark else 1
        raise ConfigError(f"{path}:{line}: {error.problem}") from error
    except (ValueError, RecursionError, yaml.YAMLError) as error:
        raise ConfigError(f"{path}: {error}") from error
    if node is None:
        raise ConfigError(f"{path}:1: the file is empty")
    return document, Source(path, node)


def load_schema(name: str) -> dict[str, Any]:
    """A file below schemas/. Raises `FileNotFoundError`, `orjson.JSONDecodeError`."""
    schema: dict[str, Any] = orjson.loads((SCHEMAS / name).read_bytes())
    return schema


def find_mistakes(
    document: Any,  # noqa: ANN401 - any YAML
    source: Source,
    schema: str,
    *,
    name: str | None = None,
    kind: str = "model",
    show_values: bool = True,
) -> Iterator[str]:
    """What breaks this schema below schemas/. `name` is the key that entries, each a `kind`, go by.

    Without `show_values` the sentences quote keys only: the values may be secrets.
    """
    yield from source.repeated_keys()
    for error in Validator(load_schema(schema)).iter_errors(document):
        steps = list(error.absolute_path)
        entry = "" if name is None else _entry(document, steps, name, kind)
        key = ".".join(map(str, steps[2:] if entry else steps))
        if show_values or error.validator in NAMES_KEYS:
            yield f"{source.where(steps)}: {entry}{key and f'{key}: '}{error.message}"
        else:
            rule = f"{error.validator} {error.validator_value}"
            yield f"{source.where(steps)}: {steps[-1] if steps else 'the file'} breaks {rule}"


def _entry(document: Any, steps: Sequence[str | int], name: str, kind: str) -> str:  # noqa: ANN401 - any YAML
    if len(steps) > 1 and isinstance(document[steps[0]][steps[1]], dict):
        return f"{kind} {document[steps[0]][steps[1]].get(name)!r}: "
    return ""


def _child(node: yaml.Node, step: str | int) -> yaml.Node | None:
    if isinstance(node, yaml.MappingNode):
        return next((value for key, value in node.value if key.value == step), None)
    if isinstance(node, yaml.SequenceNode) and isinstance(step, int):
        child: yaml.Node = node.value[step]
        return child
    return None
