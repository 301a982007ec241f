"""Paths of the tokenizer files in mistral-common, found without importing it."""

from importlib.util import find_spec
from pathlib import Path

BYTE_LEVEL = "byte-level"  # the name of a tokenizer that is not Mistral's


def is_with_weights(tokenizer: str) -> bool:
    """Tell whether a tokenizer of this name is a file beside the weights."""
    return is_tekken(tokenizer) or tokenizer == BYTE_LEVEL


def is_tekken(tokenizer: str) -> bool:
    """Tell whether a tokenizer of this name is read from the weights' tekken.json."""
    return tokenizer.startswith("tekken")


def carried(file: str) -> Path:
    """Return the path of a file in mistral-common. Raises `FileNotFoundError`."""
    spec = find_spec("mistral_common")
    if spec is None or not spec.submodule_search_locations:
        raise FileNotFoundError("mistral-common, which contains Mistral's tokenizers, is missing")
    path = Path(spec.submodule_search_locations[0]) / "data" / file
    if not path.is_file():
        raise FileNotFoundError(f"the installed mistral-common does not contain {file}")
    return path
