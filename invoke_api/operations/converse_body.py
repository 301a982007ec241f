"""Converse's parameters as a body of the model's own dialect, checked by the model's schema."""

from collections.abc import Mapping, Sequence
from typing import Any

from invoke_api.dialects.converse_prompt import PROMPTS, to_body
from invoke_api.dialects.servers import CONVERSE_PREFIX, envelope
from invoke_api.dialects.target import check_target
from invoke_api.pipeline.options import check_tier
from invoke_api.registry import Model
from invoke_api.wire.errors import ValidationException

# Heard of Nova.
TOO_MANY = (
    "The maximum tokens you requested exceeds the model limit of {most}."
    " Try again with a maximum tokens value that is lower than {most}."
)


def read_body(
    asked: Mapping[str, Any], messages: Sequence[Mapping[str, Any]], model: Model, *, stream: bool
) -> dict[str, Any]:
    """Return the body but for its prompt, with its defaults. Raise `ValidationException`."""
    most = model.listing.converse.get("maxTokensMaximum")
    if most and asked.get("inferenceConfig", {}).get("maxTokens", 0) > most:
        raise ValidationException(TOO_MANY.format(most=most))
    is_text = model.dialect_name == "mistral-text"
    body = to_body(asked, is_text=is_text)
    shown = {} if is_text else {"messages": list(map(model.server.show, messages))}
    _check_more(asked, model, {**body, **shown})
    body = model.fill_body(body, prefix=CONVERSE_PREFIX, shown=shown)
    check_target(body, (model.id,), streams=stream, prefix=CONVERSE_PREFIX)
    check_tier(body.get("service_tier"), model)
    if body.get("logprobs"):  # Converse's answer has no place for them
        raise ValidationException(CONVERSE_PREFIX + envelope("'logprobs' is not supported"))
    if "serviceTier" in asked:
        body["service_tier"] = asked["serviceTier"]["type"]
    return body


def _check_more(asked: Mapping[str, Any], model: Model, whole: Mapping[str, Any]) -> None:
    """Check the keys of `additionalModelRequestFields`. Raise `ValidationException`."""
    more = asked.get("additionalModelRequestFields", {})
    for name in PROMPTS:  # Converse has its own place for them
        if name in more:
            raise ValidationException(model.server.word_taken(name))
    extra = {key: value for key, value in more.items() if not model.schema.knows(key)}
    if extra and model.server.word_extra:
        raise ValidationException(CONVERSE_PREFIX + model.server.word_extra(extra, whole))
