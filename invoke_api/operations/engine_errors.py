"""What Bedrock would say of each engine error."""

from collections.abc import Callable

from engine.errors import (
    ChatRefused,
    EngineBusy,
    EngineDead,
    EngineError,
    EngineNotReady,
    EngineTimeout,
    PromptTooLong,
    RequestRefused,
    SchemaRefused,
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
    """What the model server refuses comes inside the stream: the front door has said 200 by then.

    Anything else before the first chunk keeps its own status.
    """
    return ANSWERS[type(error)](error)


def _too_long(error: EngineError) -> InvokeError:
    assert isinstance(error, PromptTooLong)
    # Mistral Large 2402's sentence, which ends without a full stop.
    return ValidationException(
        f"This model's maximum context length is {error.context_length} tokens."
        " Please reduce the length of the prompt",
        in_stream=True,
    )


ANSWERS: dict[type[EngineError], Callable[[EngineError], InvokeError]] = {
    PromptTooLong: _too_long,
    # The model server's only words to anything it does not take. What Bedrock's own takes offence
    # at is not known; ours has this one reason.
    RequestRefused: lambda _: ValidationException("Validation Error", in_stream=True),
    # Heard of Pixtral and Large 3: mistral-common's own sentence.
    ChatRefused: lambda error: ValidationException(str(error), in_stream=True),
    # Guess: that a schema is refused by the model server, too.
    SchemaRefused: lambda error: ValidationException(str(error), in_stream=True),
    EngineBusy: lambda _: ThrottlingException(),
    EngineTimeout: lambda _: ModelTimeoutException(),
    EngineNotReady: lambda _: ModelNotReadyException(),
    EngineDead: lambda _: ServiceUnavailableException(),
}
