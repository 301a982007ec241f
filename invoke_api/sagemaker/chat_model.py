"""An endpoint's model as one that takes chats."""

from dataclasses import replace
from functools import cache

from invoke_api.dialects.chat_answers import SHAPES
from invoke_api.dialects.converse_checks import Abilities
from invoke_api.dialects.mistral_chat import MistralChat
from invoke_api.dialects.model_servers import SERVERS
from invoke_api.models.registry import Model
from invoke_api.validation.schema import BodySchema
from invoke_api.yaml_files import load_schema

SCHEMA = "mistral-chat-2025.json"  # of a body of `messages`


def as_chat(model: Model) -> Model:
    """Return the model, with the body of a chat if its own body is another one."""
    if model.dialect_name == "mistral-chat":
        return model
    return replace(
        model,
        dialect=MistralChat(model.id, SHAPES["2025"]),
        dialect_name="mistral-chat",
        schema=_schema(),
        server=SERVERS["2025"],
        abilities=Abilities(),
    )


@cache
def _schema() -> BodySchema:
    return BodySchema(load_schema(SCHEMA))
