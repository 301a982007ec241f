"""What the installed vLLM can be told, read from its source: importing it takes long."""

import ast
from difflib import get_close_matches
from functools import cache
from importlib.util import find_spec
from pathlib import Path


def is_installed() -> bool:
    """Whether any build of vLLM is there."""
    return find_spec("vllm") is not None


@cache
def known_options() -> frozenset[str]:
    """The engine arguments of the installed vLLM.

    Raises `FileNotFoundError` when vLLM is not installed.
    """
    spec = find_spec("vllm")
    if spec is None or not spec.submodule_search_locations:
        raise FileNotFoundError("vLLM is not installed")
    source = Path(spec.submodule_search_locations[0]) / "engine" / "arg_utils.py"
    return frozenset(
        field.target.id
        for node in ast.parse(source.read_text()).body
        if isinstance(node, ast.ClassDef) and node.name in {"EngineArgs", "AsyncEngineArgs"}
        for field in node.body
        if isinstance(field, ast.AnnAssign) and isinstance(field.target, ast.Name)
    )


def explain_unknown_option(name: str) -> str | None:
    """A sentence if the installed vLLM has no engine argument of this name."""
    if name in known_options():
        return None
    close = get_close_matches(name, known_options(), n=1)
    hint = f"; did you mean {close[0]!r}?" if close else ""
    return f"the installed vLLM has no engine argument {name!r}{hint}"
