"""`/_emulator/rules`, `/requests`, `/aliases` and `/reset`, for tests."""

import asyncio
from dataclasses import replace

from starlette.requests import Request
from starlette.responses import Response

from invoke_api.authentication.aliases import TooManyAliases
from invoke_api.cassettes.named_cassettes import NamedRecordings
from invoke_api.control.request_documents import BadDocument, parse_document
from invoke_api.control.responses import error_answer, json_answer
from invoke_api.pipeline.services import Services, services_of
from invoke_api.rules.parser import ModelNames, RuleError, parse_rules
from invoke_api.rules.rule import Rule
from invoke_api.rules.rule_book import TooManyRules
from invoke_api.yaml_files import ConfigError

MAX_SCOPE_CHARACTERS = 128  # characters, as in schemas/rules.json
# The journal's field for each filter of requests.
JOURNAL_FILTERS = {
    "scope": "access_key_id",
    "operation": "operation",
    "model_id": "model_id",
    "identifier": "identifier",
    "engine": "engine",
    "ended": "ended",
}


async def rules(request: Request, body: bytes) -> Response:
    """List rules with GET, add them with POST, remove them with DELETE.

    `?scope=` limits them to one access key, and `?id=` to one rule. POST with `?scope=` sets the
    scope of rules that name none.
    """
    services = services_of(request)
    book = services.rules
    scope = request.query_params.get("scope")
    if scope is not None and len(scope) > MAX_SCOPE_CHARACTERS:
        return error_answer(f"a scope has at most {MAX_SCOPE_CHARACTERS} characters")
    if request.method == "DELETE":
        return json_answer(
            {"removed": book.remove(scope=scope, rule_id=request.query_params.get("id"))}
        )
    if request.method == "GET":
        return json_answer({"rules": book.listed(scope)})
    try:
        # In a thread, because it compiles patterns and reads recordings.
        parsed = await asyncio.to_thread(_parse, body, services.paces, _names(services))
        added = [_scoped(rule, scope) for rule in parsed] if scope else parsed
        return json_answer({"rules": book.add(added)}, status=201)
    except (BadDocument, RuleError, ConfigError, TooManyRules) as error:
        return error_answer(str(error))


def _parse(body: bytes, paces: NamedRecordings, models: ModelNames) -> list[Rule]:
    return parse_rules(parse_document(body), paces.waits, models)


def _names(services: Services) -> ModelNames:
    """Return the names of models that rules may have. Recordings may be of any model."""
    return None if services.replay.is_on else services.registry.names()


async def requests(request: Request, _: bytes) -> Response:
    """List the last calls with GET, oldest first, or delete them with DELETE."""
    journal = services_of(request).journal
    if request.method == "DELETE":
        journal.clear(request.query_params.get("scope"))
        return json_answer({})
    unknown = set(request.query_params) - set(JOURNAL_FILTERS)
    if unknown:
        known = ", ".join(JOURNAL_FILTERS)
        return error_answer(f"there is no filter {min(unknown)[:100]!r}; the filters are {known}")
    wanted = {JOURNAL_FILTERS[name]: value for name, value in request.query_params.items()}
    return json_answer({"requests": journal.listed(**wanted)})


async def one_worker_only(_: Request, __: bytes) -> Response:
    """Refuse the request, because each worker would have its own rules and journal."""
    return error_answer("rules and journal need one worker: serve without --workers", status=409)


async def reset(request: Request, _: bytes) -> Response:
    """Delete rules, journal, aliases, profiles and SageMaker resources, and restart recordings.

    `?scope=` limits this to one access key.
    """
    services = services_of(request)
    scope = request.query_params.get("scope")
    services.rules.remove(scope=scope)
    services.journal.clear(scope)
    services.gate.aliases.remove(scope)
    services.profiles.clear(scope)
    services.resources.clear(scope)
    services.endpoints.clear(scope)
    services.replay.library.forget_turns(scope)
    return json_answer({})


async def aliases(request: Request, body: bytes) -> Response:
    """List the access keys that stand for others with GET, and add one with POST."""
    gate = services_of(request).gate
    if request.method == "POST":
        try:
            gate.aliases.set(*_alias_in(parse_document(body)))
        except (BadDocument, TooManyAliases) as error:
            return error_answer(str(error))
        return json_answer({}, status=201)
    listed = [{"alias": alias, "access_key_id": key} for alias, key in gate.aliases]
    return json_answer({"aliases": listed})


def _alias_in(document: object) -> tuple[str, str]:
    """Return an alias and the key for which it stands. Raises `BadDocument`."""
    match document:
        case {"alias": str(alias), "access_key_id": str(key), **more} if not more:
            if min(len(alias), len(key)) > 0 and max(len(alias), len(key)) <= MAX_SCOPE_CHARACTERS:
                return alias, key
    raise BadDocument(
        "an alias is an object with `alias` and `access_key_id`, both texts of 1 to"
        f" {MAX_SCOPE_CHARACTERS} characters"
    )


def _scoped(rule: Rule, scope: str) -> Rule:
    if rule.scope:
        return rule
    return replace(rule, scope=scope, document={**rule.document, "scope": scope})
