"""LoRA adapters, and checks on disk that vLLM can load them.

An adapter is a folder as PEFT writes it. It shares the engine of its base model.
"""

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

CONFIG_FILE = "adapter_config.json"
WEIGHTS_FILES = ("adapter_model.safetensors", "adapter_model.bin", "adapter_model.pt")
DEFAULT_MAX_RANK = 16  # of vLLM's max_lora_rank
DEFAULT_MAX_ADAPTERS = 1  # of vLLM's max_loras


class Adapter(NamedTuple):
    """A LoRA adapter: its `name` on a remote server, and its `folder` for vLLM."""

    name: str
    folder: str | None = None


def to_adapter(*, adapter: str | None = None, name: str | None = None) -> Adapter:
    """Return the adapter. Its name is by default the last part of the folder's path."""
    return Adapter(name or Path(adapter or "").name, adapter)


def find_problem(adapter: Adapter, options: Mapping[str, Any]) -> str | None:
    """Return why vLLM can't load the adapter with these engine arguments, or None."""
    return next(_find_problems(adapter, options), None)


def _find_problems(adapter: Adapter, options: Mapping[str, Any]) -> Iterator[str]:
    if adapter.folder is None:
        yield "vLLM reads a LoRA adapter from a folder; name it with lora: {adapter: FOLDER}"
        return
    if not options.get("enable_lora"):
        yield "vLLM takes LoRA adapters only with enable_lora: true among its options"
    folder = Path(adapter.folder)
    if not folder.is_dir():
        yield f"there is no folder {folder} of a LoRA adapter"
        return
    if not any((folder / name).is_file() for name in WEIGHTS_FILES):
        yield f"the folder {folder} has no adapter ({', '.join(WEIGHTS_FILES)})"
    try:
        config = json.loads((folder / CONFIG_FILE).read_bytes())
        ranks = [config["r"], *config.get("rank_pattern", {}).values()]
        rank = max(ranks)
        most = options.get("max_lora_rank", DEFAULT_MAX_RANK)
        if rank > most:
            yield (
                f"the LoRA adapter {folder} has rank {rank}, and max_lora_rank is {most};"
                " raise it among the options of vLLM"
            )
    except FileNotFoundError:
        yield f"the folder {folder} has no {CONFIG_FILE}, so it holds no LoRA adapter"
    except (OSError, ValueError, LookupError, TypeError, AttributeError) as error:
        yield f"{folder / CONFIG_FILE} is not a valid LoRA configuration: {error!r}"


def find_other_base(adapter: Adapter, weights: str) -> str | None:
    """Return the base model of the adapter if its name differs from that of the weights.

    Only the last parts of the names are compared: one may be a hub id, the other a folder.
    """
    try:
        config = json.loads((Path(adapter.folder or "") / CONFIG_FILE).read_bytes())
        base = str(config["base_model_name_or_path"] or "")
    except (OSError, ValueError, LookupError, TypeError):
        return None
    names = {Path(name).name.lower() for name in (base, weights)}
    return base if base and len(names) > 1 else None
