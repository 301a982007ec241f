"""What vLLM is started with: its engine arguments, its environment, and which of them it knows."""

import os
import re
from collections.abc import Mapping
from difflib import get_close_matches
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import Any

# What vLLM reads from the environment; a value that the operator has set wins.
ENVIRONMENT = {
    "VLLM_WORKER_MULTIPROC_METHOD": "spawn",  # forking a process that has threads is not safe
    "VLLM_LOGGING_LEVEL": "WARNING",  # our own log says what is loading and when it is ready
    "VLLM_NO_USAGE_STATS": "1",  # nothing is sent anywhere unasked
}
# Engine arguments that choose between processes of this machine and Ray.
BACKENDS = {"distributed_executor_backend", "data_parallel_backend"}
# Of Python's source, which takes ten times as long to parse: two dataclasses, and the fields
# of one, which are all that is annotated at its own level.
CLASS = re.compile(r"^class (?:Async)?EngineArgs\b.*?(?=^\S|\Z)", re.MULTILINE | re.DOTALL)
FIELD = re.compile(r"^    (\w+):\s", re.MULTILINE)
SHUTDOWN_TIMEOUT = 15.0  # seconds; vLLM's own 5 are too few for its workers to leave in peace


def set_environment(more: Mapping[str, str]) -> None:
    """For vLLM's processes; as all of this one share it, a value that is there already stays."""
    for name, value in {**ENVIRONMENT, **more}.items():
        os.environ.setdefault(name, value)


def engine_arguments(
    weights: str, context_length: int, options: Mapping[str, Any]
) -> dict[str, Any]:
    """Those of `AsyncEngineArgs`; what the operator says wins."""
    return {
        "skip_tokenizer_init": True,
        "disable_log_stats": True,
        "max_model_len": context_length,
        **options,
        "model": weights,
    }


def is_installed() -> bool:
    """Whether any build of vLLM is there."""
    return find_spec("vllm") is not None


@cache
def known_options() -> frozenset[str]:
    """The engine arguments of the installed vLLM, found in its source: importing it takes long.

    Raises `FileNotFoundError` when vLLM is not installed.
    """
    spec = find_spec("vllm")
    if spec is None or not spec.submodule_search_locations:
        raise FileNotFoundError("vLLM is not installed")
    source = Path(spec.submodule_search_locations[0]) / "engine" / "arg_utils.py"
    classes = CLASS.findall(source.read_text())
    return frozenset(name for each in classes for name in FIELD.findall(each))


def explain_option(name: str, value: object) -> str | None:
    """A sentence if vLLM, as it is installed here, can't be started with this engine argument."""
    if name in BACKENDS and value == "ray" and not find_spec("ray"):
        return f"{name!r} is 'ray', and Ray is not installed; pip install 'ray[cgraph]'"
    if name in known_options():
        return None
    close = get_close_matches(name, known_options(), n=1)
    hint = f"; did you mean {close[0]!r}?" if close else ""
    return f"the installed vLLM has no engine argument {name!r}{hint}"
