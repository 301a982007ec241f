"""vLLM's engine arguments and quantizations in all supported versions, without vLLM.

`arguments.json` has them. `python -m tests.engine.vllm.arguments` writes it from vLLM's sources.
"""

import json
from collections.abc import Mapping
from difflib import get_close_matches
from functools import cache
from pathlib import Path
from typing import NamedTuple

FILE = Path(__file__).with_name("arguments.json")


class Arguments(NamedTuple):
    """The arguments by name, each with its types in vLLM's source, and the quantizations.

    An argument has several types if versions differ.
    """

    versions: tuple[str, ...]
    types: Mapping[str, tuple[str, ...]]
    quantizations: tuple[str, ...]

    def missing(self, name: str) -> str:
        """Return the sentence for an argument that none of the versions has."""
        return f"no vLLM {self._range} has the engine argument {name!r}{hint(name, self.types)}"

    def explain_quantization(self, name: object) -> str | None:
        """Return why no version can have this quantization, or None."""
        if name is None or not isinstance(name, str) or name in self.quantizations:
            return None
        close = hint(name, dict.fromkeys(self.quantizations))
        return f"no vLLM {self._range} has the quantization {name!r}{close}"

    @property
    def _range(self) -> str:
        return f"from {self.versions[0]} to {self.versions[-1]}"


def hint(name: str, known: Mapping[str, object]) -> str:
    """Return the end of a sentence that proposes the nearest name, or nothing."""
    close = get_close_matches(name, known, n=1)
    return f"; did you mean {close[0]!r}?" if close else ""


@cache
def supported() -> Arguments:
    """Return what the file says."""
    read = json.loads(FILE.read_text())
    types = {name: tuple(each) for name, each in read["arguments"].items()}
    return Arguments(tuple(read["versions"]), types, tuple(read["quantizations"]))
