"""CountTokens, which Bedrock offers for no model of Mistral's; with `--extensions` it counts."""

from base64 import b64decode
from typing import Any

import orjson

from engine.errors import EngineError
from invoke_api.authentication.gate import Caller
from invoke_api.models.identifiers import Identifier, parse_identifier
from invoke_api.operations.converse import to_conversation
from invoke_api.operations.request_checks import coral_schema
from invoke_api.pipeline.admission import admit_caller, check_account
from invoke_api.pipeline.call import Call
from invoke_api.pipeline.engine_errors import to_invoke_error
from invoke_api.pipeline.offload import UPLOADS, aside
from invoke_api.pipeline.request_body import BODY_LIMIT
from invoke_api.pipeline.responses import Reply, json_reply
from invoke_api.validation.queries import COUNT_TOKENS, check_query
from invoke_api.wire.errors import SerializationException, ValidationException

REFUSAL = "The provided model doesn't support counting tokens."
EXTENSION = {"x-invoke-api-extension": "CountTokens"}  # Bedrock would have refused


async def count_tokens(call: Call) -> Reply:
    await call.read_body()

    def check() -> tuple[Caller, dict[str, Any]]:
        caller = admit_caller(call)
        check_query(COUNT_TOKENS, {"modelId": call.labels["model_id"]})
        asked: dict[str, Any] = coral_schema("count_tokens.json").parse(call.body)["input"]
        return caller, asked

    caller, asked = await aside(call, len(call.body), check)
    services = call.services
    registry = services.registry
    called = parse_identifier(call.labels["model_id"])
    check_account(called, caller, "CountTokens")
    identifier = services.profiles.resolve(called)
    own = registry.find_own(identifier, caller.region, caller.account)
    if own is None and registry.find_profile(identifier, caller.region) is None:
        registry.find_listed(identifier, caller.region)
    if not services.extensions:
        raise ValidationException(REFUSAL)
    # In a thread, however short it is: some tokenizers are slow at their first use.
    tokens = await aside(call, UPLOADS, lambda: _count(call, asked, identifier, caller))
    return json_reply(call, orjson.dumps({"inputTokens": tokens}), more=EXTENSION)


def _read_blob(encoded: str) -> bytes:
    try:
        return b64decode(encoded, validate=True)
    except ValueError:
        raise SerializationException("Blob is no valid base64") from None  # guess


def _count(call: Call, asked: dict[str, Any], identifier: Identifier, caller: Caller) -> int:
    """How many tokens InvokeModel or Converse would count. Raises `InvokeError`s as they do."""
    services = call.services
    model = services.registry.find(identifier, caller.region, caller.account)
    try:
        tokenizer = services.engines.tokenizer(model)
        if "converse" in asked:
            conversation = to_conversation(asked["converse"], model, stream=False)
            return len(conversation.to_prompt(tokenizer).tokens)
        body = model.parse_body(_read_blob(asked["invokeModel"]["body"]))
        # No prompt is so long that counting would stop before its end.
        generation = model.dialect.to_request(body, tokenizer, BODY_LIMIT, call.request_id)
    except EngineError as error:
        raise to_invoke_error(error, model.server) from error
    return len(generation.prompt)
