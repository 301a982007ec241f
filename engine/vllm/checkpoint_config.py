"""The configuration of a checkpoint on this machine: in its folder, or in the hub's local cache."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from engine.vllm.weights import CONFIGS, HUB_ID, cached_files


def find_config(weights: str, options: Mapping[str, Any]) -> tuple[Path, dict[str, Any]] | None:
    """Return the path and contents of a checkpoint's configuration, or None if it is not here.

    Like vLLM, prefer params.json only if `config_format` is `mistral`. Raises `ValueError` for a
    file that is no JSON object.
    """
    names = CONFIGS[::-1] if options.get("config_format") == "mistral" else CONFIGS
    folder = Path(weights)
    if folder.is_dir():
        paths = [folder / name for name in names]
    elif HUB_ID.fullmatch(weights):
        paths = [path for name in names for path in cached_files(weights, name, options)]
    else:
        return None
    found = next((path for path in paths if path.is_file()), None)
    return (found, _read(found)) if found else None


def _read(path: Path) -> dict[str, Any]:
    try:
        config = json.loads(path.read_bytes())
    except (OSError, ValueError) as error:
        raise ValueError(f"{path} can't be read: {error}") from error
    if not isinstance(config, dict):
        raise ValueError(f"{path} is no JSON object")  # noqa: TRY004 - one kind for both mistakes
    return config
