"""Engine errors in Bedrock's words."""

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
from invoke_api.dialects.model_servers import ModelServer
from invoke_api.wire.errors import (
    InvokeError,
    ModelNotReadyException,
    ModelTimeoutException,
    ServiceUnavailableException,
    ThrottlingException,
    ValidationException,
)


def to_invoke_error(error: EngineError, server: ModelServer) -> InvokeError:
    """Return Bedrock's error. A refusal of the model server's comes in the stream, behind the 200.

    Anything else before the first chunk keeps its own status.
    """
    return ANSWERS[type(error)](error, server)


def _too_long(error: EngineError, server: ModelServer) -> InvokeError:
    assert isinstance(error, PromptTooLong)
    return ValidationException(server.too_long(error), in_stream=True)


def _refused(error: EngineError, server: ModelServer) -> InvokeError:
    assert isinstance(error, RequestRefused)
    return ValidationException(server.refused(error), in_stream=True)


def _said(error: EngineError, _: ModelServer) -> InvokeError:
    return ValidationException(str(error), in_stream=True)


ANSWERS: dict[type[EngineError], Callable[[EngineError, ModelServer], InvokeError]] = {
    PromptTooLong: _too_long,
    RequestRefused: _refused,
    # Heard of Pixtral and Large 3: mistral-common's own sentence.
    ChatRefused: _said,
    # Guess: that a schema is refused by the model server, too.
    SchemaRefused: _said,
    EngineBusy: lambda *_: ThrottlingException(),
    EngineTimeout: lambda *_: ModelTimeoutException(),
    EngineNotReady: lambda *_: ModelNotReadyException(),
    EngineDead: lambda *_: ServiceUnavailableException(),
}
