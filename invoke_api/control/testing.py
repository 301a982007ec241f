"""`/_emulator/rules`, `/_emulator/requests`, `/_emulator/reset`: what a test says and sees."""

import orjson
from starlette.requests import Request
from starlette.responses import Response

from invoke_api.operations.services import services_of
from invoke_api.rules.parsing import RuleError, parse_rules

# What the journal may be asked for; `scope` is its word for the access key id.
FILTERS = {
    "scope": "access_key_id",
    "operation": "operation",
    "model_id": "model_id",
    "engine": "engine",
    "ended": "ended",
}


async def rules(request: Request) -> Response:
    """GET lists, POST adds, DELETE removes: all, `?scope=` one caller's, `?id=` one."""
    book = services_of(request).rules
    scope = request.query_params.get("scope")
    if request.method == "DELETE":
        return _json({"removed": book.remove(scope=scope, rule_id=request.query_params.get("id"))})
    if request.method == "GET":
        return _json({"rules": book.listed(scope)})
    try:
        added = book.add(parse_rules(orjson.loads(await request.body())))
    except orjson.JSONDecodeError as error:
        return _json({"error": f"not JSON: {error}"}, status=400)
    except RuleError as error:
        return _json({"error": str(error)}, status=400)
    return _json({"rules": added}, status=201)


async def requests(request: Request) -> Response:
    """GET lists the last calls, oldest first; DELETE forgets them. Both take `?scope=`."""
    journal = services_of(request).journal
    if request.method == "DELETE":
        journal.clear(request.query_params.get("scope"))
        return _json({})
    unknown = set(request.query_params) - set(FILTERS)
    if unknown:
        known = ", ".join(FILTERS)
        return _json({"error": f"no filter {min(unknown)!r}; there are {known}"}, status=400)
    wanted = {FILTERS[name]: value for name, value in request.query_params.items()}
    return _json({"requests": journal.listed(**wanted)})


async def reset(request: Request) -> Response:
    """Rules and journal gone, `?scope=` one caller's."""
    book = services_of(request).rules
    journal = services_of(request).journal
    scope = request.query_params.get("scope")
    book.remove(scope=scope)
    journal.clear(scope)
    return _json({})


def _json(document: object, *, status: int = 200) -> Response:
    body = orjson.dumps(document, option=orjson.OPT_APPEND_NEWLINE)
    return Response(body, status, media_type="application/json")
