"""The three request bodies of imported models, told apart by their keys, in the words of one.

User Guide, invoke-imported-model: a prompt with `max_tokens` is OpenAI's completion, one without is
Bedrock's own; custom-model-import-advanced-features has one without any limit. Guess for a body
with keys of two forms: `messages` decides, then `max_gen_len`, then `max_tokens`; the keys of the
other form are extraneous.
"""

from collections.abc import Mapping
from typing import Any, Literal

from invoke_api.wire.errors import ValidationException

Form = Literal["bedrock-completion", "openai-completion", "openai-chat"]

# Files below schemas/, by the bodies that they check.
SCHEMAS: Mapping[Form, str] = {
    "bedrock-completion": "imported-bedrock-completion.json",
    "openai-completion": "imported-openai-completion.json",
    "openai-chat": "imported-openai-chat.json",
}
# Names for the most tokens of an answer, beside `max_tokens`.
LIMITS = ("max_gen_len", "max_completion_tokens")
MOST_IMAGES = 3  # in a request: User Guide, custom-model-import-advanced-features
TOO_MANY_IMAGES = f"A request may have {MOST_IMAGES} images, and no more."  # guess


def find_form(body: Mapping[str, Any]) -> Form:
    """Return the form of a body, whether its defaults are filled in or not."""
    if "messages" in body:
        return "openai-chat"
    if "max_tokens" in body and "max_gen_len" not in body:
        return "openai-completion"
    return "bedrock-completion"


def normalize(body: Mapping[str, Any]) -> dict[str, Any]:
    """Return a body that its schema has found right, with the parameters by Mistral's own names.

    Raises `ValidationException` for too many images.
    """
    _check_images(body.get("messages", ()))
    normal = dict(body)
    for name in LIMITS:
        if name in body:
            normal["max_tokens"] = body[name]
    if isinstance(body["stop"], str):
        normal["stop"] = [body["stop"]]
    wanted = body.get("response_format", {}).get("json_schema")
    if wanted is not None:
        # Bedrock's own completion has the schema itself there, OpenAI's chat a key for it.
        schema = wanted if isinstance(wanted.get("schema"), dict) else {"schema": wanted}
        normal["response_format"] = {**body["response_format"], "json_schema": schema}
    normal |= _normal_logprobs(body)
    outputs = body.get("structured_outputs", {})
    if "json" in outputs:
        schema = {"schema": outputs["json"]}
        normal["response_format"] = {"type": "json_schema", "json_schema": schema}
    return normal


def _normal_logprobs(body: Mapping[str, Any]) -> dict[str, Any]:
    """Return the keys by which OpenAI's chat asks for log probabilities.

    Its completion says how many it wants of each token, Bedrock's whether it wants them.
    """
    match find_form(body):
        case "bedrock-completion":
            return {"logprobs": body["return_logprobs"]}
        case "openai-completion" if "logprobs" in body:
            return {"logprobs": True, "top_logprobs": body["logprobs"]}
    return {}


def _check_images(messages: Any) -> None:  # noqa: ANN401 - any JSON
    contents = [message.get("content") for message in messages]
    parts = [part for content in contents if isinstance(content, list) for part in content]
    kinds = [part.get("type") for part in parts if isinstance(part, dict)]
    if kinds.count("image_url") > MOST_IMAGES:
        raise ValidationException(TOO_MANY_IMAGES)
