"""Conversion of engine errors to Bedrock's errors."""

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
    """Return Bedrock's error for an engine error.

    A refusal by the model server is marked `in_stream`, because Bedrock has sent status 200 before
    it. Other errors before the first chunk keep their own status.
    """
    return CONVERTERS[type(error)](error, server)


def _too_long(error: EngineError, server: ModelServer) -> InvokeError:
    assert isinstance(error, PromptTooLong)
    return ValidationException(server.too_long(error), in_stream=True)


def _refused(error: EngineError, server: ModelServer) -> InvokeError:
    assert isinstance(error, RequestRefused)
    return ValidationException(server.refused(error), in_stream=True)


def _said(error: EngineError, _: ModelServer) -> InvokeError:
    return ValidationException(str(error), in_stream=True)


CONVERTERS: dict[type[EngineError], Callable[[EngineError, ModelServer], InvokeError]] = {
    PromptTooLong: _too_long,
    RequestRefused: _refused,
    # Reported for Pixtral and Large 3: mistral-common's own message.
    ChatRefused: _said,
    # Guess: the model server refuses schemas, too.
    SchemaRefused: _said,
    EngineBusy: lambda *_: ThrottlingException(),
    EngineTimeout: lambda *_: ModelTimeoutException(),
    EngineNotReady: lambda *_: ModelNotReadyException(),
    EngineDead: lambda *_: ServiceUnavailableException(),
}
