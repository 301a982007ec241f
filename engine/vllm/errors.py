"""What vLLM raises, as our errors or as a reason for operators."""

from http import HTTPStatus

from engine.errors import (
    ChatRefused,
    EngineBusy,
    EngineDead,
    EngineError,
    RequestRefused,
    SchemaRefused,
)
from engine.protocol import GenerationRequest


def to_engine_error(error: BaseException, request: GenerationRequest) -> EngineError | None:
    """What vLLM raises for a request, as ours: the core's death, or a word about what is asked for.

    None for all else, which is nothing that the client has done.
    """
    from vllm.exceptions import VLLMValidationError
    from vllm.v1.engine.exceptions import EngineDeadError

    if isinstance(error, EngineDeadError):
        return EngineDead(str(error))
    if getattr(error, "http_status", None) == HTTPStatus.SERVICE_UNAVAILABLE:
        return EngineBusy(str(error))  # QueueOverflowError and others, which vLLM 0.26 has not
    if not isinstance(error, VLLMValidationError | ValueError):
        return None
    if request.images or request.audio:
        return ChatRefused(str(error) or "The model can't read an image or audio.")
    return SchemaRefused(str(error)) if request.is_held else RequestRefused(str(error))


def explain(error: Exception) -> str:
    """Why a load failed, in one line for operators."""
    if isinstance(error, EngineDead):  # our own words
        return str(error)
    reason = f"{type(error).__name__}: {error}"
    if "See root cause above" in reason:  # above is in the log, not where this line is read
        reason += " (vLLM's engine core did not start; the log of this process says why)"
    return reason
