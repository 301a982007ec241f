"""`/_emulator/rules`, `/_emulator/requests`, `/_emulator/reset`: what a test says and sees."""

import json
from dataclasses import replace

from starlette.requests import Request
from starlette.responses import Response

from invoke_api.operations.services import services_of
from invoke_api.rules.parsing import RuleError, parse_rules
from invoke_api.rules.rule import Rule

# What the journal may be asked for; `scope` is its word for the access key id.
FILTERS = {
    "scope": "access_key_id",
    "operation": "operation",
    "model_id": "model_id",
    "engine": "engine",
    "ended": "ended",
}


async def rules(request: Request) -> Response:
    """GET lists, POST adds, DELETE removes: all, `?scope=` one caller's, `?id=` one.

    POST with `?scope=` adds for that caller what names no other.
    """
    book = services_of(request).rules
    scope = request.query_params.get("scope")
    if request.method == "DELETE":
        return _json({"removed": book.remove(scope=scope, rule_id=request.query_params.get("id"))})
    if request.method == "GET":
        return _json({"rules": book.listed(scope)})
    try:
        # Not by orjson, which knows no numbers beyond 64 bits.
        parsed = parse_rules(json.loads(await request.body()))
    except (UnicodeDecodeError, json.JSONDecodeError, RecursionError) as error:
        return _json({"error": f"not JSON: {error}"}, status=400)
    except RuleError as error:
        return _json({"error": str(error)}, status=400)
    added = [_scoped(rule, scope) for rule in parsed] if scope else parsed
    return _json({"rules": book.add(added)}, status=201)


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


async def one_worker_only(_: Request) -> Response:
    """Each of several processes would know its own rules and its own calls only."""
    return _json(
        {"error": "rules and journal need one worker: serve without --workers"}, status=409
    )


async def reset(request: Request) -> Response:
    """Rules and journal gone, recordings anew from their first: `?scope=` for one caller."""
    services = services_of(request)
    scope = request.query_params.get("scope")
    services.rules.remove(scope=scope)
    services.journal.clear(scope)
    services.replay.library.forget_turns(scope)
    return _json({})


def _scoped(rule: Rule, scope: str) -> Rule:
    if rule.scope:
        return rule
    return replace(rule, scope=scope, document={**rule.document, "scope": scope})


def _json(document: object, *, status: int = 200) -> Response:
    text = json.dumps(document, ensure_ascii=False, separators=(",", ":"))
    body = f"{text}\n".encode(errors="backslashreplace")
    return Response(body, status, media_type="application/json")
