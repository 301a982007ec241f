"""CountTokens, which Bedrock offers for no model of Mistral's; with `--extensions` it counts."""

from base64 import b64decode
from typing import Any

import orjson
from starlette.requests import Request
from starlette.responses import Response

from engine.errors import EngineError
from invoke_api.authentication.gate import Caller
from invoke_api.identifiers import Identifier, parse_identifier
from invoke_api.operations.aside import UPLOADS, aside
from invoke_api.operations.bodies import coral_schema
from invoke_api.operations.call import admit_caller, check_account
from invoke_api.operations.client import BODY_LIMIT, read_body
from invoke_api.operations.conversation import to_conversation
from invoke_api.operations.engine_errors import to_invoke_error
from invoke_api.operations.replies import Reply, request_id
from invoke_api.operations.services import services_of
from invoke_api.validation.queries import COUNT_TOKENS, check_query
from invoke_api.wire.errors import ValidationException
from invoke_api.wire.front_door_errors import SerializationException

REFUSAL = "The provided model doesn't support counting tokens."
EXTENSION = {"x-invoke-api-extension": "CountTokens"}  # Bedrock would have refused


async def count_tokens(request: Request) -> Response:
    raw = await read_body(request)

    def check() -> tuple[Caller, dict[str, Any]]:
        caller = admit_caller(request, raw)
        check_query(COUNT_TOKENS, {"modelId": request.path_params["model_id"]})
        asked: dict[str, Any] = coral_schema("count_tokens.json").parse(raw)["input"]
        return caller, asked

    caller, asked = await aside(request, len(raw), check)
    services = services_of(request)
    registry = services.registry
    called = parse_identifier(request.path_params["model_id"])
    check_account(called, caller, "CountTokens")
    identifier = services.profiles.resolve(called)
    own = registry.find_own(identifier, caller.region, caller.account)
    if own is None and registry.find_profile(identifier, caller.region) is None:
        registry.find_listed(identifier, caller.region)
    if not services.extensions:
        raise ValidationException(REFUSAL)
    # In a thread, however short it is: some tokenizers are slow at their first use.
    tokens = await aside(request, UPLOADS, lambda: _count(request, asked, identifier, caller))
    return Reply(request, orjson.dumps({"inputTokens": tokens}), more=EXTENSION)


def _read_blob(encoded: str) -> bytes:
    try:
        return b64decode(encoded, validate=True)
    except ValueError:
        raise SerializationException("Blob is no valid base64") from None  # guess


def _count(request: Request, asked: dict[str, Any], identifier: Identifier, caller: Caller) -> int:
    """How many tokens InvokeModel or Converse would count. Raises `InvokeError`s as they do."""
    services = services_of(request)
    model = services.registry.find(identifier, caller.region, caller.account)
    try:
        tokenizer = services.engines.tokenizer(model)
        if "converse" in asked:
            conversation = to_conversation(asked["converse"], model, stream=False)
            return len(conversation.to_prompt(tokenizer).tokens)
        body = model.parse_body(_read_blob(asked["invokeModel"]["body"]))
        # No prompt is so long that counting would stop before its end.
        generation = model.dialect.to_request(body, tokenizer, BODY_LIMIT, request_id(request))
    except EngineError as error:
        raise to_invoke_error(error, model.server) from error
    return len(generation.prompt)
