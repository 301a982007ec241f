"""The check that `model` and `stream` in an OpenAI body match the call that carries the body.

Both may be left out: User Guide, model-parameters-openai.
"""

from collections.abc import Collection, Mapping
from typing import Any

from invoke_api.dialects.model_servers import envelope
from invoke_api.wire.errors import ValidationException

# Guess: the User Guide states these rules, but not the error messages.
OTHER_MODEL = "The value in the model field must match the one in the header."
OTHER_STREAM = "The value in the stream field must match the API operation that you use."
# vLLM's message.
NO_STREAM = "Stream options can only be defined when `stream=True`."


def check_target(
    body: Mapping[str, Any], names: Collection[str], *, streams: bool, prefix: str = ""
) -> None:
    """Raise `ValidationException` if the body is for another model or another operation."""
    if body.get("model", "") not in ("", *names):
        raise ValidationException(prefix + envelope(OTHER_MODEL))
    if body.get("stream", streams) is not streams:
        raise ValidationException(prefix + envelope(OTHER_STREAM))
    if body.get("stream_options") and not streams:
        raise ValidationException(prefix + envelope(NO_STREAM))
