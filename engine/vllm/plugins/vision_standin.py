"""Replacement for a module of transformers that needs torchvision, if torchvision is missing.

vLLM (0.32) needs one small function of transformers' Pixtral processor to load a model that takes
images. Its module imports torchvision, and the published builds of torchvision do not fit torch
for the CPU. `engine.vllm.plugins` calls `register` in each process of vLLM.
"""

import sys
from collections.abc import Sequence
from importlib.abc import Loader, MetaPathFinder
from importlib.machinery import ModuleSpec
from importlib.util import find_spec
from types import ModuleType

PIXTRAL_MODULE = "transformers.models.pixtral.image_processing_pixtral"


class PixtralModuleFinder(MetaPathFinder, Loader):
    """A finder and loader of a Pixtral module that has only `_num_image_tokens`."""

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        del path, target
        return ModuleSpec(fullname, self) if fullname == PIXTRAL_MODULE else None

    def exec_module(self, module: ModuleType) -> None:
        module.__dict__["_num_image_tokens"] = count_patches


def count_patches(
    image_size: tuple[int, int], patch_size: int | tuple[int, int]
) -> tuple[int, int]:
    """Return the patches in the height and the width of an image, each rounded up."""
    patch = patch_size if isinstance(patch_size, tuple) else (patch_size, patch_size)
    return -(-image_size[0] // patch[0]), -(-image_size[1] // patch[1])


def register() -> None:
    """Install the finder if torchvision is missing."""
    is_installed = any(isinstance(finder, PixtralModuleFinder) for finder in sys.meta_path)
    if find_spec("torchvision") is None and not is_installed:
        sys.meta_path.insert(0, PixtralModuleFinder())
