"""`/_emulator/rules`, `/_emulator/requests`, `/_emulator/reset`: what a test says and sees."""

import asyncio
from dataclasses import replace

from starlette.requests import Request
from starlette.responses import Response

from invoke_api.cassettes.named_cassettes import NamedRecordings
from invoke_api.control.request_documents import BadDocument, parse_document
from invoke_api.control.responses import json_answer, refusal
from invoke_api.pipeline.services import services_of
from invoke_api.rules.parser import RuleError, parse_rules
from invoke_api.rules.rule import Rule
from invoke_api.rules.rule_book import TooManyRules
from invoke_api.yaml_files import ConfigError

MAX_SCOPE = 128  # characters, as in schemas/rules.json
# What the journal may be asked for; `scope` is its word for the access key id.
FILTERS = {
    "scope": "access_key_id",
    "operation": "operation",
    "model_id": "model_id",
    "identifier": "identifier",
    "engine": "engine",
    "ended": "ended",
}


async def rules(request: Request, body: bytes) -> Response:
    """GET lists, POST adds, DELETE removes: all, `?scope=` one caller's, `?id=` one.

    POST with `?scope=` adds for that caller what names no other.
    """
    services = services_of(request)
    book = services.rules
    scope = request.query_params.get("scope")
    if scope is not None and len(scope) > MAX_SCOPE:
        return refusal(f"a scope has {MAX_SCOPE} characters at most")
    if request.method == "DELETE":
        return json_answer(
            {"removed": book.remove(scope=scope, rule_id=request.query_params.get("id"))}
        )
    if request.method == "GET":
        return json_answer({"rules": book.listed(scope)})
    try:
        # In a thread: patterns are compiled, and recordings are read.
        parsed = await asyncio.to_thread(_parse, body, services.paces)
        added = [_scoped(rule, scope) for rule in parsed] if scope else parsed
        return json_answer({"rules": book.add(added)}, status=201)
    except (BadDocument, RuleError, ConfigError, TooManyRules) as error:
        return refusal(str(error))


def _parse(body: bytes, paces: NamedRecordings) -> list[Rule]:
    return parse_rules(parse_document(body), paces.waits)


async def requests(request: Request, _: bytes) -> Response:
    """GET lists the last calls, oldest first; DELETE forgets them. Both take `?scope=`."""
    journal = services_of(request).journal
    if request.method == "DELETE":
        journal.clear(request.query_params.get("scope"))
        return json_answer({})
    unknown = set(request.query_params) - set(FILTERS)
    if unknown:
        known = ", ".join(FILTERS)
        return refusal(f"no filter {min(unknown)[:100]!r}; there are {known}")
    wanted = {FILTERS[name]: value for name, value in request.query_params.items()}
    return json_answer({"requests": journal.listed(**wanted)})


async def one_worker_only(_: Request, __: bytes) -> Response:
    """Each of several processes would know its own rules and its own calls only."""
    return refusal("rules and journal need one worker: serve without --workers", status=409)


async def reset(request: Request, _: bytes) -> Response:
    """Forget rules, journal and application inference profiles; replay recordings from the first.

    With `?scope=`, those of one caller.
    """
    services = services_of(request)
    scope = request.query_params.get("scope")
    services.rules.remove(scope=scope)
    services.journal.clear(scope)
    services.profiles.clear(scope)
    services.replay.library.forget_turns(scope)
    return json_answer({})


def _scoped(rule: Rule, scope: str) -> Rule:
    if rule.scope:
        return rule
    return replace(rule, scope=scope, document={**rule.document, "scope": scope})
