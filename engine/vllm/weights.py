"""Checks on disk whether vLLM will find a model's weights. Nothing is downloaded."""

import json
import os
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from engine.tokenization.mistral_files import is_tekken
from engine.vllm.options import uses_other_hub

HUB_ID = re.compile(r"[\w.-]+(/[\w.-]+)?")
CONFIGS = ("config.json", "params.json")  # Hugging Face's layout, and Mistral's own
# The files that vLLM reads from a folder, by `load_format`; `auto` is the default. Other formats
# are not checked.
WEIGHTS_PATTERNS = {
    "auto": ("*.safetensors", "*.bin", "*.pt"),
    "mistral": ("consolidated*.safetensors",),
    "safetensors": ("*.safetensors",),
    "pt": ("*.pt", "*.bin"),
    "dummy": (),
}
# Files of a tokenizer. Any of these is enough for vLLM and mistral-common.
TOKENIZER_PATTERNS = ("tekken*.json", "tokenizer*.json", "*.model", "*.model.*", "vocab*")


class MissingFiles(NamedTuple):
    """Missing files of a model. `is_fatal` unless vLLM downloads them at the engine's start.

    `hub_id` is None for a folder, which is never downloaded.
    """

    sentence: str
    is_fatal: bool = True
    hub_id: str | None = None


def find_missing(weights: str, tokenizer: str, options: Mapping[str, Any]) -> MissingFiles | None:
    """Return the missing files, or None if all exist or this is unknown.

    `options` are vLLM's engine arguments.
    """
    if "://" in weights or (weights.endswith(".gguf") and Path(weights).is_file()):
        return None
    if _is_path(weights):
        problem = _folder_problem(Path(weights), tokenizer, options)
        return MissingFiles(problem) if problem else None
    if not HUB_ID.fullmatch(weights):
        return MissingFiles(f"{weights!r} is neither a folder nor an id of Hugging Face's hub")
    return None if uses_other_hub() else _find_missing_in_cache(weights, options)


def _is_path(weights: str) -> bool:
    """Tell whether `weights` is or looks like a path; vLLM takes any other for a hub id."""
    exists = weights and Path(weights).exists()
    return bool(exists) or weights.startswith(("/", ".", "~")) or weights.count("/") > 1


def _folder_problem(folder: Path, tokenizer: str, options: Mapping[str, Any]) -> str | None:
    if not folder.exists():
        return f"there is no folder {folder}"
    if not folder.is_dir():
        return f"{folder} is a file, and vLLM reads a folder"
    if not os.access(folder, os.R_OK | os.X_OK):
        return f"the folder {folder} can't be read"
    return next(_problems_inside(folder, tokenizer, options), None)


def _problems_inside(folder: Path, tokenizer: str, options: Mapping[str, Any]) -> Iterator[str]:
    if not any((folder / name).is_file() for name in CONFIGS):
        yield f"the folder {folder} has neither {' nor '.join(CONFIGS)}, so it holds no model"
    patterns = WEIGHTS_PATTERNS.get(options.get("load_format") or "auto", ())
    if patterns and not any(_has(folder, pattern) for pattern in patterns):
        yield f"the folder {folder} has no weights ({', '.join(patterns)})"
    if missing := _missing_shards(folder):
        yield f"the folder {folder} lacks {missing}, which its index names"
    if is_tekken(tokenizer) and not (folder / "tekken.json").is_file():
        why = f"'tokenizer: {tokenizer}' is read from it"
        yield f"the folder {folder} has no tekken.json, and {why}"
    reads_text = not options.get("skip_tokenizer_init", True) and "tokenizer" not in options
    if reads_text and not any(_has(folder, pattern) for pattern in TOKENIZER_PATTERNS):
        yield f"the folder {folder} has no tokenizer ({', '.join(TOKENIZER_PATTERNS)})"


def _has(folder: Path, pattern: str) -> bool:
    """Tell whether the folder has such a file; a broken link does not count."""
    return any(path.is_file() for path in folder.glob(pattern))


def _missing_shards(folder: Path) -> str | None:
    """Return the first missing shard of an incomplete download.

    An invalid index is left to vLLM, which reports it.
    """
    try:
        index = json.loads((folder / "model.safetensors.index.json").read_bytes())
        shards = {str(name) for name in index["weight_map"].values()}
    except (OSError, ValueError, LookupError, TypeError, AttributeError):
        return None
    # A folder may hold the same weights in Mistral's own layout, which has no index.
    if _has(folder, "consolidated*.safetensors"):
        return None
    return min((name for name in shards if not (folder / name).is_file()), default=None)


def _find_missing_in_cache(hub_id: str, options: Mapping[str, Any]) -> MissingFiles | None:
    """Report files that the local cache of Hugging Face's hub lacks; None if it is complete.

    The sentence names HF_HUB_OFFLINE if it forbids the download.
    """
    try:
        from huggingface_hub import constants  # vLLM needs it
    except ImportError:
        return None
    found = (path for name in CONFIGS for path in cached_files(hub_id, name, options))
    snapshots = [path.parent for path in found]
    if any(_is_whole(folder, options) for folder in snapshots):
        return None
    where = f"{hub_id} is not{' all' if snapshots else ''} in the cache of Hugging Face's hub"
    where += f" ({constants.HF_HUB_CACHE})"
    if constants.HF_HUB_OFFLINE:
        return MissingFiles(f"{where}, and HF_HUB_OFFLINE forbids to download it", hub_id=hub_id)
    return MissingFiles(
        f"{where}; the engine downloads it when it starts", is_fatal=False, hub_id=hub_id
    )


def cached_files(hub_id: str, name: str, options: Mapping[str, Any]) -> Iterator[Path]:
    """Yield the paths of a file in the local caches of Hugging Face's hub."""
    try:
        from huggingface_hub import try_to_load_from_cache
    except ImportError:
        return
    for folder in {options.get("download_dir"), None}:  # None is the hub's default cache
        path = try_to_load_from_cache(
            hub_id, name, cache_dir=folder, revision=options.get("revision")
        )
        if isinstance(path, str):
            yield Path(path)


def _is_whole(snapshot: Path, options: Mapping[str, Any]) -> bool:
    if "download_dir" in options:  # vLLM then keeps weights and the other files in two places
        return True
    return _folder_problem(snapshot, "", options) is None
