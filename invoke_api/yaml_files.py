"""Strict reading of the operator's YAML and JSON files, with file and line of each mistake."""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any, ClassVar

import orjson
import yaml
from jsonschema import ValidationError

from invoke_api.bundled import ROOT
from invoke_api.validation.schema import Validator

SCHEMAS = ROOT / "schemas"
KEY_ONLY_RULES = ("required", "additionalProperties")  # their messages quote keys, not values

MAX_FILE_BYTES = 8 << 20
MAX_DEPTH = 64  # levels of a document
MAX_VALUES = 100_000  # of a document; the values of an alias count at each use
MAX_LITERAL_CHARACTERS = 100  # of a number or a date
MAX_MISTAKES = 20  # that are reported for a file
MAX_MISTAKE_CHARACTERS = 400  # of a reported mistake

TOO_DEEP = f"nested deeper than {MAX_DEPTH} levels"
NOT_A_NUMBER = re.compile(r"[-+]?\.(inf|nan)", re.IGNORECASE)


class Loader(yaml.SafeLoader):
    """A YAML loader with limits.

    A few lines of aliases can make a document of billions of values, and a few kilobytes of
    brackets can take seconds. libyaml is faster, but many brackets overflow its stack. The
    constructors are a copy: lm-format-enforcer, which vLLM imports at the first schema for an
    answer, changes PyYAML's constructors so that dates become strings.
    """

    yaml_constructors: ClassVar[dict[Any, Any]] = dict(yaml.SafeLoader.yaml_constructors)

    def __init__(self, text: str) -> None:
        super().__init__(text)
        self._depth = 0
        self._nodes = 0
        self._weights: dict[str, int] = {}  # nodes by anchor

    def fetch_flow_collection_start(self, token: type[yaml.Token]) -> None:
        """Check the depth before the scanner reads ahead. Raises `yaml.MarkedYAMLError`."""
        if self.flow_level >= MAX_DEPTH:
            mark = self.get_mark()
            raise yaml.MarkedYAMLError(problem=TOO_DEEP, problem_mark=mark)
        super().fetch_flow_collection_start(token)

    def compose_node(self, parent: yaml.Node | None, index: Any) -> yaml.Node | None:  # noqa: ANN401 - PyYAML's own
        """Compose a node within the limits. Raises `yaml.MarkedYAMLError` beyond them."""
        event = self.peek_event()  # type: ignore[no-untyped-call]  # the stubs lack it
        before = self._nodes
        self._depth += 1
        self._nodes += 1
        if isinstance(event, yaml.AliasEvent) and event.anchor in self.anchors:
            self._nodes += self._weigh(event)
        if self._depth > MAX_DEPTH:
            raise _beyond(event, TOO_DEEP)
        if self._nodes > MAX_VALUES:
            raise _beyond(event, f"more than {MAX_VALUES:,} values, counting each use of an alias")
        node: yaml.Node | None = super().compose_node(parent, index)
        if isinstance(event, yaml.NodeEvent) and event.anchor:
            self._weights[event.anchor] = self._nodes - before
        if isinstance(node, yaml.ScalarNode):
            _check_scalar(node)
        self._depth -= 1
        return node

    def _weigh(self, event: yaml.AliasEvent) -> int:
        if event.anchor not in self._weights:
            raise _beyond(event, "an alias refers to a value that contains it")
        return self._weights[event.anchor]


def _check_scalar(node: yaml.ScalarNode) -> None:
    kind = node.tag.rpartition(":")[2]
    if kind in ("int", "float", "timestamp") and len(node.value) > MAX_LITERAL_CHARACTERS:
        raise _beyond(node, f"a number or date of more than {MAX_LITERAL_CHARACTERS} characters")
    if kind == "float" and NOT_A_NUMBER.fullmatch(node.value):
        raise _beyond(node, f"{node.value} is not a number")
    if not node.value.isascii() and any("\ud800" <= each <= "\udfff" for each in node.value):
        raise _beyond(node, "a lone surrogate is not a character")


def _beyond(what: Any, sentence: str) -> yaml.MarkedYAMLError:  # noqa: ANN401 - a node or an event
    return yaml.MarkedYAMLError(problem=sentence, problem_mark=what.start_mark)


class ConfigError(Exception):
    """A file can't be used. The message has one mistake per line."""


@dataclass(frozen=True, slots=True)
class Source:
    """The lines of a file's values. `repeated` are error messages about duplicate keys."""

    path: Path
    root: yaml.Node
    repeated: tuple[str, ...] = ()

    def where(self, steps: Sequence[str | int]) -> str:
        """Return `file:line` of the value at this path of keys and indices."""
        node = self.root
        for step in steps:
            child = _child(node, step)
            if child is None:
                break
            node = child
        return f"{self.path}:{node.start_mark.line + 1}"


def _repeated_keys(path: Path, root: yaml.Node) -> Iterator[str]:
    """Yield an error message for each duplicate key. YAML forbids it, but PyYAML accepts it.

    Call this before the document is constructed, when PyYAML adds merged keys (`<<`) to the nodes.
    """
    todo = [root]
    done: set[int] = set()  # aliases share nodes
    while todo:
        node = todo.pop()
        if id(node) in done:
            continue
        done.add(id(node))
        children = node.value if isinstance(node.value, list) else []
        if isinstance(node, yaml.MappingNode):
            seen: set[str] = set()
            scalars = [key for key, _ in children if isinstance(key, yaml.ScalarNode)]
            for key in scalars:  # the loader rejects other keys
                if key.value in seen:
                    line = key.start_mark.line + 1
                    yield f"{path}:{line}: duplicate key {key.value!r}"
                seen.add(key.value)
            children = [value for _, value in children]
        todo.extend(children)


def read_config(path: Path) -> tuple[Any, Source]:
    """Return the unchecked document, and its lines. Raises `ConfigError`."""
    try:
        loader = Loader(_read(path))
        node = loader.get_single_node()
        repeated = tuple(islice(_repeated_keys(path, node), MAX_MISTAKES)) if node else ()
        document = node and loader.construct_document(node)
    except OSError as error:
        raise ConfigError(f"{path}: {error.strerror}") from error
    except yaml.MarkedYAMLError as error:
        line = error.problem_mark.line + 1 if error.problem_mark else 1
        raise ConfigError(f"{path}:{line}: {_short(str(error.problem))}") from error
    except (ValueError, RecursionError, yaml.YAMLError) as error:
        raise ConfigError(f"{path}: {_short(str(error))}") from error
    if node is None:
        raise ConfigError(f"{path}:1: the file is empty")
    return document, Source(path, node, repeated)


def _read(path: Path) -> str:
    """Read a text file. Raises `OSError`, and `ValueError` if it is too large or not UTF-8."""
    with path.open("rb") as file:  # may be a pipe, which has no size
        raw = file.read(MAX_FILE_BYTES + 1)
    if len(raw) > MAX_FILE_BYTES:
        raise ValueError(f"more than {MAX_FILE_BYTES:,} bytes")
    return raw.decode()


def load_schema(name: str) -> dict[str, Any]:
    """Return a schema in schemas/. Raises `FileNotFoundError`, `orjson.JSONDecodeError`."""
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
    """Yield an error message for each violation of a schema in schemas/.

    Messages identify an entry by `kind` and by the value of its key `name`. Without `show_values`
    they quote keys only, because values may be secret.
    """
    yield from source.repeated
    for error in islice(Validator(load_schema(schema)).iter_errors(document), MAX_MISTAKES):
        steps = list(error.absolute_path)
        entry = "" if name is None else _entry(document, steps, name, kind)
        key = ".".join(map(str, steps[2:] if entry else steps))
        if show_values or error.validator in KEY_ONLY_RULES:
            yield f"{source.where(steps)}: {entry}{key and f'{key}: '}{shown(error)}"
        else:
            rule = f"{error.validator} {error.validator_value}"
            yield f"{source.where(steps)}: {steps[-1] if steps else 'the file'} breaks {rule}"


def shown(error: ValidationError) -> str:
    """Return the message of an error, shortened if it quotes a long value."""
    if len(error.message) <= MAX_MISTAKE_CHARACTERS:
        return error.message
    rule = f"{error.validator} {error.validator_value}"
    return f"{_short(error.message)} breaks {_short(rule)}"


def _short(text: str) -> str:
    return (
        text if len(text) <= MAX_MISTAKE_CHARACTERS else f"{text[: MAX_MISTAKE_CHARACTERS // 2]}…"
    )


def _entry(document: Any, steps: Sequence[str | int], name: str, kind: str) -> str:  # noqa: ANN401 - any YAML
    if len(steps) > 1 and isinstance(document[steps[0]][steps[1]], dict):
        called = document[steps[0]][steps[1]].get(name)
        return f"{kind} {called!r}: " if called is not None else ""
    return ""


def _child(node: yaml.Node, step: str | int) -> yaml.Node | None:
    if isinstance(node, yaml.MappingNode):
        # The last one: earlier ones were merged by `<<`.
        return next((value for key, value in reversed(node.value) if key.value == step), None)
    if isinstance(node, yaml.SequenceNode) and isinstance(step, int):
        child: yaml.Node = node.value[step]
        return child
    return None
