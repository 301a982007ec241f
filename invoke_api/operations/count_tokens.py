"""CountTokens: refused for Mistral's models, as on Bedrock, or with `--extensions` answered."""

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
from invoke_api.pipeline.offload import HAS_UPLOADS, offload
from invoke_api.pipeline.request_body import MAX_BODY_BYTES
from invoke_api.pipeline.responses import HttpResponse, json_response
from invoke_api.validation.queries import COUNT_TOKENS, check_query
from invoke_api.wire.errors import SerializationException, ValidationException

NOT_SUPPORTED = "The provided model doesn't support counting tokens."
# Marks an answer that Bedrock would not give.
EXTENSION_HEADERS = {"x-invoke-api-extension": "CountTokens"}


async def count_tokens(call: Call) -> HttpResponse:
    await call.read_body()

    def check() -> tuple[Caller, dict[str, Any]]:
        caller = admit_caller(call)
        check_query(COUNT_TOKENS, {"modelId": call.labels["model_id"]})
        asked: dict[str, Any] = coral_schema("count_tokens.json").parse(call.body)["input"]
        return caller, asked

    caller, asked = await offload(call, len(call.body), check)
    services = call.services
    registry = services.registry
    called = parse_identifier(call.labels["model_id"])
    check_account(called, caller, "CountTokens")
    identifier = services.profiles.resolve(called)
    own = registry.find_own(identifier, caller.region, caller.account)
    if own is None and registry.find_profile(identifier, caller.region) is None:
        registry.find_listed(identifier, caller.region)
    if not services.extensions:
        raise ValidationException(NOT_SUPPORTED)
    # Always in a thread, because some tokenizers are slow at their first use.
    tokens = await offload(call, HAS_UPLOADS, lambda: _count(call, asked, identifier, caller))
    return json_response(call, orjson.dumps({"inputTokens": tokens}), more=EXTENSION_HEADERS)


def _read_blob(encoded: str) -> bytes:
    try:
        return b64decode(encoded, validate=True)
    except ValueError:
        raise SerializationException("Blob is no valid base64") from None  # guess


def _count(call: Call, asked: dict[str, Any], identifier: Identifier, caller: Caller) -> int:
    """Return the input tokens that InvokeModel or Converse would count. Raises their errors."""
    services = call.services
    model = services.registry.find(identifier, caller.region, caller.account)
    try:
        tokenizer = services.engines.tokenizer(model)
        if "converse" in asked:
            conversation = to_conversation(asked["converse"], model, stream=False)
            return len(conversation.to_prompt(tokenizer).tokens)
        body = model.parse_body(_read_blob(asked["invokeModel"]["body"]))
        # The limit is above every possible number of tokens, so that all of them are counted.
        generation = model.dialect.to_request(body, tokenizer, MAX_BODY_BYTES, call.request_id)
    except EngineError as error:
        raise to_invoke_error(error, model.server) from error
    return len(generation.prompt)
