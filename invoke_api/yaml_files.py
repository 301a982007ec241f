"""The operator's YAML and JSON files, read strictly: every mistake with its file and line."""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any, ClassVar

import orjson
import yaml
from jsonschema import ValidationError

from invoke_api.validation.schema import Validator

ROOT = Path(__file__).parent.parent  # the checkout, or site-packages once installed
SCHEMAS = ROOT / "schemas"
NAMES_KEYS = ("required", "additionalProperties")  # whose messages quote keys alone


MAX_BYTES = 8 << 20  # of a file
MAX_DEPTH = 64  # levels of a document
MAX_NODES = 100_000  # values of a document, those behind an alias each time it stands there
MAX_LITERAL = 100  # characters of a number or a date
MAX_MISTAKES = 20  # that are told of one file
MAX_SHOWN = 400  # characters of one of them

TOO_DEEP = f"nested deeper than {MAX_DEPTH} levels"
NO_NUMBERS = re.compile(r"[-+]?\.(inf|nan)", re.IGNORECASE)


class Loader(yaml.SafeLoader):
    """Not libyaml's, which is faster: a file of many brackets overflows its stack.

    With constructors of its own: lm-format-enforcer, which vLLM imports at the first schema for an
    answer, has PyYAML's own read dates as strings from then on. And with bounds: a few lines of
    aliases make up a document of billions of values, a few kilobytes of brackets take seconds.
    """

    yaml_constructors: ClassVar[dict[Any, Any]] = dict(yaml.SafeLoader.yaml_constructors)

    def __init__(self, text: str) -> None:
        super().__init__(text)
        self._depth = 0
        self._nodes = 0
        self._weights: dict[str, int] = {}  # of anchors, in nodes

    def fetch_flow_collection_start(self, token: type[yaml.Token]) -> None:
        """Raises `yaml.MarkedYAMLError` before the scanner, which reads ahead, counts brackets."""
        if self.flow_level >= MAX_DEPTH:
            mark = self.get_mark()
            raise yaml.MarkedYAMLError(problem=TOO_DEEP, problem_mark=mark)
        super().fetch_flow_collection_start(token)

    def compose_node(self, parent: yaml.Node | None, index: Any) -> yaml.Node | None:  # noqa: ANN401 - PyYAML's own
        """Raises `yaml.MarkedYAMLError` at what is beyond the bounds."""
        event = self.peek_event()  # type: ignore[no-untyped-call]  # the stubs lack it
        before = self._nodes
        self._depth += 1
        self._nodes += 1
        if isinstance(event, yaml.AliasEvent) and event.anchor in self.anchors:
            self._nodes += self._weigh(event)
        if self._depth > MAX_DEPTH:
            raise _beyond(event, TOO_DEEP)
        if self._nodes > MAX_NODES:
            raise _beyond(event, f"more than {MAX_NODES:,} values, counting each use of an alias")
        node: yaml.Node | None = super().compose_node(parent, index)
        if isinstance(event, yaml.NodeEvent) and event.anchor:
            self._weights[event.anchor] = self._nodes - before
        if isinstance(node, yaml.ScalarNode):
            _check_scalar(node)
        self._depth -= 1
        return node

    def _weigh(self, event: yaml.AliasEvent) -> int:
        if event.anchor not in self._weights:
            raise _beyond(event, "an alias stands inside of what it is an alias of")
        return self._weights[event.anchor]


def _check_scalar(node: yaml.ScalarNode) -> None:
    kind = node.tag.rpartition(":")[2]
    if kind in ("int", "float", "timestamp") and len(node.value) > MAX_LITERAL:
        raise _beyond(node, f"a number or date of more than {MAX_LITERAL} characters")
    if kind == "float" and NO_NUMBERS.fullmatch(node.value):
        raise _beyond(node, f"{node.value} is no number")
    if not node.value.isascii() and any("\ud800" <= each <= "\udfff" for each in node.value):
        raise _beyond(node, "half of a surrogate pair is no character")


def _beyond(what: Any, sentence: str) -> yaml.MarkedYAMLError:  # noqa: ANN401 - a node or an event
    return yaml.MarkedYAMLError(problem=sentence, problem_mark=what.start_mark)


class ConfigError(Exception):
    """A file can't be used; a sentence a line."""


@dataclass(frozen=True, slots=True)
class Source:
    """Where in a file a value stands; `repeated` are sentences on keys that stand twice."""

    path: Path
    root: yaml.Node
    repeated: tuple[str, ...] = ()

    def where(self, steps: Sequence[str | int]) -> str:
        """`file:line` of the value at the end of these keys and indices."""
        node = self.root
        for step in steps:
            child = _child(node, step)
            if child is None:
                break
            node = child
        return f"{self.path}:{node.start_mark.line + 1}"


def _repeated_keys(path: Path, root: yaml.Node) -> Iterator[str]:
    """Yield a sentence for each key that stands twice: YAML forbids it, PyYAML takes the last.

    Before the document is made: PyYAML puts merged keys (`<<`) into the nodes then.
    """
    todo = [root]
    done: set[int] = set()  # an alias may lead back to where it stands
    while todo:
        node = todo.pop()
        if id(node) in done:
            continue
        done.add(id(node))
        children = node.value if isinstance(node.value, list) else []
        if isinstance(node, yaml.MappingNode):
            seen: set[str] = set()
            scalars = [key for key, _ in children if isinstance(key, yaml.ScalarNode)]
            for key in scalars:  # of other kinds the loader complains
                if key.value in seen:
                    line = key.start_mark.line + 1
                    yield f"{path}:{line}: the key {key.value!r} stands here twice"
                seen.add(key.value)
            children = [value for _, value in children]
        todo.extend(children)


def read_config(path: Path) -> tuple[Any, Source]:
    """The document, of which nothing is checked yet, and its lines. Raises `ConfigError`."""
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
    """Raises `OSError`, `ValueError`."""
    with path.open("rb") as file:  # which may be a pipe, and have no size
        raw = file.read(MAX_BYTES + 1)
    if len(raw) > MAX_BYTES:
        raise ValueError(f"more than {MAX_BYTES:,} bytes")
    return raw.decode()


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
    yield from source.repeated
    for error in islice(Validator(load_schema(schema)).iter_errors(document), MAX_MISTAKES):
        steps = list(error.absolute_path)
        entry = "" if name is None else _entry(document, steps, name, kind)
        key = ".".join(map(str, steps[2:] if entry else steps))
        if show_values or error.validator in NAMES_KEYS:
            yield f"{source.where(steps)}: {entry}{key and f'{key}: '}{shown(error)}"
        else:
            rule = f"{error.validator} {error.validator_value}"
            yield f"{source.where(steps)}: {steps[-1] if steps else 'the file'} breaks {rule}"


def shown(error: ValidationError) -> str:
    """Return the sentence on a mistake, without a value that is long."""
    if len(error.message) <= MAX_SHOWN:
        return error.message
    rule = f"{error.validator} {error.validator_value}"
    return f"{_short(error.message)} breaks {_short(rule)}"


def _short(text: str) -> str:
    return text if len(text) <= MAX_SHOWN else f"{text[: MAX_SHOWN // 2]}…"


def _entry(document: Any, steps: Sequence[str | int], name: str, kind: str) -> str:  # noqa: ANN401 - any YAML
    if len(steps) > 1 and isinstance(document[steps[0]][steps[1]], dict):
        called = document[steps[0]][steps[1]].get(name)
        return f"{kind} {called!r}: " if called is not None else ""
    return ""


def _child(node: yaml.Node, step: str | int) -> yaml.Node | None:
    if isinstance(node, yaml.MappingNode):
        # The last: those before it were merged from elsewhere, by `<<`.
        return next((value for key, value in reversed(node.value) if key.value == step), None)
    if isinstance(node, yaml.SequenceNode) and isinstance(step, int):
        child: yaml.Node = node.value[step]
        return child
    return None
