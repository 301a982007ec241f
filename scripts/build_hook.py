"""Puts `engine`, the schemas and the registry below `invoke_api/` in a wheel.

invoke_api/bundled.py says why. An editable installation finds them in the repository.
"""

from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface


class BundleHook(BuildHookInterface):
    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        if version != "editable":
            for name in ("engine", "schemas", "model_registry.yaml"):
                build_data["force_include"][name] = f"invoke_api/bundled/{name}"
