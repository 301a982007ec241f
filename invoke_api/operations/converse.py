"""Converse and ConverseStream."""

from collections.abc import Mapping
from typing import Any

from invoke_api.operations.bodies import coral_schema
from invoke_api.operations.conversation import Conversation, to_conversation
from invoke_api.pipeline.admission import admit
from invoke_api.pipeline.aside import UPLOADS
from invoke_api.pipeline.call import Call
from invoke_api.pipeline.guard import guard_converse, named_in_converse, open_guarding
from invoke_api.pipeline.options import LATENCY, SERVICE_TIER, grant_options
from invoke_api.pipeline.requests import ModelOperation

# Members of the request that go by headers in the older operations.
OPTIONS = {
    LATENCY: ("performanceConfig", "latency"),
    SERVICE_TIER: ("serviceTier", "type"),
}


def weigh_converse(raw: bytes) -> int:
    """Return `UPLOADS` for a document: however short, it may hide much, and takes its time."""
    return UPLOADS if b'"document"' in raw else len(raw)


def check_converse(call: Call, operation: ModelOperation) -> Conversation:
    """Check the model, the shape of the body, what the model can do, then the conversation.

    Raises `InvokeError`s.
    """
    caller, model = admit(call, "")
    asked = coral_schema("converse.json").parse(call.body)
    call.guarding = open_guarding(call, caller, named_in_converse(asked))
    if call.guarding:
        guard_converse(call.guarding, asked)
    conversation = to_conversation(
        asked,
        model,
        request_id=call.request_id,
        stream=operation.streams,
        guarding=call.guarding,
    )
    options = {name: _at(asked, path) for name, path in OPTIONS.items()}
    named = {name: value for name, value in options.items() if value}
    grant_options(named, model, caller.region)
    return conversation


def _at(asked: Mapping[str, Any], path: tuple[str, str]) -> str | None:
    outer, inner = path
    value: str | None = asked.get(outer, {}).get(inner)
    return value


CONVERSE = ModelOperation(
    name="Converse", streams=False, check=check_converse, weigh=weigh_converse
)
CONVERSE_STREAM = ModelOperation(
    name="ConverseStream", streams=True, check=check_converse, weigh=weigh_converse
)
