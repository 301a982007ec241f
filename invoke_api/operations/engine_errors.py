"""What Bedrock would say of each engine error."""

from collections.abc import Callable

from engine.errors import (
    EngineBusy,
    EngineDead,
    EngineError,
    EngineNotReady,
    EngineTimeout,
    PromptTooLong,
)
from invoke_api.wire.errors import (
    InvokeError,
    ModelNotReadyException,
    ModelTimeoutException,
    ServiceUnavailableException,
    ThrottlingException,
    ValidationException,
)


def to_invoke_error(error: EngineError) -> InvokeError:
    return ANSWERS[type(error)](error)


def _too_long(error: EngineError) -> InvokeError:
    assert isinstance(error, PromptTooLong)
    # Mistral Large 2402's sentence, which ends without a full stop.
    return ValidationException(
        f"This model's maximum context length is {error.context_length} tokens."
        " Please reduce the length of the prompt"
    )


ANSWERS: dict[type[EngineError], Callable[[EngineError], InvokeError]] = {
    PromptTooLong: _too_long,
    EngineBusy: lambda _: ThrottlingException(),
    EngineTimeout: lambda _: ModelTimeoutException(),
    EngineNotReady: lambda _: ModelNotReadyException(),
    EngineDead: lambda _: ServiceUnavailableException(),
}
