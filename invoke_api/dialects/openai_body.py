"""Compare the `model` and `stream` of an OpenAI body with the call that carries it.

The User Guide (model-parameters-openai) says of both that they must match the call, or be left out.
"""

from collections.abc import Collection, Mapping
from typing import Any

from invoke_api.dialects.model_servers import envelope
from invoke_api.wire.errors import ValidationException

# Guess: the User Guide's rule as a sentence.
OTHER_MODEL = "The value in the model field must match the one in the header."
OTHER_STREAM = "The value in the stream field must match the API operation that you use."
# vLLM's words.
NO_STREAM = "Stream options can only be defined when `stream=True`."


def check_target(
    body: Mapping[str, Any], names: Collection[str], *, streams: bool, prefix: str = ""
) -> None:
    """Raise `ValidationException` unless the body is one for a model of these names."""
    if body.get("model", "") not in ("", *names):
        raise ValidationException(prefix + envelope(OTHER_MODEL))
    if body.get("stream", streams) is not streams:
        raise ValidationException(prefix + envelope(OTHER_STREAM))
    if body.get("stream_options") and not streams:
        raise ValidationException(prefix + envelope(NO_STREAM))
