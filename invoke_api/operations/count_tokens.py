"""CountTokens, which Bedrock offers for no model of Mistral's; with `--extensions` it counts."""

import asyncio
from typing import Any

import orjson
from starlette.requests import Request
from starlette.responses import Response

from engine.errors import EngineError
from invoke_api.authentication.gate import Caller
from invoke_api.identifiers import parse_identifier
from invoke_api.operations.call import admit_caller
from invoke_api.operations.client import BODY_LIMIT, read_body
from invoke_api.operations.engine_errors import to_invoke_error
from invoke_api.operations.invocation import aside
from invoke_api.operations.replies import Reply, request_id
from invoke_api.operations.services import services_of
from invoke_api.validation import shapes
from invoke_api.validation.queries import COUNT_TOKENS, check_query
from invoke_api.validation.shapes import Anything, Blob, Structure
from invoke_api.wire.errors import ValidationException

REFUSAL = "The provided model doesn't support counting tokens."
INPUT = Structure(
    {"invokeModel": Structure({"body": Blob()}, required=("body",)), "converse": Anything()}
)
REQUEST = Structure({"input": INPUT}, required=("input",))
EXTENSION = {"x-invoke-api-extension": "CountTokens"}  # Bedrock would have refused


async def count_tokens(request: Request) -> Response:
    raw = await read_body(request)

    def check() -> tuple[Caller, dict[str, Any]]:
        caller = admit_caller(request, raw)
        check_query(COUNT_TOKENS, {"modelId": request.path_params["model_id"]})
        asked: dict[str, Any] = shapes.read_body(REQUEST, raw)["input"]
        return caller, asked

    caller, asked = await aside(len(raw), check)
    registry = services_of(request).registry
    identifier = parse_identifier(request.path_params["model_id"])
    if registry.find_profile(identifier, caller.region) is None:
        registry.find_listed(identifier, caller.region)
    if not services_of(request).extensions or "invokeModel" not in asked:
        raise ValidationException(REFUSAL)
    body: bytes = asked["invokeModel"]["body"]
    # In a thread, however short it is: some tokenizers are slow at their first use.
    tokens = await asyncio.to_thread(_count, request, body, caller.region)
    return Reply(request, orjson.dumps({"inputTokens": tokens}), more=EXTENSION)


def _count(request: Request, body: bytes, region: str) -> int:
    """How many tokens InvokeModel would count of this body. Raises `InvokeError`s as it does."""
    registry = services_of(request).registry
    engines = services_of(request).engines
    model = registry.find(parse_identifier(request.path_params["model_id"]), region)
    parsed = model.schema.parse(body)
    try:
        # No prompt is so long that counting would stop before its end.
        generation = model.dialect.to_request(
            parsed, engines.of(model).tokenizer(), BODY_LIMIT, request_id(request)
        )
    except EngineError as error:
        raise to_invoke_error(error) from error
    return len(generation.prompt)
