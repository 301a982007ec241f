"""What vLLM needs of torchvision to load a Mistral model that sees, where torchvision is missing.

vLLM (0.32) takes one small function from transformers' processor of Pixtral, whose module imports
torchvision; the builds of torchvision that are on package indexes do not fit torch for the CPU.
`vllm_plugins` calls `register` in each process of vLLM's.
"""

import sys
from collections.abc import Sequence
from importlib.abc import Loader, MetaPathFinder
from importlib.machinery import ModuleSpec
from importlib.util import find_spec
from types import ModuleType

NAME = "transformers.models.pixtral.image_processing_pixtral"


class StandIn(MetaPathFinder, Loader):
    """Finds that module, and makes it of the one function."""

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        del path, target
        return ModuleSpec(fullname, self) if fullname == NAME else None

    def exec_module(self, module: ModuleType) -> None:
        module.__dict__["_num_image_tokens"] = count_patches


def count_patches(
    image_size: tuple[int, int], patch_size: int | tuple[int, int]
) -> tuple[int, int]:
    """How many patches, begun is whole, make the height and the width of an image, in pixels."""
    patch = patch_size if isinstance(patch_size, tuple) else (patch_size, patch_size)
    return -(-image_size[0] // patch[0]), -(-image_size[1] // patch[1])


def register() -> None:
    """Put it in front, unless torchvision is there."""
    is_there = any(isinstance(finder, StandIn) for finder in sys.meta_path)
    if find_spec("torchvision") is None and not is_there:
        sys.meta_path.insert(0, StandIn())
