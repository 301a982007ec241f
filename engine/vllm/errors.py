"""Conversion of vLLM's exceptions to our errors, and to reasons for operators."""

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
    """Convert vLLM's exception for a request: the core's death, or a refusal of the request.

    Return None for any other exception, because the client has not caused it.
    """
    from vllm.exceptions import VLLMValidationError
    from vllm.v1.engine.exceptions import EngineDeadError

    if isinstance(error, EngineDeadError):
        return EngineDead(str(error))
    if getattr(error, "http_status", None) == HTTPStatus.SERVICE_UNAVAILABLE:
        return EngineBusy(str(error))  # QueueOverflowError and others; vLLM 0.26 has none
    if not isinstance(error, VLLMValidationError | ValueError):
        return None
    if request.images or request.audio:
        return ChatRefused(str(error) or "The model can't read an image or audio.")
    return SchemaRefused(str(error)) if request.is_constrained else RequestRefused(str(error))


def explain(error: Exception) -> str:
    """Return why a load failed, in one line for operators."""
    if isinstance(error, EngineDead):  # a sentence of our own
        return str(error)
    reason = f"{type(error).__name__}: {error}"
    if "See root cause above" in reason:  # refers to the log, but this line is read elsewhere, too
        reason += " (vLLM's engine core did not start; the log of this process says why)"
    return reason
