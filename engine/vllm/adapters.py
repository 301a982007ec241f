"""LoRA adapters on vLLM: each is loaded before its first request.

vLLM itself loads a missing adapter in the step that needs it. If that fails, the engine core ends,
and with it the calls of all models. Adapters that vLLM would refuse never reach it: with several
workers, the next adapter gets the refusal of the second one (vLLM 0.32).
"""

import logging
from collections.abc import Mapping
from hashlib import sha256
from typing import TYPE_CHECKING, Any
from weakref import WeakKeyDictionary

from engine.errors import EngineDead
from engine.lora import Adapter, find_problem

if TYPE_CHECKING:
    from vllm.lora.request import LoRARequest
    from vllm.v1.engine.async_llm import AsyncLLM

log = logging.getLogger(__name__)


class Adapters:
    """The adapters that an engine has loaded, by its `AsyncLLM`. A new one has none.

    `options` are the engine arguments.
    """

    def __init__(self, options: Mapping[str, Any]) -> None:
        self._options = options
        self._loaded: WeakKeyDictionary[AsyncLLM, set[Adapter]] = WeakKeyDictionary()

    async def load(self, llm: "AsyncLLM", adapter: Adapter | None) -> "LoRARequest | None":
        """Load the adapter and return vLLM's handle of it. Raises `EngineDead` if that fails."""
        from vllm.lora.request import LoRARequest
        from vllm.v1.engine.exceptions import EngineDeadError

        if adapter is None:
            return None
        loaded = self._loaded.setdefault(llm, set())
        if adapter not in loaded and (problem := find_problem(adapter, self._options)):
            raise EngineDead(problem)
        assert adapter.folder, "an adapter without a folder is a problem"
        named = LoRARequest(adapter.folder, _to_number(adapter.folder), adapter.folder)
        if adapter not in loaded:
            try:
                await llm.add_lora(named)
            except EngineDeadError as error:
                raise EngineDead(str(error)) from error
            except Exception as error:  # vLLM raises many kinds
                reason = f"the LoRA adapter {adapter.folder} can't be loaded: {error}"
                log.error(reason)  # noqa: TRY400 - vLLM has logged the traceback
                raise EngineDead(reason) from error
            loaded.add(adapter)
        return named


def _to_number(folder: str) -> int:
    """Return the adapter's id in vLLM: not 0, and the same in all front ends of a core."""
    return 1 + int.from_bytes(sha256(folder.encode()).digest()[:4]) % (2**31 - 1)
